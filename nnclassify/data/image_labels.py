"""Images whose classes, and splits if it says so, are listed in a CSV file: columns file, label and split."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from nnclassify.data.csv_rows import DELIMITERS, CsvFile, CsvFormat, Problems, TextRows, as_number
from nnclassify.data.file_list import FileList
from nnclassify.data.folder_checks import letters_of
from nnclassify.data.image_folders import Layout, SplitFolder
from nnclassify.data.image_listing import TEXTS, Listing, files_in, list_images, passed_over, subfolders
from nnclassify.data.labels import classes_of, label_notes, missing_labels, why_no_class
from nnclassify.data.path_groups import texts_in
from nnclassify.data.split_names import divisions, split_of
from nnclassify.data.table_files import open_table
from nnclassify.errors import DataError, counted, some

COLUMNS = {
    "file": (
        *("file", "filename", "filepath", "fname", "path", "image", "imagepath", "imagename", "imagefile", "imageid"),
        *("img", "imgpath", "imgname", "imgid", "photo", "picture", "id", "idcode"),
    ),
    "label": ("label", "labels", "class", "classname", "classid", "target", "category", "species", "diagnosis", "y"),
    "split": ("split", "set", "subset", "partition", "usage"),
}
"""Names of the columns in letters alone, in any case; the first that is there is used."""
TRAIN_FILES = ("labels", "train_labels", "training_labels", "trainlabels")
"""What the CSV file of the training images is called, apart from `train`."""
OTHER_LISTS = (".tsv", ".txt", ".lst")
"""Endings of files that list images in a folder without a CSV file, if their rows do."""


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


class _Row(NamedTuple):
    """A row of the CSV file: its line, the file relative to the root, its label and its split."""

    line: int
    name: str
    label: str
    split: str


def labeled_layout(
    root: Path, path: Path, label: str | None = None, *, skip_missing: bool, needs_train: bool = True
) -> Layout:
    """Find the images that a CSV file lists, with their classes and splits.

    Args:
        root: The folder that the files are relative to.
        path: The CSV file.
        label: Its column of classes; None: the one with a usual name, or those that are one-hot.
        skip_missing: Return the files that are not there in `Layout.missing`, instead of raising an error.
        needs_train: Whether some of them must be for training.

    Raises:
        DataError: The CSV file cannot be read, or a row is wrong; or a file is missing.
    """
    rows, notes = _read(path, label)
    listing = list_images(root)
    if others := [other for other in listing.passed_over.pop(TEXTS, []) if other != path]:
        listing.passed_over[TEXTS] = others
    present = set(listing.paths.names())
    rows, missing = _resolve(root, path, _moved(root, path, rows, present, notes), present, notes)
    _refuse_twice(path, rows)
    if missing and not skip_missing:
        raise DataError(_all_missing(missing))
    known = {row.name for row in rows}
    if unlisted := [name for name in listing.paths.names() if name not in known and root / name != path]:
        notes.append(f"{root}: {counted(len(unlisted), 'image')} that {path} does not list not used ({some(unlisted)})")
    return _layout(root, path, rows, listing, notes, missing, needs_train=needs_train)


def named_layout(root: Path, pattern: str, *, needs_train: bool = True) -> Layout:
    """Find the images of a folder whose paths tell their classes, as in `cat.0.jpg`, and, by their first folder, their
    splits.

    Args:
        root: The folder.
        pattern: A regular expression with a group, which matches the class in the path of each image.
        needs_train: Whether some of them must be for training.

    Raises:
        DataError: There is no image, or the path of one does not match.
    """
    listing, notes = list_images(root), list[str]()
    names = [*listing.paths.names()]
    if not names:
        raise DataError(f"{root}: no images; expected some whose paths tell their classes (dataset.classes)")
    labels = texts_in(names, pattern, "classes")
    splits = [split_of(name.partition("/")[0]) if "/" in name else None for name in names]
    rows = [_Row(0, name, label, split or "train") for name, label, split in zip(names, labels, splits, strict=True)]
    return _layout(root, root, rows, listing, notes, {}, needs_train=needs_train)


def _layout(
    root: Path,
    path: Path,
    rows: Sequence[_Row],
    listing: Listing,
    notes: list[str],
    missing: dict[Path, str],
    *,
    needs_train: bool,
) -> Layout:
    """Return the splits and classes of rows, which the file or folder at `path` tells, and what is to be noted."""
    classes = classes_of(Counter(row.label for row in rows))
    why, is_refused = why_no_class(classes.names, len(rows)) if needs_train else ("", False)
    if is_refused:
        raise DataError(f"{path}: labels: {why}")
    there = [row for row in rows if root / row.name not in missing]
    splits = {
        split: SplitFolder(
            path,
            FileList.of(root, [row.name for row in chosen]),
            np.array([classes.index[row.label] for row in chosen], dtype=np.int64),
        )
        for split in ("train", "validation", "test")
        if (chosen := [row for row in there if row.split == split]) or split == "train"
    }
    if needs_train and not len(splits["train"].paths):
        raise DataError(f"{path}: no training images; expected train in column split, or no such column or folder")
    on_classes = [*classes.notes, *label_notes(classes.names), *filter(None, [why])]
    notes = [*(f"{path}: {note}" for note in on_classes), *notes, *passed_over([listing])]
    return Layout(classes.names, splits, notes, missing)


def label_file(root: Path, label: str | None = None) -> Path | None:
    """Return the CSV file next to images that are not in class folders: the only one, or the one for training next to
    others, as competitions have them, or the only one that lists images, with this label column; without one, a file
    with another ending that lists images. None if there is no such file, or no image."""
    beside = [path for path in files_in(root) if "submission" not in path.stem.lower()]
    files = [path for path in beside if path.suffix.lower() == ".csv"]
    files = files or [path for path in beside if path.suffix.lower() in OTHER_LISTS and lists_images(path, label)]
    if len(files) > 1:
        of_training = [file for file in files if split_of(file.stem) == "train" or file.stem.lower() in TRAIN_FILES]
        files = of_training or [file for file in files if lists_images(file, label)]
    if len(files) != 1:
        return None
    folders = [folder for folder in subfolders(root) if list_images(folder).paths]
    parts = divisions(folder.name for folder in folders)
    of_training = [
        folder for folder in folders if split_of(folder.name) in (None, "train") and folder.name not in parts
    ]
    has_train = any(split_of(folder.name) for folder in of_training)  # what is next to it is no class either
    is_flat = (has_train or len(of_training) < 2) and not any(subfolders(folder) for folder in folders)
    is_flat = is_flat or label is not None  # folders are no classes where a column is
    return files[0] if is_flat and (folders or list_images(root).paths) else None


def lists_images(path: Path, label: str | None = None) -> bool:
    """Return whether a table lists images with their labels: has these columns (see `labeled_layout`), and a file that
    is there, in the folder of the table or within two folders in it."""
    try:
        names = [
            row.name for row in _read_rows(path, label)[0][:MAX_NAMED]
        ]  # also of a list in which something is wrong
    except DataError:
        return False
    below = [folder for folder in path.parent.iterdir() if folder.is_dir()][:MAX_NAMED]
    folders = [path.parent, *below, *(inner for folder in below for inner in folder.iterdir() if inner.is_dir())]
    folders = folders[: 2 * MAX_NAMED]
    files = functools.cache(_files_in)
    ends = [Path(*parts[start:]) for parts in (Path(name).parts for name in names) for start in range(len(parts))]
    return any(
        _plain(f"{end.name}{ending}") in files(folder / end.parent)
        for folder, end, ending in itertools.product(folders, ends, ("", ".jpg", ".jpeg", ".png"))
    )


def _files_in(folder: Path) -> set[str]:
    """Return the names of the files in a folder as `_plain` writes them; nothing if there is no such folder."""
    try:
        return {_plain(path.name) for path in folder.iterdir() if path.is_file()}
    except OSError:
        return set()


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _read(path: Path, label: str | None) -> tuple[list[_Row], list[str]]:
    """Read the rows, and note what was recognized; raise an error with one line per problem."""
    found, notes, problems = _read_rows(path, label)
    problems.raise_all()
    return found, notes


def _read_rows(path: Path, label: str | None) -> tuple[list[_Row], list[str], Problems]:
    """Read the rows, note what was recognized, and collect what is wrong. Rows of delimiters alone are left out."""
    table, _, notes = open_table(path, CsvFormat(), ("delimiter", "decimal"))
    columns, rows = _columns_and_rows(path, table, label, notes)
    found, problems = list[_Row](), Problems(str(path))
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
        found.append(_Row(line, _path(cells["file"]), cells["label"], split_of(cells.get("split", "train")) or ""))
    return found, notes, problems


def _path(text: str) -> str:
    """Return a path as it is written on Linux, and with the drive of Windows in upper case."""
    path = PurePosixPath(text.replace("\\", "/")).as_posix()
    return path[0].upper() + path[1:] if path[1:2] == ":" else path


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


def _refuse_twice(path: Path, rows: Iterable[_Row]) -> None:
    """Reject a file that is listed twice: it might be in two splits."""
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.name, row.line) != row.line:
            raise DataError(f"{path}:{row.line}: {row.name} is also in line {first[row.name]}; keep one of them")


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
        advice = "name the column of classes: dataset.label=COLUMN" if "file" in places else "rename the columns"
        raise DataError(
            f"{path}:1: no column {' and no column '.join(lacking)}; expected file,label or file,label,split, found "
            f"{some(names, 10) or 'nothing'}: {advice}"
        )
    return _Columns(names, places)


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


def _moved(root: Path, path: Path, rows: list[_Row], present: set[str], notes: list[str]) -> list[_Row]:
    """Return the rows with names relative to the root, also where the list was written for another place of it, such
    as `C:/Users/me/photos`: a folder that all names begin with, and without which the first one is found."""
    place = root.absolute()
    rows = [
        row._replace(name=Path(row.name).relative_to(place).as_posix()) if Path(row.name).is_relative_to(place) else row
        for row in rows
    ]
    parts = zip(*(row.name.split("/")[:-1] for row in rows), strict=False)
    common = [names[0] for names in itertools.takewhile(lambda names: len({*names}) == 1, parts)]
    for folder in ("/".join([*common[:number], ""]) for number in range(len(common) + 1)):
        first = rows[0].name.removeprefix(folder)
        if not (root / first).is_file() and not any(map(_form(first).fullmatch, present)):
            continue
        if folder:
            notes.append(f"{path}: the files are listed in {folder}, and taken from {root}")
        return [row._replace(name=row.name.removeprefix(folder)) for row in rows]
    return rows


def _form(name: str) -> re.Pattern[str]:
    """Return the form of paths of a file in any folder, or in none; its name may lack its ending."""
    return re.compile(rf"(?:(.+)/)?{re.escape(name)}(\.[^./]+)?", re.I)


def _resolve(
    root: Path, path: Path, rows: list[_Row], present: set[str], notes: list[str]
) -> tuple[list[_Row], dict[Path, str]]:
    """Return the rows with the names of their files as they are on disk, and what is wrong with those that are missing.

    Names match whatever the form of their accents, and without their ending or with letters in another case, as on
    other systems, if no other file has that name.
    """
    unknown = {row for row in rows if row.name not in present and not (root / row.name).is_file()}
    own = path.parent.relative_to(root).as_posix() if path.is_relative_to(root) else ""
    if unknown and len(unknown) == len(rows) and (folder := _folder_of(rows[0].name, present, own)) is not None:
        parts = divisions(sorted({name.rpartition("/")[0] for name in present}))
        folders = parts if folder in parts else [folder]
        notes.append(f"{path}: the files are in {some([str(root / each) for each in folders])}")
        return _resolve(root, path, _within(folders, rows, present), present, notes)
    written: dict[str, list[str]] = {}
    for name in present if unknown else ():
        composed = unicodedata.normalize("NFC", name)
        written.setdefault(composed, []).append(name)
        written.setdefault(composed.rpartition(".")[0] + ".*", []).append(name)
        written.setdefault(f"/{composed.casefold()}", []).append(name)
    resolved, missing, differ = list[_Row](), dict[Path, str](), Counter[str]()
    for row in rows:
        name = unicodedata.normalize("NFC", row.name)
        forms = {name: "", f"{name}.*": "without the ending of the name", f"/{name.casefold()}": "in another case"}
        form = next((form for form in forms if form in written), name)
        found = written.get(form, [])
        if row in unknown and len(found) == 1:
            differ[forms[form]] += 1
            resolved.append(row._replace(name=found[0]))
            continue
        if row in unknown:
            why = f"several files have this name: {some(sorted(found))}" if found else "no such file"
            missing[root / row.name] = f"{path}:{row.line}: {root / row.name}: {why}"
        resolved.append(row)
    notes += [f"{path}: {counted(number, 'file')} listed {how}" for how, number in differ.items() if how]
    return resolved, missing


def _within(folders: Sequence[str], rows: Iterable[_Row], present: Iterable[str]) -> list[_Row]:
    """Return rows with names in the only folder, or in that of numbered parts of a dataset which alone has the file."""
    if len(folders) == 1:
        return [row._replace(name=f"{folders[0]}/{row.name}") for row in rows]
    found: dict[str, set[str]] = {}
    for name in present:
        folder, _, file = name.rpartition("/")
        for form in {file.casefold(), file.casefold().rpartition(".")[0]} if folder in folders else ():
            found.setdefault(form, set()).add(folder)
    places = [found.get(row.name.casefold(), set()) for row in rows]
    return [
        row._replace(name=f"{min(place)}/{row.name}") if len(place) == 1 else row
        for row, place in zip(rows, places, strict=True)
    ]


def _folder_of(name: str, present: Iterable[str], own: str) -> str | None:
    """Return the folder that contains a file, whose name may lack its ending: that of the list, or else the only one;
    None if there are several."""
    found = {match[1] for match in map(_form(name).fullmatch, present) if match and match[1]}
    if own in found:
        return own
    return found.pop() if len(found) == 1 else None


MAX_NAMED = 20
"""Missing files to name individually; each has a line of its own."""


def _all_missing(missing: dict[Path, str]) -> list[str]:
    lines = list(missing.values())
    more = f" ({len(lines)} such files)" if len(lines) > 1 else ""
    *others, last = lines[:MAX_NAMED]
    return [*others, f"{last}{more}; correct dataset.labels or dataset.root, or set dataset.on_bad_file: skip"]
