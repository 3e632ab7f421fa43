"""Examples and splits: the common form of every dataset, for training and evaluation."""

from __future__ import annotations

import hashlib
import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nnclassify.data.names import INDICES, ExampleNames
from nnclassify.data.splitting import Groups, counts_of
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.process import num_cores

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

MOVED_AT_ONCE, MOVED_BYTES = 4096, 2**26
"""Examples read at a time, and their size in bytes: each chunk is copied twice."""

HASHED_WITHOUT_GIL = 2048
"""Bytes from which hashlib lets other threads of Python run."""

MAX_DIGESTED = 2**30
"""Bytes of inputs that a digest reads; a larger split is sampled at regular intervals."""


def content_hashes(rows: Bytes) -> bytes:
    """Return the hashes of inputs `(B, bytes)`, eight bytes each."""
    return b"".join([hashlib.sha256(row).digest()[:8] for row in rows])


@dataclass(frozen=True)
class Examples:
    """One split: rows of a storage that may be shared with other splits, so that no example is stored twice.

    Attributes:
        inputs: Raw inputs of the storage, uint8 or float, `(M, ...)`: in memory, mapped from a file, or
            `StreamedImages`, of which only `index_select` reads rows.
        targets: Class indices, int64 `(M,)`, or multi-hot `(M, K)` of 0 and 1.
        indices: The rows that belong to this split, int64 `(N,)`.
        names: The name of each row of the storage.
        groups: The group of each row of the storage, such as its patient; None: there are none.
        known_hashes: The bytes of the hash of each row of the storage, uint8 `(M, 8)`; None: hashed when asked for.
    """

    inputs: Tensor
    targets: Tensor
    indices: Tensor
    names: ExampleNames = INDICES
    groups: Groups | None = None
    known_hashes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def example_bytes(self) -> int:
        """Size of one raw input in bytes."""
        return math.prod(self.inputs.shape[1:]) * self.inputs.dtype.itemsize

    def chunks(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return rows `(B,)` in parts whose inputs fit into memory."""
        parts: tuple[Tensor, ...] = rows.split(max(1, min(MOVED_AT_ONCE, MOVED_BYTES // max(1, self.example_bytes))))
        return parts

    def select(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw inputs and targets of `rows` `(B,)`, numbered within this split."""
        chosen = self.indices[rows.to(self.indices.device, non_blocking=True)]
        return self.inputs.index_select(0, chosen), self.targets[chosen]  # inputs[chosen] copies byte by byte

    def read_ahead(self, *parts: Tensor) -> None:
        """Start to read the inputs of some rows `(B,)` of this split each, if that takes time; see `StreamedImages`."""
        if (read_ahead := getattr(self.inputs, "read_ahead", None)) is not None:
            read_ahead([self.indices[rows] for rows in parts])

    def spaced_rows(self, most: int) -> Tensor:
        """Return at most `most` rows from all over this split, evenly spaced and in order."""
        import torch

        return torch.linspace(0, len(self) - 1, min(most, len(self))).long()

    def subset(self, rows: slice | Tensor) -> Examples:
        """Return some rows of this split as a split."""
        return replace(self, indices=self.indices[rows])

    def to(self, device: torch.device) -> Examples:
        """Copy the examples of this split, and no others of the storage, to a device."""
        import torch

        inputs = torch.empty((len(self), *self.inputs.shape[1:]), dtype=self.inputs.dtype, device=device)
        targets = torch.empty((len(self), *self.targets.shape[1:]), dtype=self.targets.dtype, device=device)
        order = torch.arange(len(self))
        for rows in self.chunks(order):
            inputs[rows[0] : rows[-1] + 1], targets[rows[0] : rows[-1] + 1] = self.select(rows)
        indices = self.indices.cpu()
        groups = None if self.groups is None else self.groups.at(indices.numpy())
        return Examples(inputs, targets, order.to(device), self.names.at(indices), groups)

    def all_targets(self) -> Tensor:
        """Return this split's class indices `(N,)`, or its multi-hot targets `(N, K)`."""
        return self.targets[self.indices]

    def all_groups(self) -> Tensor | None:
        """Return the group of each example of this split, from 0, int64 `(N,)`; None: there are none."""
        if self.groups is None:
            return None
        import torch

        codes = np.unique(self.groups.codes[self.indices.cpu().numpy()], return_inverse=True)[1]
        return torch.from_numpy(codes.astype(np.int64))

    def name_of(self, row: int) -> str:
        """Return the name of example `row` of this split."""
        return self.names_of(slice(row, row + 1))[0]

    def names_of(self, rows: Tensor | slice) -> list[str]:
        """Return the names of rows `(B,)` counted within this split."""
        return self.names.of(self.indices[rows])

    def all_names(self) -> list[str]:
        """Return the name of each example of this split."""
        return self.names.of(self.indices)

    def location(self, row: int, origin: str) -> str:
        """Return the source of example `row` of this split for messages; see `ExampleNames.location`."""
        return self.names.location(self.indices[row], origin)

    def hashes(self) -> Hashes:
        """Return a 64-bit hash of each example's raw input, `(N,)`. It is the same on every machine."""
        import torch

        if self.known_hashes is not None:
            return self.known_hashes[self.indices.cpu()].numpy().view(">u8").ravel()

        def hashed(rows: Tensor) -> bytes:
            return content_hashes(self.select(rows)[0].cpu().contiguous().flatten(1).view(torch.uint8).numpy())

        is_large = self.example_bytes >= HASHED_WITHOUT_GIL
        with ThreadPoolExecutor(num_cores() if is_large else 1) as pool:
            digests = pool.map(hashed, self.chunks(torch.arange(len(self))))
            return np.frombuffer(b"".join(digests), dtype=">u8")

    def digest(self) -> str:
        """Return a fingerprint of the examples and their order.

        It is a SHA-256 over shape, type, targets, and CRC-32 checksums of the inputs, which detect accidental changes
        and are six times as fast as SHA-256.
        """
        import torch

        seen = min(len(self), max(1, MAX_DIGESTED // max(1, self.example_bytes)))
        rows = (torch.arange(seen) * len(self)) // max(1, seen)
        digest = hashlib.sha256(f"{len(self)} {tuple(self.inputs.shape[1:])} {self.inputs.dtype}".encode())
        digest.update(self.all_targets().cpu().numpy().tobytes())
        for chunk in rows.split(MOVED_AT_ONCE):
            checksum = 0
            for part in self.chunks(chunk):
                inputs = self.select(part)[0].cpu().contiguous().view(torch.uint8)
                checksum = zlib.crc32(inputs.numpy().data, checksum)
            digest.update(checksum.to_bytes(4, "big"))
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What is known of a dataset, apart from its examples.

    Attributes:
        class_names: Names of the classes, in the order of the class indices.
        image_format: How an image file becomes an input; None for tables.
        feature_names: Names of the columns; None if they have no names.
        notes: Warnings about the data, one line each, such as skipped files or odd columns. Every command that reads
            the data prints them.
        encoder: How the columns of a table became features; None if every column is a feature.
        recognized: Options of the dataset that the config does not state and the data shows, such as a delimiter.
        skipped: The reason for each example that could not be read, by its name.
    """

    class_names: list[str]
    image_format: ImageFormat | None = None
    feature_names: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    encoder: TableEncoder | None = None
    recognized: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Splits(DatasetFacts):
    """A dataset with its splits, ready for training.

    Attributes:
        train: The examples that the weights are fitted to.
        validation: The examples that the best epoch is selected by, or None.
        test: The examples that are only reported on, or None.
        epoch_examples: The number of training examples in an epoch, in which they are repeated; None: each once.
    """

    train: Examples
    validation: Examples | None = None
    test: Examples | None = None
    epoch_examples: int | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, such as `(C, H, W)`."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may have several classes, or none."""
        return self.train.targets.ndim == 2

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing."""
        return 0.5 if self.is_multi_hot else 1 / self.num_classes

    @property
    def validation_is_test(self) -> bool:
        """Whether the test split is used for validation, in which case nothing is selected by it."""
        return self.validation is not None and self.validation is self.test

    def training_epoch(self) -> Examples:
        """Return the training examples of an epoch: each once, or repeated to as many as the whole split has."""
        if self.epoch_examples is None:
            return self.train
        times = -(-self.epoch_examples // len(self.train))
        return replace(
            self.train, indices=self.train.indices.repeat(times)[: max(self.epoch_examples, len(self.train))]
        )

    def split(self, name: str) -> Examples | None:
        """Return the split named `train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def digests(self) -> dict[str, str]:
        """Return the digest of each split, by which a resumed run detects changed data."""
        splits = {name: self.split(name) for name in ("train", "validation", "test")}
        return {name: examples.digest() for name, examples in splits.items() if examples is not None}

    def class_counts(self) -> list[int]:
        """Return the number of training examples per class."""
        counts: list[int] = counts_of(self.train.all_targets().cpu().numpy(), self.num_classes).tolist()
        return counts
