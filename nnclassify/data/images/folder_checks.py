"""Refuses folders that are not one folder of images per class, and says what they seem to be."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nnclassify.data.images.image_listing import TEXT_ENDINGS, files_in, subfolders
from nnclassify.data.split_names import divisions, is_version, split_and_rest, split_of
from nnclassify.data.suspected_groups import MIN_GROUPS, is_group_column
from nnclassify.errors import DataError, counted, shell_command, some

EXPECTED = "root/train/<class>/ and root/test/<class>/, or root/<class>/; or images that dataset.labels lists"
IMAGE_NAMES = {"images", "image", "imgs", "img", "jpegimages", "leftimg8bit"}
ANNOTATION_NAMES = {
    *("annotations", "annotation", "annots", "labels", "masks", "mask", "segmentations", "segmentation", "bboxes"),
    *("segmentationclass", "segmentationobject", "groundtruth", "gt", "gts", "gtfine", "gtcoarse", "trimaps"),
}
"""Folders of a dataset for object detection or segmentation, in lower case and letters alone: images, and what is where
in them."""

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
TABLES = (".csv", ".tsv", ".parquet", ".npz")
LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".xls", ".mat", ".labels")
"""Endings of files that may hold images, be data of their own, or list images with their classes."""
MANY_GROUPS = 20
"""Folders that are called by numbers alone are not classes but groups, such as patients, only if they are so many."""
SAVE = "save both by numpy.savez('data.npz', x=..., y=...), and give data.npz"
DOWNLOADED = {
    "data_batch_1.bin": f"CIFAR-10 in binary: rows = numpy.fromfile(FILE, 'uint8').reshape(-1, 3073); the labels are "
    f"rows[:, 0], and the images rows[:, 1:].reshape(-1, 3, 32, 32); {SAVE}",
    "fine_label_names.txt": f"CIFAR-100 in binary: rows = numpy.fromfile(FILE, 'uint8').reshape(-1, 3074); the labels "
    f"are rows[:, 1], and the images rows[:, 2:].reshape(-1, 3, 32, 32); {SAVE}",
    "train_X.bin": f"STL-10: the labels are numpy.fromfile('train_y.bin', 'uint8') - 1, and the images numpy.fromfile("
    f"'train_X.bin', 'uint8').reshape(-1, 3, 96, 96).swapaxes(2, 3); {SAVE}",
    "_32x32.mat": f"SVHN: found = scipy.io.loadmat(FILE); the labels are found['y'].ravel() % 10, and the images "
    f"found['X'].transpose(3, 0, 1, 2); {SAVE}",
    "-idx3-ubyte": "MNIST: nnclassify train mnist_cnn dataset.root=FOLDER, which contains MNIST/raw/",
    "data_batch_1": "CIFAR-10: nnclassify train cifar_cnn dataset.root=FOLDER, which contains cifar-10-batches-py/",
}
"""What names of files are part of, and what reads these datasets."""


def refuse_one_around_all(root: Path, folders: dict[str, Path], empty: Sequence[str]) -> None:
    """Reject a root whose only class with images contains folders: archives often unpack into extra folders, and have
    others for lists and notes.

    Args:
        root: The folder that contains the classes.
        folders: The class folders.
        empty: Those without images.
    """
    only = [path for name, path in folders.items() if name not in empty]
    if len(only) == 1 and (inner := with_folders(only[0])) is not None:
        others = f"; no images in {some(empty)}" if empty else ""
        raise DataError(
            f"{root}: only one class ({only[0].name}), which contains folders; did you mean {inner}?{others}"
        )


def with_folders(folder: Path) -> Path | None:
    """Return a folder, or the one that it is wrapped around, which contains several folders; None if there is none."""
    while len(within := subfolders(folder)) == 1:
        folder = within[0]
    return folder if within else None


def refuse_annotations(root: Path, folders: dict[str, Path]) -> None:
    """Reject images next to annotations or masks of them: their folders are no classes, and masks are no images."""
    by_name = {letters_of(name): path for name, path in folders.items()}
    images = {name: path for name, path in by_name.items() if name in IMAGE_NAMES or split_and_rest(path.name)}
    known = {*ANNOTATION_NAMES, *(f"{image}{kind}" for image in images for kind in ANNOTATION_NAMES)}
    if (others := [path for name, path in by_name.items() if name in known]) and images:
        first = next(iter(images.values()))
        inner = with_folders(first)
        instead = (
            where_classes_may_be(first, others[0]) if inner is None else f"; if {inner} contains the classes, give it"
        )
        raise DataError(
            f"{root}: {first.name} next to {others[0].name}, as in a dataset for object detection or segmentation; "
            f"expected one folder of images per class, and no others: {EXPECTED}{instead}"
        )


def letters_of(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]", "", name.casefold())


def refuse_splits(root: Path, folders: dict[str, Path]) -> None:
    """Reject folders that are named after a split and a class in one, such as `train_cats` and `test_cats`, and the
    folder of a split within that of another one."""
    if inner := next((path for path in folders.values() if split_of(path.name) and subfolders(path)), None):
        raise DataError(f"{inner}: a split by its name, within {root}; move it next to {root}, or rename the class")
    alike: dict[tuple[str, ...], dict[str, Path]] = {}
    for path in folders.values():
        if (parts := split_and_rest(path.name)) is not None:
            alike.setdefault(parts[1], {})[parts[0]] = path
    if several := next((paths for paths in alike.values() if len(paths) > 1), None):
        raise DataError(
            f"{root}: {some([path.name for path in several.values()])}: splits by their names, not classes; move the "
            f"images to {root}/<split>/<class>/, as in {root}/train/<class>/; if they are classes, rename them"
        )


def no_class_folder(root: Path) -> DataError:
    """Return the error for a folder of images, or of a split, without class folders: it names what it has instead."""
    expected = f"expected one folder of images per class: {EXPECTED}"
    files = files_in(root)
    tables = [path for path in files if path.suffix.lower() in TABLES]
    if tables and all(path.suffix.lower() in (*TABLES, *ARCHIVES, *LISTS, *TEXT_ENDINGS) for path in files):
        instead = f", but {some(tables)}: to train on a table, give it instead of the folder"
        return DataError(f"{root}: no class folder{instead}; {expected}")
    instead = f", but {counted(len(files), 'file')}" if files else ""
    return DataError(f"{root}: no class folder{instead}; {expected}{where_classes_may_be(root)}")


def where_classes_may_be(*folders: Path) -> str:
    """Return what may tell the classes of the images in folders, for a message: archives, and files that may list them;
    empty if there is nothing of the kind."""
    files = [path for folder in folders for path in files_in(folder)]
    if known := next((name for start, name in DOWNLOADED.items() if any(start in path.name for path in files)), None):
        return f"; for the files of {known}"
    if archives := [path for path in files if path.suffix.lower() in ARCHIVES]:
        return f"; unpack {some(archives)}"
    for folder in folders:
        if classes := _classes_in_names([path for path in files_in(folder) if path.suffix.lower() not in LISTS]):
            command = shell_command("train", folder, f"dataset.classes={_BEFORE_NUMBER.pattern}")
            return f"; if the names of the images tell their classes ({some(classes)}): {command}"
    lists = [path for path in files if path.suffix.lower() in LISTS]
    if readable := [path for path in lists if path.suffix.lower() in LISTS[:3]]:
        listed = f"if {some(readable)} lists the images with their classes, name it"
        return f"; {listed}: dataset.labels={readable[0]}"
    if lists:
        return f"; if {some(lists)} lists the images with their classes, write them to a CSV file: file,label"
    return ""


_BEFORE_NUMBER = re.compile(r"([^/]*?)[ _.-]*[0-9][^/]*$")
"""What stands before the first number in a file's name, as `cat` in `cat.0.jpg`."""


def _classes_in_names(images: Sequence[Path]) -> list[str]:
    """Return the words before the numbers in the names of all images, if they may be classes: two or more, of several
    images each, and not splits."""
    found = [match[1] for path in images if (match := _BEFORE_NUMBER.search(path.name)) is not None]
    words = sorted({*found})
    may_be = 2 <= len(words) <= len(images) / 2 and len(found) == len(images)
    are_words = all(any(map(str.isalpha, word)) and not split_and_rest(word) for word in words)
    return words if may_be and are_words else []


def refuse_divisions(root: Path, folders: dict[str, Path]) -> None:
    """Reject the numbered parts of a dataset, which are no classes."""
    if not (parts := divisions(folders)):
        return
    advice = f"name the table of their labels in dataset.labels, or move the images to {root}/<class>/"
    if all(subfolders(folders[part]) for part in parts):
        advice = f"merge them into {root}/<class>/ (dataset.folds is for cross-validation)"
    raise DataError(
        f"{root}: {some(parts)}: numbered parts of a dataset by their names, not classes; {advice}; if they are "
        "classes, rename them"
    )


def refuse_versions(root: Path, folders: dict[str, set[str]]) -> None:
    """Reject folders that are called like versions or splits of a dataset, and contain the same folders.

    Args:
        root: The folder that contains them.
        folders: The folders in each that contains nothing else, by name.
    """
    for first, second in itertools.combinations(folders, 2):
        same = sorted(folders[first] & folders[second])
        if len(same) > 1 and (is_version(first) or is_version(second)):
            raise DataError(
                f"{root}: {first} and {second} both contain folders {some(same)}, as versions or splits of one dataset "
                f"do, not as classes; give one of them ({shell_command('train', root / first)}), or move the images to "
                f"{root}/<class>/"
            )


def refuse_groups(root: Path, folders: dict[str, set[str]]) -> None:
    """Refuse folders that are called like groups, such as `patient12`, or are numbered and many, and contain folders
    that recur in others: these may be the classes.

    Args:
        root: The folder that contains them.
        folders: The folders in each that contains nothing else, by name.
    """
    groups = {name: inner for name, inner in folders.items() if is_group_name(name) and inner}
    times = Counter(itertools.chain.from_iterable(groups.values()))
    is_each = len(groups) >= MIN_GROUPS and len(groups) == len(folders)
    are_many = len(groups) >= MANY_GROUPS or not any(map(str.isdecimal, groups))
    if is_each and are_many and 2 <= len(times) <= len(groups) / 2:
        command = shell_command("train", root, "dataset.classes=([^/]+)/[^/]+$", "dataset.group=^([^/]+)/")
        raise DataError(
            f"{root}: {some([*groups])}: groups by their names, not classes, for they all contain folders such as "
            f"{some(sorted(times), 3)}; if these are the classes: {command}; if the groups are: "
            "dataset.classes='^([^/]+)/'"
        )


def is_group_name(name: str) -> bool:
    """Return whether a folder is called like one of many groups: `patient12`, `Subject_3`, or a number."""
    match = re.fullmatch(r"(.*?)[\W_]*\d+", name)
    return match is not None and (not match[1] or is_group_column(match[1]))
