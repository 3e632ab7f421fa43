"""Opens the file of a table, and recognizes how a CSV file is written where the config does not say."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nnclassify.data.csv_rows import CsvFile, CsvFormat, TextRows, as_number, content_of, other_delimiter
from nnclassify.data.frames import ParquetRows
from nnclassify.settings import yaml_quoted

LOOKED_AT = 1000
"""Rows that tell the decimal mark."""
PARQUET = (".parquet", ".pq")
RECOGNIZED = ("delimiter", "decimal", "encoding")
"""What is recognized of a CSV file, in the words of the config."""

_WITH_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_WORDS = re.compile(
    r"(?:[\x00-\x7f]|(?<=[A-Za-zÀ-öø-ý])[À-öø-ýŠšŽžŒœ]|[À-öø-ýŠšŽžŒœ](?=[A-Za-zÀ-öø-ý])|[°µ²³€£§\u2013\u2018\u2019\u201c\u201d])*"
)
"""A text in which every character beyond ASCII stands in a word, or is one of the usual signs."""


def open_table(
    path: Path,
    written: CsvFormat,
    stated: Collection[str] = RECOGNIZED,
    labels: Sequence[str] = (),
    ignored: Collection[str] = (),
) -> tuple[TextRows, dict[str, str], list[str]]:
    """Open a table.

    Args:
        path: A CSV file, which gzip may have packed, or a Parquet file.
        written: How a CSV file is written.
        stated: The options of `RECOGNIZED` that the config states: they are taken as they are.
        labels: The label columns.
        ignored: Columns whose numbers do not matter.

    Returns:
        The table, what was recognized and is not as in `written`, and a note on it.

    Raises:
        DataError: It cannot be read, or is no text in that encoding.
    """
    if path.suffix.lower() in PARQUET:
        return ParquetRows(path), {}, []
    content = content_of(path)
    found: dict[str, str] = {}
    if "encoding" not in stated and (encoding := _encoding_of(content, written.encoding)) is not None:
        found["encoding"] = encoding
    file = CsvFile(path, replace(written, encoding=found.get("encoding", written.encoding)), content)
    if "delimiter" not in stated and (delimiter := _delimiter_of(file, labels)) is not None:
        found["delimiter"] = delimiter
        file = file.with_format(replace(file.format, delimiter=delimiter))
    if "decimal" not in stated and file.format.delimiter != "," and _has_decimal_commas(file, {*labels, *ignored}):
        found["decimal"] = ","
        file = file.with_format(replace(file.format, decimal=","))
    if not found:
        return file, {}, []
    options = ", ".join(f"{key}: {yaml_quoted(value)}" for key, value in found.items())
    return file, found, [f"{path}: recognized, since the config does not state it: {options}"]


def _encoding_of(content: bytes, usual: str) -> str | None:
    """Return the encoding of a file if it is a known one other than the usual one, else None."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        content.decode(usual)
    except UnicodeDecodeError:
        try:
            return "cp1252" if _WORDS.fullmatch(content.decode("cp1252")) else None
        except UnicodeDecodeError:
            return None
    return None


def _delimiter_of(file: CsvFile, labels: Sequence[str]) -> str | None:
    """Return the delimiter with which the first line has the label column, or the columns listed in the config."""
    _, cells = next(file.rows(), (0, [""]))
    cells, columns = [cell.strip() for cell in cells], file.format.columns
    if not set(labels).isdisjoint(cells) or (columns is not None and len(cells) == len(columns)):
        return None

    def fits(found: list[str]) -> bool:
        return labels[0] in found if columns is None else len(found) == len(columns)

    return other_delimiter(cells, file.format.delimiter, fits)


def _has_decimal_commas(file: CsvFile, ignored: Collection[str]) -> bool:
    """Return whether the numbers of a file are clearly written with decimal commas."""
    commas = [cell for cell in _cells(file, ignored) if as_number(cell) is None or "." in cell]
    if any(as_number(cell) is not None for cell in commas):
        return False  # decimal points
    commas = [cell for cell in commas if _WITH_COMMA.fullmatch(cell)]
    return any(not _THOUSANDS.fullmatch(cell) for cell in commas)


def _cells(file: CsvFile, ignored: Collection[str]) -> Iterator[str]:
    rows = file.rows()
    names = file.format.columns or next(rows, (0, []))[1]
    for _, row in itertools.islice(rows, LOOKED_AT):
        yield from (cell.strip() for name, cell in zip(names, row, strict=False) if name.strip() not in ignored)
