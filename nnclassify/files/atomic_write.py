"""Atomic writes: a file is complete or does not exist, whatever stops the process that writes it.

A file is written under a temporary name in the same folder, flushed, fsynced and renamed; then the folder is
fsynced. To keep the previous version, it is linked to its new name before the new file replaces it, so that at least
one of them exists at any time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from nnclassify.errors import InputError, Interrupted, NNClassifyError, SaveError, bytes_text, one_line

PARTIAL = ".partial"
"""Suffix of temporary files."""


def write_whole(
    path: Path,
    write: Callable[[IO[bytes]], object],
    *,
    size: int = 0,
    keep_previous: bool = False,
    private: bool = False,
    check: Callable[[Path], object] | None = None,
) -> None:
    """Write a file atomically.

    Args:
        path: The file.
        write: Function that writes the content to an open file.
        size: Expected size in bytes; checked against the free space before writing.
        keep_previous: Keep the previous version as `previous(path)`.
        private: Allow only the user to read and write the file, whatever the umask.
        check: Function that reads the new file, under its temporary name, and raises an error if it is wrong.

    Raises:
        SaveError: The file could not be written; the previous version is unchanged.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")  # each process uses its own
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise OSError("a device or pipe, which a file would replace")
        if (free := shutil.disk_usage(path.parent).free) < size:
            raise OSError(f"{bytes_text(size)} needed, {bytes_text(free)} free")
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
        if isinstance(cause, SaveError | Interrupted):  # `write` was stopped, or could not write another file
            raise
        raise save_error(path, cause) from cause


def save_error(path: Path, cause: BaseException) -> SaveError:
    """Return the error for a file that could not be written."""
    if isinstance(cause, NNClassifyError):
        return SaveError(
            f"{path}: not saved because it cannot be read back ({one_line(cause)}); the previous one is kept"
        )
    if isinstance(cause.__context__, OSError):  # torch.save reports a full disk as "unexpected pos"
        cause = cause.__context__
    if isinstance(cause, OSError) and cause.strerror:
        cause = OSError(cause.errno, cause.strerror)  # without the name of a temporary file
    is_gone = isinstance(cause, FileNotFoundError)
    what_to_do = "was its folder moved or deleted?" if is_gone else "free space or fix permissions"
    return SaveError(f"{path}: not saved ({one_line(cause)}); {what_to_do}")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        SaveError: The file could not be written; the previous version is unchanged.
    """
    write_whole(path, lambda file: file.write(text.encode()))


def write_new(path: Path, text: str) -> None:
    """Write a text file that the user names, never over another one.

    Raises:
        InputError: There is a file already, or no such folder.
        SaveError: The file cannot be written.
    """
    try:
        if not path.parent.is_dir():
            raise InputError(f"{path.parent}: no such folder; create it first")
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as cause:
        raise InputError(f"{path}: already exists; name another file") from cause
    except (OSError, ValueError) as cause:  # the latter of a NUL character
        raise save_error(path, cause) from cause


def previous(path: Path) -> Path:
    """Return the path of the previous version of a file."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _keep(path: Path) -> None:
    """Link the file to `previous(path)`; it keeps its own name until the new file replaces it."""
    link = previous(path).with_name(previous(path).name + PARTIAL)
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(path)
    except (
        OSError,
        NotImplementedError,
    ):  # without hard links, only the previous version exists for a moment
        path.replace(previous(path))
    else:
        link.replace(previous(path))


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable. Windows can neither open folders nor needs this."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove the temporary files of a process that was killed.

    Raises:
        SaveError: A file cannot be removed.
    """
    for partial in sorted(folder.rglob(f"*{PARTIAL}")):
        remove(partial)


def remove(path: Path) -> None:
    """Remove a file if it exists.

    Raises:
        SaveError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as cause:
        raise save_error(path, cause) from cause
