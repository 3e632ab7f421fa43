"""The cache folder for what can be recreated: compiled steps and decoded images.

Cached files are trusted later: libraries are executed, and networks are trained on pixels. So a file is cached only
where nobody but the user can write, next to its digest, and is used only if both conditions still hold.
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
"""Suffix of digest files, which have the format of `sha256sum`."""


def cache_folder() -> Path | None:
    """Return the system's cache folder for `nnclassify`; on Linux, $XDG_CACHE_HOME/nnclassify or ~/.cache/nnclassify.

    The folder is not created. Returns None if the user has no home folder. A relative $XDG_CACHE_HOME is ignored, as
    its specification requires (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    import platformdirs  # takes 10 ms

    try:
        return platformdirs.user_cache_path("nnclassify", appauthor=False)
    except RuntimeError:  # $HOME is not set, and the user is not in the password database
        return None


def private_folder(name: str, root: Path | None = None) -> Path | None:
    """Return a subfolder of the cache, created if missing; None if others can write to it, or it cannot be created.

    Here and below, `root` is the cache folder; None for the system's.
    """
    root = root or cache_folder()
    if root is None:
        return None
    folder = root / name
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for made in (root, folder):
            made.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return folder if is_private(folder, root) else None


def unusable(name: str, root: Path | None = None) -> str:
    """Return in one line why `private_folder` returns None for a name."""
    root = root or cache_folder()
    if root is None:
        return "no home folder for a cache; set HOME or XDG_CACHE_HOME"
    return unsafe(root / name, root) or f"{root / name}: cannot be created"


def is_private(path: Path, root: Path | None = None) -> bool:
    """Return whether only the user can have created, and can change, a path in the cache."""
    return unsafe(path, root) is None


def unsafe(path: Path, root: Path | None = None) -> str | None:
    """Return in one line why a path in the cache cannot be trusted, or None if it can.

    The path and all its parents up to the cache folder must belong to the user (not even to root), and nobody else
    may have write permission. For a link, this applies to the link and its target.
    """
    root, path = root or cache_folder(), Path(os.path.normpath(path))
    root = None if root is None else Path(os.path.normpath(root))
    if root is None or not path.is_relative_to(root):
        return f"{path}: not in the cache folder"
    if sys.platform == "win32":  # the folders of a profile belong to its user, and modes have no meaning
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


def seal(path: Path, digest: str | None = None) -> None:
    """Store the SHA-256 digest of a file next to it.

    Args:
        path: The file.
        digest: Its digest in hexadecimal, if known; otherwise the file is read.

    Raises:
        SaveError: The file cannot be read, or the digest cannot be written.
    """
    write_whole(_beside(path), lambda file: file.write(_digest_line(path, digest).encode()), private=True)


def is_sealed(path: Path, root: Path | None = None) -> bool:
    """Return whether a file is private and has the content for which `seal` stored the digest."""
    try:
        regular = all(stat.S_ISREG(place.lstat().st_mode) for place in (path, _beside(path)))  # a pipe would block
        return (
            regular
            and is_private(path, root)
            and is_private(_beside(path), root)
            and _beside(path).read_bytes() == _digest_line(path).encode()
        )
    except OSError:
        return False


def discard(path: Path) -> None:
    """Remove a file and its digest if possible."""
    for place in (path, _beside(path)):
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)


def trim(folder: Path, pattern: str, max_bytes: int) -> None:
    """Delete the least recently used matching files until the others fit into `max_bytes`."""
    known: list[tuple[float, int, Path]] = []
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # another process trims too
            facts = path.stat()
            known.append((facts.st_mtime, facts.st_size, path))
    total = 0
    for _, size, path in sorted(known, reverse=True):
        total += size
        if total > max_bytes:
            discard(path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + DIGEST)


def _digest_line(path: Path, digest: str | None = None) -> str:
    """Return the digest with the file's name, so that a renamed file does not match."""
    if digest is None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{digest}  {path.name}\n"
