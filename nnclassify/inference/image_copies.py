"""Copies of images, sorted into a folder per predicted class."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from nnclassify.errors import InputError
from nnclassify.files.atomic_write import PARTIAL, save_error
from nnclassify.files.paths import check_new_folder, is_folder
from nnclassify.inference.predict import Prediction

MAX_NAME_BYTES = 200
_SPECIAL = frozenset('/\\:*?"<>|')
"""Characters that a file system gives a meaning."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
"""Names of devices on Windows."""


class ImageCopies:
    """Copies images into `folder/<predicted class>/`. No file is overwritten, and every copy is whole.

    Attributes:
        folder: The folder.
        num_copied: The number of images that were copied.
        num_uncopied: The number of predictions without an image file or without a class.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], inputs: Sequence[str]) -> None:
        """Check that the folder can be used; it is created with the first copy.

        Raises:
            InputError: The folder is a file, or lies within one of the inputs, which would contain the copies.
        """
        self.folder = folder
        self.num_copied = 0
        self.num_uncopied = 0
        self._names = dict(zip(class_names, folder_names(class_names), strict=True))
        self._numbers: dict[Path, int] = {}
        check_new_folder("--copy-to", folder)
        for path in map(Path, inputs):
            if is_folder(path) and folder.resolve().is_relative_to(path.resolve()):
                raise InputError(f"--copy-to {folder}: lies within the input {path}; choose a folder outside of it")

    def add(self, prediction: Prediction) -> None:
        """Copy the image of a prediction into the folder of each predicted class.

        Raises:
            InputError: The folder of the class is a link or a file.
            SaveError: The image could not be copied.
        """
        if prediction.error is not None:
            return
        if prediction.file is None or not prediction.predicted:
            self.num_uncopied += 1
            return
        for label in prediction.predicted:
            target = self.folder / self._names[label]
            if target.is_symlink() or (target.exists() and not target.is_dir()):
                raise InputError(f"{target}: a link or a file; expected a folder for the images of a class")
            try:
                target.mkdir(parents=True, exist_ok=True)
                self._copy(prediction.file, target / prediction.file.name)
            except OSError as cause:
                raise save_error(target / prediction.file.name, cause) from cause
        self.num_copied += 1

    def _copy(self, source: Path, target: Path) -> None:
        """Copy a file under a temporary name, then give it the first free name."""
        partial = target.parent / f".{os.getpid()}{PARTIAL}"
        try:
            shutil.copy2(source, partial)
            while not _given(partial, self._numbered(target)):
                self._numbers[target] = self._numbers.get(target, 1) + 1
        finally:
            partial.unlink(missing_ok=True)

    def _numbered(self, target: Path) -> Path:
        number = self._numbers.get(target, 1)
        return target if number == 1 else target.with_name(f"{target.stem} ({number}){target.suffix}")


def _given(partial: Path, name: Path) -> bool:
    """Give a file a name; return False if the name is taken."""
    try:
        name.hardlink_to(partial)
    except FileExistsError:
        return False
    except (OSError, NotImplementedError):  # a file system without hard links
        if os.path.lexists(name):
            return False
        partial.rename(name)
    return True


def folder_names(class_names: Sequence[str]) -> list[str]:
    """Return a folder name for each class: valid on every file system, and unique even if case is ignored."""
    names: list[str] = []
    for class_name in class_names:
        plain = _plain(class_name)
        taken, number, name = {known.casefold() for known in names}, 1, plain
        while name.casefold() in taken:
            number += 1
            name = f"{plain} ({number})"
        names.append(name)
    return names


def _plain(class_name: str) -> str:
    """Return a class name without what file systems do not allow."""
    text = unicodedata.normalize("NFC", class_name)
    text = "".join("_" if sign in _SPECIAL or not sign.isprintable() else sign for sign in text)
    text = text.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore").strip().rstrip(". ")
    is_reserved = text.split(".")[0].casefold() in _RESERVED
    return f"{text}_" if is_reserved or not text else text
