"""Which files and folders are data, and the config that suits them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nnclassify.config.suggest.chosen_columns import NONE_CHOSEN, ChosenColumns
from nnclassify.config.suggest.document import Suggestion
from nnclassify.config.yaml_reader import YamlSource, read_text
from nnclassify.errors import InputError, shell_command, some
from nnclassify.files.paths import is_folder, is_regular, unreadable

TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
COMPRESSED_ENDINGS = ("", ".gz", ".bz2", ".xz")
TABLE_ENDINGS = (*(text + end for text in TEXT_ENDINGS for end in COMPRESSED_ENDINGS), ".parquet", ".pq")
ARRAY_ENDING = ".npz"
SAVE = "write inputs and labels by numpy.savez('data.npz', x=..., y=...)"
IMAGE_ENDINGS = ".jpg .jpeg .png .gif .bmp .tif .tiff .webp .heic"
OTHER_KINDS = {
    ".zip .tar .tgz .tar.gz .tar.bz2 .tar.xz .7z .rar": "an archive; unpack it, and give the folder or the table",
    ".xlsx .xls .xlsm .ods .numbers": "a workbook; save its sheet as CSV",
    ".npy": "one array; put inputs and targets into an .npz as x and y, or write a config with dataset: "
    "{name: tensors, ...}",
    ".pt .pth": "a file of torch.save; if it is a tensor of inputs or of targets, write a config with dataset: "
    f"{{name: tensors, ...}}; if it holds both, read it with torch.load, and {SAVE}; weights are no data",
    ".mat": f"a MATLAB file; read it with scipy.io.loadmat, and {SAVE}",
    ".h5 .hdf5": f"an HDF5 file; read it with h5py, and {SAVE}",
    ".tfrecord .tfrecords": f"records of TensorFlow; read them with tensorflow_datasets.as_numpy, and {SAVE}",
    ".bin": f"bytes without a description; read them with numpy.fromfile and reshape, and {SAVE}",
    ".json .jsonl .ndjson .arff .feather .arrow .orc .pkl .pickle .rds .rdata .sav .dta .sqlite .db "
    ".html .htm .xml .safetensors .idx -ubyte -ubyte.gz": "a format that is not read; convert it to CSV, Parquet or "
    ".npz",
    ".zst .lz4 .z": "compressed in a way that is not read; unpack it first",
    IMAGE_ENDINGS: "one image; expected a folder with one subfolder per class",
}
"""What files of other kinds are, and what to do with them, by their endings."""
EXPECTED = "expected a folder with one subfolder per class, a .csv, .tsv or .parquet, or an .npz"
FORMAT = ("delimiter", "decimal", "encoding", "columns")
"""Options that say how a table is written."""
RUN_FILES = ("config.yaml", "last.pt", "best.pt")
"""What tells a run folder from a folder of images."""


def is_data(path: str) -> bool:
    """Return whether a path is a folder, a table or an .npz file, by its name; a run folder is not data.

    Raises:
        InputError: The path cannot be looked at.
    """
    location = Path(path)
    if not path:
        return False
    if is_folder(location):
        return not (_has_any(location, RUN_FILES) or runs_within(location))
    return path.lower().endswith((*TABLE_ENDINGS, ARRAY_ENDING)) and is_regular(location)


def runs_within(folder: Path) -> list[str]:
    """Return the names of the subfolders that contain a checkpoint, in order: a folder of runs is not data either.

    Raises:
        InputError: The folder cannot be read.
    """
    checkpoints = [name for name in RUN_FILES if name.endswith(".pt")]
    try:
        subfolders = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as cause:
        raise unreadable(folder, cause) from cause
    return [name for name in subfolders if _has_any(folder / name, checkpoints)]


def _has_any(folder: Path, names: Iterable[str]) -> bool:
    """Return whether a folder has one of the files; False if it cannot be looked at: `Path.exists` raises an error."""
    return any(os.path.exists(folder / name) for name in names)  # noqa: PTH110


def other_kind(path: str) -> str | None:
    """Return what a file that is neither data nor a config is, and what to do with it; None if its ending is new."""
    return next((kind for ends, kind in OTHER_KINDS.items() if path.lower().endswith((*ends.split(),))), None)


def _why_no_data(path: str) -> str:
    """Return why a path is no data that is read, and what to do."""
    if "://" in path:
        return "an address; download it, and give the file or folder"
    is_there = not path or os.path.exists(path)  # noqa: PTH110
    return other_kind(path) or "no such file or folder; " * (not is_there) + EXPECTED


def suggest(
    path: str,
    label: str | list[str] | None = None,
    stated: Mapping[str, Any] = MappingProxyType({}),
    chosen: ChosenColumns = NONE_CHOSEN,
) -> Suggestion:
    """Look at a user's data, and suggest a config that trains on them.

    Args:
        path: A folder of images or of .npy files, a table or an .npz file.
        label: The label column of a table, or of a list of images; a list for multi-hot targets. Default: the only
            candidate.
        stated: What is known of how a table is written, by the options of `FORMAT`, or the `labels` or
            `classes` of a folder.
        chosen: What the user says of the columns of a table.

    Raises:
        DataError: The data cannot be learned from.
        InputError: There is nothing at the path, or the label column is not clear.
    """
    if not is_data(path):
        raise InputError(f"{path}: {_why_no_data(path)}")
    name = run_name(path)
    if path.lower().endswith(TABLE_ENDINGS) and not is_folder(Path(path)):
        from nnclassify.config.suggest.images import suggest_for_folder
        from nnclassify.config.suggest.tables import suggest_for_table
        from nnclassify.data.images.image_labels import lists_images

        if label is None and not stated and lists_images(Path(path)):
            return suggest_for_folder(str(Path(path).parent), name, Path(path))
        of_format = {key: stated[key] for key in FORMAT if key in stated}
        found = suggest_for_table(path, name, label, of_format, chosen)
        if isinstance(label, str) and lists_images(Path(path), label):
            words = ("train", Path(path).parent, f"dataset.labels={path}", "--label", label)
            found.found.append(f"{path}: read as a table, but names images; to train on these: {shell_command(*words)}")
        return found
    if is_folder(Path(path)) and not {"labels", "classes"} & stated.keys() and (tables := tables_in(Path(path))):
        from nnclassify.config.suggest.tables import suggest_for_table

        of_format = {key: stated[key] for key in FORMAT if key in stated}
        return suggest_for_table(tables.pop("train"), name, label, of_format, chosen, tables)
    if isinstance(label, list) or (label is not None and not is_folder(Path(path))):
        raise InputError(f"{path}: --label {label}: only a table or a list of images has a label column")
    if is_folder(Path(path)) and (label or stated or not _has_arrays(path)):
        from nnclassify.config.suggest.images import suggest_for_folder

        labels = Path(stated["labels"]) if "labels" in stated else None
        return suggest_for_folder(path, name, labels, label, stated.get("classes"))
    from nnclassify.config.suggest.arrays import suggest_for_arrays

    return suggest_for_arrays(path, name)


def _has_arrays(folder: str) -> bool:
    """Return whether a folder has .npy files of inputs and targets, such as `X_train.npy` and `y_train.npy`.

    Raises:
        InputError: It also has folders of images.
    """
    from nnclassify.data.array_names import array_files, named_pair
    from nnclassify.data.images.image_listing import subfolders

    files = array_files(folder)
    pair = named_pair(files, "train") or named_pair(files)
    if pair is None:
        return False
    if images := [within for within in subfolders(Path(folder)) if _has_images(within)]:
        arrays, images_of = some([files[name] for name in pair]), some([*map(str, images)])
        raise InputError(f"{folder}: both arrays ({arrays}) and images ({images_of}); move one kind to another folder")
    return True


def _has_images(folder: Path) -> bool:
    from nnclassify.data.images.image_listing import files_in

    return any(path.suffix.lower() in IMAGE_ENDINGS.split() for path in files_in(folder))


def tables_in(folder: Path) -> dict[str, str]:
    """Return the tables of a folder by split, where their names are those of splits: `train.csv` and `test.csv`, or the
    parts `train-00000-of-00002.parquet` and so on, as `train-*.parquet`; nothing if there is no table for training."""
    from nnclassify.data.images.image_labels import lists_images
    from nnclassify.data.images.image_listing import files_in, subfolders
    from nnclassify.data.split_names import split_of
    from nnclassify.data.tables.frames import SHARD

    within, files = subfolders(folder), files_in(folder)
    tables = [path for path in files if path.name.lower().endswith(TABLE_ENDINGS)]
    if len(within) == 1 and not tables and not _has_images(folder):
        return tables_in(within[0])
    found: dict[str, set[str]] = {}
    for path in () if within or _has_images(folder) else tables:
        shard = SHARD.fullmatch(path.name)
        stem, name = (shard[1], f"{shard[1]}-*.parquet") if shard else (path.name.partition(".")[0], path.name)
        if (split := split_of(stem)) is not None:
            found.setdefault(split, set()).add(str(path.with_name(name)))
    is_clear = "train" in found and all(len(names) == 1 for names in found.values())
    one_each = {split: next(iter(names)) for split, names in found.items()} if is_clear else {}
    return {} if not one_each or lists_images(Path(one_each["train"])) else one_each


def run_name(path: str) -> str:
    """Return the name of runs on some data: that of the file or folder, in the characters a run's name may have."""
    stem = Path(path).resolve().name
    if not is_folder(Path(path)):
        stem = re.sub(r"(?i)(\.(csv|tsv|tab|txt|dat|data|parquet|pq|npz|gz|bz2|xz))+$", "", stem)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).lstrip("._-")[:100]
    return name or "data"


def suggested_source(
    path: str,
    label: str | list[str] | None,
    stated: Mapping[str, Any] = MappingProxyType({}),
    chosen: ChosenColumns = NONE_CHOSEN,
) -> tuple[Suggestion, YamlSource]:
    """Return a suggested config, read as if from a file; see `suggest`."""
    suggestion = suggest(path, label, stated, chosen)
    return suggestion, read_text(suggestion.yaml(), f"config for {path}")
