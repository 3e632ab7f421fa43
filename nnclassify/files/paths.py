"""What is at a path that a user names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nnclassify.errors import InputError

MAX_SHOWN = 100
"""Characters of a path that is too long to be one."""


def look(path: Path) -> os.stat_result | None:
    """What is at a path, links followed; None: nothing.

    Raises:
        InputError: It cannot be looked at: no permission, a loop of links, a name that is too long.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:  # the latter of a NUL character
        raise unreadable(path, cause) from cause


def is_regular(path: Path) -> bool:
    """Whether a regular file is at a path: one that has an end, and that reading does not use up.

    Raises:
        InputError: It cannot be looked at.
    """
    found = look(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def is_folder(path: Path) -> bool:
    """Whether a folder is at a path, or a link leads to one.

    Raises:
        InputError: It cannot be looked at.
    """
    found = look(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def why_no_file(path: Path) -> str:
    """What is at a path where no regular file is: `no such file`, `a folder`, or `not a regular file`.

    Raises:
        InputError: It cannot be looked at.
    """
    if look(path) is None:
        return "no such file"
    return "a folder" if is_folder(path) else "not a regular file"


def content_of(path: Path) -> bytes:
    """The content of a regular file: reading a pipe would wait for ever.

    Raises:
        OSError: It is no regular file, or cannot be read.
    """
    if path.exists() and not path.is_file():
        raise OSError("not a regular file")
    return path.read_bytes()


def unreadable(path: Path, cause: Exception) -> InputError:
    """The error of a path that cannot be looked at."""
    reason = cause.strerror if isinstance(cause, OSError) else cause
    shown = str(path) if len(str(path)) <= MAX_SHOWN else f"{str(path)[:MAX_SHOWN]}..."
    return InputError(f"{shown}: cannot be read ({reason})")
