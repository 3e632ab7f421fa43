"""Refuses folders that are not one folder of images per class, and says what they seem to be."""

from __future__ import annotations

import re
from pathlib import Path

from nnclassify.data.image_listing import TEXT_ENDINGS, files_in, subfolders
from nnclassify.data.split_names import divisions, split_and_rest, split_of
from nnclassify.errors import DataError, counted, some

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
LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".xls")
"""Endings of files that may hold images, be data of their own, or list images with their classes."""


def refuse_one_around_all(root: Path, folders: dict[str, Path]) -> None:
    """Reject a root whose only class contains folders: archives often unpack into extra folders."""
    if len(folders) > 1:
        return
    only = inner = next(iter(folders.values()))
    while len(within := subfolders(inner)) == 1:
        inner = within[0]
    if within:
        raise DataError(f"{root}: only one class ({only.name}), which contains folders; did you mean {inner}?")


def refuse_annotations(root: Path, folders: dict[str, Path]) -> None:
    """Reject images next to annotations or masks of them: their folders are no classes, and masks are no images."""
    by_name = {letters_of(name): path for name, path in folders.items()}
    images = {name: path for name, path in by_name.items() if name in IMAGE_NAMES or split_and_rest(path.name)}
    known = {*ANNOTATION_NAMES, *(f"{image}{kind}" for image in images for kind in ANNOTATION_NAMES)}
    if (others := [path for name, path in by_name.items() if name in known]) and images:
        first = next(iter(images.values()))
        raise DataError(
            f"{root}: {first.name} next to {others[0].name}, as in a dataset for object detection or segmentation; "
            f"expected one folder of images per class, and no others: {EXPECTED}"
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
    if archives := [path for path in files if path.suffix.lower() in ARCHIVES]:
        return f"; unpack {some(archives)}"
    lists = [path for path in files if path.suffix.lower() in LISTS]
    if readable := [path for path in lists if path.suffix.lower() in LISTS[:3]]:
        listed = f"if {some(readable)} lists the images with their classes, name it"
        return f"; {listed}: dataset.labels={readable[0]}"
    if lists:
        return f"; if {some(lists)} lists the images with their classes, write them to a CSV file: file,label"
    return ""


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
