"""Reads the rows of a table to learn from: numbers, texts and classes, and all problems at once."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter

import numpy as np

from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.labels import classes_of, missing_labels
from nnclassify.data.splitting import Labels, Times, Values
from nnclassify.data.tables.column_kinds import column_of, kind_text, times_of
from nnclassify.data.tables.columns import is_index, is_unnamed
from nnclassify.data.tables.csv_header import (
    HEADER_AGAIN,
    MAX_NAMES,
    Row,
    Wanted,
    features_of,
    header_and_rows,
    is_header_again,
    places_of,
    text_columns,
)
from nnclassify.data.tables.csv_rows import MISSING, Problems, TextRows, as_number, is_infinite, why_no_number
from nnclassify.data.tables.encoding import AnyColumn, NumberColumn, NumericColumn
from nnclassify.data.tables.quantiles import QuantileTransform
from nnclassify.data.tables.table_encoder import RawColumn
from nnclassify.errors import DataError, counted
from nnclassify.settings import yaml_list


@dataclass(frozen=True)
class Table:
    """What was read of a table.

    Attributes:
        where: What messages call it.
        values: Float64 `(N, num_columns)`: numbers, NaN where missing; of a column of texts, their indices.
        columns: The columns of `values`.
        targets: Class indices `(N,)`; with several label columns multi-hot `(N, K)` of 0 and 1.
        lines: The line of each row in the file, `(N,)`.
        class_names: In the order of the class indices.
        notes: What was left out, merged or recognized.
        aside: The text of each row in the columns that are not learned from, by the option that names them.
        times: The time of each row `(N,)`, a number or seconds since 1970-01-01; None without such a column.
    """

    where: str
    values: Values
    columns: list[RawColumn]
    targets: Labels
    lines: Labels
    class_names: list[str]
    notes: list[str]
    aside: dict[str, list[str]]
    times: Times | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [raw.column.name for raw in self.columns]


def read_table(table: TextRows, wanted: Wanted) -> Table:
    """Read and check every row.

    Raises:
        DataError: One line per problem.
    """
    header, rows = header_and_rows(table, wanted.labels)
    where, labels, notes = table.where(), wanted.labels, list[str]()
    names, empty = features_of(table, header, wanted)
    if empty:
        notes.append(f"columns without a name or values are ignored: {', '.join(str(column + 1) for column in empty)}")
    place_of = places_of(table, header, wanted, names, empty)
    reader = _Reader(table, header, wanted, place_of, text_columns(table, place_of, names, wanted))
    reader.read(rows)
    if reader.num_empty:
        notes.append(f"empty rows are ignored: {reader.num_empty}")
    values, columns = reader.values(names)
    if wanted.features is None and wanted.known is None:
        values, columns = _without_index(values, columns, notes)
    if not columns:
        raise DataError(f"{where}: no feature column other than the label; expected at least one")
    notes += _recognized(columns, wanted)
    of_labels = [reader.texts[name] for name in labels]
    if len(labels) > 1:
        targets = np.column_stack([column.each(lambda text: _zero_or_one(text) or 0) for column in of_labels])
        class_names = list(labels)
    else:
        classes = classes_of(of_labels[0].counts, table.format.decimal)
        targets, class_names = of_labels[0].each(classes.index.__getitem__), classes.names
        notes += [f"column {labels[0]!r}: {note}" for note in classes.notes]
    aside = {option: reader.texts[name].all() for option, name in wanted.aside.items()}
    lines = np.array(reader.lines, dtype=np.int64)
    notes = [f"{where}: {note}" for note in notes]
    return Table(where, values, columns, targets, lines, class_names, notes, aside, reader.times())


def _recognized(columns: Sequence[RawColumn], wanted: Wanted) -> list[str]:
    """Return a note on the kinds of columns that the config does not state."""
    if not wanted.recognize or wanted.known is not None:
        return []
    by_kind: dict[str, list[str]] = {}
    for raw in columns:
        if raw.texts is not None and raw.column.name not in wanted.kinds:
            by_kind.setdefault(kind_text(raw.column), []).append(raw.column.name)
    return [f"columns that are read as {kind}: {', '.join(names)}" for kind, names in by_kind.items()]


def _zero_or_one(cell: str) -> int | None:
    """Return the value 0 or 1 of a field, or None if it is neither."""
    return {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}.get(cell.strip().lower())


class _Texts:
    """The texts of a column: a number for each row, its code, and the text of each code."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.codes = array("q")
        self.code_of: dict[str, int] = {}

    @cached_property
    def array(self) -> Labels:
        """The code of each row, `(N,)`."""
        return np.frombuffer(self.codes, dtype=np.int64)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The rows of each text, in the order of the codes."""
        counts = np.bincount(self.array, minlength=len(self.code_of))
        return dict(zip(self.code_of, counts.tolist(), strict=True))

    def each(self, number_of: Callable[[str], int]) -> Labels:
        """Return a number for each row, by its text."""
        return np.array([number_of(text) for text in self.code_of], dtype=np.int64)[self.array]

    def all(self) -> list[str]:
        """Return the text of each row."""
        texts = [clean_name(text) for text in self.code_of]
        return [texts[code] for code in self.codes]

    def first_row(self, texts: Collection[str]) -> int:
        """Return the first row with one of the texts."""
        return int(np.isin(self.array, [self.code_of[text] for text in texts]).argmax())


class _Reader:
    """Rows to numbers and texts. A row whose numbers are not all plain is looked at field by field."""

    def __init__(
        self,
        table: TextRows,
        header: Sequence[str],
        wanted: Wanted,
        places: Mapping[str, int],
        of_text: Collection[str],
    ) -> None:
        self.table = table
        self.header = header
        self.wanted = wanted
        self.features = [name for name in places if name not in (*wanted.labels, *wanted.aside.values())]
        self.number_places = [places[name] for name in self.features if name not in of_text]
        self.texts = {
            name: _Texts(place) for name, place in places.items() if name in of_text or name not in self.features
        }
        self.numbers, self.lines = array("d"), array("q")
        self.num_empty = 0
        self.problems = Problems(table.where())
        self.columns: dict[str, AnyColumn] = {}
        self.time_of: dict[str, float | None] = {}

    def read(self, rows: Iterator[Row]) -> None:
        """Read every row.

        Raises:
            DataError: One line per problem.
        """
        width, pick = len(self.header), _picking(self.number_places)
        plain = self.table.format.decimal == "." and self.number_places  # an empty row has no number either
        texts = [(text.codes.append, text.code_of, text.place) for text in self.texts.values()]
        for line, row in rows:
            is_plain = plain and len(row) == width and row != self.header  # the names of columns may be numbers
            numbers = _plain_numbers(pick(row)) if is_plain else None
            if numbers is None and (numbers := self._careful(line, row)) is None:
                continue
            self.numbers.extend(numbers)
            self.lines.append(line)
            for append, code_of, place in texts:
                append(code_of.setdefault(row[place], len(code_of)))
        if self.lines:
            self._check_labels()
            self._check_ids()
            self._check_groups()
            self._find_times()
            self._find_kinds()
        self.problems.raise_all(self._advice())
        if not self.lines:
            expected = "expected at least one of each class"
            raise DataError(f"{self.table.where()}: no rows after the header; {expected}")

    def values(self, names: Sequence[str]) -> tuple[Values, list[RawColumn]]:
        """Return the values `(N, num_columns)` of features, and their columns."""
        numbers = np.frombuffer(self.numbers, dtype=np.float64).reshape(len(self.lines), len(self.number_places))
        columns = [
            RawColumn(self.columns[name], [*self.texts[name].code_of] if name in self.texts else None) for name in names
        ]
        if all(raw.texts is None for raw in columns):
            return numbers, columns
        values, each = np.empty((len(self.lines), len(columns))), iter(numbers.T)
        for index, raw in enumerate(columns):
            values[:, index] = next(each) if raw.texts is None else self.texts[raw.column.name].array
        return values, columns

    def _careful(self, line: int, row: list[str]) -> list[float] | None:
        """Return the numbers of a row, NaN for missing values and problems, or None if the row is dropped."""
        where, width, decimal = self.table.where(line), len(self.header), self.table.format.decimal
        if not any(cell.strip() for cell in row):
            self.num_empty += 1
            return None
        if is_header_again(row, self.header):
            self.problems.add(-1, f"{where}: {HEADER_AGAIN}", kind="header")
            return None
        if len(row) != width:
            named = "dataset.columns" if self.table.format.columns else "the header"
            hint = "; correct or remove the line"
            hint = ": the line ends with a delimiter" if len(row) == width + 1 and not row[-1].strip() else hint
            hint = ": a comment?" if row[0].startswith("#") else hint
            self.problems.add(
                -1, f"{where}: {counted(len(row), 'value')}; expected {width}, as in {named}{hint}", kind="ragged"
            )
            return None
        numbers = []
        for column in self.number_places:
            value = as_number(row[column], decimal)
            if value is None:
                is_missing, problem = why_no_number(row[column], decimal)
                if not (is_missing and self.wanted.may_be_missing):
                    text = f"{where}: column {self.header[column]!r}: {problem}"
                    no_number = is_missing or is_infinite(row[column])
                    self.problems.add(column, text, is_missing=no_number, kind="" if is_missing else "text")
            numbers.append(math.nan if value is None else value)
        return numbers

    def _check_labels(self) -> None:
        problem_of = _no_label if len(self.wanted.labels) == 1 else _no_answer
        for name in self.wanted.labels:
            self._add(self.texts[name], problem_of([*map(clean_name, self.texts[name].code_of)]))

    def _check_ids(self) -> None:
        """Check that each row has a unique name."""
        if (name := self.wanted.aside.get("id")) is None:
            return
        texts, first = self.texts[name], dict[str, int]()
        for line, text in zip(self.lines, texts.all(), strict=True):
            known = first.setdefault(text, line)
            if not text or known != line:
                found = f"found {text!r} again, as in line {known}" if text else "no id"
                where = f"{self.table.where(line)}: column {name!r}"
                self.problems.add(-1, f"{where}: {found}; expected a different id in every row", kind="id")

    def _check_groups(self) -> None:
        """Check that each row belongs to a group."""
        if (name := self.wanted.aside.get("group")) is not None:
            found = map(clean_name, self.texts[name].code_of)
            problem = "no group; fill it in or remove the row"
            self._add(self.texts[name], {text: problem for text in found if text.lower() in MISSING})

    def _find_times(self) -> None:
        """Find the time of each row, a date or a number."""
        if (name := self.wanted.aside.get("time")) is None:
            return
        texts = self.texts[name]
        found, kind = [*map(clean_name, texts.code_of)], self.wanted.kinds.get(name)
        try:
            self.time_of = times_of(name, kind, found, self.table.format.decimal)
        except DataError as error:
            self.problems.add(texts.place, f"{self.table.where()}: column {name!r}: {error}", kind="kind")
            return
        problems = {}
        for text in (text for text, time in self.time_of.items() if time is None):
            wrong = (
                "no time; fill it in"
                if text.lower() in MISSING
                else f"found {text!r}, expected a date or a number; correct it"
            )
            problems[text] = f"{wrong} or remove the row"
        self._add(texts, problems)

    def times(self) -> Times | None:
        """Return the time of each row, `(N,)`."""
        if (name := self.wanted.aside.get("time")) is None:
            return None
        texts = self.texts[name]
        return np.array([self.time_of[clean_name(text)] for text in texts.code_of], dtype=np.float64)[texts.array]

    def _find_kinds(self) -> None:
        """Find the kind of each feature, and the texts that do not fit it."""
        known = {column.name: column for column in self.wanted.known or ()}
        for name in self.features:
            if (texts := self.texts.get(name)) is None:
                self.columns[name] = known.get(name) or self._transformed(NumberColumn(name=name))
                continue
            counts = Counter[str]()
            for text, count in texts.counts.items():
                counts[clean_name(text)] += count
            try:
                kind, decimal = self.wanted.kinds.get(name), self.table.format.decimal
                column = known.get(name) or self._transformed(column_of(name, kind, counts, decimal))
            except DataError as error:
                self.problems.add(texts.place, f"{self.table.where()}: column {name!r}: {error}", kind="kind")
                continue
            self.columns[name] = column
            self._add(texts, _wrong_texts(column, counts, decimal, self.wanted.may_be_missing))

    def _transformed(self, column: AnyColumn) -> AnyColumn:
        """Return a column that takes quantiles if the config says so.

        Raises:
            DataError: It holds no numbers.
        """
        if column.name not in self.wanted.quantile_transform:
            return column
        if not isinstance(column, NumericColumn):
            raise DataError(f"{kind_text(column)}; expected numbers: remove the column from dataset.quantile_transform")
        return replace(column, quantile_transform=QuantileTransform())

    def _add(self, texts: _Texts, problems: Mapping[str, str]) -> None:
        """Note what is wrong with texts of a column."""
        of_text: dict[str, list[str]] = {}
        for text in texts.code_of if problems else ():
            of_text.setdefault(clean_name(text), []).append(text)
        for text, problem in problems.items():
            spellings = of_text[text]
            where = f"{self.table.where(self.lines[texts.first_row(spellings)])}: column {self.header[texts.place]!r}"
            is_missing = text.lower() in MISSING
            count = sum(texts.counts[spelling] for spelling in spellings)
            of_feature = "" if self.header[texts.place] in self.features else text
            kind = of_feature if is_missing else "text"
            no_number = is_missing or is_infinite(text)
            self.problems.add(texts.place, f"{where}: {problem}", is_missing=no_number, kind=kind, count=count)

    def _advice(self) -> str:
        """Return what to set for columns of texts: which columns to leave out, and how to learn from texts."""
        bad, numbers = set(self.problems.columns()), set(self.number_places)
        is_feature = {self.header.index(name) for name in self.features}
        good = [self.header[column] for column in sorted(is_feature - bad)]
        advice = ""
        if good and numbers & bad and len(good) <= MAX_NAMES:
            used = f"features: {yaml_list(good)}"
            if self.wanted.ignored:  # a config states one of the two
                used = f"ignore: {yaml_list([*self.wanted.ignored, *(self.header[column] for column in sorted(bad))])}"
            advice = f"; to use only the other columns, set dataset.{used}"
        are_texts = [column for column in numbers & bad if self.problems.count(column, "text") * 2 > len(self.lines)]
        if are_texts and not self.wanted.recognize:
            advice += "; to learn from columns of text too, set dataset.categories: auto"
        if any(self.problems.count(column, "") for column in is_feature):
            advice += "; to replace missing values, set dataset.missing: fill"
        return advice


def _wrong_texts(column: AnyColumn, texts: Iterable[str], decimal: str, may_be_missing: bool) -> dict[str, str]:
    """Return what is wrong with each text that a column cannot hold."""
    problems = {}
    for text in texts:
        if not column.is_missing(text):
            problems[text] = column.problem(text, decimal)
        elif not may_be_missing:
            problems[text] = why_no_number(text)[1]
    return {text: problem for text, problem in problems.items() if problem is not None}


def _no_label(texts: Iterable[str]) -> dict[str, str]:
    """Return what is wrong with each text that is not a class."""
    expected = "fill it in, remove the row, or rename the class"
    return {
        text: f"{text!r} looks like a missing label; {expected}" if text else "no label; fill it in or remove the row"
        for text in missing_labels(list(texts))
    }


def _no_answer(texts: Iterable[str]) -> dict[str, str]:
    """Return what is wrong with each text that is not a yes or no for a class."""
    return {
        text: f"found {text!r}, expected 0 or 1, as in each of several label columns"
        for text in texts
        if _zero_or_one(text) is None
    }


def _picking(columns: Sequence[int]) -> Callable[[list[str]], tuple[str, ...]]:
    """Takes the fields of some columns out of a row."""
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda row: tuple(row[column] for column in columns)


def _plain_numbers(fields: Sequence[str]) -> list[float] | None:
    """Return the numbers of a row, fast, or None if `as_number` has to check each field."""
    text = "".join(fields)
    if "_" in text or not text.isascii():
        return None
    try:
        numbers = list(map(float, fields))
    except ValueError:
        return None
    return numbers if math.isfinite(sum(numbers)) else None


def _without_index(values: Values, columns: list[RawColumn], notes: list[str]) -> tuple[Values, list[RawColumn]]:
    """Return the same without an unnamed column of row numbers, as written by table libraries."""
    names = [raw.column.name for raw in columns]
    index = [column for column, name in enumerate(names) if is_unnamed(name) and is_index(values[:, column])]
    for column in index:
        shown = f"named {names[column]!r}" if names[column] else "without a name"
        notes.append(f"the column {shown} is an index of the rows and is not used as a feature")
    kept = [column for column in range(len(names)) if column not in index]
    return (np.ascontiguousarray(values[:, kept]), [columns[column] for column in kept]) if index else (values, columns)
