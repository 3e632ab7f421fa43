"""Images whose classes, and splits if it says so, are listed in a file, or told by the paths of the images."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.image_folders import Layout, SplitFolder
from nnclassify.data.images.image_listing import TEXTS, Listing, files_in, list_images, passed_over, subfolders
from nnclassify.data.images.image_lists import ListedImage, look_at_list, read_list
from nnclassify.data.images.path_groups import texts_in
from nnclassify.data.labels import classes_of, label_notes, why_no_class
from nnclassify.data.split_names import divisions, split_of
from nnclassify.errors import DataError, counted, some

TRAIN_FILES = ("labels", "train_labels", "training_labels", "trainlabels")
"""What the CSV file of the training images is called, apart from `train`."""
OTHER_LISTS = (".tsv", ".txt", ".lst")
"""Endings of files that list images in a folder without a CSV file, if their rows do."""


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
    rows, notes = read_list(path, label)
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
    rows = [
        ListedImage(0, name, label, split or "train") for name, label, split in zip(names, labels, splits, strict=True)
    ]
    return _layout(root, root, rows, listing, notes, {}, needs_train=needs_train)


def _layout(
    root: Path,
    path: Path,
    rows: Sequence[ListedImage],
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
    try:  # rows are read also of a list in which something is wrong
        names = [row.name for row in look_at_list(path, label)[0][:MAX_NAMED]]
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


def _refuse_twice(path: Path, rows: Iterable[ListedImage]) -> None:
    """Reject a file that is listed twice: it might be in two splits."""
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.name, row.line) != row.line:
            raise DataError(f"{path}:{row.line}: {row.name} is also in line {first[row.name]}; keep one of them")


def _moved(root: Path, path: Path, rows: list[ListedImage], present: set[str], notes: list[str]) -> list[ListedImage]:
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
    root: Path, path: Path, rows: list[ListedImage], present: set[str], notes: list[str]
) -> tuple[list[ListedImage], dict[Path, str]]:
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
    resolved, missing, differ = list[ListedImage](), dict[Path, str](), Counter[str]()
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


def _within(folders: Sequence[str], rows: Iterable[ListedImage], present: Iterable[str]) -> list[ListedImage]:
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
