"""What an audit looks at: the examples of all splits in one row, each prepared once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.config.run_config import LoadedConfig
from nnclassify.data import Examples, Splits
from nnclassify.data.duplicates import Contents
from nnclassify.data.splitting import Labels
from nnclassify.data.transform import fit_normalization
from nnclassify.diagnosis.audit.features import image_features, standardized
from nnclassify.diagnosis.audit.progress import Progress
from nnclassify.evaluation.boosting import tree_columns

SIDE = 32
"""Larger images are averaged to this side: copies and classes can be told at this size, and memory is bounded."""
MAX_COLUMNS = 2000
"""Features of an example that is no image are averaged to as many."""


@dataclass(frozen=True)
class Material:
    """The examples of all splits, one after another, so that a row of an audit is an example.

    Attributes:
        loaded: The config.
        splits: The examples.
        progress: What is told how far the audit is.
        with_network: Whether the network of the config judges the labels, and not a quick classifier.
    """

    loaded: LoadedConfig
    splits: Splits
    progress: Progress
    with_network: bool = False

    @cached_property
    def contents(self) -> Contents:
        """The examples by split, and a hash of each."""
        return Contents(self.splits)

    @cached_property
    def hashes(self) -> Labels:
        """The number of the content of each example, equal for equal ones, `(N,)`."""
        found: Labels = np.unique(np.concatenate([*self.contents.hashes.values()]), return_inverse=True)[1]
        return found

    @cached_property
    def targets(self) -> Labels:
        """Class indices `(N,)`, or multi-hot targets `(N, K)`."""
        found: Labels = np.concatenate([part.all_targets().numpy() for part in self.contents.parts.values()])
        return found

    @cached_property
    def parts(self) -> Labels:
        """The number of the split of each example, in the order of `split_names`, `(N,)`."""
        counts = [len(part) for part in self.contents.parts.values()]
        return np.repeat(np.arange(len(counts)), counts)

    @property
    def split_names(self) -> list[str]:
        """The names of the splits."""
        return [*self.contents.parts]

    @property
    def is_images(self) -> bool:
        """Whether examples are images `(C, H, W)`."""
        return len(self.splits.input_shape) == 3

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may have several classes."""
        return self.splits.is_multi_hot

    def __len__(self) -> int:
        return sum(map(len, self.contents.parts.values()))

    def name(self, row: int) -> tuple[str, str]:
        """Return the name of an example and its split."""
        return self.contents.name_at(row)

    def class_name(self, target: int | None) -> str:
        """Return the name of a class; empty for None."""
        return "" if target is None else self.splits.class_names[target]

    def given(self, row: int) -> str:
        """Return the class, or the classes, that an example has by its label."""
        target = self.targets[row]
        found = np.flatnonzero(target).tolist() if self.is_multi_hot else [int(target)]
        return ", ".join(map(self.class_name, found))

    def raw(self, row: int) -> Tensor:
        """Return the raw input of an example."""
        start = 0
        for examples in self.contents.parts.values():
            if row < start + len(examples):
                return examples.select(torch.tensor([row - start]))[0][0]
            start += len(examples)
        raise IndexError(row)

    @cached_property
    def examples(self) -> Examples:
        """The examples of all splits as one; they are copied unless the splits share a storage."""
        parts = [*self.contents.parts.values()]
        if all(part.inputs is parts[0].inputs for part in parts):
            return replace(parts[0], indices=torch.cat([part.indices for part in parts]), groups=None)
        targets = torch.cat([part.all_targets() for part in parts])
        return Examples(torch.cat([*self.chunks()]), targets, torch.arange(len(targets)))

    def chunks(self) -> Iterator[Tensor]:
        """Yield the raw inputs of all examples in chunks that fit into memory."""
        for examples in self.contents.parts.values():
            for rows in examples.chunks(torch.arange(len(examples))):
                yield examples.select(rows)[0].cpu()

    @cached_property
    def thumbnails(self) -> Tensor:
        """The images, uint8 `(N, C, H, W)`, of at most 32 pixels a side."""
        height, width = self.splits.input_shape[1:]
        side = min(height, SIDE), min(width, SIDE)
        low, high = self._range()
        found = []
        for chunk in self.chunks():
            values = chunk if chunk.dtype == torch.uint8 else (chunk.float() - low) * (255 / max(high - low, 1e-12))
            if tuple(chunk.shape[2:]) != side:
                values = functional.interpolate(values.float(), side, mode="area")
            found.append(values.round().clamp(0, 255).to(torch.uint8) if values.is_floating_point() else values)
        return torch.cat(found)

    def _range(self) -> tuple[float, float]:
        """Return the values of black and white of images that are not bytes."""
        first, _ = self.splits.train.select(torch.arange(min(1000, len(self.splits.train))))
        return float(first.min()), float(first.max())

    @cached_property
    def columns(self) -> Tensor:
        """The normalized features of a table, float32 `(N, D)`."""
        return self._normalized(lambda features: features)

    @property
    def distant_columns(self) -> Tensor:
        """The `columns`, but numbers that a quantile transform brings closer together as they are in the table."""
        encoder = self.splits.encoder
        if encoder is None or not encoder.has_quantiles:
            return self.columns
        return self._normalized(lambda features: torch.from_numpy(encoder.unscaled(features.numpy())))

    def _normalized(self, changed: Callable[[Tensor], Tensor]) -> Tensor:
        train, encoder = self.splits.train, self.splits.encoder
        shift, scale = fit_normalization(changed(train.inputs), train.indices, "standard", encoder)
        chunks = [((changed(chunk).double() - shift) / scale).float().flatten(1) for chunk in self.chunks()]
        found = torch.cat(chunks)
        if found.shape[1] > MAX_COLUMNS:
            found = functional.adaptive_avg_pool1d(found[:, None], MAX_COLUMNS)[:, 0]
        return found

    @cached_property
    def tree_columns(self) -> Tensor:
        """The columns of a table as trees read them, `(N, D)`; the averages of `columns` if there are more of them."""
        found = torch.cat([tree_columns(chunk, self.splits.encoder) for chunk in self.chunks()])
        return found if found.shape[1] <= MAX_COLUMNS else self.columns

    @cached_property
    def features(self) -> Tensor:
        """What examples are compared by, `(N, D)`: standardized features of images, or columns of tables."""
        if not self.is_images:
            return standardized(self.columns)
        return image_features(self.thumbnails, self.progress.advance)
