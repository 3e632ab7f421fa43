"""What a table holds: which column is the label, and what the others hold."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from nnclassify.config.suggest.chosen_columns import NONE_CHOSEN, TIME, ChosenColumns
from nnclassify.config.suggest.column_facts import (
    GROUP,
    IDENTIFIER,
    SPLIT,
    ColumnFacts,
    decide,
    find_scales,
)
from nnclassify.config.suggest.guessed_label import guessed_label
from nnclassify.config.suggest.table_format import is_missing, opened
from nnclassify.data.labels import classes_of
from nnclassify.data.tables.columns import give_away
from nnclassify.data.tables.csv_header import HEADER_AGAIN, Row, is_header_again
from nnclassify.data.tables.csv_rows import TextRows, as_number
from nnclassify.data.tables.encoding import DateColumn
from nnclassify.errors import DataError, InputError, counted, some, suggestion

MANY_ROWS = 20
"""In fewer rows, a column with a value for each class is a coincidence."""
MOST_HEADERS = 2
"""Lines of texts below the header that are looked for: one of units, or two as in exports of questionnaires."""
LOOKED_AT = 100_000
"""Rows that are looked at; training reads all."""


@dataclass(frozen=True)
class TableFacts:
    """What a table holds.

    Attributes:
        path: The file.
        written: What of its format has to be stated: delimiter, decimal mark, encoding, column names.
        num_rows: The rows that were looked at.
        columns: The columns but for the label.
        label: The label column, or the columns of multi-hot targets.
        guessed: Whether the label was guessed.
        classes: The training examples of each class; empty for multi-hot targets.
        chosen: What the user says of columns.
    """

    path: str
    written: dict[str, Any]
    num_rows: int
    columns: list[ColumnFacts]
    label: str | list[str]
    guessed: bool
    classes: dict[str, int]
    chosen: ChosenColumns = NONE_CHOSEN

    @property
    def used(self) -> list[ColumnFacts]:
        """The columns to learn from."""
        return [facts for facts in self.columns if facts.column is not None]

    @property
    def identifier(self) -> str | None:
        """The column that names the rows, or None."""
        if "id" in self.chosen.values:
            return str(self.chosen.values["id"])
        found = [facts for facts in self.columns if facts.why_ignored == IDENTIFIER and not facts.num_missing]
        return found[0].name if found and len(found[0].counts) == self.num_rows else None

    @property
    def group(self) -> str | None:
        """The column that names the group of each row, such as its patient; None if there is none, or several."""
        return self._only("group", GROUP) if self.split is None and "time" not in self.chosen.values else None

    @property
    def time(self) -> str | None:
        """The column of dates that are in order, or None if there is none, or several."""
        return self._only("time", TIME)

    @property
    def split(self) -> ColumnFacts | None:
        """The column that gives the split of each row, or None."""
        found = [facts for facts in self.columns if facts.why_ignored == SPLIT]
        return next((facts for facts in found if facts.name == self.chosen.values.get("split", facts.name)), None)

    def _only(self, option: str, why: str) -> str | None:
        """Return the column that the user names in an option, or else the only one that is not used for a reason."""
        found = [facts.name for facts in self.columns if facts.why_ignored == why]
        chosen = self.chosen.values.get(option)
        return chosen if chosen is not None else found[0] if len(found) == 1 else None


COPY = "says the label"
"""The beginning of the reason not to use a column that is the label in other words."""

_TOTAL = re.compile(
    r"(?i)(grand[ _-]|sub[ _-]?)?totals?( g[eé]n[eé]ral| general)?:?|totale|sum|summe|somme|suma|soma|(ins)?gesamt"
)
"""What the first cell of a row of totals says."""

NUMBERING = "numbers the rows"
MIN_TIMES, OLDEST = 20, 0.7
"""A date in order has at least so many values, and all classes among this fraction of the rows, the oldest."""


def table_facts(
    path: str,
    label: str | list[str] | None,
    stated: Mapping[str, Any] = MappingProxyType({}),
    chosen: ChosenColumns = NONE_CHOSEN,
) -> TableFacts:
    """Read the first rows of a table, and find out what its columns hold.

    Args:
        path: The file.
        label: The label column or columns; None: the only candidate.
        stated: Options that say how it is written.
        chosen: What the user says of its columns.

    Raises:
        DataError: It cannot be read, or has no rows.
        InputError: Which column is the label is not clear.
    """
    table, written = opened(path, [label] if isinstance(label, str) else label, stated)
    rows = itertools.islice(table.rows(), LOOKED_AT + 1)
    header = [*(table.format.columns or ())] or [cell.strip() for cell in next(rows, (0, []))[1]]
    columns = [ColumnFacts(name) for name in header]
    num_rows, last = _counted(table, columns, rows)
    columns = [facts for facts in columns if facts.name or facts.counts]  # others are ignored, as by the reader
    _refuse_twice(table, [facts.name for facts in columns])
    decimal = table.format.decimal
    _refuse_second_header(table, header, columns)
    has_names = "columns" not in written or "columns" in stated
    may_be_label = [facts for facts in columns if facts.name not in chosen.named()] or columns
    found = label if label is not None else guessed_label(path, may_be_label, num_rows, decimal, has_names=has_names)
    labels = [found] if isinstance(found, str) else found
    _refuse_absent(path, header, dict.fromkeys(labels, "--label") | chosen.named())
    features = [facts for facts in columns if facts.name not in labels]
    _decide_all(table, features, columns, num_rows, has_names=has_names)
    chosen.assign_roles(features)
    if not isinstance(found, str):
        chosen.assign_kinds(path, features, decimal)
        return TableFacts(path, written, num_rows, features, found, guessed=False, classes={}, chosen=chosen)
    of_label = next(facts for facts in columns if facts.name == found)
    of_label.counts = of_label.class_counts()
    _refuse_totals(table, dict(zip(header, map(str.strip, last[1]), strict=True)), columns, of_label, last[0])
    if num_rows >= MANY_ROWS:
        _leave_out_copies(table, header, columns, of_label, is_guessed=label is None)
        if not chosen.values.keys() & {"time", "group", "split"}:
            _find_time(table, header, features, of_label)
    chosen.assign_roles(features)
    chosen.assign_kinds(path, features, decimal)
    classes = classes_of(of_label.counts, decimal).rows(of_label.counts)
    if len(classes) < 2:
        _refuse_one_class(path, of_label, [*classes])
    return TableFacts(path, written, num_rows, features, found, label is None, classes, chosen)


def _refuse_one_class(path: str, label: ColumnFacts, classes: Sequence[str]) -> None:
    only = some(classes) or "no label"
    missing = f", and missing labels such as {next(iter(label.missing))!r}" if label.missing else ""
    raise DataError(
        f"{path}: column {label.name!r}: only one class ({only}){missing}; choose another label with --label"
    )


def _decide_all(
    table: TextRows, features: Sequence[ColumnFacts], columns: Sequence[ColumnFacts], num_rows: int, *, has_names: bool
) -> None:
    """Find out what kind of column each one but the label is, and whether it is of use."""
    is_certain = _is_certain(table, columns)
    for facts in features:
        decide(facts, table.format.decimal, is_certain=is_certain)
    find_scales(features, table.format.decimal)
    if not has_names and features:
        _leave_out_numbering(features, num_rows)


def _refuse_absent(path: str, header: Sequence[str], named: Mapping[str, str]) -> None:
    """Refuse names of columns, each with its option, that the header lacks."""
    for name, option in named.items():
        if name not in header:
            known = f"{suggestion(name, header)}; columns: {some(header, 20)}"
            raise InputError(f"{path}: no column {name!r} ({option}){known}")


def _refuse_twice(table: TextRows, names: Sequence[str]) -> None:
    """Refuse columns with the same name, and several without one, as below a title."""
    if names.count("") > 1:
        raise DataError(
            f"{table.where(1)}: {names.count('')} columns have no name; expected the names of the columns in the first "
            "line: remove lines above it, such as a title, or name the columns"
        )
    if twice := [repr(name) for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{table.where(1)}: column {some(twice)} appears twice; give each column a different name")


def _refuse_second_header(table: TextRows, header: Sequence[str], columns: Sequence[ColumnFacts]) -> None:
    """Refuse one or two rows of texts right below the header, above columns of numbers alone: units, questions, or a
    second header."""
    rows = [] if table.format.columns is not None else [*itertools.islice(table.rows(), 1, 1 + MOST_HEADERS)]
    for count in range(1, len(rows) + 1):
        texts = _texts_above_numbers(header, [row for _, row in rows[:count]], columns, table.format.decimal)
        if len(texts) > 1:
            found = some([repr(text[:40]) for text in texts], 3)
            raise DataError(
                f"{table.where(rows[0][0])}: texts above numbers ({found}), as in a line of units or a second header; "
                "remove the line, or those above it if it is the header"
            )


def _texts_above_numbers(
    header: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[ColumnFacts], decimal: str
) -> list[str]:
    """Return the texts of the first of some rows in columns that have nothing but numbers below these; none if there is
    a number among those of the rows."""
    found = list[str]()
    for facts in columns:
        place = header.index(facts.name)
        above = [row[place].strip() for row in rows if len(row) == len(header)]
        below = [text for text in facts.counts if text not in above]
        if not below or any(as_number(text, decimal) is None for text in below) or is_missing("".join(above)):
            continue
        if any(as_number(text, decimal) is not None for text in above) or facts.counts[above[0]] > 1:
            return []
        found.append(above[0])
    return found


def _refuse_totals(
    table: TextRows, cells: Mapping[str, str], columns: Sequence[ColumnFacts], label: ColumnFacts, line: int
) -> None:
    """Refuse a last row of totals, its cells by column: it alone has its label, and holds the sums of the rows above in
    several columns, or in one next to a word such as `Total`."""
    if label.counts[cells[label.name]] != 1:
        return
    num_sums = sum(_is_sum(facts, cells[facts.name], table.format.decimal) for facts in columns)
    if num_sums > 1 or (num_sums and any(map(_TOTAL.fullmatch, cells.values()))):
        raise DataError(f"{table.where(line)}: the sums of the rows above, as in a line of totals; remove the line")


def _is_sum(facts: ColumnFacts, text: str, decimal: str) -> bool:
    """Return whether the number in the last row of a column, larger than all others, is the sum of these."""
    value = as_number(text, decimal)
    if value is None or len(facts.counts) < 3:
        return False
    numbers = {as_number(other, decimal): count for other, count in facts.counts.items() if other != text}
    if None in numbers or abs(value) <= max(abs(number) for number in numbers if number is not None):
        return False
    total = math.fsum((number or 0) * count for number, count in numbers.items())
    return math.isclose(total, value, rel_tol=1e-6)


def _counted(table: TextRows, columns: Sequence[ColumnFacts], rows: Iterable[tuple[int, list[str]]]) -> tuple[int, Row]:
    """Count the texts of each column, and return the number of rows and the last one; a few of another length are left
    to the reader.

    Raises:
        DataError: There are no rows, the header is repeated, or most rows have another length.
    """
    num_rows, others, header = 0, {}, [facts.name for facts in columns]
    last: Row = 0, []
    for line, row in rows:
        if is_header_again(row, header):
            raise DataError(f"{table.where(line)}: {HEADER_AGAIN}")
        if len(row) != len(columns):
            others[line] = len(row)
            continue
        if not any(cell.strip() for cell in row):
            continue  # as the reader does
        num_rows, last = num_rows + 1, (line, row)
        for facts, cell in zip(columns, row, strict=True):
            _count(facts, cell.strip(), line)
    if len(others) > num_rows:
        line, width = next(iter(others.items()))
        raise DataError(
            f"{table.where(1)}: {counted(len(columns), 'column')}, but {counted(width, 'field')} in line {line}; "
            "expected the names of the columns in the first line: remove lines above it, such as comments"
            + ", or name the column of row names too"
            * (width == len(columns) + 1)
        )
    if num_rows == 0:
        raise DataError(f"{table.where(0)}: no rows after the header; expected at least one of each class")
    return num_rows, last


def _leave_out_copies(
    table: TextRows, header: Sequence[str], columns: Sequence[ColumnFacts], label: ColumnFacts, *, is_guessed: bool
) -> None:
    """Leave out the columns that say the label in other words: one text for each of its texts, or one-hot.

    Raises:
        InputError: The label was guessed, and is one column of several of a one-hot label.
    """
    suspects = [facts for facts in columns if facts is not label and 2 <= len(facts.counts) <= len(label.counts)]
    places, codes = [header.index(facts.name) for facts in (label, *suspects)], dict[str, int]()
    rows = itertools.islice(table.rows(), 0 if table.format.columns else 1, LOOKED_AT + 1)
    cells = [
        [codes.setdefault(row[place].strip(), len(codes)) for place in places]
        for _, row in rows
        if len(row) == len(header)
    ]
    coded = np.array(cells, dtype=np.float64)
    given_away = give_away(coded[:, 1:], coded[:, 0].astype(np.int64)).tolist()
    for place, facts in enumerate(suspects, 1):
        facts.follows_label = len(np.unique(coded[:, [0, place]], axis=0)) == len(label.counts)
    for facts in itertools.compress(suspects, given_away):
        facts.column, facts.why_ignored = None, f"{COPY} {label.name!r} in other words"
    pairs = [len(np.unique(coded[:, [0, place]], axis=0)) for place in (np.flatnonzero(given_away) + 1).tolist()]
    if any(num_pairs > len(label.counts) for num_pairs in pairs) and is_guessed:
        names = [*(facts.name for facts in itertools.compress(suspects, given_away)), label.name]
        raise InputError(
            f"{table.where()}: exactly one of the columns {some(names)} is set in each row, like one label in several "
            "columns; write the class of each row into one column, or choose the label with --label"
        )


def _find_time(table: TextRows, header: Sequence[str], columns: Sequence[ColumnFacts], label: ColumnFacts) -> None:
    """Set aside the date that is in order: splits drawn at random would learn from the future.

    A column that names groups or splits comes first, and so does a test split that every class is known for.
    """
    dated = [facts for facts in columns if _are_in_order(_dates(facts))]
    if len(dated) != 1 or any(facts.why_ignored in (GROUP, SPLIT) for facts in columns):
        return
    dates = dict(zip(dated[0].counts, _dates(dated[0]), strict=True))
    of_date, of_label = header.index(dated[0].name), header.index(label.name)
    rows = itertools.islice(table.rows(), 0 if table.format.columns else 1, LOOKED_AT + 1)
    cells = [(row[of_date].strip(), row[of_label].strip()) for _, row in rows if len(row) == len(header)]
    labels = [found for _, found in sorted((dates[text], found) for text, found in cells if text)]
    if {*labels[: int(OLDEST * len(labels))]} >= {*label.counts}:
        dated[0].column, dated[0].why_ignored = None, TIME


def _are_in_order(dates: Sequence[list[float]]) -> bool:
    """Return whether there are dates, each later than the one before, or each earlier."""
    return bool(dates) and dates in (sorted(dates), sorted(dates, reverse=True))


def _dates(facts: ColumnFacts) -> list[list[float]]:
    """Return the dates of a column in the order in which they first appear; none if it holds other values or few."""
    if not isinstance(facts.column, DateColumn) or facts.num_missing or len(facts.counts) < MIN_TIMES:
        return []
    return [facts.column.numbers(text, ".") or [] for text in facts.counts]


def _count(facts: ColumnFacts, text: str, line: int) -> None:
    if is_missing(text):
        facts.missing[text] += 1
        facts.first_missing = facts.first_missing or line
    else:
        facts.counts[text] += 1


def _leave_out_numbering(columns: Sequence[ColumnFacts], num_rows: int) -> None:
    """Leave out a first column without a name that numbers the rows from 0 or 1, in any order: often, rows are sorted
    by class, which the number then tells."""
    numbers = sorted(int(text) for text in columns[0].counts if re.fullmatch(r"\d{1,9}", text, re.ASCII))
    if num_rows >= MANY_ROWS and numbers in ([*range(num_rows)], [*range(1, num_rows + 1)]):
        columns[0].column, columns[0].why_ignored = None, NUMBERING


def _is_certain(table: TextRows, columns: Sequence[ColumnFacts]) -> bool:
    """Return whether the decimal separator is certain: numbers of some column have it, or commas separate columns."""
    written = table.format
    texts = (text for facts in columns for text in facts.counts if written.decimal in text)
    return written.delimiter == "," or any(as_number(text, written.decimal) is not None for text in texts)
