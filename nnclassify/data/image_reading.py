"""Reads the images of a dataset in one format, each file once; problems are reported at the end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnclassify.data.base import UnsplitExamples
from nnclassify.data.image_cache import MIN_PICTURES, Pixels, fingerprint, keep_decoded, load_decoded
from nnclassify.data.image_depth import ValueRange, black_and_white, is_deep, range_of, values_of
from nnclassify.data.image_folders import SplitFolder
from nnclassify.data.image_format import ImageFormat, look_at
from nnclassify.data.names import INDICES
from nnclassify.data.splitting import Rows
from nnclassify.errors import DataError, InputError, counted, some
from nnclassify.process import available_memory

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

SMALL_FILE = 8192
"""Average size in bytes, as of a JPEG of about 170 x 170 pixels."""

MAX_NAMED = 10
"""Number of files to name individually in messages."""


@dataclass(frozen=True)
class Decoded:
    """The result of reading images.

    Attributes:
        pixels: uint8 `(N, C, H, W)`; zeros for images that could not be read.
        errors: Error message of each row that could not be read.
        deep: The rows with more than 8 bits per pixel.
        frames: The rows whose files have more frames or pages than the first, which was read.
    """

    pixels: Pixels
    errors: dict[int, str] = field(default_factory=dict)
    deep: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()


def decode_images(paths: Iterable[Path], image_format: ImageFormat, until_deep: bool = False) -> Decoded:
    """Decode images, large ones on all cores. With `until_deep`, stop at the first with more than 8 bits per pixel."""
    paths = list(paths)
    pixels = np.zeros(shape_of(len(paths), image_format), dtype=np.uint8)
    errors: dict[int, str] = {}
    deep: list[int] = []
    frames: list[int] = []

    def read(row: int) -> None:
        if until_deep and deep:
            return
        try:
            found = image_format.decode(paths[row])
        except InputError as error:
            errors[row] = str(error)
            return
        pixels[row] = found.pixels
        if found.is_deep:
            deep.append(row)
        if found.has_frames:
            frames.append(row)

    for_each_row(paths, read)
    return Decoded(pixels, dict(sorted(errors.items())), tuple(sorted(deep)), tuple(sorted(frames)))


def for_each_row(paths: Sequence[Path], look: Callable[[int], None]) -> None:
    """Call `look(row)` for each row of a list of images, in several threads if that is faster."""
    # With small files, threads mostly wait for Python's lock: two threads take twice as long as one.
    sizes = [path.stat().st_size for path in paths[:: len(paths) // 50 + 1] if path.is_file()]
    num_readers, at_once = (1, 64) if sum(sizes) < SMALL_FILE * len(sizes) else (os.cpu_count() or 1, 1)

    def look_at_some(first: int) -> None:
        for row in range(first, min(first + at_once, len(paths))):
            look(row)

    ignore_warnings()
    with ThreadPoolExecutor(num_readers) as pool:
        for _ in pool.map(look_at_some, range(0, len(paths), at_once)):
            pass


def ignore_warnings() -> None:
    """Ignore Pillow's warnings: odd metadata does not affect pixels, and our own limit rejects huge images.

    This lasts until the end of `process.preserve_process_state`, or of the process: warning filters belong to the
    process, and threads that restore them interfere with each other.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_or_load(paths: Sequence[Path], image_format: ImageFormat, until_deep: bool = False) -> Decoded:
    """Decode images as `decode_images` does, but use what an earlier run has cached.

    Only results without errors and notes are cached.
    """
    key = _key(paths, image_format)
    kept = None if key is None else load_decoded(key, shape_of(len(paths), image_format))
    if kept is not None:
        return Decoded(kept)
    decoded = decode_images(paths, image_format, until_deep)
    is_plain = not decoded.errors and not decoded.frames and (not decoded.deep or image_format.white is not None)
    if key is not None and is_plain:
        keep_decoded(key, decoded.pixels)
    return decoded


def _key(paths: Sequence[Path], what: object) -> str | None:
    """Return the cache key of images; None if there are too few of them to cache."""
    return fingerprint(paths, what) if len(paths) >= MIN_PICTURES else None


def shape_of(num_images: int, image_format: ImageFormat) -> tuple[int, int, int, int]:
    """Return the shape `(N, C, H, W)` of images in a format."""
    return num_images, 3 if image_format.mode == "rgb" else 1, image_format.height, image_format.width


@dataclass(frozen=True)
class Scale:
    """How images with more than 8 bits per pixel are scaled to 0..255; see `ImageFormat`."""

    num_deep: int
    black: float
    white: float


def measure_or_recall(paths: Sequence[Path]) -> Scale:
    """Return the scale of all images with more than 8 bits per pixel (at least one), from the cache if it is there.

    Raises:
        DataError: Their values cannot be compared.
    """
    key = _key(paths, "scale")
    kept = None if key is None else load_decoded(key, (24,))
    if kept is not None:
        num_deep, black, white = np.array(kept).view(np.float64).tolist()
        return Scale(int(num_deep), black, white)
    ranges = measure(paths)
    if len({found.whole for found in ranges}) > 1:
        raise DataError(
            "dataset.root: some gray images are floating-point and others 16-bit or 32-bit, so their values cannot be "
            "compared; convert all of them to one type, or set dataset.value_range"
        )
    scale = Scale(len(ranges), *black_and_white(ranges))
    if key is not None:
        keep_decoded(key, np.array([scale.num_deep, scale.black, scale.white]).view(np.uint8))
    return scale


def measure(paths: Sequence[Path]) -> list[ValueRange]:
    """Return the ranges of all images with more than 8 bits per pixel. Unreadable images are reported elsewhere."""
    ranges: list[ValueRange] = []

    def look(row: int) -> None:
        try:
            found = look_at(paths[row], _range_if_deep)
        except InputError:
            return
        if found is not None:
            ranges.append(found)

    for_each_row(paths, look)
    return ranges


def _range_if_deep(image: Image.Image) -> ValueRange | None:
    return range_of(values_of(image)) if is_deep(image) else None


class Reader:
    """Reads the splits of a dataset, one after the other.

    Attributes:
        image_format: The image format; black and white are set at the first image with more than 8 bits per pixel.
        paths: All images of the dataset.
        unread: Error messages of the images that could not be read.
        frames: The images whose files have more frames or pages than the first.
        num_deep: Number of images with more than 8 bits per pixel; 0 if the config gives black and white.
    """

    def __init__(self, image_format: ImageFormat, root: Path) -> None:
        self.image_format = image_format
        self._root = "" if root == Path() else root.as_posix().rstrip("/") + "/"
        self.paths: list[Path] = []
        self.unread: dict[Path, str] = {}
        self.frames: list[Path] = []
        self.num_deep = 0

    def pool(self, split: SplitFolder) -> UnsplitExamples:
        """Return the images of a split; they are decoded once it is known which of them are used."""
        paths = split.paths
        self.paths += paths

        def load(rows: Rows) -> tuple[Tensor, Rows]:
            import torch

            decoded = self._read([paths[row] for row in rows])
            good = np.array([row for row in range(len(rows)) if row not in decoded.errors], dtype=np.int64)
            return torch.from_numpy(decoded.pixels[good] if decoded.errors else decoded.pixels), rows[good]

        return UnsplitExamples(split.targets, load, INDICES.with_texts(map(self._name_of, paths)))

    def _name_of(self, path: Path) -> str:
        """A file by its path relative to the root; pathlib's own `relative_to` takes ten times as long."""
        return path.as_posix().removeprefix(self._root)

    def _read(self, paths: list[Path]) -> Decoded:
        self._check_memory(len(paths))
        decoded = decode_or_load(paths, self.image_format, self.image_format.white is None)
        if decoded.deep and self.image_format.white is None:
            scale = measure_or_recall(self.paths)
            self.num_deep = scale.num_deep
            self.image_format = replace(self.image_format, black=scale.black, white=scale.white)
            decoded = decode_or_load(paths, self.image_format)
        self.unread |= {paths[row]: error for row, error in decoded.errors.items()}
        self.frames += [paths[row] for row in decoded.frames]
        return decoded

    def _check_memory(self, num_images: int) -> None:
        available = available_memory()
        needed = int(np.prod(shape_of(num_images, self.image_format), dtype=np.int64))
        if available is not None and needed > available:
            size = f"{self.image_format.height}x{self.image_format.width}"
            raise DataError(
                f"dataset.size: {num_images} images of {size} take {needed / 1e9:.1f} GB of memory, and "
                f"{available / 1e9:.1f} GB are free; lower dataset.size, or set dataset.limit"
            )

    def refuse_unread(self) -> None:
        """Reject images that cannot be read.

        Raises:
            DataError: There is such an image; the message names the first and gives their number.
        """
        if self.unread:
            first = self.unread[min(self.unread)]
            more = f" ({len(self.unread)} such files)" if len(self.unread) > 1 else ""
            raise DataError(f"{first}{more}; fix it, or set dataset.on_bad_file: skip")

    def notes(self) -> list[str]:
        """Return the notes on skipped images, multi-frame files and scaled values."""
        notes = [f"skipped: {path} could not be read" for path in sorted(self.unread)[:MAX_NAMED]]
        if len(self.unread) > MAX_NAMED:
            notes.append(f"skipped: {len(self.unread) - MAX_NAMED} more files could not be read")
        notes += frames_note(self.frames)
        black, white = self.image_format.black, self.image_format.white
        if self.num_deep and ((black, white) != (0, 65535) or self.num_deep + len(self.unread) < len(self.paths)):
            notes.append(
                f"{counted(self.num_deep, 'gray image')} with more than 8 bits per pixel: their values {black:g} to "
                f"{white:g} are scaled to 0 to 255; to scale others, set dataset.value_range"
            )
        return notes


def frames_note(paths: list[Path]) -> list[str]:
    """Return a line on files of which only the first frame or page is used, if there are any."""
    found = f"several frames or pages in {counted(len(paths), 'file')} ({some(paths)}): only the first of each is used"
    return [found] if paths else []
