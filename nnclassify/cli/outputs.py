"""Checks of the files that options such as `--out` and `--plot` name, before minutes of work end in an error."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nnclassify.errors import InputError
from nnclassify.files.paths import is_regular, look

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
"""Endings of images that a plot may be saved as, and a folder of images may hold."""


def check_output(option: str, path: Path | None, example: str, inputs: Iterable[str] = ()) -> None:
    """Check that a file can be written, before anything is read.

    Args:
        option: The option that names the file.
        path: The file; None: there is nothing to check.
        example: A name that would do; a file that exists is only replaced if it has the same ending.
        inputs: What the command reads.

    Raises:
        InputError: It is no file, its folder does not exist or cannot be written to, or writing it would destroy an
            input or a file of another kind, such as a checkpoint.
    """
    _check_place(option, path, example)
    if path is None or look(path) is None:
        return
    if path.suffix.lower() != (kind := Path(example).suffix):
        raise InputError(f"{option} {path}: exists, and is not a {kind} file; name another file, such as {example}")
    refuse_input(option, path, inputs)


def _check_place(option: str, path: Path | None, example: str) -> None:
    if path is None:
        return
    if not (path.name and path.parent.is_dir() and (is_regular(path) or look(path) is None)):
        raise InputError(f"{option} {path}: expected a file, such as {example}, in a folder that exists")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{option} {path}: its folder cannot be written to; fix permissions or name another")


def refuse_input(option: str, path: Path | None, inputs: Iterable[str]) -> None:
    """Refuse to replace what a command reads, such as the places of a config; an image in a folder is an input too.

    Raises:
        InputError: The file would replace an input.
    """
    if path is None or look(path) is None:
        return
    target, is_image = Path(os.path.realpath(path)), path.suffix.lower() in IMAGES
    for place in map(Path, map(os.path.realpath, inputs)):  # unlike Path.resolve, it copes with loops of links
        if target == place or (is_image and target.is_relative_to(place)):
            raise InputError(f"{option} {path}: an input, which would be lost; name another file")


def check_plot(option: str, path: Path | None, example: str, inputs: Iterable[str] = ()) -> None:
    """Check that a plot can be written, before anything is read.

    Raises:
        InputError: See `check_output`; or no plot can be drawn in the format of its extension.
    """
    _check_place(option, path, example)
    if path is not None:
        from nnclassify.inference.plots.figures import format_of

        format_of(path)
        refuse_input(option, path, inputs)
