"""Examples of the same content in different splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnclassify.data.examples import Examples, Hashes, Splits
from nnclassify.data.splitting import Labels, Rows


@dataclass(frozen=True)
class Duplicate:
    """An example whose content is also in an earlier split.

    Attributes:
        name: The example.
        split: Its split.
        duplicate_of: The first example of the same content in another split.
        other_split: The split of that one.
    """

    name: str
    split: str
    duplicate_of: str
    other_split: str

    def __str__(self) -> str:
        return f"{self.name} in {self.split} equals {self.duplicate_of} in {self.other_split}"


class Contents:
    """The content hashes of a dataset, and which examples have the same content in different splits.

    Attributes:
        parts: The splits by name, in the order training, validation, test; each example is in one of them.
        hashes: The content hash of each example, by split.
        twins: For each example of all splits, one after another, the first one of the same content in another split, or
            -1.
    """

    def __init__(self, splits: Splits) -> None:
        self.parts = parts_of(splits)
        self.hashes = {name: examples.hashes() for name, examples in self.parts.items()}
        counts = [len(examples) for examples in self.parts.values()]
        self._starts = np.cumsum([0, *counts])
        self.twins = duplicates(np.concatenate([*self.hashes.values()]), np.repeat(np.arange(len(counts)), counts))

    def name_at(self, row: int) -> tuple[str, str]:
        """Return the name and the split of a row that is counted over all splits."""
        place = int(np.searchsorted(self._starts, row, side="right")) - 1
        split = [*self.parts][place]
        return self.parts[split].name_of(row - int(self._starts[place])), split

    def duplicates(self) -> Iterator[Duplicate]:
        """Yield every example whose content is also in an earlier split."""
        later = (self.twins >= 0) & (self.twins < np.arange(len(self.twins)))
        for row in np.flatnonzero(later).tolist():
            yield Duplicate(*self.name_at(row), *self.name_at(int(self.twins[row])))


def parts_of(splits: Splits) -> dict[str, Examples]:
    """Return the splits by name, each example in one of them."""
    found = {name: splits.split(name) for name in ("train", "validation", "test")}
    return {
        name: examples
        for name, examples in found.items()
        if examples is not None and not (name == "validation" and splits.validation_is_test)
    }


def duplicates(hashes: Hashes, parts: Labels) -> Rows:
    """Return for each example the first one with the same content in another part, or -1, `(N,)`.

    Args:
        hashes: The content hashes `(N,)`.
        parts: The part that each example is in, `(N,)`.
    """
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    is_elsewhere = parts != parts[first[group]]  # than the first of its group
    # np.unique returns the first row of each value, and the rows ascend: so the first such row of each group.
    groups, place = np.unique(group[is_elsewhere], return_index=True)
    second = np.full(len(first), -1, dtype=np.int64)
    second[groups] = np.flatnonzero(is_elsewhere)[place]
    found: Rows = np.where(is_elsewhere, first[group], second[group])
    return found
