"""Where things are kept that could be made again: compiled steps, decoded pictures."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`nnclassify` under $XDG_CACHE_HOME, else under ~/.cache; not made here."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnclassify"
