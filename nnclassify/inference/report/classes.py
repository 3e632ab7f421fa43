"""The figures of each class, and the confusion matrix, of what is predicted for a split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from nnclassify.errors import some
from nnclassify.evaluation.confusion import ClassReport
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.inference.display_names import readable
from nnclassify.inference.report.scored import Cell, Scored

MAX_MATRIX = 20
"""Classes of a matrix that fits a page; of more, those with the most mistakes are shown."""
MAX_CONFUSIONS = 30
"""Confusions listed beside a matrix that does not show all classes."""
MAX_LABEL = 28
"""Maximum width of a class name beside a confusion matrix, or in a table, in columns."""
NAMED_CLASSES = 4
"""Number of classes that are named in a list."""
LEVELS = 9
"""Shades of a cell."""


@dataclass(frozen=True)
class ClassRow(ClassReport):
    """The report of one class, with what only a page shows.

    Attributes:
        interval: The 95% Wilson interval of the recall.
        taken_for: The class that its examples are most often taken for; several if they are equally often.
        num_taken: How often that is for each of them.
    """

    interval: tuple[float, float]
    taken_for: Sequence[str] = ()
    num_taken: int = 0


def alternatives(names: Sequence[str]) -> str:
    """Return, in words, classes that are equally often an answer."""
    return " or ".join(names) if len(names) < 3 else some(names, 2)


def of_size(counts: Mapping[str, int], size: int) -> str:
    """Return, in words, the classes that have this many examples."""
    names = [readable(name, MAX_LABEL) for name, count in counts.items() if count == size]
    if len(names) == 1:
        return f"{names[0]} ({size:,})"
    return f"{'all' if len(names) == len(counts) else some(names, NAMED_CLASSES)} ({size:,} each)"


def class_rows(scored: Scored) -> list[ClassRow]:
    """Return the figures of each class, in the order of the classes."""
    pairs = zip(scored.true, scored.predicted, strict=True)
    support, predicted = Counter(chain.from_iterable(scored.true)), Counter(chain.from_iterable(scored.predicted))
    right = Counter(chain.from_iterable(true if true == answer else set(true) & set(answer) for true, answer in pairs))
    taken: dict[int, dict[int, int]] = defaultdict(dict)
    for (true_class, answer_class), count in sorted(scored.counts.items()):
        if true_class != answer_class:
            taken[true_class][answer_class] = count
    rows = []
    for index, name in enumerate(scored.class_names):
        report = ClassReport.of(name, right[index], predicted[index], support[index])
        most = max(taken[index].values(), default=0)
        rows.append(
            ClassRow(
                **vars(report),
                interval=wilson_interval(right[index], support[index]) if support[index] else (0.0, 0.0),
                taken_for=[scored.class_names[other] for other, count in taken[index].items() if count == most],
                num_taken=most,
            )
        )
    return rows


@dataclass(frozen=True)
class MatrixCell:
    """A cell of a confusion matrix.

    Attributes:
        at: The true and the predicted class.
        count: The number of examples.
        level: The shade, from the share of the examples of the true class: 0 for none; the diagonal has none.
    """

    at: Cell
    count: int
    level: int

    @property
    def is_right(self) -> bool:
        """Whether the predictions are correct."""
        return self.at[0] == self.at[1]

    @property
    def key(self) -> str:
        """The name of the cell in the data of the page."""
        return f"{self.at[0]}-{self.at[1]}"


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix, or the part with the most mistakes.

    Attributes:
        classes: The indices of its classes.
        rows: Its cells, one row per true class.
        largest: The largest confusions, if not all classes are shown.
        num_left_out: The number of classes that are not shown.
    """

    classes: list[int]
    rows: list[list[MatrixCell]]
    largest: list[MatrixCell]
    num_left_out: int


def matrix(scored: Scored) -> Matrix:
    """Return the confusion matrix of predictions of one class per example."""
    support, wrong = Counter[int](), Counter[int]()
    for (true, predicted), count in scored.counts.items():
        support[true] += count
        if true != predicted:
            wrong.update({true: count, predicted: count})
    order = sorted(range(len(scored.class_names)), key=lambda index: (-wrong[index], index))
    classes = sorted(order[:MAX_MATRIX])
    confusions = {at: count for at, count in scored.counts.items() if at[0] != at[1]}
    most = max((count / support[at[0]] for at, count in confusions.items()), default=1.0)

    def cell(at: Cell) -> MatrixCell:
        count = scored.counts.get(at, 0)
        has_level = count and at[0] != at[1]
        return MatrixCell(at, count, max(1, round(count / support[at[0]] / most * LEVELS)) if has_level else 0)

    left_out = len(scored.class_names) - len(classes)
    ranked: Sequence[Cell] = sorted(confusions, key=lambda at: (-confusions[at], at)) if left_out else []
    rows = [[cell((true, predicted)) for predicted in classes] for true in classes]
    return Matrix(classes, rows, [cell(at) for at in ranked[:MAX_CONFUSIONS]], left_out)
