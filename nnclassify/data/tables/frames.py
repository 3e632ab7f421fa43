"""Tables that are no text files, data frames and Parquet files, as the rows of text that their CSV file would have."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nnclassify.data.tables.csv_rows import CsvFormat
from nnclassify.errors import DataError, one_line

AT_ONCE = 10_000
"""Rows of a Parquet file that are held as Python objects."""


class FrameRows:
    """The rows of a data frame, as its own CSV file would have them: numbers keep all their digits.

    Args:
        name: What to call it in messages.
        columns: The names of its F columns.
        cells: Its cells `(N, F)`.
    """

    has_names: ClassVar[bool] = True

    def __init__(self, name: str, columns: Iterable[object], cells: Any) -> None:
        self.name = name
        self.format = CsvFormat()
        self._columns = [str(column) for column in columns]
        self._cells = np.asarray(cells, dtype=object)

    @classmethod
    def of(cls, name: str, frame: Any) -> FrameRows:
        """Return the rows of an object with named columns that NumPy reads, such as a table of pandas or polars."""
        return cls(name, getattr(frame, "column_names", frame.columns), frame)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the names of the columns, then every row."""
        yield 1, self._columns
        for row, cells in enumerate(self._cells):
            yield row + 2, [text_of(cell) for cell in cells]

    def where(self, line: int = 0) -> str:
        """Return the name of the frame, or of one of its rows; the first row is row 0."""
        return f"{self.name}[{line - 2}]" if line > 1 else self.name


SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.parquet")
"""The name of a part of a table, as Hugging Face writes them: `train-00000-of-00002.parquet`."""


def shards_of(path: Path) -> list[Path]:
    """Return the parts of a table in order, if a path such as `data/train-*.parquet` names them; else none.

    Raises:
        DataError: Some parts are not there.
    """
    if not path.name.endswith("-*.parquet"):
        return []
    names = [(part, SHARD.fullmatch(part.name)) for part in sorted(path.parent.glob(path.name))]
    found = [(part, match) for part, match in names if match is not None]
    wanted = {int(match[3]) for _, match in found}
    if found and wanted != {len(found)}:
        raise DataError(f"{path}: {len(found)} parts of {max(wanted)}, by their names; expected all of one table")
    return [part for part, _ in found]


class ParquetRows:
    """The rows of a Parquet file, or of its parts (see `shards_of`); messages call the first row line 2, as in its CSV
    file.

    Raises:
        DataError: It cannot be read, or pyarrow is not installed.
    """

    has_names: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        try:
            from pyarrow import ArrowException, concat_tables, parquet
        except ImportError as cause:
            raise DataError(
                f"{path}: pyarrow is not installed; run: pip install 'nnclassify[parquet]', or save the table as CSV"
            ) from cause
        self.path = path
        self.format = CsvFormat()
        try:
            tables = []
            for part in shards_of(path) or [path]:
                with parquet.ParquetFile(part) as file:
                    _refuse_images(part, file)
                    tables.append(file.read())
            self._table = concat_tables(tables)
        except (ArrowException, OSError) as cause:
            raise DataError(f"{path}: cannot be read ({one_line(cause)}); expected a Parquet file") from cause

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the names of the columns, then every row."""
        yield 1, [str(name) for name in self._table.column_names]
        batches = self._table.to_batches(AT_ONCE)
        rows = (zip(*(column.to_pylist() for column in batch.columns), strict=True) for batch in batches)
        for line, cells in enumerate(itertools.chain.from_iterable(rows), 2):
            yield line, [text_of(cell) for cell in cells]

    def where(self, line: int = 0) -> str:
        """Return the name of the file, or of one of its rows."""
        return f"{self.path}:{line}" if line else str(self.path)


def _refuse_images(path: Path, file: Any) -> None:
    """Refuse columns of bytes that are no text, such as the encoded images of a dataset of Hugging Face.

    Raises:
        DataError: There is such a column.
    """
    for batch in itertools.islice(file.iter_batches(1), 1):
        for name, cell in batch.to_pylist()[0].items():
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            if isinstance(content, bytes) and b"\0" in content:
                at = "['bytes']" if isinstance(cell, dict) else ""
                raise DataError(
                    f"{path}: column {name!r} holds encoded images or other bytes; write each image, "
                    f"row[{name!r}]{at} of pyarrow.parquet.read_table(...).to_pylist(), into a file in a folder "
                    "that is named after its class, and give the folder that contains these"
                )


def text_of(cell: Any) -> str:
    """Return a value as the text in a CSV file: empty for None, all digits of a number, hours such as `26:30:00` of a
    duration; bytes are UTF-8, as some programs write texts to Parquet."""
    if cell is None:
        return ""
    if isinstance(cell, timedelta) and cell.days >= 0:
        hours, rest = divmod(timedelta(cell.days, cell.seconds, cell.microseconds), timedelta(hours=1))
        return f"{hours}{str(rest)[1:]}"
    if isinstance(cell, bytes):
        return cell.decode(errors="backslashreplace")
    return repr(float(cell)) if isinstance(cell, float | np.floating) else str(cell)
