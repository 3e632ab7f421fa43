"""What the names of the arrays in an .npz file say: which are inputs and targets, of which split."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from nnclassify.data.split_names import SPLIT_NAMES
from nnclassify.errors import DataError, one_line
from nnclassify.files.images.image_format import other_files

INPUT_NAMES = ("x", "inputs", "input", "images", "image", "data", "features", "arr0")
TARGET_NAMES = ("y", "targets", "target", "labels", "label", "classes", "class", "arr1")
"""Names of arrays in .npz files, in lower case and without `_`: as they are, or with a split before or behind them."""
SHORT_SPLITS = {"train": ("tr", "trn"), "test": ("te", "tst", "holdout"), "validation": ("va",)}
"""Names of splits that only arrays have, besides `SPLIT_NAMES`."""


def array_files(path: str) -> dict[str, str]:
    """Return the arrays of an .npz file, or of the .npy files in a folder, by name: each as a config names it.

    Raises:
        DataError: The file is damaged.
    """
    if Path(path).is_dir():
        return {file.stem: str(file) for file in sorted(Path(path).glob("*.npy"))}
    return {name: f"{path}:{name}" for name in array_names(path)}


def array_names(path: str) -> list[str]:
    """Return the names of the arrays in an .npz file.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except zipfile.BadZipFile as cause:
        with open(path, "rb") as file:  # noqa: PTH123
            found = next(iter(other_files(file.read(64))), one_line(cause))
        raise DataError(f"{path}: cannot be read as .npz ({found}); expected arrays that numpy.savez wrote") from cause
    except OSError as cause:
        raise DataError(
            f"{path}: cannot be read as .npz ({one_line(cause)}); expected arrays that numpy.savez wrote"
        ) from cause


def named_pair(names: Iterable[str], split: str | None = None) -> tuple[str, str] | None:
    """Return the names of the inputs and targets of a split, such as `x_test` and `y_test`, or of `x` and `y`.

    Args:
        names: The names of all arrays: `x_test`, `X-test`, `xTest`, `testX` and `xtest` are the same.
        split: train, validation or test; None for names without a split.
    """
    by_key = {re.sub(r"[\W_]", "", name.lower()): name for name in names}
    splits = [""] if split is None else [*SPLIT_NAMES[split], *SHORT_SPLITS[split]]

    def find(words: Iterable[str]) -> str | None:
        forms = [form for word in words for name in splits for form in (word + name, name + word)]
        return next((by_key[form] for form in forms if form in by_key), None)

    inputs, targets = find(INPUT_NAMES), find(TARGET_NAMES)
    return None if inputs is None or targets is None else (inputs, targets)
