"""Decoded images, kept between runs: decoding thousands of files takes longer than many a training.

One `.npy` per list of files and image format, mapped into memory by the next run. It is found by a fingerprint of the
format and of all that changes when a file is written or replaced, and used only if its digest is right.
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
"""Of the cache."""
MIN_PICTURES = 1000
"""Fewer are decoded in about a second: not worth a file."""
MAX_CACHE_BYTES = 4 * 2**30
"""Bytes of all such files together; the least recently used go first."""


def fingerprint(paths: Sequence[Path], what: object) -> str | None:
    """What pixels in a format, or their scale, depend on, in 32 characters; None where a file cannot be looked at."""
    import PIL  # its release: another one may decode otherwise

    digest = hashlib.sha256(f"{__version__} {PIL.__version__} {what!r}".encode())
    try:
        for path in paths:
            digest.update(os.fsencode(path.absolute()) + b"\0" + _version(path))
    except OSError:
        return None
    return digest.hexdigest()[:32]


def _version(path: Path) -> bytes:
    """What changes when a file's content does.

    A program can set a file's time of modification, as unpackers do, but not its time of status change (`ctime`), and a
    file that takes another's place has another inode. Windows has no such time, so there the content itself is read.
    """
    if sys.platform == "win32":
        return hashlib.sha256(path.read_bytes()).digest()
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n".encode()


def load_decoded(key: str, shape: tuple[int, ...]) -> Pixels | None:
    """The pixels of a fingerprint, of a shape `(N, C, H, W)`, mapped; None where they are not kept, or not whole."""
    folder = private_folder(FOLDER)
    if folder is None or not is_sealed(path := folder / f"{key}.npy"):
        return None
    try:
        # Mode c: what is written to the array stays in memory.
        pixels: Pixels = np.load(path, mmap_mode="c", allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def keep_decoded(key: str, pixels: Pixels) -> None:
    """Keep pixels under a fingerprint. A cache that cannot be written is done without."""
    folder = private_folder(FOLDER)
    if pixels.nbytes > MAX_CACHE_BYTES or folder is None:
        return
    path = folder / f"{key}.npy"
    discard(path)
    with contextlib.suppress(SaveError, OSError):
        write_whole(path, lambda file: np.save(file, pixels, allow_pickle=False), size=pixels.nbytes, private=True)
        seal(path)
        trim(folder, "*.npy", MAX_CACHE_BYTES)
