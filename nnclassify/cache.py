"""Where things are kept that could be made again: compiled steps, decoded pictures."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """`nnclassify` under $XDG_CACHE_HOME, else under ~/.cache; not made here."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnclassify"


def trim(folder: Path, pattern: str, max_bytes: int) -> None:
    """Remove the least recently used of the files that match, until the rest is within bounds."""
    total = 0
    for path in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > max_bytes:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
