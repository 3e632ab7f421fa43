"""Rows of a CSV file or a data frame to predict: columns by name where they have names, an answer or an error a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from nnclassify.data.tables.columns import is_unnamed
from nnclassify.data.tables.csv_header import HEADER_AGAIN, is_header_again
from nnclassify.data.tables.csv_rows import MISSING, TextRows, as_number, float_of, number
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.errors import DataError, some, some_names, suggestion

Note = Callable[[str], object]
Row = tuple[int, list[str]]

MAX_NAMES = 12
"""Columns that a message lists."""


class _Layout(NamedTuple):
    """The number of values in every row, the place of each feature, and the first line if it names the columns."""

    width: int
    columns: Sequence[int]
    header: Sequence[str] | None = None

    def name(self, row: Sequence[str], identifier: str | None) -> str:
        """Return the text of a row in the column that names the rows, or an empty text."""
        if self.header is None or identifier not in self.header:
            return ""
        return row[self.header.index(identifier)].strip()


def inputs_of(
    table: TextRows,
    names: Sequence[str] | None,
    num_columns: int,
    encoder: TableEncoder | None = None,
    note: Note = lambda text: None,
    expected: Sequence[str] = (),
    identifier: str | None = None,
) -> Iterator[tuple[str, list[float] | DataError]]:
    """Yield the name of every row, and its features in their order or why there are none.

    A row is called by the identifier or, without one or where it is in error, by its file and line.

    Args:
        table: The file, or data frame.
        names: The columns of the network by name; None: they have none, and are taken in order.
        num_columns: How many there are.
        encoder: Makes features of a row's texts; None: every column is a number, and a feature.
        note: Receives, one line each, which categories have no indicator of their own, which columns are ignored, and
            how many rows are empty.
        expected: Columns besides those of the network that are ignored without a note, the label first.
        identifier: Name of the column that names the rows.

    Raises:
        DataError: The file has no row, or its header lacks a feature.
    """
    rows = table.rows()
    first = next(rows, None)
    if first is None:
        raise DataError(f"{table.where()}: empty; expected rows of {num_columns} values")
    line, cells = first[0], [cell.strip() for cell in first[1]]
    layout = _layout(table, line, cells, list(names or []), num_columns, encoder, expected)
    if layout.header is not None:
        for text in notes_on_ignored(table.where(), cells, {*(names or cells), *expected}):
            note(text)
    else:
        rows = itertools.chain([first], rows)
    line = 0
    for line, row in _filled(table, rows, note):
        where = table.where(line)
        try:
            texts = _texts(row, layout, names, where)
            decimal, name = table.format.decimal, layout.name(row, identifier) or where
            if encoder is None:
                yield name, numbers_of(texts, names, where, decimal)
            else:
                yield name, encoder.row(texts, where, decimal, note)
        except DataError as error:
            yield where, error
    if line == 0:
        raise DataError(f"{table.where()}: no rows after the header; expected rows of {layout.width} values")


def _texts(row: Sequence[str], layout: _Layout, names: Sequence[str] | None, where: str) -> list[str]:
    """Return the text of each feature of a row.

    Raises:
        DataError: The row has another number of values, or is the header.
    """
    if len(row) != layout.width:
        as_where = f"the network's{listed(names)}" if layout.header is None else "as in the header"
        raise DataError(f"{where}: {len(row)} values; expected {layout.width}, {as_where}")
    if layout.header is not None and is_header_again(row, layout.header):
        raise DataError(f"{where}: {HEADER_AGAIN}")
    return [row[column] for column in layout.columns]


def notes_on_ignored(where: str, header: Sequence[str], known: Collection[str]) -> list[str]:
    """Return a line on the columns of a table that are not among the known ones, if there are any."""
    ignored = [name for name in header if name not in known and not is_unnamed(name)]
    if not ignored:
        return []
    return [f"{where}: ignored, as this network does not take them: {some_names(ignored, MAX_NAMES)}"]


def _filled(table: TextRows, rows: Iterable[Row], note: Note) -> Iterator[Row]:
    """Yield the rows without the empty ones, as training reads them; in a file of one column, these are gaps."""
    num_empty = 0
    for line, row in rows:
        if len(row) > 1 and not any(cell.strip() for cell in row):
            num_empty += 1
        else:
            yield line, row
    if num_empty:
        note(f"{table.where()}: empty rows are ignored: {num_empty}")


def numbers_of(texts: Sequence[str], names: Sequence[str] | None, where: str, decimal: str = ".") -> list[float]:
    """Return the numbers of one example.

    Raises:
        DataError: One is missing, or a text; names its column.
    """
    return [
        number(text, f"{where}: column {names[place]!r}" if names else f"{where}: value {place + 1}", decimal)
        for place, text in enumerate(texts)
    ]


def listed(names: Sequence[str] | None) -> str:
    """` (a, b, c)`, or nothing where there are no names."""
    if not names:
        return ""
    return f" ({some_names(names, MAX_NAMES)})"


def _layout(
    table: TextRows,
    line: int,
    cells: list[str],
    names: list[str],
    num_columns: int,
    encoder: TableEncoder | None,
    others: Sequence[str],
) -> _Layout:
    where = table.where(line)
    place_of = {name: column for column, name in reversed(list(enumerate(cells)))}
    if names and all(name in place_of for name in names):
        if twice := [name for name in names if cells.count(name) > 1]:
            raise DataError(f"{where}: column {twice[0]!r} appears twice; expected it once")
        return _Layout(len(cells), [place_of[name] for name in names], cells)
    decimal = table.format.decimal
    places = _places_in(table.format.columns or (), others[:1], names, len(cells)) or range(len(cells))
    row = [cells[place] for place in places]
    if table.has_names or (_is_header(cells, names, decimal) and not _is_row(row, encoder, decimal)):
        if not names and len(cells) == num_columns:
            return _Layout(len(cells), range(num_columns), cells)
        absent, unknown = [name for name in names if name not in place_of], {*cells} - {*names}
        missing = some([*map(repr, absent)], MAX_NAMES)
        found = f"no column {missing}{suggestion(absent[0], sorted(unknown))}" if absent else ""
        expected = f"this network takes {num_columns}{listed(names)}; found {some_names(cells, MAX_NAMES)}"
        raise DataError(f"{where}: {found or f'{len(cells)} columns'}; {expected}")
    is_known = len(places) == num_columns
    return _Layout(len(cells), places) if is_known else _Layout(num_columns, range(num_columns))


def _places_in(known: Sequence[str], label: Sequence[str], names: Sequence[str], width: int) -> list[int] | None:
    """Return the place of each feature in the rows of a file without a header, which has all columns of the training
    file, or all but the label; None if it has others."""
    for order in (known, [name for name in known if name not in label]):
        if len(order) == width and {*names} <= {*order}:
            return [order.index(name) for name in names]
    return None


def _is_header(cells: Sequence[str], names: Sequence[str], decimal: str) -> bool:
    """Return whether a line is a header, though not the network's: it names one of its columns, or has only texts."""
    known = {name.casefold() for name in names}
    texts = [cell for cell in cells if not _may_be_value(cell, decimal)]
    return bool(texts) and (len(texts) == len(cells) or any(text.casefold() in known for text in texts))


def _is_row(cells: Sequence[str], encoder: TableEncoder | None, decimal: str) -> bool:
    """Return whether a line of texts is an example: each text occurred in its column in training."""
    unseen: list[str] = []
    if encoder is None or len(cells) != len(encoder.columns):
        return False
    try:
        encoder.row(cells, "", decimal, unseen.append)
    except DataError:
        return False
    return not unseen


def _may_be_value(text: str, decimal: str) -> bool:
    """Return whether a field is a number, possibly infinite, or a missing value."""
    return text.lower() in MISSING or as_number(text, decimal) is not None or float_of(text) is not None
