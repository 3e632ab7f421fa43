"""Images whose classes, and splits if it says so, are listed in a CSV file: columns file, label and split."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from nnclassify.data.csv_rows import DELIMITERS, CsvFile, CsvFormat, Problems
from nnclassify.data.file_list import FileList
from nnclassify.data.image_folders import Layout, SplitFolder
from nnclassify.data.image_listing import TEXTS, is_system, list_images, passed_over
from nnclassify.data.labels import classes_of
from nnclassify.data.split_names import divisions, split_of
from nnclassify.data.table_files import open_table
from nnclassify.errors import DataError, counted, some

COLUMNS = {
    "file": ("file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path", "image_id", "id"),
    "label": ("label", "labels", "class", "class_name", "target", "category", "y"),
    "split": ("split", "set", "subset", "partition"),
}
"""Names of the columns, in any case; the first that is there is used."""
TRAIN_FILES = ("labels", "train_labels", "training_labels", "trainlabels")
"""What the CSV file of the training images is called, apart from `train`."""


_IMAGE = re.compile(r"(?i).+\.(jpe?g|png|gif|bmp|tiff?|webp|heic)")


class _Row(NamedTuple):
    """A row of the CSV file: its line, the file relative to the root, its label and its split."""

    line: int
    name: str
    label: str
    split: str


def labeled_layout(root: Path, path: Path, *, skip_missing: bool, needs_train: bool = True) -> Layout:
    """Find the images that a CSV file lists, with their classes and splits.

    Args:
        root: The folder that the files are relative to.
        path: The CSV file.
        skip_missing: Return the files that are not there in `Layout.missing`, instead of raising an error.
        needs_train: Whether some of them must be for training.

    Raises:
        DataError: The CSV file cannot be read, or a row is wrong; or a file is missing.
    """
    rows, notes = _read(path)
    listing = list_images(root)
    if others := [other for other in listing.passed_over.pop(TEXTS, []) if other != path]:
        listing.passed_over[TEXTS] = others
    rows, missing = _resolve(root, path, rows, set(listing.paths.names()), notes)
    _refuse_twice(path, rows)
    if missing and not skip_missing:
        raise DataError(_all_missing(missing))
    known = {row.name for row in rows}
    if unlisted := [name for name in listing.paths.names() if name not in known and root / name != path]:
        notes.append(f"{root}: {counted(len(unlisted), 'image')} that {path} does not list not used ({some(unlisted)})")
    classes = classes_of(Counter(row.label for row in rows))
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
        raise DataError(f"{path}: no training images; expected train in column split, or no such column")
    notes = [*(f"{path}: {note}" for note in classes.notes), *notes, *passed_over([listing])]
    return Layout(classes.names, splits, notes, missing)


def label_file(root: Path) -> Path | None:
    """Return the CSV file next to images that are not in class folders: the only one, or the one for training next to
    others, as competitions have them; None if there is no such file, or no image."""
    files = sorted(root.glob("*.csv"))
    if len(files) > 1:
        files = [file for file in files if split_of(file.stem) == "train" or file.stem.lower() in TRAIN_FILES]
    folders = [path for path in root.iterdir() if path.is_dir() and not is_system(path.name)]
    parts = divisions(folder.name for folder in folders)
    of_training = [
        folder for folder in folders if split_of(folder.name) in (None, "train") and folder.name not in parts
    ]
    is_flat = len(of_training) < 2 and not any(path.is_dir() for folder in folders for path in folder.iterdir())
    return files[0] if len(files) == 1 and is_flat and list_images(root).paths else None


def lists_images(path: Path) -> bool:
    """Return whether a table lists images with their labels: has these columns, and a file that is there."""
    try:
        names = [row.name for row in _read(path)[0][:MAX_NAMED]]
    except DataError:
        return False
    folders = [path.parent, *(folder for folder in path.parent.iterdir() if folder.is_dir())][:MAX_NAMED]
    some_names = [f"{name}{ending}" for name in names for ending in ("", ".jpg", ".jpeg", ".png")]
    return any((folder / name).is_file() for folder in folders for name in some_names)


def _read(path: Path) -> tuple[list[_Row], list[str]]:
    """Read the rows, and note what was recognized; raise an error with one line per problem."""
    table, _, notes = open_table(path, CsvFormat(), ("delimiter", "decimal"))
    rows = table.rows()
    header = next(rows, (1, []))[1]
    delimiter = next((sign for sign in DELIMITERS if len(header) == 1 and sign in header[0]), None)
    if isinstance(table, CsvFile) and delimiter is not None:
        rows = table.with_format(replace(table.format, delimiter=delimiter)).rows()
        header = next(rows)[1]
    first = [*itertools.islice(rows, 1)]
    places = _places(path, header, first[0][1] if first else ())
    found, problems = list[_Row](), Problems(str(path))
    for line, row in itertools.chain(first, rows):
        if len(row) != len(header):
            problems.add(-1, f"{path}:{line}: {len(row)} values, expected {len(header)}", kind="width")
            continue
        cells = {kind: row[place].strip() for kind, place in places.items()}
        for kind, cell in cells.items():
            if not cell:
                problems.add(places[kind], f"{path}:{line}: column {header[places[kind]]!r} is empty")
        split = split_of(cells.get("split", "train"))
        if split is None and cells["split"]:
            expected = f"{path}:{line}: found {cells['split']!r}, expected train, validation or test"
            problems.add(places["split"], expected, kind=cells["split"])
        name = PurePosixPath(cells["file"].replace("\\", "/")).as_posix()
        found.append(_Row(line, name, cells["label"], split or ""))
    problems.raise_all()
    return found, notes


def _refuse_twice(path: Path, rows: Iterable[_Row]) -> None:
    """Reject a file that is listed twice: it might be in two splits."""
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.name, row.line) != row.line:
            raise DataError(f"{path}:{row.line}: {row.name} is also in line {first[row.name]}; keep one of them")


def _places(path: Path, header: Sequence[str], first: Sequence[str]) -> dict[str, int]:
    """Return the position of each kind of column in the header; those of files and labels must be there."""
    plain = [name.strip().casefold().replace(" ", "_").replace("-", "_") for name in header]
    places = {
        kind: next(plain.index(name) for name in names if name in plain)
        for kind, names in COLUMNS.items()
        if not set(names).isdisjoint(plain)
    }
    if len(header) == 2:
        places |= _of_two_columns(places.get("file"), first)
    if lacking := [kind for kind in ("file", "label") if kind not in places]:
        raise DataError(
            f"{path}:1: no column {' and no column '.join(lacking)}; expected file,label or file,label,split, found "
            f"{some(header, 10) or 'nothing'}"
        )
    return places


def _of_two_columns(file: int | None, first: Sequence[str]) -> dict[str, int]:
    """Return the positions of files and labels, given that of files; None: it is that of an image's name in the first
    row, whatever the column is called, if there is just one."""
    images = [place for place, cell in enumerate(first) if _IMAGE.fullmatch(cell.strip())]
    file = images[0] if file is None and len(images) == 1 else file
    return {} if file is None else {"file": file, "label": 1 - file}


def _resolve(
    root: Path, path: Path, rows: list[_Row], present: set[str], notes: list[str]
) -> tuple[list[_Row], dict[Path, str]]:
    """Return the rows with the names of their files as they are on disk, and what is wrong with those that are missing.

    Names match whatever the form of their accents, and without their ending or with letters in another case, as on
    other systems, if no other file has that name.
    """
    unknown = {row for row in rows if row.name not in present and not (root / row.name).is_file()}
    if unknown and len(unknown) == len(rows) and (folder := _folder_of(rows[0].name, present)) is not None:
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


def _folder_of(name: str, present: Iterable[str]) -> str | None:
    """Return the only folder that contains a file, whose name may lack its ending; None if there is not just one."""
    form = re.compile(rf"(.+)/{re.escape(name)}(\.[^./]+)?", re.I)
    found = {match[1] for other in present if (match := form.fullmatch(other))}
    return found.pop() if len(found) == 1 else None


MAX_NAMED = 20
"""Missing files to name individually; each has a line of its own."""


def _all_missing(missing: dict[Path, str]) -> list[str]:
    lines = list(missing.values())
    more = f" ({len(lines)} such files)" if len(lines) > 1 else ""
    *others, last = lines[:MAX_NAMED]
    return [*others, f"{last}{more}; correct dataset.labels or dataset.root, or set dataset.on_bad_file: skip"]
