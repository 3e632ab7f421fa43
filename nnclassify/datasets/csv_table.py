"""A CSV file as a table to learn from: which columns, their numbers, the classes, and all that is wrong at once."""

from __future__ import annotations

import itertools
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from nnclassify.datasets.columns import Values, is_unnamed, numbers_the_rows
from nnclassify.datasets.csv_rows import CsvFile, Problems, as_number, other_delimiter, why_no_number
from nnclassify.datasets.drawing import Labels
from nnclassify.datasets.labels import classes_of, missing_labels
from nnclassify.errors import DataError, suggestion
from nnclassify.settings import yaml_list, yaml_quoted

MAX_NAMES = 20
"""Columns that a message lists."""

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Table:
    """The numbers and classes of a CSV file.

    Attributes:
        values: Float64 `(N, num_features)`.
        targets: Class indices `(N,)`.
        lines: The line of each row in the file, `(N,)`.
        feature_names: The columns of `values`.
        class_names: In the order of the class indices.
        notes: What was left out or taken together.
    """

    values: Values
    targets: Labels
    lines: Labels
    feature_names: list[str]
    class_names: list[str]
    notes: list[str]


def read_table(file: CsvFile, label: str, features: Sequence[str] | None) -> Table:
    """Read and check every row.

    Args:
        file: The CSV file.
        label: The column with the class.
        features: The columns to learn from, in order; None: all others.

    Raises:
        DataError: One line per problem.
    """
    header, rows = header_and_rows(file, label)
    notes: list[str] = []
    empty = _empty_columns(file, header) if features is None else ()
    if empty:
        places = ", ".join(str(column + 1) for column in empty)
        notes.append(f"columns with neither a name nor values are left out: {places}")
    left_out = set(empty)
    others = [name for column, name in enumerate(header) if name != label and column not in left_out]
    names = others if features is None else list(features)
    label_column, columns = _chosen(file, header, label, names, empty)
    reader = _Reader(file, header, columns, label_column)
    reader.read(rows)
    values = np.frombuffer(reader.values, dtype=np.float64).reshape(len(reader.lines), len(columns))
    if reader.num_empty:
        notes.append(f"rows without any value are left out: {reader.num_empty}")
    if features is None:
        values, names = _without_index(values, names, notes)
    if not names:
        raise DataError(f"{file.path}: no feature column beside the label; expected at least one")
    classes = classes_of(reader.counts(), file.format.decimal)
    index = np.array([classes.index[spelling] for spelling in reader.spellings], dtype=np.int64)
    notes = [f"{file.path}: {note}" for note in notes]
    notes += [f"{file.path}: column {label!r}: {note}" for note in classes.notes]
    targets = index[np.frombuffer(reader.codes, dtype=np.int64)]
    return Table(values, targets, np.array(reader.lines, dtype=np.int64), names, classes.names, notes)


def header_and_rows(file: CsvFile, label: str) -> tuple[list[str], Iterator[Row]]:
    """The columns by name, and the rows under them.

    Raises:
        DataError: There is no header, or it is of another delimiter.
    """
    rows = file.rows()
    first = next(rows, None)
    if first is None:
        raise DataError(f"{file.path}: empty; expected a header line and rows")
    line, cells = first
    cells = [cell.strip() for cell in cells]
    if file.format.columns is None:
        _check_header(file, line, cells, label)
        return cells, rows
    names = list(file.format.columns)
    if cells == names:
        raise DataError(f"{file.path}:{line}: a header line; remove dataset.columns, which is for files without one")
    if len(cells) != len(names):
        raise DataError(f"{file.path}:{line}: {len(cells)} values; expected {len(names)}, as in dataset.columns")
    return names, itertools.chain([first], rows)


def _check_header(file: CsvFile, line: int, cells: list[str], label: str) -> None:
    """Refuse a first line that is no header of this format.

    Raises:
        DataError: It is a comment, of another delimiter, or data.
    """
    where, written = f"{file.path}:{line}", file.format.delimiter
    _, second = next(itertools.islice(file.rows(), 1, None), (0, cells))
    if cells[0].startswith("#") and len(second) != len(cells):
        raise DataError(f"{where}: a comment, {','.join(cells)[:40]!r}; expected the header: remove the line")
    if label in cells:
        return
    delimiter = other_delimiter(cells, written, lambda found: label in found or len(cells) == 1)
    if delimiter is not None:
        raise DataError(
            f"{where}: columns are separated by {delimiter!r}, not {written!r}; set dataset.delimiter: "
            + yaml_quoted(delimiter)
        )
    if any(as_number(cell, file.format.decimal) is not None for cell in cells):
        raise DataError(
            f"{where}: row 1 looks like data ({', '.join(cells)[:60]}), and has no column {label!r}; add a header "
            f"line, or name the columns: dataset.columns: {_example(len(cells), label)}"
        )


def _example(width: int, label: str) -> str:
    names = [f"x{index}" for index in range(1, width)] if width <= MAX_NAMES else ["x1", "..."]
    return yaml_list([*names, label])


def _empty_columns(file: CsvFile, header: Sequence[str]) -> tuple[int, ...]:
    """Columns without a name and without a value: what a delimiter at the end of each line leaves."""
    empty = [column for column, name in enumerate(header) if not name]
    if empty:
        for _, row in itertools.islice(file.rows(), 1, None):
            empty = [column for column in empty if column >= len(row) or not row[column].strip()]
    return tuple(empty)


def _chosen(
    file: CsvFile, header: list[str], label: str, names: Sequence[str], empty: Sequence[int]
) -> tuple[int, list[int]]:
    """The label's column and those of the features.

    Raises:
        DataError: One is not there, or twice; or the label is among the features.
    """
    problems = Problems(file.path)
    left_out = set(empty)
    counts = Counter(name for column, name in enumerate(header) if column not in left_out)
    for place, name in enumerate(name for name, count in counts.items() if count > 1):
        shown = f"column {name!r} appears twice" if name else "two columns have no name"
        problems.add(-1, f"{file.path}:1: {shown}; give each column a name of its own", kind=f"twice {place:6}")
    columns = ", ".join(header[:MAX_NAMES]) + (", ..." if len(header) > MAX_NAMES else "")
    for place, (option, name) in enumerate([("label", label), *(("features", name) for name in names)]):
        if name not in counts:
            text = f"{file.path}:1: no column {name!r} (dataset.{option}){suggestion(name, header)}; columns: {columns}"
            problems.add(place, text, kind="absent")
    if label in names:
        problems.add(
            -1, f"dataset.features: {label!r} is the label, which gives the answer away; remove it from the features"
        )
    for name in (name for name, count in Counter(names).items() if count > 1 and counts[name] == 1):
        problems.add(-1, f"dataset.features: {name!r} appears twice; name each column once", kind="repeated")
    problems.raise_all()
    if not names:
        raise DataError(f"{file.path}: no feature column beside the label; expected at least one")
    place_of = {name: column for column, name in reversed(list(enumerate(header)))}
    return place_of[label], [place_of[name] for name in names]


class _Reader:
    """Rows to numbers and label codes. A row that is not all plain numbers is looked at field by field."""

    def __init__(self, file: CsvFile, header: Sequence[str], columns: Sequence[int], label_column: int) -> None:
        self.file = file
        self.header = header
        self.columns = columns
        self.label_column = label_column
        self.values, self.codes, self.lines = array("d"), array("q"), array("q")
        self.spellings: dict[str, int] = {}
        self.num_empty = 0
        self.problems = Problems(file.path)

    def read(self, rows: Iterator[Row]) -> None:
        """Read every row.

        Raises:
            DataError: One line per problem.
        """
        width, label_column, spellings = len(self.header), self.label_column, self.spellings
        pick = itemgetter(*self.columns) if len(self.columns) > 1 else lambda row: (row[self.columns[0]],)
        plain = self.file.format.decimal == "."
        for line, row in rows:
            numbers = _plain_numbers(pick(row)) if plain and len(row) == width else None
            if numbers is None and (numbers := self._careful(line, row)) is None:
                continue
            self.values.extend(numbers)
            self.lines.append(line)
            self.codes.append(spellings.setdefault(row[label_column], len(spellings)))
        self._check_labels()
        self.problems.raise_all(self._advice())

    def counts(self) -> dict[str, int]:
        """Rows of each spelling of a label."""
        counts = np.bincount(np.frombuffer(self.codes, dtype=np.int64), minlength=len(self.spellings))
        return dict(zip(self.spellings, counts.tolist(), strict=True))

    def _careful(self, line: int, row: list[str]) -> list[float] | None:
        """The numbers of a row, NaN where there is a problem; None: the row has no place in the table."""
        where, width, decimal = f"{self.file.path}:{line}", len(self.header), self.file.format.decimal
        if not any(field.strip() for field in row):
            self.num_empty += 1
            return None
        if len(row) != width:
            named = "dataset.columns" if self.file.format.columns else "the header"
            hint = ": a delimiter ends the line" if len(row) == width + 1 and not row[-1].strip() else ""
            hint = ": a comment?" if row[0].startswith("#") else hint
            self.problems.add(-1, f"{where}: {len(row)} values; expected {width}, as in {named}{hint}", kind="ragged")
            return None
        numbers = []
        for column in self.columns:
            value = as_number(row[column], decimal)
            if value is None:
                is_missing, problem = why_no_number(row[column], decimal)
                text = f"{where}: column {self.header[column]!r}: {problem}"
                self.problems.add(column, text, is_missing=is_missing, kind="" if is_missing else "text")
            numbers.append(math.nan if value is None else value)
        return numbers

    def _check_labels(self) -> None:
        name, counts = self.header[self.label_column], self.counts()
        missing = set(missing_labels([spelling.strip() for spelling in self.spellings]))
        codes = np.frombuffer(self.codes, dtype=np.int64)
        for code, spelling in enumerate(self.spellings):
            if spelling.strip() in missing:
                line = self.lines[int(np.argmax(codes == code))]
                text = f"{self.file.path}:{line}: column {name!r}: no label; fill it in or remove the row"
                if spelling.strip():
                    text = (
                        f"{self.file.path}:{line}: column {name!r}: {spelling.strip()!r} looks like a missing label; "
                        "fill it in, remove the row, or give the class another name"
                    )
                self.problems.add(
                    self.label_column, text, is_missing=True, kind=spelling.strip(), count=counts[spelling]
                )

    def _advice(self) -> str:
        """The columns that are numbers, where some are not."""
        bad = set(self.problems.columns())
        good = [self.header[column] for column in self.columns if column not in bad]
        if not good or len(good) == len(self.columns) or len(good) > MAX_NAMES:
            return ""
        return f"; to learn from the other columns alone, set dataset.features: {yaml_list(good)}"


def _plain_numbers(fields: Sequence[str]) -> list[float] | None:
    """The numbers of a row, fast; None where `as_number` has to look at each."""
    text = "".join(fields)
    if "_" in text or not text.isascii():
        return None
    try:
        numbers = list(map(float, fields))
    except ValueError:
        return None
    return numbers if math.isfinite(sum(numbers)) else None


def _without_index(values: Values, names: list[str], notes: list[str]) -> tuple[Values, list[str]]:
    """The same without a nameless column that numbers the rows, as table libraries write it."""
    index = [
        column for column, name in enumerate(names) if is_unnamed(name) and numbers_the_rows(values[:, column], least=2)
    ]
    for column in index:
        shown = f"named {names[column]!r}" if names[column] else "without a name"
        notes.append(f"the column {shown} numbers the rows: it is an index, and not used as a feature")
    kept = [column for column in range(len(names)) if column not in index]
    return (np.ascontiguousarray(values[:, kept]), [names[column] for column in kept]) if index else (values, names)
