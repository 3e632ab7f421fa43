"""Files that are there whole or not at all, whatever stops the process that writes them.

A file is written under a temporary name in the same folder, flushed, fsynced and renamed, and the folder fsynced.
The generation before can be kept: it is linked to its new name before the new file takes its place, so there is
no moment without either.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from nnclassify.errors import NNClassifyError, SaveError, one_line

PARTIAL = ".partial"
"""The end of a temporary file's name."""


def write_whole(
    path: Path,
    write: Callable[[IO[bytes]], object],
    *,
    size: int = 0,
    keep_previous: bool = False,
    private: bool = False,
    check: Callable[[Path], object] | None = None,
) -> None:
    """Write a file so that it is there whole or not at all.

    Args:
        path: The file.
        write: Writes the content to an open file.
        size: Bytes that it will take, to be looked for before a byte is written.
        keep_previous: Whether the file before stays, as `previous(path)`.
        private: Whether nobody but the user may read or write it, whatever the umask.
        check: Reads the new file, under its temporary name, and raises an error where it is not what it should be.

    Raises:
        SaveError: It could not be written; the file before is untouched.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")  # of two processes, each writes its own
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise OSError("a device, a pipe or the like, which a file would take the place of")
        if (free := shutil.disk_usage(path.parent).free) < size:
            raise OSError(f"{size / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free")
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if private:
            partial.chmod(0o600)
        if check is not None:
            check(partial)
        if keep_previous and path.exists():
            _keep(path)
        partial.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError, NNClassifyError) as cause:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise save_error(path, cause) from cause


def save_error(path: Path, cause: BaseException) -> SaveError:
    """The error of a file that could not be written."""
    if isinstance(cause, NNClassifyError):
        return SaveError(
            f"{path}: not saved because it cannot be read back ({one_line(cause)}); the previous one is kept"
        )
    if isinstance(cause.__context__, OSError):  # torch.save says "unexpected pos" of a full disk
        cause = cause.__context__
    return SaveError(f"{path}: not saved ({one_line(cause)}); free space or fix permissions")


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all.

    Raises:
        SaveError: It could not be written; the file before is untouched.
    """
    write_whole(path, lambda file: file.write(text.encode()))


def previous(path: Path) -> Path:
    """Where the generation before is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _keep(path: Path) -> None:
    """Give the file its second name, `previous(path)`; it keeps the first until the new file takes that."""
    link = previous(path).with_name(previous(path).name + PARTIAL)
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(path)
    except (
        OSError,
        NotImplementedError,
    ):  # a file system, or a Python, without links: for a moment only the generation before is there
        path.replace(previous(path))
    else:
        link.replace(previous(path))


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where a folder can be opened: on Windows it cannot, and need not be."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove the temporary files that a killed process left behind.

    Raises:
        SaveError: One cannot be removed.
    """
    for partial in sorted(folder.rglob(f"*{PARTIAL}")):
        remove(partial)


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        SaveError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as cause:
        raise save_error(path, cause) from cause
