"""How a table is written: its delimiter, and the names of its columns where the file has none."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnclassify.data.tables.csv_header import is_header_again
from nnclassify.data.tables.csv_rows import DELIMITERS, MISSING, CsvFile, CsvFormat, TextRows, as_number
from nnclassify.data.tables.table_files import open_table
from nnclassify.errors import DataError

LABEL_NAMES = ("label", "class", "target", "y")
"""What a label column is called, in any case."""


def opened(path: str, labels: Sequence[str] | None, stated: Mapping[str, Any]) -> tuple[TextRows, dict[str, Any]]:
    """Return a table, and the properties of its format that a config has to state, apart from those that are stated."""
    usual = replace(CsvFormat(), **stated)
    if "delimiter" not in stated:
        usual = replace(usual, delimiter=_delimiter_of(path, usual, stated))
    table, recognized, _ = open_table(Path(path), usual, ("delimiter", *stated), labels or ())
    written: dict[str, Any] = dict(recognized)
    if isinstance(table, CsvFile):
        if table.format.delimiter != "," and "delimiter" not in stated:
            written["delimiter"] = table.format.delimiter
        first, *others = [row for _, row in itertools.islice(table.rows(), 200)] or [[]]
        if table.format.columns is None and not names_columns(
            first, others, {*LABEL_NAMES, *(labels or ())}, table.format.decimal
        ):
            written["columns"] = _names_of(len(first), labels or ["label"])
            table = table.with_format(replace(table.format, columns=tuple(written["columns"])))
    return table, written


def _names_of(width: int, labels: Sequence[str]) -> list[str]:
    """Return names for the columns of a file without a header: `x1`, `x2` and so on, and at the end the labels, unless
    these are such names themselves."""
    names = [f"x{place}" for place in range(1, width + 1)]
    return names if {*labels} <= {*names} else [*names[: width - len(labels)], *labels]


def names_columns(first: Sequence[str], rows: Sequence[Sequence[str]], labels: set[str], decimal: str) -> bool:
    """Return whether the first row of a table names the columns, although it may hold numbers.

    It does where one of its texts is a label's name, is above numbers, or stands beside `0,1,2,...` or years and never
    recurs; a row of texts alone does unless several of them are also found further down in their columns.
    """
    numbers = [value for cell in first if (value := as_number(cell, decimal)) is not None]
    if not numbers:
        return not _recurs(first, rows)
    if any(cell.strip() in labels or cell.strip().lower() in labels for cell in first):
        return True
    texts = {place for place, cell in enumerate(first) if as_number(cell, decimal) is None and not is_missing(cell)}
    below = {place: [row[place] for row in rows if len(row) == len(first)] for place in texts}
    if any(cells and all(as_number(cell, decimal) is not None for cell in cells) for cells in below.values()):
        return True
    is_sequence = len(numbers) > 2 and numbers == [numbers[0] + step for step in range(len(numbers))]
    starts = numbers[0] in (0, 1) or 1900 <= numbers[0] <= 2100
    return is_sequence and starts and all(first[place] not in below[place] for place in texts)


def _recurs(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a first row of texts is like the others: at least two texts, and half of them, recur in their
    columns, in rows that are not the same; a header that is repeated further down is."""
    header = [cell.strip() for cell in first]
    others = [row for row in rows if len(row) == len(first) and not is_header_again(row, header)]
    texts = [place for place, cell in enumerate(first) if not is_missing(cell)]
    recurring = [place for place in texts if any(row[place].strip() == first[place].strip() for row in others)]
    return len(recurring) >= max(2, len(texts) / 2)


def is_missing(text: str) -> bool:
    """Return whether a text stands for a missing value."""
    return text.strip().lower() in MISSING


def _delimiter_of(path: str, usual: CsvFormat, stated: Collection[str]) -> str:
    """Return the delimiter that splits the first lines into the most columns, the same number in each: a tab if the
    ending of the name says so, and a space only where none of `;`, tab and `|` does it, next to which it is padding, as
    it is after commas. Where none does it, return that of a file that is not CSV, so that the reader says why."""
    if re.search(r"(?i)\.(tsv|tab)(\.(gz|bz2|xz))?$", path):
        return "\t"
    widths, failed = dict[str, tuple[int, int]](), list[str]()
    for delimiter in (",", *DELIMITERS):
        try:
            table, _, _ = open_table(Path(path), replace(usual, delimiter=delimiter), ("delimiter", *stated))
            rows = [row for _, row in itertools.islice(table.rows(), 20)]
        except DataError:
            failed.append(delimiter)
            continue
        if delimiter == " " and any(cell.endswith(",") for row in rows for cell in row[:-1]):
            continue
        first = [*map(len, rows)]
        widths[delimiter] = _common(first), _common(first[len(first) // 2 :])  # the second: below a line of comments
    others = [widths.get(delimiter, (1, 1)) for delimiter in ";\t|"]
    whole_at_spaces, _ = widths.get(" ", (1, 1))
    if any(whole > 1 for whole, _ in others) or (any(below > 1 for _, below in others) and whole_at_spaces == 1):
        widths.pop(" ", None)
    best = max(widths, key=lambda delimiter: widths[delimiter], default=",")
    whole, below = widths.get(best, (1, 1))
    is_split = whole > 1 or (below > 1 and best != " ")  # a space may stand in the texts of a column
    return best if is_split or not failed else failed[0]


def _common(widths: Sequence[int]) -> int:
    """Return the number of fields of all rows, or 1 if it differs between rows."""
    return widths[0] if len(set(widths)) == 1 else 1
