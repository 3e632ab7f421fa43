"""Turn an unexpected error into one line, and a file with the traceback to report."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from nnclassify import __version__
from nnclassify.errors import one_line
from nnclassify.files.cache import cache_folder, trim

MAX_BYTES = 1_000_000
"""The maximum size of all reports together; the oldest are deleted first."""
PREFIX = "nnclassify-bug-"
LIBRARIES = ("torch", "torchvision", "numpy", "pydantic", "typer", "matplotlib", "pillow")


def report(error: BaseException) -> str:
    """Save the traceback in a file, and return one line with the error and the file."""
    kept = _keep(_text(error))
    what = f"{type(error).__name__}: {one_line(error)}"
    where = "the traceback could not be saved" if kept is None else f"the traceback is in {kept}"
    return f"a bug in nnclassify {__version__} ({what}); please report it: {where}"


def _text(error: BaseException) -> str:
    releases = [f"{name} {_release(name)}" for name in LIBRARIES]
    return "\n".join(
        [
            f"nnclassify {__version__}, Python {sys.version}, {platform.platform()}",
            ", ".join(releases),
            f"arguments: {sys.argv[1:]!r}",
            "",
            *traceback.format_exception(error),
        ]
    )


def _release(library: str) -> str:
    try:
        from importlib.metadata import version  # takes 30 ms, and fails where no more files can be opened

        return version(library)
    except (ImportError, OSError):  # the former of a package that is not installed, too
        return "not known"


def _keep(text: str) -> Path | None:
    """Write the report into the cache folder, or into the temporary folder; return None if neither is writable."""
    for folder in (_in_the_cache, tempfile.gettempdir):
        try:
            place = Path(folder())
            place.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=".txt", dir=place)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            trim(place, f"{PREFIX}*.txt", MAX_BYTES)
        except OSError:
            continue
        return Path(name)
    return None


def _in_the_cache() -> Path:
    root = cache_folder()
    if root is None:
        raise FileNotFoundError("no cache folder")
    return root / "bugs"
