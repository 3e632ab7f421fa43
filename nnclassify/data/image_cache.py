"""Cache of decoded images: decoding thousands of files takes longer than many training runs.

There is one `.npy` file per list of files and image format, which the next run maps into memory. Its key is a
fingerprint of the format and of everything that changes when a file is written or replaced; it is used only if its
digest is correct.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnclassify.errors import SaveError
from nnclassify.files.atomic_write import write_whole
from nnclassify.files.cache import discard, is_sealed, private_folder, seal, trim
from nnclassify.files.version import __version__

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

FOLDER = "pictures"
"""Subfolder of the cache."""
MIN_PICTURES = 1000
"""Fewer images are decoded in about a second and are not cached."""
MAX_CACHE_BYTES = 4 * 2**30
"""Total size of these files; the least recently used are deleted first."""


def fingerprint(paths: Sequence[Path], what: object) -> str | None:
    """Return a key, 32 characters, of everything that the result depends on; None if a file cannot be accessed."""
    import PIL  # another release may decode differently

    digest = hashlib.sha256(f"{__version__} {PIL.__version__} {what!r}".encode())
    try:
        for path in paths:
            digest.update(os.fsencode(path.absolute()) + b"\0" + _version(path))
    except OSError:
        return None
    return digest.hexdigest()[:32]


def _version(path: Path) -> bytes:
    """Return a value that changes whenever the content of a file does.

    Programs such as unpackers can set a file's modification time, but not its status change time (`ctime`), and a
    replaced file has another inode. Windows has no `ctime`, so the content itself is hashed there.
    """
    if sys.platform == "win32":
        return hashlib.sha256(path.read_bytes()).digest()
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n".encode()


def load_decoded(key: str, shape: tuple[int, ...]) -> Pixels | None:
    """Return the cached pixels `(N, C, H, W)` of a fingerprint, memory-mapped; None if missing or damaged."""
    folder = private_folder(FOLDER)
    if folder is None or not is_sealed(path := folder / f"{key}.npy"):
        return None
    try:
        # Mode c (copy on write): changes to the array stay in memory.
        pixels: Pixels = np.load(path, mmap_mode="c", allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def keep_decoded(key: str, pixels: Pixels) -> None:
    """Save pixels under a fingerprint; do nothing if the cache cannot be written."""
    folder = private_folder(FOLDER)
    if pixels.nbytes > MAX_CACHE_BYTES or folder is None:
        return
    path = folder / f"{key}.npy"
    discard(path)
    with contextlib.suppress(SaveError, OSError):
        write_whole(path, lambda file: np.save(file, pixels, allow_pickle=False), size=pixels.nbytes, private=True)
        seal(path)
        trim(folder, "*.npy", MAX_CACHE_BYTES)
