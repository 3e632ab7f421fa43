"""A CSV file as a table to learn from: which columns, their numbers, the classes, and all that is wrong at once."""

from __future__ import annotations

import itertools
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from nnclassify.data.columns import Values, is_unnamed, numbers_the_rows
from nnclassify.data.csv_rows import MISSING, CsvFile, Problems, as_number, other_delimiter, why_no_number
from nnclassify.data.labels import classes_of, missing_labels
from nnclassify.data.splitting import Labels
from nnclassify.errors import DataError, some, suggestion
from nnclassify.settings import yaml_list, yaml_quoted

MAX_NAMES = 20
"""Columns that a message lists."""

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Table:
    """The numbers and classes of a CSV file.

    Attributes:
        values: Float64 `(N, num_features)`.
        targets: Class indices `(N,)`; with several label columns multi-hot, `(N, K)` of 0 and 1.
        lines: The line of each row in the file, `(N,)`.
        ids: What each row is called, where a column says so; else None.
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
    ids: list[str] | None = None


def read_table(
    file: CsvFile, labels: Sequence[str], features: Sequence[str] | None, id_column: str | None = None
) -> Table:
    """Read and check every row.

    Args:
        file: The CSV file.
        labels: The column with the class; or several, of 0 and 1, one for each class.
        features: The columns to learn from, in order; None: all others.
        id_column: The column with the name of each row, which is never learned from; None: there is none.

    Raises:
        DataError: One line per problem.
    """
    header, rows = header_and_rows(file, labels)
    notes: list[str] = []
    empty = _empty_columns(file, header) if features is None else ()
    if empty:
        places = ", ".join(str(column + 1) for column in empty)
        notes.append(f"columns without a name or values are ignored: {places}")
    left_out = set(empty)
    known = [*labels, *([] if id_column is None else [id_column])]
    others = [name for column, name in enumerate(header) if name not in known and column not in left_out]
    names = others if features is None else list(features)
    label_columns, columns = _chosen(file, header, labels, names, empty)
    place_of_id = None if id_column is None else _place_of_id(file, header, id_column, [*labels, *names])
    reader = _Reader(file, header, columns, label_columns, place_of_id)
    reader.read(rows)
    if not reader.lines:
        raise DataError(f"{file.path}: no rows after the header; expected at least one of each class")
    values = np.frombuffer(reader.values, dtype=np.float64).reshape(len(reader.lines), len(columns))
    if reader.num_empty:
        notes.append(f"empty rows are ignored: {reader.num_empty}")
    if features is None:
        values, names = _without_index(values, names, notes)
    if not names:
        raise DataError(f"{file.path}: no feature column other than the label; expected at least one")
    notes = [f"{file.path}: {note}" for note in notes]
    lines, codes = np.array(reader.lines, dtype=np.int64), np.frombuffer(reader.codes, dtype=np.int64)
    if len(labels) > 1:
        rows_of = np.array([[_zero_or_one(cell) for cell in cells] for cells in reader.spellings], dtype=np.int64)
        return Table(values, rows_of[codes], lines, names, list(labels), notes, reader.ids)
    counts = {cells[0]: count for cells, count in reader.counts().items()}
    classes = classes_of(counts, file.format.decimal)
    index = np.array([classes.index[spelling] for spelling in counts], dtype=np.int64)
    notes += [f"{file.path}: column {labels[0]!r}: {note}" for note in classes.notes]
    return Table(values, index[codes], lines, names, classes.names, notes, reader.ids)


def _zero_or_one(cell: str) -> int | None:
    """Whether a field says that its row is of a class; None: it says neither."""
    return {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}.get(cell.strip().lower())


def header_and_rows(file: CsvFile, labels: Sequence[str]) -> tuple[list[str], Iterator[Row]]:
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
        _check_header(file, line, cells, labels)
        return cells, rows
    names = list(file.format.columns)
    if cells == names:
        raise DataError(
            f"{file.path}:{line}: a header line; remove dataset.columns, which is for files without a header"
        )
    if len(cells) != len(names):
        raise DataError(f"{file.path}:{line}: {len(cells)} values; expected {len(names)}, as in dataset.columns")
    return names, itertools.chain([first], rows)


def _check_header(file: CsvFile, line: int, cells: list[str], labels: Sequence[str]) -> None:
    """Refuse a first line that is no header of this format.

    Raises:
        DataError: It is a comment, of another delimiter, or data.
    """
    where, written = f"{file.path}:{line}", file.format.delimiter
    _, second = next(itertools.islice(file.rows(), 1, None), (0, cells))
    if cells[0].startswith("#") and len(second) != len(cells):
        raise DataError(f"{where}: a comment, {','.join(cells)[:40]!r}; expected the header: remove the line")
    if not set(labels).isdisjoint(cells):
        return
    delimiter = other_delimiter(cells, written, lambda found: labels[0] in found or len(cells) == 1)
    if delimiter is not None:
        raise DataError(
            f"{where}: columns are separated by {delimiter!r}, not {written!r}; set dataset.delimiter: "
            + yaml_quoted(delimiter)
        )
    if any(as_number(cell, file.format.decimal) is not None for cell in cells):
        raise DataError(
            f"{where}: row 1 looks like data ({', '.join(cells)[:60]}), and has no column {labels[0]!r}; add a header "
            f"line, or name the columns: dataset.columns: {_example(len(cells), labels)}"
        )


def _example(width: int, labels: Sequence[str]) -> str:
    names = [f"x{index}" for index in range(1, width - len(labels) + 1)] if width <= MAX_NAMES else ["x1", "..."]
    return yaml_list([*names, *labels])


def _empty_columns(file: CsvFile, header: Sequence[str]) -> tuple[int, ...]:
    """Columns without a name and without a value: what a delimiter at the end of each line leaves."""
    empty = [column for column, name in enumerate(header) if not name]
    if empty:
        for _, row in itertools.islice(file.rows(), 1, None):
            empty = [column for column in empty if column >= len(row) or not row[column].strip()]
    return tuple(empty)


def _chosen(
    file: CsvFile, header: list[str], labels: Sequence[str], names: Sequence[str], empty: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The columns of the labels and those of the features.

    Raises:
        DataError: One is not there, or twice; or the label is among the features.
    """
    problems = Problems(file.path)
    left_out = set(empty)
    counts = Counter(name for column, name in enumerate(header) if column not in left_out)
    for place, name in enumerate(name for name, count in counts.items() if count > 1):
        shown = f"column {name!r} appears twice" if name else "two columns have no name"
        problems.add(-1, f"{file.path}:1: {shown}; give each column a different name", kind=f"twice {place:6}")
    columns = some(header, MAX_NAMES)
    wanted = [*(("label", name) for name in labels), *(("features", name) for name in names)]
    for place, (option, name) in enumerate(wanted):
        if name not in counts:
            text = f"{file.path}:1: no column {name!r} (dataset.{option}){suggestion(name, header)}; columns: {columns}"
            problems.add(place, text, kind="absent")
    for label in (label for label in labels if label in names):
        problems.add(
            -1, f"dataset.features: {label!r} is the label, which reveals the answer; remove it from the features"
        )
    for name in (name for name, count in Counter(names).items() if count > 1 and counts[name] == 1):
        problems.add(-1, f"dataset.features: {name!r} appears twice; list each column once", kind="repeated")
    problems.raise_all()
    if not names:
        raise DataError(f"{file.path}: no feature column other than the label; expected at least one")
    place_of = {name: column for column, name in reversed(list(enumerate(header)))}
    return [place_of[name] for name in labels], [place_of[name] for name in names]


def _place_of_id(file: CsvFile, header: Sequence[str], id_column: str, others: Sequence[str]) -> int:
    """The column that names the rows.

    Raises:
        DataError: It is not there, is there twice, or is the label or a feature.
    """
    if id_column in others:
        raise DataError(f"dataset.id: {id_column!r} is also the label or a feature; expected a column of its own")
    if (count := header.count(id_column)) != 1:
        found = "appears twice" if count else f"is not there{suggestion(id_column, header)}"
        raise DataError(f"{file.path}:1: column {id_column!r} (dataset.id) {found}; columns: {some(header, MAX_NAMES)}")
    return header.index(id_column)


class _Reader:
    """Rows to numbers and label codes. A row that is not all plain numbers is looked at field by field."""

    def __init__(
        self,
        file: CsvFile,
        header: Sequence[str],
        columns: Sequence[int],
        label_columns: Sequence[int],
        id_column: int | None,
    ) -> None:
        self.file = file
        self.header = header
        self.columns = columns
        self.label_columns = label_columns
        self.id_column = id_column
        self.ids: list[str] | None = None if id_column is None else []
        self.values, self.codes, self.lines = array("d"), array("q"), array("q")
        self.spellings: dict[tuple[str, ...], int] = {}
        self.num_empty = 0
        self.problems = Problems(file.path)

    def read(self, rows: Iterator[Row]) -> None:
        """Read every row.

        Raises:
            DataError: One line per problem.
        """
        width, spellings = len(self.header), self.spellings
        pick, pick_labels = _picking(self.columns), _picking(self.label_columns)
        plain = self.file.format.decimal == "."
        for line, row in rows:
            numbers = _plain_numbers(pick(row)) if plain and len(row) == width else None
            if numbers is None and (numbers := self._careful(line, row)) is None:
                continue
            self.values.extend(numbers)
            self.lines.append(line)
            if self.ids is not None and self.id_column is not None:
                self.ids.append(row[self.id_column].strip())
            self.codes.append(spellings.setdefault(pick_labels(row), len(spellings)))
        self._check_labels()
        self._check_ids()
        self.problems.raise_all(self._advice())

    def counts(self) -> dict[tuple[str, ...], int]:
        """Rows of each spelling of the labels."""
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
            hint = ": the line ends with a delimiter" if len(row) == width + 1 and not row[-1].strip() else ""
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
        counts, codes = self.counts(), np.frombuffer(self.codes, dtype=np.int64)
        problem_of = _no_label if len(self.label_columns) == 1 else _no_answer
        for place, column in enumerate(self.label_columns):
            by_text: dict[str, dict[int, int]] = {}
            for cells, code in self.spellings.items():
                by_text.setdefault(cells[place].strip(), {})[code] = counts[cells]
            for text, problem in problem_of(by_text).items():
                line = self.lines[int(np.isin(codes, list(by_text[text])).argmax())]
                where, is_missing = f"{self.file.path}:{line}: column {self.header[column]!r}", text.lower() in MISSING
                kind, count = text if is_missing else "", sum(by_text[text].values())
                self.problems.add(column, f"{where}: {problem}", is_missing=is_missing, kind=kind, count=count)

    def _check_ids(self) -> None:
        """Each row has a name of its own."""
        first: dict[str, int] = {}
        for line, name in zip(self.lines, self.ids or (), strict=False):
            known = first.setdefault(name, line)
            if not name or known != line:
                found = f"found {name!r} again, as in line {known}" if name else "no id"
                text = f"{self.file.path}:{line}: column {self.header[self.id_column or 0]!r}: {found}"
                self.problems.add(-1, f"{text}; expected a different id in every row", kind="id")

    def _advice(self) -> str:
        """The columns that are numbers, where some are not."""
        bad = set(self.problems.columns())
        good = [self.header[column] for column in self.columns if column not in bad]
        if not good or len(good) == len(self.columns) or len(good) > MAX_NAMES:
            return ""
        return f"; to use only the other columns, set dataset.features: {yaml_list(good)}"


def _no_label(texts: Iterable[str]) -> dict[str, str]:
    """What is wrong with each text that is no class."""
    expected = "fill it in, remove the row, or rename the class"
    return {
        text: f"{text!r} looks like a missing label; {expected}" if text else "no label; fill it in or remove the row"
        for text in missing_labels(list(texts))
    }


def _no_answer(texts: Iterable[str]) -> dict[str, str]:
    """What is wrong with each text that does not say whether a row is of a class."""
    return {
        text: f"found {text!r}, expected 0 or 1, as in each of several label columns"
        for text in texts
        if _zero_or_one(text) is None
    }


def _picking(columns: Sequence[int]) -> Callable[[list[str]], tuple[str, ...]]:
    """Takes the fields of some columns out of a row."""
    return itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)


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
        notes.append(f"the column {shown} is an index of the rows and is not used as a feature")
    kept = [column for column in range(len(names)) if column not in index]
    return (np.ascontiguousarray(values[:, kept]), [names[column] for column in kept]) if index else (values, names)
