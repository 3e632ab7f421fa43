"""Cache of compiled libraries. A library is loaded only if no other user can have changed it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, fx

from nnclassify.compile.torch_private import Library, aot_compile, load_library
from nnclassify.files.cache import discard, is_sealed, private_folder, seal, trim, unusable

FOLDER = "steps"
"""Subfolder of the cache."""
MAX_LIBRARY_BYTES = 2**28
"""Maximum total size of all libraries; the least recently used are deleted first."""
LEFTOVER_SECONDS = 24 * 3600
"""Age above which the folder of a compilation is deleted, whichever process made it."""


@dataclass(frozen=True)
class KeptLibrary:
    """A library in the cache, which may not exist yet.

    Attributes:
        key: Digest of everything that the machine code depends on.
    """

    key: str

    def is_kept(self) -> bool:
        """Return whether an earlier run has compiled it, so that it only needs to be loaded."""
        path = self._path(".so")
        return path is not None and is_sealed(path) and self.verdict() is None

    def verdict(self) -> str | None:
        """Return why an earlier run has set the library aside, or None if it has not."""
        path = self._path(".wrong")
        try:
            return None if path is None else f"{path.read_text(encoding='utf-8').strip()}; set aside in {path}"
        except (OSError, UnicodeError):
            return None

    def set_aside(self, reason: str) -> Path | None:
        """Prevent later runs from compiling or loading the library; return the file that says so, or None without a
        cache."""
        library, marker = self._path(".so"), self._path(".wrong")
        if library is None or marker is None:
            return None
        discard(library)
        try:
            marker.write_text(reason + "\n", encoding="utf-8")
        except OSError:
            return None
        return marker

    def open(self, make: Callable[[Path], None], note: Callable[[str], None]) -> Library:
        """Load the library; compile it first if it is missing or has been changed.

        Args:
            make: Function that compiles it into a path, which takes seconds to a minute.
            note: Function that shows the user why a cached library cannot be used.

        Raises:
            RuntimeError: The library cannot be loaded. Also raises what `make` raises.
        """
        path = self._path(".so")
        if path is not None and is_sealed(path):
            library = load_library(path)
            os.utime(path)
            return library
        if path is None:
            note(f"compile: {unusable(FOLDER)}; this step is compiled for this run only")
        elif path.exists():
            note(f"compile: {path}: changed since it was cached; this step is compiled again")
        with _workplace(None if path is None else path.parent) as place:
            made = place / f"{self.key}.so"
            make(made)
            made.chmod(0o600)
            if path is None:
                return load_library(made)
            made.replace(path)
        seal(path)
        trim(path.parent, "*.so", MAX_LIBRARY_BYTES)
        return load_library(path)

    def _path(self, ending: str) -> Path | None:
        folder = private_folder(FOLDER)
        return None if folder is None else folder / f"{self.key}{ending}"


def compile_graph(graph: fx.GraphModule, arguments: list[Tensor], path: Path) -> None:
    """Compile a graph for arguments of these shapes into a library, which takes seconds to a minute."""
    # By default, the compiler uses a folder that a reboot empties, and warns that there is no CUDA.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("compiled") or path.parent / "compiled"))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    aot_compile(graph, arguments, path)


@contextlib.contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    """Yield a temporary folder to compile in, after deleting those of compilations that were killed, or are too old."""
    if folder is not None:
        for place in folder.iterdir():
            if place.is_dir() and (_is_orphaned(place) or _is_old(place)):
                shutil.rmtree(place, ignore_errors=True)
    prefix = f"{socket.gethostname()}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _is_orphaned(place: Path) -> bool:
    """Return whether the process that made the folder has ended."""
    host, _, rest = place.name.rpartition("-")[0].rpartition("-")
    if host != socket.gethostname() or not rest.isdecimal() or sys.platform == "win32":  # where signal 0 kills
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _is_old(place: Path) -> bool:
    try:
        return time.time() - place.stat().st_mtime > LEFTOVER_SECONDS
    except OSError:
        return False
