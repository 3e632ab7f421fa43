"""CSV files: the one place that reads rows and numbers, for training and for prediction alike."""

from __future__ import annotations

import bz2
import codecs
import copy
import csv
import gzip
import io
import itertools
import lzma
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from nnclassify.errors import DataError, MissingValueError, one_line
from nnclassify.files.paths import MAX_INFLATION, SMALL_BYTES

MAX_FIELD = 2**31 - 1
"""Characters in one field; the csv module stops at 131,072 otherwise."""

DELIMITERS = (";", "\t", "|", ",", " ")
"""What columns are separated by in practice; suggested where the configured delimiter is not the file's."""

MAX_START = 10_000
"""Bytes that tell text of another kind."""

FIRST_ROWS = 20
"""Rows that tell whether the header lacks a name for the column of row names."""

MISSING = {
    "",
    *("na", "n/a", "#n/a", "n.a.", "<na>", "nan", "-nan", "nat", "null", "(null)", "\\n", "nil", "none", "missing"),
    *("#ref!", "#value!", "#div/0!", "#num!", "#name?", "#null!", "?", "-", "--", "."),
}
"""What programs and people write where a value is missing, in lower case; `\\n` is a database's `\\N`, and what starts
with `#` is a spreadsheet's error."""

_HINTS = (
    (r"[+-]?\d{1,3}(,\d{3})+", "for a decimal comma, set dataset.decimal: ','; write thousands without separators"),
    (r"[+-]?\d*,\d+([eE][+-]?\d+)?", "for decimal commas, set dataset.decimal: ','"),
    (r"[+-]?\d+\.\d+", "for decimal points, set dataset.decimal: '.'; write thousands without separators"),
    (r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?", "write it without thousands separators"),
    (r"[+-]?[\d.,]+\s*%", "write it without the percent sign"),
    (r"[+-]?[$€£¥]\s*[+-]?[\d.,]+|[+-]?[\d.,]+\s*[$€£¥]", "write it without the currency sign"),
    (r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?", "a date: list the column in dataset.dates, or remove it"),
    (r"\([$€£¥]?[\d.,]+\)|[\d.,]+-", "write negative numbers with a minus sign before them"),
    (r"0[xX][0-9a-fA-F]+", "write it as a decimal number"),
    (r"(?i)true|false|yes|no|t|f|y|n", "write 1 and 0"),
    (r"\d{1,2}:\d\d(:\d\d.*)?", "a time: write it as one number, or remove the column"),
    (r"[+-]?\d+(_\d+)+(\.\d+)?", "write it without underscores"),
)

_COMPRESSED: dict[bytes, Callable[[io.BytesIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
"""What unpacks a compressed file, by its first bytes."""
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV",
    b"PAR1": "a Parquet file; give its name the ending .parquet",
}
_OTHER_TEXTS = (
    (rb"\{\s*[\"}]|\[\s*[\[{\"]", "JSON; convert it to CSV, as pandas.read_json(...).to_csv(...) does"),
    (rb"(?i)<(\?xml|!doctype|html|table)\b", "HTML or XML; save the table as CSV"),
    (rb"(?i)(%[^\n]*\n|\s)*@relation\b", "ARFF; convert it to CSV, as scipy.io.arff reads it"),
    (
        rb"[+-]?[\d.]+( +\d+:[-+\d.eE]+){3,} *[\r\n]",
        "LIBSVM's sparse format; convert it to .npz: x, y = sklearn.datasets.load_svmlight_file(...), with x.toarray()",
    ),
    (rb"(?i)(--[^\n]*\n|\s)*(create|drop|insert)\s+(table|into)\b", "SQL; export the table as CSV"),
    (rb"version https://git-lfs", "a pointer of Git LFS; run `git lfs pull`"),
)
"""What text files of other kinds begin with."""


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written.

    Attributes:
        delimiter: What separates columns.
        decimal: The decimal separator of numbers.
        encoding: A text encoding that Python knows.
        columns: The columns by name, where the file has no header line; None where it has one.
    """

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None


class TextRows(Protocol):
    """Rows of texts: those of a `CsvFile`, of a data frame, of a Parquet file.

    Attributes:
        format: How numbers are written, and what the columns are called where no row names them.
        has_names: Whether the first row is certain to name the columns.
    """

    format: CsvFormat
    has_names: ClassVar[bool]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every row with its line."""

    def where(self, line: int = 0) -> str:
        """Return the name of a line in messages; 0 is the whole source."""


class CsvFile:
    """A CSV file in memory, whose rows can be read more than once.

    Raises:
        DataError: It cannot be read, or is no text in that encoding.
    """

    has_names: ClassVar[bool] = False
    """Its first row may name the columns, or be an example."""

    def __init__(self, path: Path, written: CsvFormat, content: bytes | None = None) -> None:
        self.path = path
        self.format = written
        self._content = content_of(path) if content is None else content
        self._check()

    def with_format(self, written: CsvFormat) -> CsvFile:
        """Return the same file with columns or numbers read in another way; the encoding stays."""
        other = copy.copy(self)
        other.format = written
        return other

    def _check(self) -> None:
        encoding = self.format.encoding
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        if is_utf8 and self._content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise DataError(f"{self.path}: UTF-16 text; set dataset.encoding: utf-16, or save it as UTF-8")
        try:
            text = self._content.decode(encoding)
            # Re-encoded, because streams of some encodings take other text than `decode` does.
            content = self._content if is_utf8 else text.encode()
        except UnicodeError as cause:
            place = cause.start if isinstance(cause, UnicodeDecodeError) else len(self._content)
            line = self._content.count(b"\n", 0, place) + 1
            found = f"byte 0x{self._content[place]:02x}" if place < len(self._content) else "the text"
            raise DataError(
                f"{self.path}:{line}: {found} is not {encoding.upper()}; expected a CSV file in {encoding.upper()}: "
                "convert it, or set dataset.encoding, such as cp1252, cp1251 (Cyrillic), cp932 (Japanese) or gb18030 "
                "(Chinese)"
            ) from cause
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise DataError(
                f"{self.path}:{line}: contains NUL bytes; expected a CSV file in {encoding.upper()}: if it is UTF-16, "
                "set dataset.encoding: utf-16-le or utf-16-be"
            )
        # Excel's own first line, which names the delimiter; an empty line is left, so that lines keep their numbers.
        first = rb"\A(\xef\xbb\xbf)?\"?(?i:sep)=[^\r\n]{1,2}\"?(?=[\r\n])"
        self._content, self._num_delimiter_lines = re.subn(first, rb"\1", content)
        # Files that were joined have byte-order marks further down, which are no part of what the lines begin with.
        self._content = self._content.replace(b"\n" + codecs.BOM_UTF8, b"\n")

    def where(self, line: int = 0) -> str:
        """Return the name of a line in messages; 0 is the file."""
        return f"{self.path}:{line}" if line else str(self.path)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield every row with the line that it begins in. Empty lines are left out; in a file of one column, an empty
        line between two others is an empty value. Where spaces are the delimiter, so are tabs, and several count as
        one. The column of row names that R's `write.table` leaves out of the header is a column without a name, and so
        is the empty one after a delimiter at the end of each line but the header; one at the end of the header alone is
        nothing.

        Raises:
            DataError: A quote that is never closed, or that is followed by more than a delimiter.
        """
        rows = self._rows()
        first = [*itertools.islice(rows, FIRST_ROWS)]
        if self.format.columns is None and first:
            line, header = first[0]
            if _lacks_row_names(*(row for _, row in first)):
                first[0] = line, ["", *header]
            elif _lacks_last(*(row for _, row in first)):
                first[0] = line, [*header, ""]
            elif header[-1:] == [""] and {len(row) for _, row in first[1:]} == {len(header) - 1}:
                first[0] = line, header[:-1]
        yield from first
        yield from rows

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        csv.field_size_limit(MAX_FIELD)
        # utf-8-sig: a byte-order mark is no part of the first column's name. newline="": a line ends at \n, \r or
        # \r\n; other characters that Unicode calls line ends stand in fields.
        stream = io.TextIOWrapper(io.BytesIO(self._content), "utf-8-sig", newline="")
        delimiter = self.format.delimiter
        lines = (line.replace("\t", " ") for line in stream) if delimiter == " " else stream
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)
        begins, width, empty = 1, 0, list[int]()
        try:
            for row in reader:
                if delimiter == " ":  # columns are aligned with more than one
                    row = [cell for cell in row if cell]
                if begins <= self._num_delimiter_lines:
                    pass
                elif len(row) < 2 and not "".join(row).strip():
                    empty.append(begins)
                else:
                    width = width or len(row)
                    if width == 1:
                        yield from ((line, [""]) for line in empty)
                    empty.clear()
                    yield begins, row
                begins = reader.line_num + 1
        except csv.Error as cause:
            why = "a quote is not closed" if "unexpected end" in str(cause) else one_line(cause)
            twice = 'twice, not as \\"' if rb"\"" in self._content else "twice"
            raise DataError(
                f"{self.path}:{begins}: not CSV ({why}); in a quoted field, write a quote {twice}"
            ) from cause


def _lacks_row_names(header: list[str], *rows: list[str]) -> bool:
    """Return whether each row has one field more than the header: a name of its own, or its number, at the beginning.

    A delimiter at the end of each line leaves the last field empty. Below a title there are names, not numbers.
    """
    if len(header) < 2 or not rows or any(len(row) != len(header) + 1 for row in rows):
        return False
    names = [row[0].strip() for row in rows]
    are_names = len({*names}) == len(names) and all(as_number(name) is None for name in names)
    is_table = any(as_number(cell) is not None for cell in rows[0][1:]) and any(row[-1].strip() for row in rows)
    return is_table and (are_names or names == [str(place) for place in range(1, len(rows) + 1)])


def _lacks_last(header: list[str], *rows: list[str]) -> bool:
    """Return whether each row has one field more than the header, an empty one at its end."""
    return bool(rows) and all(len(row) == len(header) + 1 and not row[-1].strip() for row in rows)


def content_of(path: Path) -> bytes:
    """Return the bytes of a text file, unpacked where gzip, bzip2 or xz has compressed it.

    Raises:
        DataError: It cannot be read, or is of a kind that holds no text.
    """
    try:
        content = path.read_bytes()
        if opened := next((each for start, each in _COMPRESSED.items() if content.startswith(start)), None):
            most = max(SMALL_BYTES, MAX_INFLATION * len(content))
            with opened(io.BytesIO(content)) as packed:
                content = packed.read(most + 1)
            if len(content) > most:
                raise DataError(f"{path}: inflates to more than {most >> 20} MB; not read")
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as cause:
        raise DataError(f"{path}: cannot be read ({one_line(cause)}); expected a CSV file") from cause
    first = content[:MAX_START].removeprefix(codecs.BOM_UTF8).lstrip()
    kinds = [kind for start, kind in _OTHER_FILES.items() if content.startswith(start)]
    kinds += [kind for start, kind in _OTHER_TEXTS if re.match(start, first)]
    if kinds:
        raise DataError(f"{path}: {kinds[0]}")
    return content


def other_delimiter(cells: Sequence[str], written: str, fits: Callable[[list[str]], bool]) -> str | None:
    """Return the delimiter that would split a line, now split at `written`, into columns that fit, or None."""
    for delimiter in DELIMITERS:
        found = [cell.strip(' "') for cell in written.join(cells).split(delimiter)]
        if delimiter != written and len(found) > 1 and fits(found):
            return delimiter
    return None


def as_number(text: str, decimal: str = ".") -> float | None:
    """Return the finite number in a field, or None if it is not one.

    Python also takes `1_000`, and digits of other scripts, for numbers; other programs do not.
    """
    text = text.strip()
    if decimal != ".":
        text = text.replace(".", "?").replace(decimal, ".")
    value = None if "_" in text or not text.isascii() else float_of(text)
    return value if value is not None and math.isfinite(value) else None


def float_of(text: str) -> float | None:
    """Return what Python takes for a number in a text, also infinity and NaN, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def number(text: str, where: str, decimal: str = ".") -> float:
    """Return a field as a finite number.

    Raises:
        MissingValueError: With `where`: nothing there, a word for nothing, or infinity.
        DataError: A text.
    """
    value = as_number(text, decimal)
    if value is None:
        is_missing, problem = why_no_number(text, decimal)
        raise (MissingValueError if is_missing or is_infinite(text) else DataError)(f"{where}: {problem}")
    return value


def why_no_number(text: str, decimal: str = ".") -> tuple[bool, str]:
    """Return whether a value is missing, and the problem of a field that is not a finite number."""
    text = text.strip()
    if text.lower() in MISSING:
        found = f"found {text!r}, a missing value" if text else "missing value"
        return True, f"{found}; fill it in or remove the row"
    found = f"found {text[:40]!r}, expected a"
    if is_infinite(text):
        return False, f"{found} finite number; correct it or remove the row"
    hints = [hint for pattern, hint in _HINTS if re.fullmatch(pattern, text, re.ASCII)]
    if hint := next((hint for hint in hints if f"decimal: '{decimal}'" not in hint), ""):
        return False, f"{found} number; {hint}"
    strange = [character for character in text if not character.isascii()]
    if strange and any(character.isdigit() for character in text):
        return False, f"{found} number in ASCII characters (U+{ord(strange[0]):04X} is not)"
    return False, f"{found} number"


def is_infinite(text: str) -> bool:
    """Return whether a text is a number without end, or too large for a float."""
    value = float_of(text)
    return value is not None and math.isinf(value)


class Problems:
    """What is wrong with a file: the first place of each kind, and how many places there are.

    A table may lack its values in forty columns: all are reported at once, but no more than a screen shows.
    """

    MOST = 10

    def __init__(self, where: str) -> None:
        self.where = where
        self._found: dict[tuple[int, str], tuple[str, int]] = {}
        self._all_missing = True

    def add(self, column: int, text: str, *, is_missing: bool = False, kind: str = "", count: int = 1) -> None:
        """Note a problem of a column (-1: of whole rows), unless one of its kind is known.

        Infinity counts as missing, too: no number stands there.
        """
        first, known = self._found.get((column, kind), (text, 0))
        self._found[column, kind] = (first, known + count)
        self._all_missing = self._all_missing and is_missing

    def count(self, column: int, kind: str) -> int:
        """Return the number of problems of a kind in a column."""
        return self._found.get((column, kind), ("", 0))[1]

    def columns(self) -> list[int]:
        """Return the columns that have problems."""
        return sorted({column for column, _ in self._found if column >= 0})

    def raise_all(self, advice: str = "") -> None:
        """Raise an error with one line per problem, and the advice at the end of the last one.

        Raises:
            MissingValueError: Values are missing, and nothing else is wrong.
            DataError: There is a problem.
        """
        if not self._found:
            return
        found = [self._found[key] for key in sorted(self._found)]
        lines = [f"{text} ({count} such rows)" if count > 1 else text for text, count in found]
        more = [f"{self.where}: and {len(lines) - self.MOST} more columns"] if len(lines) > self.MOST else []
        error = MissingValueError if self._all_missing else DataError
        *others, last = [*lines[: self.MOST], *more]
        raise error([*others, last + advice])
