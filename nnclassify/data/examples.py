"""Examples and the splits they are in: what a dataset becomes, and training learns from."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nnclassify.data.image_format import ImageFormat
from nnclassify.data.splitting import counts_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MOVED_AT_ONCE = 4096
"""Examples on their way to a device: they are copied twice."""

MAX_DIGESTED = 2**30
"""Bytes of inputs that a digest looks at: of a larger split, examples at even distances."""


@dataclass(frozen=True)
class Examples:
    """One split: some rows of a storage that other splits may share, so that no example is held twice.

    Attributes:
        inputs: Raw, uint8 or float, `(M, ...)`.
        targets: Class indices, int64 `(M,)`; or multi-hot, `(M, K)` of 0 and 1.
        indices: The rows of this split, int64 `(N,)`.
    """

    inputs: Tensor
    targets: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def select(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Raw inputs and targets of rows `(B,)` counted within this split."""
        chosen = self.indices[rows.to(self.indices.device, non_blocking=True)]
        return self.inputs.index_select(0, chosen), self.targets[chosen]  # inputs[chosen] copies byte by byte

    def part(self, rows: slice) -> Examples:
        """Some of these examples, in a split of their own."""
        return Examples(self.inputs, self.targets, self.indices[rows])

    def on(self, device: torch.device) -> Examples:
        """The same examples there, and no others of the storage."""
        import torch

        inputs = torch.empty((len(self), *self.inputs.shape[1:]), dtype=self.inputs.dtype, device=device)
        targets = torch.empty((len(self), *self.targets.shape[1:]), dtype=self.targets.dtype, device=device)
        order = torch.arange(len(self))
        for rows in order.split(MOVED_AT_ONCE):
            inputs[rows[0] : rows[-1] + 1], targets[rows[0] : rows[-1] + 1] = self.select(rows)
        return Examples(inputs, targets, order.to(device))

    def all_targets(self) -> Tensor:
        """This split's class indices, `(N,)`; or multi-hot targets, `(N, K)`."""
        return self.targets[self.indices]

    def place(self, row: int, origin: str, lines: Tensor | None) -> str:
        """Where example `row` of this split stands, for messages: the line of a file, or its number there."""
        index = int(self.indices[row])
        return f"{origin}: example {index}" if lines is None else f"{origin}:{int(lines[index])}"

    def digest(self) -> str:
        """What tells these examples from others, in this order: SHA-256 over shape, type, targets and checksums of the
        inputs. A CRC-32 per chunk finds every accidental change, and is six times as fast as a SHA-256."""
        import torch

        example_bytes = max(1, self.inputs[:1].nbytes)
        seen = min(len(self), max(1, MAX_DIGESTED // example_bytes))
        rows = (torch.arange(seen) * len(self)) // max(1, seen)
        digest = hashlib.sha256(f"{len(self)} {tuple(self.inputs.shape[1:])} {self.inputs.dtype}".encode())
        digest.update(self.all_targets().cpu().numpy().tobytes())
        for chunk in rows.split(MOVED_AT_ONCE):
            inputs = self.select(chunk)[0].cpu().contiguous().view(torch.uint8)
            digest.update(zlib.crc32(inputs.numpy().data).to_bytes(4, "big"))
        return digest.hexdigest()


@dataclass(frozen=True)
class Splits:
    """A dataset, ready to learn from.

    Attributes:
        train: What the weights are fitted to.
        validation: What choices are made by; None where there is no such split.
        test: What is reported; it chooses nothing.
        class_names: One a class, in the order of the class indices.
        picture: How an image file becomes an input; None for tables.
        feature_names: The columns; None where they have no names.
        lines: Where each example of a table stands in its file, `(M,)` as its inputs; None where there is no such file.
        notes: What the user should know of how the data was read, one line each: files that were skipped, columns that
            look odd. Every command that reads the data prints them.
    """

    train: Examples
    validation: Examples | None
    test: Examples | None
    class_names: list[str]
    picture: ImageFormat | None = None
    feature_names: list[str] | None = None
    lines: Tensor | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One example's shape, such as `(C, H, W)`."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may be of several classes, or of none."""
        return self.train.targets.ndim == 2

    @property
    def chance(self) -> float:
        """The balanced accuracy of answers that know nothing."""
        return 0.5 if self.is_multi_hot else 1 / self.num_classes

    @property
    def validation_is_test(self) -> bool:
        """Whether the validation figures are the test split's; then they choose nothing."""
        return self.validation is not None and self.validation is self.test

    def split(self, name: str) -> Examples | None:
        """The split of that name: `train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def digests(self) -> dict[str, str]:
        """Of each split that there is: by them a run knows its data again."""
        splits = {name: self.split(name) for name in ("train", "validation", "test")}
        return {name: examples.digest() for name, examples in splits.items() if examples is not None}

    def class_counts(self) -> list[int]:
        """Training examples of each class."""
        counts: list[int] = counts_of(self.train.all_targets().cpu().numpy(), self.num_classes).tolist()
        return counts
