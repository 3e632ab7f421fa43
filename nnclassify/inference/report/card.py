"""What a notebook shows of an object: a title, a sentence, tables and curves, in the colors of the notebook.

It has no script and loads nothing. Every text is escaped, and a name with control characters cannot break a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nnclassify.errors import printable
from nnclassify.evaluation.confusion import ClassReport
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.inference.report.charts import Chart
from nnclassify.inference.report.templating import environment

MAX_ROWS, MAX_MATRIX = 50, 20
"""Rows of a table, and classes of a confusion matrix, that are shown."""


Cell = str | float
"""A cell of a table: a text, or a fraction, which is written as a percentage and drawn as a bar."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: Its title; empty: none.
        header: The names of its columns.
        rows: The cells of each row; the first one names it.
        num_left_out: Rows that are not shown.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    num_left_out: int = 0

    @classmethod
    def of(cls, title: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], most: int = MAX_ROWS) -> Table:
        """Return a table of the first `most` rows."""
        shown = [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows[:most]]
        return cls(printable(title), [printable(name) for name in header], shown, max(0, len(rows) - most))


@dataclass(frozen=True)
class Confusions:
    """A confusion matrix.

    Attributes:
        title: Its title.
        names: The names of its classes.
        counts: The counts `(K, K)`: rows are the true classes.
    """

    title: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    @classmethod
    def of(cls, title: str, names: Sequence[str], counts: Sequence[Sequence[int]]) -> Confusions | None:
        """Return a confusion matrix; None for too many classes."""
        return None if len(names) > MAX_MATRIX else cls(printable(title), [*map(printable, names)], counts)


def metrics_table(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> Table:
    """Return the metrics of a split, with their 95% intervals."""
    rows = []
    for name, value in metrics.items():
        text = METRICS[name].text
        rows.append([METRICS[name].label, text(value), " to ".join(map(text, intervals.get(name, ())))])
    return Table.of("metrics", ["metric", "value", "95% interval"], rows)


def classes_table(reports: Sequence[ClassReport]) -> Table:
    """Return the figures of each class."""
    rows = [
        [one.name, f"{one.support:,}", percent(one.precision), percent(one.recall), percent(one.f1)] for one in reports
    ]
    return Table.of("classes", ["class", "examples", "precision", "recall", "F1"], rows)


@dataclass(frozen=True)
class Card:
    """What is shown of an object.

    Attributes:
        title: Its kind, and what it is called.
        facts: What it is, in a few words each.
        text: A sentence about it.
        tables: Tables.
        charts: Curves over the epochs.
        confusions: A confusion matrix, or None.
        notes: What else there is to say, one line each.
    """

    title: str
    facts: Sequence[str] = ()
    text: str = ""
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    confusions: Confusions | None = None
    notes: Sequence[str] = field(default_factory=list)

    def html(self) -> str:
        """Return the card as HTML."""
        texts = {"facts": [*map(printable, self.facts)], "notes": [*map(printable, self.notes)]}
        views = {**vars(self), **texts, "title": printable(self.title), "text": printable(self.text)}
        return environment().get_template("card.html.j2").render(views)
