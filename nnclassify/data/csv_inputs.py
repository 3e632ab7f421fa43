"""Rows of a CSV file or a data frame to predict: columns by name where they have names, an answer or an error a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from nnclassify.data.csv_rows import MISSING, CsvFormat, as_number, number, other_delimiter
from nnclassify.errors import DataError, some, suggestion

MAX_NAMES = 12
"""Columns that a message lists."""


class Rows(Protocol):
    """Rows of text, such as a `CsvFile` has.

    Attributes:
        format: How numbers are written, and what the columns are called where no row names them.
        has_names: Whether the first row is certain to name the columns.
    """

    format: CsvFormat
    has_names: ClassVar[bool]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Every row with its line."""

    def where(self, line: int = 0) -> str:
        """What messages call a line; 0: the whole."""


class FrameRows:
    """The rows of a data frame, as its own CSV file would have them: numbers keep all their digits.

    Args:
        name: What to call it in messages.
        frame: An object with named columns that NumPy reads, such as pandas', polars' and pyarrow's tables.
    """

    has_names: ClassVar[bool] = True

    def __init__(self, name: str, frame: Any) -> None:
        self.name = name
        self.format = CsvFormat()
        self._columns = [str(column) for column in getattr(frame, "column_names", frame.columns)]
        self._cells = np.asarray(frame, dtype=object)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The columns' names, then every row."""
        yield 1, self._columns
        for row, cells in enumerate(self._cells):
            yield row + 2, [_text(cell) for cell in cells]

    def where(self, line: int = 0) -> str:
        """The frame, or one of its rows: the first, under the names, is row 0."""
        return f"{self.name}[{line - 2}]" if line > 1 else self.name


def _text(cell: Any) -> str:
    return repr(float(cell)) if isinstance(cell, float | np.floating) else str(cell)


@dataclass(frozen=True)
class _Layout:
    """Where a file has the features.

    Attributes:
        width: Values in every row.
        columns: The place of each feature.
        has_header: Whether the first line names the columns.
    """

    width: int
    columns: Sequence[int]
    has_header: bool


def inputs_of(
    table: Rows, names: Sequence[str] | None, num_features: int
) -> Iterator[tuple[int, list[float] | DataError]]:
    """Of every row its line, and the numbers of the features in their order or why there are none.

    Args:
        table: The file, or data frame.
        names: The features of the net by name; None: they have none, and columns are taken in order.
        num_features: How many there are.

    Raises:
        DataError: The file has no row, or its header lacks a feature.
    """
    rows = table.rows()
    first = next(rows, None)
    if first is None:
        raise DataError(f"{table.where()}: empty; expected rows of {num_features} values")
    line, cells = first[0], [cell.strip() for cell in first[1]]
    layout = _layout(table, line, cells, list(names or []), num_features)
    if not layout.has_header:
        rows = itertools.chain([first], rows)
    line = 0
    for line, row in rows:
        where = table.where(line)
        try:
            if len(row) != layout.width:
                as_where = "as in the header" if layout.has_header else f"the net's{listed(names)}"
                raise DataError(f"{where}: {len(row)} values; expected {layout.width}, {as_where}")
            yield line, numbers_of([row[column] for column in layout.columns], names, where, table.format.decimal)
        except DataError as error:
            yield line, error
    if line == 0:
        raise DataError(f"{table.where()}: no rows after the header; expected rows of {layout.width} values")


def numbers_of(texts: Sequence[str], names: Sequence[str] | None, where: str, decimal: str = ".") -> list[float]:
    """The numbers of one example.

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
    return f" ({some(names, MAX_NAMES)})"


def _layout(table: Rows, line: int, cells: list[str], names: list[str], num_features: int) -> _Layout:
    where, written = table.where(line), table.format.delimiter
    place_of = {name: column for column, name in reversed(list(enumerate(cells)))}
    if names and all(name in place_of for name in names):
        if twice := [name for name in names if cells.count(name) > 1]:
            raise DataError(f"{where}: column {twice[0]!r} appears twice; expected it once")
        return _Layout(len(cells), [place_of[name] for name in names], has_header=True)
    one, wanted = len(cells) == 1, set(names)
    other = other_delimiter(
        cells, written, lambda found: (bool(wanted) and wanted <= set(found)) or (one and len(found) == num_features)
    )
    if other is not None:
        raise DataError(f"{where}: columns are separated by {other!r}, not {written!r} as in the training file")
    if table.has_names or _is_header(cells, names, table.format.decimal):
        if not names and len(cells) == num_features:
            return _Layout(len(cells), range(num_features), has_header=True)
        absent = [name for name in names if name not in place_of]
        missing = some([*map(repr, absent)], MAX_NAMES)
        found = f"no column {missing}{suggestion(absent[0], cells)}" if absent else ""
        expected = f"this net takes {num_features}{listed(names)}; found {some(cells, MAX_NAMES)}"
        raise DataError(f"{where}: {found or f'{len(cells)} columns'}; {expected}")
    known = list(table.format.columns or ())
    if len(cells) == len(known) and all(name in known for name in names):
        return _Layout(len(known), [known.index(name) for name in names], has_header=False)
    return _Layout(num_features, range(num_features), has_header=False)


def _is_header(cells: Sequence[str], names: Sequence[str], decimal: str) -> bool:
    """Whether a line is a header, though not the net's: it names a column of the net's, or has nothing but texts."""
    known = {name.casefold() for name in names}
    texts = [cell for cell in cells if not _may_be_value(cell, decimal)]
    return bool(texts) and (len(texts) == len(cells) or any(text.casefold() in known for text in texts))


def _may_be_value(text: str, decimal: str) -> bool:
    """Whether a field is a number, infinite ones among them, or stands for a missing one."""
    if text.lower() in MISSING or as_number(text, decimal) is not None:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
