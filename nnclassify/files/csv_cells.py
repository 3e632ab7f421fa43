"""CSV files with names that others gave: no name breaks a line, or is run by a spreadsheet."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from nnclassify.errors import printable
from nnclassify.files.atomic_write import write_whole
from nnclassify.files.paths import content_of

_FORMULA = ("=", "+", "-", "@")
"""Characters with which a formula starts in a spreadsheet."""


def cell(name: str) -> str:
    """Return a name on one line, with an apostrophe in front if a spreadsheet would run it as a formula."""
    shown = printable(name)
    begins = unicodedata.normalize("NFKC", shown[:1])  # some spreadsheets accept full-width signs too
    return f"'{shown}" if begins in _FORMULA and not _are_numbers(shown) else shown


def name_in(text: str) -> str:
    """Return the name that `cell` wrote, without the apostrophe for spreadsheets."""
    return text[1:] if text.startswith("'") and cell(text[1:]) == text else text


def _are_numbers(text: str) -> bool:
    try:
        return all(float(part) is not None for part in text.split(","))
    except ValueError:
        return False


def read_csv(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a CSV file that `write_csv` wrote; nothing if it is missing or cannot be read."""
    try:
        text = content_of(path).decode()
        yield from csv.reader(io.StringIO(text, newline=""))
    except (OSError, ValueError, csv.Error):
        return


def write_csv(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows to a CSV file, which is there whole or not at all; they are taken one at a time.

    Raises:
        SaveError: It could not be written; the file before is untouched.
    """

    def write(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        text.detach()

    write_whole(path, write)
