"""Where things are kept that could be made again: compiled steps, decoded images.

What is kept is trusted later: a library is run, pixels are learned from. So a file is kept only where nobody but the
user can write, with its digest beside it, and is used again only if both still hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

from nnclassify.files.atomic_write import write_whole

DIGEST = ".sha256"
"""The end of the name of a file with another file's digest, a line as `sha256sum` writes it."""


def cache_folder() -> Path | None:
    """The system's cache folder for `nnclassify`, on Linux $XDG_CACHE_HOME/nnclassify or ~/.cache/nnclassify.

    It is not created here. None: the user has no home. A relative $XDG_CACHE_HOME is ignored, as its specification says
    (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    import platformdirs  # takes 10 ms

    try:
        return platformdirs.user_cache_path("nnclassify", appauthor=False)
    except RuntimeError:  # $HOME is not set, and the system does not know the user
        return None


def private_folder(name: str) -> Path | None:
    """A folder of the cache, made where it is missing; None where there is none that only the user can write."""
    root = cache_folder()
    if root is None:
        return None
    folder = root / name
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for made in (root, folder):
            made.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return folder if is_private(folder) else None


def unusable(name: str) -> str:
    """Why there is no `private_folder` of that name, in one line."""
    root = cache_folder()
    if root is None:
        return "no home folder for a cache; set HOME or XDG_CACHE_HOME"
    return unsafe(root / name) or f"{root / name}: cannot be created"


def is_private(path: Path) -> bool:
    """Whether nobody but the user can have made, or can change, what is at a path in the cache."""
    return unsafe(path) is None


def unsafe(path: Path) -> str | None:
    """Why what is at a path in the cache cannot be trusted, in one line; None: it can.

    The path and every folder up to the cache folder belong to the user (root is somebody else), and nobody else may
    write to them. A link counts as its owner's and as what it leads to.
    """
    root, path = cache_folder(), Path(os.path.normpath(path))
    if root is None or not path.is_relative_to(root):
        return f"{path}: not in the cache folder"
    if sys.platform == "win32":  # a profile's folders are the user's own, and modes say nothing
        return None
    for place in [path, *path.parents][: len(path.relative_to(root).parts) + 1]:
        try:
            own, target = place.lstat(), place.stat()
        except OSError as cause:
            return f"{place}: {cause.strerror}"
        if {own.st_uid, target.st_uid} != {os.geteuid()}:
            return f"{place}: belongs to another user"
        if target.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{place}: others can write to it; fix it with: chmod go-w '{place}'"
    return None


def seal(path: Path) -> None:
    """Store a file's digest next to it.

    Raises:
        SaveError: It cannot be read, or the digest cannot be written.
    """
    write_whole(_beside(path), lambda file: file.write(_digest_line(path).encode()), private=True)


def is_sealed(path: Path) -> bool:
    """Whether a file is private, and has the content that it had when it was sealed."""
    try:
        regular = all(stat.S_ISREG(place.lstat().st_mode) for place in (path, _beside(path)))  # a pipe would not end
        return (
            regular
            and is_private(path)
            and is_private(_beside(path))
            and _beside(path).read_bytes() == _digest_line(path).encode()
        )
    except OSError:
        return False


def discard(path: Path) -> None:
    """Remove a file and its digest, where that is possible."""
    for place in (path, _beside(path)):
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)


def trim(folder: Path, pattern: str, max_bytes: int) -> None:
    """Remove the least recently used of the files that match, until the rest is within bounds."""
    total = 0
    for path in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > max_bytes:
            discard(path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + DIGEST)


def _digest_line(path: Path) -> str:
    """With the name: a file that was renamed is not what was sealed."""
    with path.open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n"
