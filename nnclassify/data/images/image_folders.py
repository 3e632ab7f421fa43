"""Finds the splits and classes of a folder of images.

There are three layouts: root/train/<class>/, with optional root/test/<class>/ and root/val/<class>/; root/<class>/;
and root/<class>/train/, with optional root/<class>/test/ and root/<class>/val/. A folder is recognized by its name,
in any case, and by whether it contains folders: a folder `train` that contains images, next to `bus` and `car`, is a
class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.folder_checks import (
    EXPECTED,
    IMAGE_NAMES,
    letters_of,
    no_class_folder,
    refuse_annotations,
    refuse_divisions,
    refuse_groups,
    refuse_one_around_all,
    refuse_splits,
    refuse_versions,
)
from nnclassify.data.images.image_listing import (
    Listing,
    clean_name,
    entries,
    files_in,
    identity,
    is_left_out,
    is_system,
    kind_of,
    list_images,
    look_alike,
    name_within,
    passed_over,
    subfolders,
)
from nnclassify.data.labels import grouped
from nnclassify.data.split_names import is_unlabeled, split_and_rest, split_of
from nnclassify.data.splitting import Labels
from nnclassify.errors import DataError, counted, shell_command, some
from nnclassify.files.paths import is_folder

TRAINING = "training folder"
"""What has the classes that a test or validation folder may have, for messages."""


@dataclass(frozen=True)
class SplitFolder:
    """The images of one split.

    Attributes:
        root: Folder of the split, or the file that lists it.
        paths: The files, in folders sorted by class.
        targets: Class indices, `(N,)`.
    """

    root: Path
    paths: FileList
    targets: Labels


@dataclass(frozen=True)
class Layout:
    """The splits and classes found in a folder of images.

    Attributes:
        class_names: The classes, in the order of their indices.
        splits: The images of `train`, and of `test` and `validation` if there are such folders.
        notes: What was skipped or interpreted, one line each.
        missing: Files that should be there and are not, each with what is wrong.
    """

    class_names: list[str]
    splits: dict[str, SplitFolder]
    notes: list[str]
    missing: dict[Path, str] = field(default_factory=dict)


@dataclass
class _Roles:
    """The folders under root, sorted into splits and others."""

    root: Path
    splits: dict[str, Path] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_layout(root: Path, validation: str | None) -> Layout:
    """Find the splits and classes of a folder of images.

    Args:
        root: The folder.
        validation: The validation folder relative to root, if the config names one.

    Raises:
        DataError: There is no class, an empty class, a test class without training images, or an ambiguous layout.
    """
    roles = _roles(root, validation)
    train_root = roles.splits.get("train", root)
    folders = class_folders(train_root, roles.others if train_root == root else None, roles.notes)
    if not folders:
        raise no_class_folder(train_root)
    refuse_annotations(train_root, folders)
    refuse_divisions(train_root, folders)
    refuse_splits(train_root, folders)
    alike = [names for names in grouped({name: look_alike(name) for name in folders}) if len(names) > 1]
    roles.notes += [f"classes {' and '.join(names)} differ only in case, spaces or spelling" for names in alike]
    found = {"train": {name: list_images(folder, root) for name, folder in folders.items()}}
    empty = [name for name, listing in found["train"].items() if not listing.paths]
    refuse_one_around_all(train_root, folders, empty)
    _leave_out_copies(root, train_root, folders, found["train"], roles.notes)
    inner = {name: {*files.folders} for name, files in found["train"].items() if not files.num_beside}
    refuse_versions(train_root, inner)
    if len(inner) == len(folders):
        refuse_groups(train_root, inner)
    for name, listing in found["train"].items():
        refuse_annotations(folders[name], {inner: folders[name] / inner for inner in listing.folders})
    if roles.splits:
        found |= {
            split: _classes_of(path, root, list(folders), roles.notes, TRAINING)
            for split, path in roles.splits.items()
            if split != "train"
        }
    else:
        found |= _splits_within(root, folders, found["train"])
    if empty:
        others = "".join(f" ({text})" for text in passed_over([found["train"][empty[0]]]))
        raise DataError(f"{folders[empty[0]]}: empty class{others}; add images, or remove the folder")
    for split, classes in found.items():
        if split != "train":
            _note_missing(roles.splits.get(split, root), f"{split} " * (not roles.splits), classes, roles.notes)
    return _layout(list(folders), roles, found)


def _leave_out_copies(
    root: Path, within: Path, folders: dict[str, Path], found: dict[str, Listing], notes: list[str]
) -> None:
    """Leave out folders that contain the classes next to them again, as in archives that hold their content twice.

    Args:
        root: The folder that paths are relative to.
        within: The folder of the classes.
        folders: The class folders.
        found: Their images.
        notes: List to which lines are appended.

    Raises:
        DataError: Such a folder contains other images than these classes.
    """
    for name, listing in [*found.items()]:
        again = [inner for inner in listing.folders if inner in found and inner != name]
        if len(again) < 2:
            continue
        inside, beside = (len(name_within(root, path / "_")) - 1 for path in (folders[name], within))
        originals = {file[beside:] for inner in again for file in found[inner].paths.names()}
        if not {file[inside:] for file in listing.paths.names()} <= originals:
            raise DataError(
                f"{folders[name]}: contains folders {some(again)}, like the classes next to it, with other images; "
                f"move it away, or train on it alone: {shell_command('train', folders[name])}"
            )
        notes.append(f"{folders[name]}: not used: it holds images of {some(again)} again, which are next to it")
        del folders[name], found[name]


def find_labeled(root: Path, class_names: list[str]) -> Layout:
    """Find the images of a folder in the classes of a trained network; a class may have none, and so may `train`.

    Raises:
        DataError: There is no class folder, or a folder is not one of the classes.
    """
    roles = _roles(root, None)
    folders: dict[str, tuple[Path, list[Path] | None]] = {name: (path, None) for name, path in roles.splits.items()}
    if "train" not in folders and roles.others:
        within = _unwrapped(root, roles.notes)
        folders["train"] = (root, roles.others) if within == root else (within, None)
    if not folders:
        raise DataError(
            f"{root}: no class folder; expected one folder of images per class: {some(class_names, 10)}; to classify "
            "images without labels, use `nnclassify predict`"
        )
    found = {
        name: _classes_of(path, root, class_names, roles.notes, "trained network", chosen)
        for name, (path, chosen) in folders.items()
    }
    return _layout(class_names, roles, {"train": {}, **found})


def _classes_of(
    within: Path,
    root: Path,
    class_names: list[str],
    notes: list[str],
    owner: str,
    chosen: Sequence[Path] | None = None,
) -> dict[str, Listing]:
    """Return the images of a folder by class, for classes that are known.

    Args:
        within: The folder of the classes.
        root: The folder that paths are relative to.
        class_names: The known classes.
        notes: List to which lines are appended; see `class_folders`.
        owner: What has these classes, for the message.
        chosen: The folders in it that are classes; None for all.

    Raises:
        DataError: A folder is not one of the classes.
    """
    folders = class_folders(within, chosen, notes, class_names)
    found: dict[str, Listing] = {name: Listing(FileList.of(root, [])) for name in class_names}
    unknown: list[Path] = []
    for name, folder in folders.items():
        same = [known for known in class_names if known.casefold() == name.casefold()]
        if name not in class_names and (len(same) != 1 or same[0] in folders):
            unknown.append(folder)
            continue
        known = name if name in class_names else same[0]
        if known != name:
            notes.append(f"{folder}: used as class {known}, whose name differs in case")
        found[known] = list_images(folder, root)
    if unknown:
        advice = f": rename or remove them{', or add training images' * (owner == TRAINING)}"
        kind = "not a class" if len(unknown) == 1 else "not classes"
        raise DataError(f"{some(unknown)}: {kind} of the {owner}; expected {some(class_names, 10)}{advice}")
    return found


def _splits_within(root: Path, folders: dict[str, Path], found: dict[str, Listing]) -> dict[str, dict[str, Listing]]:
    """Return the images of classes that contain the splits, by split and class; nothing if no class does.

    Raises:
        DataError: Some classes contain splits, and others, or the same ones, contain other images.
    """
    inner = {name: _split_folders(folders[name], listing.folders) for name, listing in found.items()}
    if not any(inner.values()):
        return {}
    splits = sorted({split for parts in inner.values() for split in parts})
    example = next(path for parts in inner.values() for path in parts.values())
    for name, listing in found.items():
        others = [folder for folder in listing.folders if folders[name] / folder not in inner[name].values()]
        if "train" not in inner[name] or others or listing.num_beside:
            raise DataError(
                f"{example}: a split within a class, but not all images of {folders[name]} are in folders such as "
                f"train, val and test; move them there, or use {EXPECTED}"
            )
    nothing = FileList.of(root, [])
    return {
        split: {
            name: list_images(parts[split], root) if split in parts else Listing(nothing)
            for name, parts in inner.items()
        }
        for split in splits
    }


def _split_folders(folder: Path, names: list[str]) -> dict[str, Path]:
    """Return the folders that are splits by their names, by split; two for the same one are refused."""
    found: dict[str, Path] = {}
    for name in names:
        if (split := split_of(name)) is not None:
            if split in found:
                raise DataError(f"{found[split]} and {folder / name}: two folders for the same split; keep one")
            found[split] = folder / name
    return found


def _note_missing(root: Path, kind: str, classes: dict[str, Listing], notes: list[str]) -> None:
    """Note the classes without images in the test or validation split; refuse a split without any images."""
    if missing := [name for name, listing in classes.items() if not listing.paths]:
        if len(missing) == len(classes):
            raise DataError(f"{root / missing[0]}: no images, here or in any other class; add some, or remove {root}")
        notes.append(f"{root}: no {kind}images of class {', '.join(missing)}; the metrics cover the other classes only")


def _layout(class_names: list[str], roles: _Roles, found: dict[str, dict[str, Listing]]) -> Layout:
    """Join the images of the classes of each split, and note what was skipped or interpreted."""
    root, splits = roles.root, dict[str, SplitFolder]()
    for split, classes in found.items():
        paths = FileList.joined(root, [listing.paths for listing in classes.values()])
        counts = np.array([len(listing.paths) for listing in classes.values()], dtype=np.int64)
        targets = np.repeat(np.arange(len(counts)), counts)
        splits[split] = SplitFolder(roles.splits.get(split, root), paths, targets)
    listings = [listing for classes in found.values() for listing in classes.values()]
    deeper = [folder for listing in listings for folder in listing.deeper]
    return Layout(class_names, splits, [*roles.notes, *_nested(root, listings, deeper), *passed_over(listings)])


def _nested(root: Path, listings: Sequence[Listing], deeper: Sequence[Path]) -> list[str]:
    """Return notes on images in folders within class folders."""
    if not deeper:
        return []
    notes = [f"{root}: images in {counted(len(deeper), 'folder')} within class folders ({some(deeper)}) are used"]
    in_all = set.intersection(*({folder.name for folder in listing.deeper} for listing in listings))
    if len(listings) > 1 and len(in_all) > 1:
        notes.append(
            f"{root}: every class folder contains folders {some(sorted(in_all))}; if these are the classes, move them "
            f"to {root}/<class>"
        )
    return notes


def _roles(root: Path, validation: str | None) -> _Roles:
    """Sort the folders under root into splits and others."""
    roles = _Roles(root)
    named = subfolders(root)
    split_at = _splits_by_name(named)
    for path in named:
        split = split_at.get(path)
        if split is None or (validation is not None and path == root / validation):
            roles.others.append(path)
        elif _has_classes(path):
            if split in roles.splits:
                raise DataError(f"{roles.splits[split]} and {path}: two folders for the same split; keep one")
            roles.splits[split] = _unwrapped(path, roles.notes)
        else:
            roles.others.append(path)
    if validation is not None:
        roles.splits["validation"] = root / validation
        roles.others = [path for path in roles.others if path != root / validation]
        if not is_folder(roles.splits["validation"]):
            raise DataError(f"{root / validation}: no such folder; expected one folder of images per class")
    _settle(roles, split_at)
    if roles.splits and (beside := files_in(root)):
        roles.notes.append(
            f"{root}: {counted(len(beside), 'file')} next to the split folders not used ({some(beside)})"
        )
    return roles


def _splits_by_name(folders: Sequence[Path]) -> dict[Path, str]:
    """Return the split of each folder that is named after one: `train`, or `seg_train` next to `seg_test`."""
    if found := {path: split for path in folders if (split := split_of(path.name)) is not None}:
        return found
    alike: dict[tuple[str, ...], dict[Path, str]] = {}
    for path in folders:
        if (parts := split_and_rest(path.name)) is not None and subfolders(path):
            split, rest = parts
            alike.setdefault(rest, {})[path] = split
    groups = [paths for paths in alike.values() if len(paths) > 1 and "train" in paths.values()]
    return groups[0] if len(groups) == 1 else {}


def _has_classes(folder: Path) -> bool:
    """Return whether the folder of a split has class folders; one of all images, such as `test/images/`, is none."""
    within = subfolders(folder)
    if len(within) != 1 or subfolders(within[0]):
        return bool(within)
    return within[0].name != folder.name and letters_of(within[0].name) not in IMAGE_NAMES


def _unwrapped(folder: Path, notes: list[str]) -> Path:
    """Return the folder with the classes of a split: archives unpack into `train/train/<class>/`."""
    within = subfolders(folder)
    if len(within) != 1 or within[0].name != folder.name or not subfolders(within[0]):
        return folder
    notes.append(f"{folder}: its classes are in {within[0]}")
    return within[0]


def _settle(roles: _Roles, split_at: Mapping[Path, str]) -> None:
    """Decide about, and note, folders that are neither a split with classes nor an ordinary class.

    Args:
        roles: The folders.
        split_at: The split that folders are named after.
    """
    namesakes = [path for path in roles.others if path in split_at]
    others = [path for path in roles.others if path not in namesakes]
    if "train" in roles.splits:
        train = roles.splits["train"]
        if others and len(roles.splits) + len(namesakes) == 1 and any(list_images(path).paths for path in others):
            raise DataError(
                f"{train}: contains folders and is next to {some(others)}; if it is a class, move its images "
                "out of their folders, otherwise move the other folders away"
            )
        roles.notes += [f"{path}: next to {train}, not used" for path in others]
        roles.notes += [
            f"{path}: not used: it has no class folders, so its images have no labels" for path in namesakes
        ]
    elif namesakes:
        if not others:
            raise no_class_folder(next((path for path in namesakes if split_at[path] == "train"), namesakes[0]))
        roles.notes += [
            f"{path}: used as a class named {path.name}, since it contains no folders; a split would be "
            f"{path.name}/<class>/"
            for path in namesakes
        ]


def class_folders(
    root: Path, chosen: Sequence[Path] | None, notes: list[str], known: Sequence[str] = ()
) -> dict[str, Path]:
    """Return the class folders of a split by class name, sorted, and note what else the split contains.

    Args:
        root: Folder of the split.
        chosen: The folders in it that are classes; None for all.
        notes: List to which lines on skipped files and folders are appended.
        known: Classes that are known, and are used whatever their names.

    Raises:
        DataError: Two folders have the same name or are the same folder, or a link is broken.
    """
    found: list[Path] = []
    beside: list[Path] = []
    hidden: list[Path] = []
    for entry in entries(root):
        path, kind = root / entry.name, kind_of(entry)
        if is_system(entry.name) or (kind == "folder" and is_left_out(path)):
            hidden += [path] if kind == "folder" else []
            continue
        if kind == "dangling":
            raise DataError(f"{path}: a broken link; fix or remove it")
        if kind != "folder":
            beside.append(path)
        elif chosen is None or path in chosen:
            found.append(path)
    if beside:
        notes.append(f"{root}: {counted(len(beside), 'file')} next to the class folders not used ({some(beside)})")
    if hidden:
        notes.append(f"{root}: {counted(len(hidden), 'hidden or system folder')} not used ({some(hidden)})")
    return _named_apart([path for path in found if _is_class(path, known, notes)])


def _is_class(folder: Path, known: Sequence[str], notes: list[str]) -> bool:
    """Return whether a folder is a class; note if its name says that its images have no labels."""
    name = clean_name(folder.name)
    if name in known or not is_unlabeled(name):
        return True
    notes.append(f"{folder}: not used: by its name, its images have no labels; if it is a class, rename it")
    return False


def _named_apart(folders: list[Path]) -> dict[str, Path]:
    """Return folders by class name, sorted; refuse two that are the same, or whose names look the same."""
    by_name: dict[str, Path] = {}
    places: dict[tuple[int, int], Path] = {}
    for folder in sorted(folders, key=lambda folder: clean_name(folder.name)):
        name, place = clean_name(folder.name), identity(folder)
        if name in by_name:
            raise DataError(
                f"{by_name[name]} and {folder}: names that differ only in surrounding spaces or in how accents are "
                "written; rename one, or merge them"
            )
        if place in places:
            raise DataError(f"{places[place]} and {folder}: two classes, but the same folder; remove one of the links")
        by_name[name], places[place] = folder, folder
    return by_name
