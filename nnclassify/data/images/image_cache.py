"""Cache of decoded images: decoding thousands of files takes longer than many training runs.

There is one file per list of files and image format, which every later run maps into memory: the pixels as in a `.npy`
file, and behind them, in JSON, what is known of the images. Its key is a fingerprint of the format and of everything
that changes when a file is written or replaced; it is used only if its digest is correct.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.image_reading import Decoded, Facts, Pixels
from nnclassify.errors import SaveError
from nnclassify.files.atomic_write import PARTIAL, write_whole
from nnclassify.files.cache import discard, is_sealed, seal, trim
from nnclassify.files.images.image_format import file_formats
from nnclassify.files.lock import waiting_lock
from nnclassify.files.version import __version__
from nnclassify.process import releasable

FOLDER = "pictures"
"""Subfolder of the system's cache folder."""
FORMAT = 2
"""Version of the files: the first had no hashes."""
STATED_AT_ONCE = 2**16
"""Files whose paths are in memory at a time while they are looked at."""
ABANDONED_SECONDS = 86_400
"""Age of temporary files that are removed: whoever wrote them has been killed."""


def fingerprint(files: FileList, what: object) -> str | None:
    """Return a key, 32 characters, of everything that the result depends on; None if a file cannot be accessed."""
    import PIL  # another release may decode differently

    digest = hashlib.sha256(f"{FORMAT} {__version__} {PIL.__version__} {file_formats()} {what!r}".encode())
    digest.update(os.fsencode(files.root.absolute()) + b"\0")
    digest.update(files.text.data)
    digest.update(files.ends.data)
    try:
        for start in range(0, len(files), STATED_AT_ONCE):
            for path in files.texts(range(start, min(start + STATED_AT_ONCE, len(files)))):
                digest.update(_version(path))
    except OSError:
        return None
    return digest.hexdigest()[:32]


def _version(path: str) -> bytes:
    """Return a value that changes whenever the content of a file does.

    Programs such as unpackers can set a file's modification time, but not its status change time (`ctime`), and a
    replaced file has another inode. Windows has no `ctime`, so the content itself is hashed there.
    """
    if sys.platform == "win32":
        return hashlib.sha256(Path(path).read_bytes()).digest()
    status = os.stat(path)  # noqa: PTH116 - a million `Path` objects take seconds
    return b"%d %d %d %d\n" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class ImageCache:
    """A folder with decoded images.

    Attributes:
        folder: The folder, in which nobody but the user can write.
        root: The cache folder that it belongs to; None for the system's.
        limit: Total size of its files in bytes; the least recently used are deleted first.
    """

    folder: Path
    root: Path | None
    limit: int

    def load(self, key: str, shape: tuple[int, ...]) -> Decoded | None:
        """Return the pixels `(N, C, H, W)` of a fingerprint, memory-mapped; None if missing or damaged."""
        path = self._path(key)
        if not is_sealed(path, self.root):
            return None
        try:
            # Mode c (copy on write): changes to the array stay in memory.
            pixels: Any = np.load(path, mmap_mode="c", allow_pickle=False)
            with path.open("rb") as file:
                file.seek(pixels.offset + pixels.nbytes)
                facts = _facts_from(json.loads(file.read()))
            os.utime(path)
            releasable(pixels.base)
        except (OSError, ValueError, TypeError, KeyError, EOFError):
            return None
        return Decoded(pixels, facts) if pixels.shape == shape and pixels.dtype == np.uint8 else None

    def load_or_build(
        self, key: str, shape: tuple[int, ...], decode: Callable[[Facts], Iterable[Pixels]]
    ) -> Decoded | None:
        """Return the pixels of a fingerprint, memory-mapped; decode them first if they are not there.

        Of several processes that need the same images, one decodes them and the others wait.

        Args:
            key: The fingerprint.
            shape: The shape `(N, C, H, W)` of all pixels.
            decode: Function that yields the pixels in blocks, and fills the facts.

        Returns:
            The pixels, or None if they could not be saved, as on a full disk.
        """
        if (kept := self.load(key, shape)) is not None:
            return kept
        with waiting_lock(self.folder / f"{key}.lock"):
            if (kept := self.load(key, shape)) is not None:
                return kept
            self._remove_abandoned(key)
            discard(self._path(key))
            try:
                self._build(key, shape, decode)
            except SaveError:
                return None
            trim(self.folder, "*.npy", self.limit)
        return self.load(key, shape)

    def _build(self, key: str, shape: tuple[int, ...], decode: Callable[[Facts], Iterable[Pixels]]) -> None:
        digest = hashlib.sha256()

        def content() -> Iterator[bytes | memoryview]:
            header, facts = io.BytesIO(), Facts()
            np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
            yield header.getvalue()
            yield from (block.data for block in decode(facts))
            yield json.dumps({**vars(facts), "hashes": facts.hashes.hex()}).encode()

        def write(file: IO[bytes]) -> None:
            for part in content():
                file.write(part)
                digest.update(part)

        path = self._path(key)
        write_whole(path, write, size=int(np.prod(shape, dtype=np.int64)), private=True)
        seal(path, digest.hexdigest())

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"

    def _remove_abandoned(self, key: str) -> None:
        """Remove temporary files of processes that were killed: nobody else writes this key while we hold its lock."""
        for path in self.folder.glob(f"*{PARTIAL}"):
            with contextlib.suppress(OSError):
                if path.name.startswith(key) or time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()


def _facts_from(values: Any) -> Facts:
    errors = {int(row): str(text) for row, text in values["errors"].items()}
    return Facts(errors, [int(row) for row in values["frames"]], bytearray.fromhex(values["hashes"]))
