"""Decoded pictures, kept between runs: decoding thousands of files takes longer than many a training.

One `.npy` a list of files and a picture format, mapped into memory by the next run. It is found by a fingerprint of
names, sizes, times of change and format, so a file that was touched is decoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnclassify import __version__
from nnclassify.cache import private_folder, trim
from nnclassify.transforms import PictureFormat

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

FOLDER = "pictures"
"""Of the cache."""
MIN_PICTURES = 1000
"""Fewer are decoded in about a second: not worth a file."""
MAX_CACHE_BYTES = 4 * 2**30
"""Bytes of all such files together; the least recently used go first."""


def fingerprint(paths: Sequence[Path], picture: PictureFormat) -> str | None:
    """What the pixels depend on, in 32 characters; None where a file is not there to be looked at."""
    import PIL  # its release: another one may decode otherwise

    digest = hashlib.sha256(f"{__version__} {PIL.__version__} {picture!r}".encode())
    try:
        for path in paths:
            stat = path.stat()
            digest.update(f"{path.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    except OSError:
        return None
    return digest.hexdigest()[:32]


def load_decoded(key: str, num_pictures: int) -> Pixels | None:
    """The pixels `(N, C, H, W)` of a fingerprint, mapped; None where they are not kept, or not whole."""
    folder = private_folder(FOLDER)
    if folder is None:
        return None
    path = folder / f"{key}.npy"
    try:
        # Mode c: what is written to the array stays in memory.
        pixels: Pixels = np.load(path, mmap_mode="c", allow_pickle=False)
        os.utime(path)
    except (OSError, ValueError, EOFError):
        return None
    return pixels if len(pixels) == num_pictures and pixels.dtype == np.uint8 else None


def keep_decoded(key: str, pixels: Pixels) -> None:
    """Keep pixels under a fingerprint. A cache that cannot be written is done without."""
    folder = private_folder(FOLDER)
    if pixels.nbytes > MAX_CACHE_BYTES or folder is None:
        return
    partial = folder / f"{key}.{os.getpid()}.partial"
    try:
        with partial.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)
        partial.replace(folder / f"{key}.npy")
        trim(folder, "*.npy", MAX_CACHE_BYTES)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
