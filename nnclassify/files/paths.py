"""Checks of the paths that a user gives."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nnclassify.errors import InputError, one_line

MAX_SHOWN = 100
"""Longer paths are cut to this many characters in messages."""
SMALL_BYTES, MAX_INFLATION = 64 * 2**20, 100
"""Packed content may be this large when it is unpacked, however small it was, and this many times its packed size."""


def look(path: Path) -> os.stat_result | None:
    """Return the stat result of a path, following links, or None if it does not exist.

    Raises:
        InputError: The path cannot be accessed: no permission, a loop of links, or a name that is too long.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:  # ValueError: a NUL character
        raise unreadable(path, cause) from cause


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file, rather than one without an end or that reading consumes.

    Raises:
        InputError: The path cannot be accessed.
    """
    found = look(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder or a link to one.

    Raises:
        InputError: The path cannot be accessed.
    """
    found = look(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def given_path(name: str, value: object, expected: str = "a path") -> str:
    """Return a path that a Python caller passes, as text.

    Raises:
        InputError: It is no path; the message begins with the name of the argument.
    """
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{name}: found a {type(value).__name__}; expected {expected}")
    return str(os.fspath(value))


def check_new_folder(option: str, folder: Path) -> None:
    """Check that a folder that an option names is there or can be created.

    Raises:
        InputError: Something else is in its place, or in that of a folder above it.
    """
    nearest = folder
    while look(nearest) is None and not nearest.is_symlink():
        nearest = nearest.parent
    if not is_folder(nearest):
        what = "a file" if look(nearest) else "a link to nothing"
        raise InputError(f"{option} {folder}: {nearest} is {what}; expected a folder, or a name for a new one")


def not_created(folder: Path, cause: OSError) -> InputError:
    """Return the error for a folder that cannot be created."""
    is_taken = isinstance(cause, FileExistsError | NotADirectoryError)
    what_to_do = "expected a folder there: move it away" if is_taken else "fix permissions or free space"
    return InputError(f"{folder}: cannot be created ({one_line(cause)}); {what_to_do}")


def why_no_file(path: Path) -> str:
    """Return why a path is not a regular file: `no such file`, `a folder`, or `not a regular file`.

    Raises:
        InputError: The path cannot be accessed.
    """
    if look(path) is None:
        return "no such file"
    return "a folder" if is_folder(path) else "not a regular file"


def content_of(path: Path, max_bytes: int = -1) -> bytes:
    """Return the content of a regular file, or its first bytes; reading a pipe could block forever.

    Raises:
        OSError: The file is not a regular file, or cannot be read.
    """
    if path.exists() and not path.is_file():
        raise OSError("not a regular file")
    with path.open("rb") as file:
        return file.read(max_bytes)


def unreadable(path: Path, cause: Exception) -> InputError:
    """Return the error for a path that cannot be accessed."""
    reason = cause.strerror if isinstance(cause, OSError) else cause
    shown = str(path) if len(str(path)) <= MAX_SHOWN else f"{str(path)[:MAX_SHOWN]}..."
    return InputError(f"{shown}: cannot be read ({reason})")
