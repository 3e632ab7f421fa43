"""The examples of a dataset before they are split, and the rows that a split consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnclassify.data.examples import Examples
from nnclassify.data.names import INDICES, ExampleNames
from nnclassify.data.splitting import (
    Groups,
    Labels,
    Rows,
    Times,
    grouped_split,
    nested_subset,
    newest_split,
    stratified_split,
)

if TYPE_CHECKING:
    from torch import Tensor


class Loaded(NamedTuple):
    """The inputs of a split that are read when it is drawn.

    Attributes:
        inputs: The raw inputs of a storage, `(M, ...)`.
        source: The row of the source of each row of the storage, `(M,)`; None: the same row.
        rows: The rows of the storage that belong to the split and could be read, `(N,)`.
        hashes: The bytes of the hash of each row of the storage, uint8 `(M, 8)`; None: hashed when asked for.
    """

    inputs: Tensor
    source: Rows | None
    rows: Rows
    hashes: Tensor | None = None


@dataclass(frozen=True)
class UnsplitExamples:
    """The examples of a dataset before they are split.

    Attributes:
        targets: Class indices `(M,)`, or multi-hot `(M, K)` of 0 and 1.
        inputs: The raw inputs `(M, ...)`, or a function that reads the given rows.
        names: The name of each example.
        groups: The examples that belong together and are kept in one split, or None.
        times: The time of each example `(M,)`, by which the newest are held out, or None.
    """

    targets: Labels
    inputs: Tensor | Callable[[Rows], Loaded]
    names: ExampleNames = INDICES
    groups: Groups | None = None
    times: Times | None = None

    def take(self, rows: Rows) -> Examples:
        """Return the split that consists of `rows`."""
        import torch

        if isinstance(self.inputs, torch.Tensor):
            targets, indices = torch.from_numpy(self.targets), torch.from_numpy(rows)
            return Examples(self.inputs, targets, indices, self.names, self.groups)
        inputs, source, rows, hashes = self.inputs(rows)
        targets, names, groups = torch.from_numpy(self.targets), self.names, self.groups
        if source is not None:
            targets, names = targets[torch.from_numpy(source)], names.at(torch.from_numpy(source))
            groups = None if groups is None else groups.at(source)
        return Examples(inputs, targets, torch.from_numpy(rows), names, groups, hashes)

    def hold_out(self, rows: Rows, fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """Hold out a fraction of `rows`: the newest, or whole groups, or else the same fraction of each class.

        Returns:
            The kept rows and the held-out rows, both in ascending order.

        Raises:
            DataError: There are too few groups or times.
        """
        if self.times is not None:
            return newest_split(self.times, rows, fraction)
        if self.groups is not None:
            return grouped_split(self.targets, self.groups, rows, fraction, rng)
        return stratified_split(self.targets, rows, fraction, rng)


@dataclass(frozen=True)
class Drawn:
    """The rows of a split, `(N,)`, and the examples that they were drawn from."""

    pool: UnsplitExamples
    rows: Rows

    def reduced(self, share: float, rng: np.random.Generator) -> Drawn:
        """Return a stratified subset, of whole groups if there are groups; see `nested_subset`."""
        groups = None if self.pool.groups is None else self.pool.groups.codes[self.rows]
        return replace(self, rows=self.rows[nested_subset(self.pool.targets[self.rows], groups, share, rng)])

    def take(self) -> Examples:
        """Return the split."""
        return self.pool.take(self.rows)
