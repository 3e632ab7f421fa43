"""What a network predicts for the examples of a split, as `predictions.csv` has it, and which of them a page shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from nnclassify.inference.predictions import SplitPredictions, read_predictions

Cell = tuple[int, int]
"""The true and the predicted class of an example."""

MAX_BYTES = 2**25
"""Larger files are not read: reading takes about twenty times their size in memory, and a second per 40 MB."""
MAX_LISTED = 4000
"""Maximum number of examples that a page names."""
MAX_RIGHT = 6
"""Examples of a class that are predicted correctly and named: those with the highest loss."""
NUM_MISTAKES = 12
"""Mistakes shown with the highest loss, and as many with the lowest."""


@dataclass(frozen=True)
class Scored(SplitPredictions):
    """What a network predicts for the `test` or `validation` split, and the examples of it that a page shows."""

    @cached_property
    def mistakes(self) -> list[int]:
        """The examples that are predicted wrongly, the highest loss first."""
        wrong = [row for row, is_correct in enumerate(self.is_correct) if not is_correct]
        return sorted(wrong, key=lambda row: -self.losses[row])

    @cached_property
    def highest(self) -> list[int]:
        """The mistakes with the highest loss."""
        return self.mistakes[:NUM_MISTAKES]

    @cached_property
    def lowest(self) -> list[int]:
        """The mistakes with the lowest loss, the lowest first, without those of `highest`."""
        return self.mistakes[NUM_MISTAKES:][::-1][:NUM_MISTAKES]

    @cached_property
    def counts(self) -> dict[Cell, int]:
        """The number of examples by true and predicted class; empty with multi-hot targets."""
        counts: dict[Cell, int] = defaultdict(int)
        if not self.is_multi_hot:
            for (true,), (predicted,) in zip(self.true, self.predicted, strict=True):
                counts[true, predicted] += 1
        return dict(counts)

    @cached_property
    def listed(self) -> dict[Cell, list[int]]:
        """The examples that a page names, by true and predicted class, the highest loss first.

        All mistakes, or those with the highest loss of each cell if there are too many; and a few others.
        """
        if self.is_multi_hot:
            return {}
        larger_first = sorted(self.counts, key=lambda cell: (-self.counts[cell], cell))
        cells: dict[Cell, list[int]] = {cell: [] for cell in larger_first}
        for row in sorted(range(len(self)), key=lambda row: -self.losses[row]):
            at = (self.true[row][0], self.predicted[row][0])
            if at[0] != at[1] or len(cells[at]) < MAX_RIGHT:
                cells[at].append(row)
        kept = set(_in_turn(list(cells.values())))
        return {at: [row for row in rows if row in kept] for at, rows in cells.items()}

    def pictured(self) -> Iterator[int]:
        """Yield the examples to draw, the most important first: mistakes, then examples of each cell in turn."""
        wrong = [rows for (true, predicted), rows in self.listed.items() if true != predicted]
        right = [rows for (true, predicted), rows in self.listed.items() if true == predicted]
        ranked = [*self.highest, *self.lowest, *_in_turn(wrong), *_in_turn(right)]
        yield from dict.fromkeys(ranked)


def _in_turn(groups: Sequence[list[int]]) -> list[int]:
    """Return the first of each group, then the second of each, and so on, at most `MAX_LISTED`."""
    return [row for rows in zip_longest(*groups) for row in rows if row is not None][:MAX_LISTED]


def read_scored(path: Path) -> Scored | None:
    """Read the test examples of `predictions.csv`, or the validation examples if there are none.

    Returns:
        None if there is no such file, it has no examples, or it is larger than `MAX_BYTES`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
    except OSError:
        return None
    read = read_predictions(path, "test", "validation", with_confidences=True)
    return None if read is None else Scored(**vars(read))
