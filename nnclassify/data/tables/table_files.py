"""Opens the file of a table, and recognizes how a CSV file is written where the config does not say."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nnclassify.data.tables.csv_rows import CsvFile, CsvFormat, TextRows, content_of, other_delimiter
from nnclassify.data.tables.frames import ParquetRows
from nnclassify.settings import yaml_quoted

LOOKED_AT = 1000
"""Rows that tell the decimal mark, and bytes that tell UTF-16 without a byte-order mark."""
PARQUET = (".parquet", ".pq")
RECOGNIZED = ("delimiter", "decimal", "encoding")
"""What is recognized of a CSV file, in the words of the config."""

_DECIMAL = {mark: re.compile(rf"[+-]?\d*{re.escape(mark)}\d+([eE][+-]?\d+)?") for mark in ".,"}
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")
_WORDS = re.compile(
    r"(?!(?s:.)*[À-öø-ýŠšŽžŒœ]{3})"
    r"(?:[\x00-\x7f]|(?<=[A-Za-zÀ-öø-ý])[À-öø-ýŠšŽžŒœ]|[À-öø-ýŠšŽžŒœ](?=[A-Za-zÀ-öø-ý])|[°µ²³€£§\u2013\u2018\u2019\u201c\u201d])*"
)
"""A text in which every character beyond ASCII stands in a word, or is one of the usual signs. Three letters in a
row are a word of another alphabet in another encoding: no language that cp1252 is for has so many with accents."""


def open_table(
    path: Path,
    written: CsvFormat,
    stated: Collection[str] = (),
    names: Sequence[str] = (),
    ignored: Collection[str] = (),
    *,
    width: int = 0,
    content: bytes | None = None,
) -> tuple[TextRows, dict[str, str], list[str]]:
    """Open a table.

    Args:
        path: A CSV file, which may be compressed, or a Parquet file.
        written: How a CSV file is written, unless it shows something else.
        stated: The options of `RECOGNIZED` that the config states for this file: they are taken as they are.
        names: Columns of which the first line names some, if it is a header.
        ignored: Columns whose numbers do not matter.
        width: The number of columns of a file without a header; 0 if it is not known.
        content: The bytes of a CSV file; None: they are read.

    Returns:
        The table, what was recognized and is not as in `written`, and a note on it.

    Raises:
        DataError: It cannot be read, or is no text in that encoding.
    """
    if path.suffix.lower() in PARQUET:
        return ParquetRows(path), {}, []
    content = content_of(path) if content is None else content
    found: dict[str, str] = {}
    if "encoding" not in stated and (encoding := _encoding_of(content, written.encoding)) != written.encoding:
        found["encoding"] = encoding
    file = CsvFile(path, replace(written, encoding=found.get("encoding", written.encoding)), content)
    if "delimiter" not in stated and (delimiter := _delimiter_of(file, names, width)) is not None:
        found["delimiter"] = delimiter
        file = file.with_format(replace(file.format, delimiter=delimiter))
    if "decimal" not in stated and (decimal := _decimal_of(file, ignored)) not in (None, written.decimal):
        found["decimal"] = decimal
        file = file.with_format(replace(file.format, decimal=decimal))
    if not found:
        return file, {}, []
    options = ", ".join(f"{key}: {yaml_quoted(value)}" for key, value in found.items())
    return file, found, [f"{path}: recognized: {options}"]


def _encoding_of(content: bytes, usual: str) -> str:
    """Return the encoding of a file: the usual one, unless it shows that it is another."""
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"  # one of its marks begins like one of UTF-16
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    low, high = content[:LOOKED_AT:2], content[1:LOOKED_AT:2]
    for encoding, zeros, others in (("utf-16-le", high, low), ("utf-16-be", low, high)):
        if 0 not in others and zeros.count(0) > len(zeros) / 2:
            return encoding
    # Bytes of another encoding are hardly ever valid UTF-8, apart from those with NUL or escape characters.
    likely = [] if b"\0" in content or b"\x1b" in content else ["utf-8"]
    for encoding in (*likely, usual, "cp1252"):
        text = _decoded(content, encoding)
        if text is not None and (encoding in (*likely, usual) or _WORDS.fullmatch(text)):
            return usual if encoding == usual or _decoded(content, usual) == text else encoding
    return usual


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeError:
        return None


def _delimiter_of(file: CsvFile, names: Sequence[str], width: int) -> str | None:
    """Return another delimiter, with which the first line has columns of these names, or their number if it has no
    header; None if it already does."""
    _, cells = next(file.rows(), (0, [""]))
    cells, width = [cell.strip() for cell in cells], len(file.format.columns or ()) or width

    def fits(found: list[str]) -> bool:
        return len(found) == width or (file.format.columns is None and not {*names}.isdisjoint(found))

    return None if fits(cells) else other_delimiter(cells, file.format.delimiter, fits)


def _decimal_of(file: CsvFile, ignored: Collection[str]) -> str | None:
    """Return the decimal separator that the numbers of a file are clearly written with, or None. That of `1.234` and
    `12,345` may separate thousands."""
    cells = [cell for cell in _cells(file, ignored) if not _THOUSANDS.fullmatch(cell)]
    found = [mark for mark, form in _DECIMAL.items() if any(mark in cell and form.fullmatch(cell) for cell in cells)]
    return found[0] if len(found) == 1 and found[0] != file.format.delimiter else None


def _cells(file: CsvFile, ignored: Collection[str]) -> Iterator[str]:
    rows = file.rows()
    names = file.format.columns or next(rows, (0, []))[1]
    for _, row in itertools.islice(rows, LOOKED_AT):
        yield from (cell.strip() for name, cell in zip(names, row, strict=False) if name.strip() not in ignored)
