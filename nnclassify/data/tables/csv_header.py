"""Which columns of a table are read: what the config wants, the header, and which columns hold texts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.tables.column_kinds import Dates, Kind
from nnclassify.data.tables.csv_rows import MISSING, Problems, TextRows, as_number, other_delimiter
from nnclassify.data.tables.encoding import AnyColumn, NumberColumn
from nnclassify.errors import DataError, some, suggestion
from nnclassify.settings import yaml_list, yaml_quoted

MAX_NAMES = 20
"""Columns that a message lists."""
LOOKED_AT = 10_000
"""Rows that tell whether a column holds numbers, where the config leaves that to the file."""

HEADER_AGAIN = "the header again, as in files that were joined; remove the line"


def is_header_again(row: Sequence[str], header: Sequence[str]) -> bool:
    """Return whether a row is the header again, in any case."""
    pairs = zip(row, header, strict=False)
    return len(row) == len(header) and all(cell.strip().casefold() == name.casefold() for cell, name in pairs)


Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Wanted:
    """What a table is read for.

    Attributes:
        labels: The column with the class; or several of 0 and 1, one for each class.
        features: The columns to learn from, in order; None: all others.
        ignored: Columns that are not learned from where `features` is None.
        aside: Columns that are read as texts and not learned from, by the option that names them, such as `split`.
        kinds: What the config says of columns that do not hold numbers.
        quantile_transform: Columns of numbers whose features are of about a normal distribution.
        recognize: Whether other columns may hold texts too, and of which kind is found out.
        may_be_missing: Whether a feature may have no value.
        known: The columns to learn from where they are known already, as those of a run are; None: they are not.
    """

    labels: Sequence[str]
    features: Sequence[str] | None = None
    ignored: Collection[str] = ()
    aside: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    quantile_transform: Collection[str] = ()
    recognize: bool = False
    may_be_missing: bool = False
    known: Sequence[AnyColumn] | None = None


def header_and_rows(table: TextRows, labels: Sequence[str]) -> tuple[list[str], Iterator[Row]]:
    """Return the columns by name, and the rows under them.

    Raises:
        DataError: There is no header, or it is of another delimiter.
    """
    rows = table.rows()
    first = next(rows, None)
    if first is None:
        raise DataError(f"{table.where()}: empty; expected a header line and rows")
    line, cells = first
    cells = [cell.strip() for cell in cells]
    if table.format.columns is None:
        _check_header(table, line, cells, labels)
        return cells, rows
    names = list(table.format.columns)
    if cells == names:
        raise DataError(
            f"{table.where(line)}: a header line; remove dataset.columns, which is for files without a header"
        )
    if len(cells) != len(names):
        raise DataError(
            f"{table.where(line)}: {len(cells)} values; expected {len(names)}, as in dataset.columns: remove the "
            "line if it is a title or a comment"
        )
    return names, itertools.chain([first], rows)


def cells_by_line(table: TextRows, labels: Sequence[str], name: str) -> dict[int, str]:
    """Return the text of a column for each line of a table that has the column."""
    header, rows = header_and_rows(table, labels)
    place = header.index(name) if name in header else len(header)
    return {line: clean_name(row[place]) for line, row in rows if len(row) > place}


def rows_at(
    table: TextRows, labels: Sequence[str], names: Sequence[str], lines: Collection[int]
) -> dict[int, list[str]]:
    """Return the texts of columns, as they are written, for some lines of a table.

    Raises:
        DataError: There is no such column.
    """
    header, rows = header_and_rows(table, labels)
    if absent := [name for name in names if name not in header]:
        raise DataError(f"{table.where()}: no column {absent[0]!r}; columns: {some(header, MAX_NAMES)}")
    places, wanted = [*map(header.index, names)], {*lines}
    whole = ((line, row) for line, row in rows if line in wanted and len(row) == len(header))
    return {line: [clean_name(row[place]) for place in places] for line, row in whole}


def _check_header(table: TextRows, line: int, cells: list[str], labels: Sequence[str]) -> None:
    """Refuse a first line that is no header of this format.

    Raises:
        DataError: It is a comment, of another delimiter, or data.
    """
    where, written = table.where(line), table.format.delimiter
    _, second = next(itertools.islice(table.rows(), 1, None), (0, cells))
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
    if any(as_number(cell, table.format.decimal) is not None for cell in cells):
        raise DataError(
            f"{where}: row 1 looks like data ({', '.join(cells)[:60]}), and has no column {labels[0]!r}; add a header "
            f"line, or name the columns: dataset.columns: {_example(len(cells), labels)}"
        )


def _example(width: int, labels: Sequence[str]) -> str:
    names = [f"x{index}" for index in range(1, width - len(labels) + 1)] if width <= MAX_NAMES else ["x1", "..."]
    return yaml_list([*names, *labels])


def features_of(table: TextRows, header: Sequence[str], wanted: Wanted) -> tuple[list[str], list[int]]:
    """Return the columns to learn from, and the columns without a name and a value, which a delimiter at the end of
    each line leaves."""
    if wanted.known is not None:
        return [column.name for column in wanted.known], []
    if wanted.features is not None:
        return list(wanted.features), []
    empty = [column for column, name in enumerate(header) if not name]
    if empty:
        for _, row in itertools.islice(table.rows(), 1, None):
            empty = [column for column in empty if column >= len(row) or not row[column].strip()]
    others = {*wanted.labels, *wanted.aside.values(), *wanted.ignored}
    return [name for column, name in enumerate(header) if name not in others and column not in set(empty)], empty


def places_of(
    table: TextRows, header: list[str], wanted: Wanted, features: Sequence[str], empty: Sequence[int]
) -> dict[str, int]:
    """Return the place of each column that is read.

    Raises:
        DataError: One is not there, or twice; or the label is among the features.
    """
    problems = Problems(table.where())
    counts = Counter(name for column, name in enumerate(header) if column not in set(empty))
    for place, name in enumerate(name for name, count in counts.items() if count > 1):
        shown = f"column {name!r} appears twice" if name else "two columns have no name"
        problems.add(-1, f"{table.where(1)}: {shown}; give each column a different name", kind=f"twice {place:6}")
    columns = some(header, MAX_NAMES)
    first_option = {name: option for option, name in reversed(_named(wanted, features))}
    for place, (option, name) in enumerate(_named(wanted, features)):
        if name not in counts and option == first_option[name]:
            text = f"{table.where(1)}: no column {name!r} (dataset.{option}){suggestion(name, header)}"
            problems.add(place, f"{text}; columns: {columns}", kind="absent")
    _add_misused(problems, wanted, features, counts)
    problems.raise_all()
    if not features:
        raise DataError(f"{table.where()}: no feature column other than the label; expected at least one")
    place_of = {name: column for column, name in reversed(list(enumerate(header)))}
    return {name: place_of[name] for name in (*wanted.labels, *wanted.aside.values(), *features)}


def _add_misused(problems: Problems, wanted: Wanted, features: Sequence[str], counts: Mapping[str, int]) -> None:
    """Note which columns are features that must not be, or are listed twice."""
    for label in (label for label in wanted.labels if label in features):
        problems.add(
            -1, f"dataset.features: {label!r} is the label, which reveals the answer; remove it from the features"
        )
    for option, name in wanted.aside.items():
        if name in (*wanted.labels, *features):
            problems.add(-1, f"dataset.{option}: {name!r} is also the label or a feature; expected a column of its own")
    for name in (name for name, count in Counter(features).items() if count > 1 and counts[name] == 1):
        problems.add(-1, f"dataset.features: {name!r} appears twice; list each column once", kind="repeated")


def _named(wanted: Wanted, features: Sequence[str]) -> list[tuple[str, str]]:
    """Return the columns that the config names, each with the option; features come last."""
    named = [*(("label", name) for name in wanted.labels), *(("features", name) for name in features)]
    named += [*wanted.aside.items(), *(("ignore", name) for name in wanted.ignored)]
    named += [(_option_of(kind), name) for name, kind in wanted.kinds.items()]
    return named + [("quantile_transform", name) for name in wanted.quantile_transform]


def _option_of(kind: Kind) -> str:
    return "dates" if isinstance(kind, Dates) else "numbers" if kind == "number" else "categories"


def text_columns(table: TextRows, places: Mapping[str, int], features: Sequence[str], wanted: Wanted) -> set[str]:
    """Return the features that are texts: those with a kind, and those recognized by their first rows.

    A column in which most values are numbers is one of numbers: the others are errors in it.
    """
    if wanted.known is not None:
        return {column.name for column in wanted.known if not isinstance(column, NumberColumn)}
    found = {name for name in features if name in wanted.kinds}
    if not wanted.recognize:
        return found
    num_texts, num_numbers = Counter[str](), Counter[str]()
    width, decimal = max(places.values()), table.format.decimal
    for _, row in itertools.islice(table.rows(), 1, LOOKED_AT):
        for name in features if len(row) > width else ():
            text = row[places[name]].strip()
            if text.lower() not in MISSING:
                (num_texts if as_number(text, decimal) is None else num_numbers)[name] += 1
    return found | {name for name in features if num_texts[name] > num_numbers[name]}
