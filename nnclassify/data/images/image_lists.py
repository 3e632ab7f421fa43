"""Reads lists of images: CSV files with columns file, label and split, by other names, or without a header."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from nnclassify.data.images.folder_checks import letters_of
from nnclassify.data.labels import missing_labels
from nnclassify.data.split_names import split_of
from nnclassify.data.tables.csv_rows import DELIMITERS, CsvFile, CsvFormat, Problems, TextRows, as_number
from nnclassify.data.tables.table_files import open_table
from nnclassify.errors import DataError, shell_command, some

COLUMNS = {
    "file": (
        *("file", "filename", "filepath", "fname", "path", "image", "imagepath", "imagename", "imagefile", "imageid"),
        *("img", "imgpath", "imgname", "imgid", "photo", "picture", "id", "idcode"),
    ),
    "label": ("label", "labels", "class", "classname", "classid", "target", "category", "species", "diagnosis", "y"),
    "split": ("split", "set", "subset", "partition", "usage"),
}
"""Names of the columns in letters alone, in any case; the first that is there is used."""
_IMAGE = re.compile(r"(?i).+\.(jpe?g|png|gif|bmp|tiff?|webp|heic)")
_NUMBERED_ROWS = 50
"""Rows of a list without a header that tell whether a column numbers them."""
_HOT = {"1": True, "1.0": True, "0": False, "0.0": False}
"""The values of one-hot columns."""


class _Columns(NamedTuple):
    """The columns of a list: their names, the position of each kind of column, and those of one-hot classes."""

    names: list[str]
    places: dict[str, int]
    one_hot: Sequence[int] = ()


class ListedImage(NamedTuple):
    """A row of the CSV file: its line, the file relative to the root, its label and its split."""

    line: int
    name: str
    label: str
    split: str


def read_list(path: Path, label: str | None) -> tuple[list[ListedImage], list[str]]:
    """Return the images that a list names, and what was recognized.

    Args:
        path: The list.
        label: Its column of classes; None: the one with a usual name, or those that are one-hot.

    Raises:
        DataError: It cannot be read, or a row is wrong; the message has a line for each problem.
    """
    found, notes, problems = look_at_list(path, label)
    problems.raise_all()
    return found, notes


def look_at_list(path: Path, label: str | None) -> tuple[list[ListedImage], list[str], Problems]:
    """Return what `read_list` does, also of rows in which something is wrong, and what that is. Rows of delimiters
    alone are left out.

    Raises:
        DataError: It cannot be read, or has no columns of images and classes.
    """
    table, _, notes = open_table(path, CsvFormat(), ("delimiter", "decimal"))
    columns, rows = _columns_and_rows(path, table, label, notes)
    found, problems = list[ListedImage](), Problems(str(path))
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns.names):
            problems.add(-1, f"{path}:{line}: {len(row)} values, expected {len(columns.names)}", kind="width")
            continue
        cells = {kind: row[place].strip() for kind, place in columns.places.items()}
        for kind, cell in cells.items():
            if why := _problem(kind, cell, columns.names[columns.places[kind]]):
                problems.add(columns.places[kind], f"{path}:{line}: {why}", kind=cell)
        if columns.one_hot:
            hot = [columns.names[place] for place in columns.one_hot if _HOT.get(row[place].strip())]
            if len(hot) != 1:
                why = f"{len(hot)} of the classes {some([columns.names[place] for place in columns.one_hot])}"
                problems.add(-1, f"{path}:{line}: {why}; expected one", kind="one-hot")
            cells["label"] = next(iter(hot), "")
        found.append(
            ListedImage(line, _path(cells["file"]), cells["label"], split_of(cells.get("split", "train")) or "")
        )
    return found, notes, problems


def _path(text: str) -> str:
    """Return a path as it is written on Linux, and with the drive of Windows in upper case."""
    path = PurePosixPath(text.replace("\\", "/")).as_posix()
    return path[0].upper() + path[1:] if path[1:3] == ":/" else path


def _problem(kind: str, cell: str, column: str) -> str:
    """Return what is wrong with a cell of a kind of column; empty if nothing is."""
    if not cell:
        return f"column {column!r} is empty"
    if kind == "label" and missing_labels([cell]):
        advice = "fill it in, remove the row, or rename the class"
        return f"column {column!r}: {cell!r} looks like a missing label; {advice}"
    return f"found {cell!r}, expected train, validation or test" if kind == "split" and split_of(cell) is None else ""


def _columns_and_rows(
    path: Path, table: TextRows, label: str | None, notes: list[str]
) -> tuple[_Columns, Iterable[tuple[int, list[str]]]]:
    """Return the columns and the rows; note what was recognized, and which columns are not used. Without a header, the
    columns are numbered."""
    line, header, rows, delimiter = _header(table)
    first = [*itertools.islice(rows, _NUMBERED_ROWS)]
    if any(_IMAGE.fullmatch(cell.strip()) for cell in header):
        first = [(line, header), *first]
        if delimiter == " " and _IMAGE.fullmatch(header[-2]):
            rows, first = map(_joined, rows), [*map(_joined, first)]
        columns = _without_header(path, [row for _, row in first])
        read = ", ".join(f"column {place + 1} as {kind}" for kind, place in columns.places.items())
        notes.append(f"{path}: no header line; read {read}")
    else:
        columns = _with_header(path, header, first[0][1] if first else (), label)
        if (split := _split_place(columns, [row for _, row in first])) is not None:
            columns.places["split"] = split
        if delimiter == " " and len(header) == 2 and columns.places["file"] == 0:
            rows, first = map(_joined, rows), [*map(_joined, first)]
    used = {*columns.places.values(), *columns.one_hot}
    if columns.one_hot:
        notes.append(f"{path}: one-hot classes: {some([columns.names[place] for place in columns.one_hot], 10)}")
    if unused := [name for place, name in enumerate(columns.names) if name.strip() and place not in used]:
        notes.append(f"{path}: columns not used: {some(unused, 10)}")
    return columns, itertools.chain(first, rows)


def _joined(row: tuple[int, list[str]]) -> tuple[int, list[str]]:
    """Return a row of a file and its label, where spaces that separate columns stand in the file's name too."""
    line, cells = row
    return line, [" ".join(cells[:-1]), *cells[-1:]]


def _header(table: TextRows) -> tuple[int, list[str], Iterator[tuple[int, list[str]]], str]:
    """Return the first row with its line, the other rows, and the delimiter, which divides the first row."""
    formats = [table]
    if isinstance(table, CsvFile):
        formats = [table.with_format(replace(table.format, delimiter=sign)) for sign in (",", *DELIMITERS)]
    for written in formats:
        with contextlib.suppress(DataError):  # quotes that another delimiter follows
            rows = written.rows()
            line, header = next(rows, (1, []))
            if len(header) > 1:
                return line, header, rows, written.format.delimiter
    rows = table.rows()
    return *next(rows, (1, [])), rows, table.format.delimiter


def _with_header(path: Path, header: Sequence[str], first: Sequence[str], label: str | None) -> _Columns:
    """Return the columns that a header names; those of files and labels must be there.

    Args:
        path: The list.
        header: Its first row.
        first: The row below.
        label: The column of classes, if it is known.
    """
    names = [name.strip() for name in header]
    plain = [letters_of(name) for name in names]
    places = {
        kind: next(plain.index(name) for name in usual if name in plain)
        for kind, usual in COLUMNS.items()
        if not set(usual).isdisjoint(plain)
    }
    if label is not None and label not in names:
        raise DataError(f"{path}:1: no column {label!r} (dataset.label); columns: {some(names, 20)}")
    if label is not None:
        places["label"] = names.index(label)
    if len(names) == 2:
        places |= _of_two_columns(places.get("file"), first)
    others = [place for place in range(min(len(names), len(first))) if place not in places.values()]
    hot = [_HOT.get(first[place].strip()) for place in others]
    if "file" in places and "label" not in places and len(hot) > 1 and None not in hot and hot.count(True) == 1:
        return _Columns(names, places, others)
    if lacking := [kind for kind in ("file", "label") if kind not in places]:
        table = shell_command("train", path, "--label", "COLUMN")
        advice = f"rename the columns; if this line is an image and its class, add a header line; for a table, {table}"
        advice = "name the column of classes: dataset.label=COLUMN" if "file" in places else advice
        raise DataError(
            f"{path}:1: no column {' and no column '.join(lacking)}; expected file,label or file,label,split, found "
            f"{some(names, 10) or 'nothing'}: {advice}"
        )
    return _Columns(names, places)


def _split_place(columns: _Columns, rows: Sequence[Sequence[str]]) -> int | None:
    """Return the position of a column of another name whose cells in some rows all name splits, several of them, or one
    in a column that is called like splits (`split_type`); None if there is none, or it has a usual name."""
    used = {*columns.places.values(), *columns.one_hot}
    for place, name in enumerate(columns.names):
        if place in used or "split" in columns.places:
            continue
        found = {split_of(row[place]) for row in rows if len(row) > place}
        if "train" in found and None not in found and (len(found) > 1 or "split" in name.lower()):
            return place
    return None


def _without_header(path: Path, rows: Sequence[Sequence[str]]) -> _Columns:
    """Return the columns of a list whose first line is an image: the label is in the only other column, apart from one
    that numbers the rows, or in the only one of words."""
    row = [cell.strip() for cell in rows[0]]
    found = {
        "file": [place for place, cell in enumerate(row) if _IMAGE.fullmatch(cell)],
        "split": [place for place, cell in enumerate(row) if split_of(cell)],
    }
    labels = [place for place in range(len(row)) if place not in (*found["file"], *found["split"])]
    if len(labels) > 1:
        cells = {place: [other[place] for other in rows if len(other) == len(row)] for place in labels}
        words = [place for place in labels if any(as_number(cell) is None for cell in cells[place])]
        repeated = [place for place in labels if len({*cells[place]}) < len(cells[place])]
        labels = next((few for few in (words, repeated) if len(few) == 1), labels)
    found["label"] = labels
    if len(found["file"]) != 1 or len(labels) != 1 or len(found["split"]) > 1:
        raise DataError(
            f"{path}:1: no header line, and not one image and one label in {some(row, 10)}; add a header line: "
            "file,label or file,label,split"
        )
    names = [str(place + 1) for place in range(len(row))]
    return _Columns(names, {kind: places[0] for kind, places in found.items() if places})


def _of_two_columns(file: int | None, first: Sequence[str]) -> dict[str, int]:
    """Return the positions of files and labels, given that of files; None: it is that of an image's name in the first
    row, whatever the column is called, if there is just one."""
    images = [place for place, cell in enumerate(first) if _IMAGE.fullmatch(cell.strip())]
    file = images[0] if file is None and len(images) == 1 else file
    return {} if file is None else {"file": file, "label": 1 - file}
