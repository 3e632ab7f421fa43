"""Reads many images in one format, each file once; what is wrong with a file is reported with its row."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnclassify.data.file_list import FileList
from nnclassify.data.image_depth import ValueRange, black_and_white, is_deep, range_of, values_of
from nnclassify.data.image_format import ImageFormat, look_at
from nnclassify.errors import DataError, InputError, counted, some

if TYPE_CHECKING:
    from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

SMALL_FILE = 8192
"""Average size in bytes, as of a JPEG of about 170 x 170 pixels."""

BLOCK_BYTES = 2**24
"""Pixels that are decoded at a time, in bytes."""


@dataclass
class Facts:
    """What is known of images after reading them.

    Attributes:
        errors: Error message of each row that could not be read.
        deep: The rows with more than 8 bits per pixel.
        frames: The rows whose files have more frames or pages than the first, which was read.
        hashes: The hashes of the pixels of all rows, eight bytes each; empty if nobody needs them.
    """

    errors: dict[int, str] = field(default_factory=dict)
    deep: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    hashes: bytearray = field(default_factory=bytearray)


class Decoded(NamedTuple):
    """Images in memory: uint8 `(N, C, H, W)`, zeros where an image could not be read, and what is known of them."""

    pixels: Pixels
    facts: Facts


class DeepFound(Exception):
    """An image has more than 8 bits per pixel, and the format does not say how to scale it."""


def decode_images(paths: Sequence[Path], image_format: ImageFormat) -> Decoded:
    """Decode images into memory, large ones on all cores."""
    facts = Facts()
    blocks = list(decode_blocks(paths, image_format, facts))
    return Decoded(np.concatenate([np.empty((0, *image_format.shape()), np.uint8), *blocks]), facts)


def decode_blocks(
    paths: Sequence[Path], image_format: ImageFormat, facts: Facts, *, until_deep: bool = False
) -> Iterator[Pixels]:
    """Yield decoded images `(B, C, H, W)`, in order, and add what is found to `facts`.

    Raises:
        DeepFound: With `until_deep`, there is an image with more than 8 bits per pixel.
    """
    shape = image_format.shape()
    size = max(1, BLOCK_BYTES // int(np.prod(shape)))
    with _readers(paths) as for_each:
        for start in range(0, len(paths), size):
            rows = range(start, min(start + size, len(paths)))
            pixels = np.zeros((len(rows), *shape), dtype=np.uint8)
            for_each(rows, _Block(_texts(paths, rows), image_format, facts, until_deep, pixels, start).decode)
            if until_deep and facts.deep:
                raise DeepFound
            yield pixels
    facts.errors = dict(sorted(facts.errors.items()))
    facts.deep.sort()
    facts.frames.sort()


@dataclass(frozen=True)
class _Block:
    """Some of the rows of a list of images, from `start` on, and where their pixels go."""

    paths: list[str]
    image_format: ImageFormat
    facts: Facts
    until_deep: bool
    pixels: Pixels
    start: int

    def decode(self, row: int) -> None:
        """Decode one image, unless it would have to be decoded again."""
        if self.until_deep and self.facts.deep:
            return
        try:
            found = self.image_format.decode(self.paths[row - self.start])
        except InputError as error:
            self.facts.errors[row] = str(error)
            return
        self.pixels[row - self.start] = found.pixels
        if found.is_deep:
            self.facts.deep.append(row)
        if found.has_frames:
            self.facts.frames.append(row)


def _texts(paths: Sequence[Path], rows: range) -> list[str]:
    if isinstance(paths, FileList):
        return paths.texts(rows)
    return [*map(str, paths[rows.start : rows.stop])]


def for_each_row(paths: Sequence[Path], look: Callable[[int], None]) -> None:
    """Call `look(row)` for each row of a list of images, in several threads if that is faster."""
    with _readers(paths) as for_each:
        for_each(range(len(paths)), look)


@contextmanager
def _readers(paths: Sequence[Path]) -> Iterator[Callable[[range, Callable[[int], None]], object]]:
    """Return a function that calls another one for each of some rows, in several threads if that is faster."""
    # With small files, threads mostly wait for Python's lock: two threads take twice as long as one.
    sizes = [path.stat().st_size for path in paths[:: len(paths) // 50 + 1] if path.is_file()]
    ignore_warnings()
    if sum(sizes) < SMALL_FILE * len(sizes):
        yield lambda rows, look: deque(map(look, rows), maxlen=0)
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield lambda rows, look: deque(pool.map(look, rows), maxlen=0)


def ignore_warnings() -> None:
    """Ignore Pillow's warnings: odd metadata does not affect pixels, and our own limit rejects huge images.

    This lasts until the end of `process.preserve_process_state`, or of the process: warning filters belong to the
    process, and threads that restore them interfere with each other.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True)
class Scale:
    """How images with more than 8 bits per pixel are scaled to 0..255; see `ImageFormat`."""

    num_deep: int
    black: float
    white: float

    def values(self) -> list[float]:
        """Return the three values."""
        return [self.num_deep, self.black, self.white]


def measured_scale(paths: Sequence[Path]) -> Scale:
    """Return the scale of all images with more than 8 bits per pixel (at least one).

    Raises:
        DataError: Their values cannot be compared.
    """
    ranges = measure(paths)
    if len({found.whole for found in ranges}) > 1:
        raise DataError(
            "dataset.root: some gray images are floating-point and others 16-bit or 32-bit, so their values cannot be "
            "compared; convert all of them to one type, or set dataset.value_range"
        )
    return Scale(len(ranges), *black_and_white(ranges))


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


def frames_note(paths: list[Path]) -> list[str]:
    """Return a line on files of which only the first frame or page is used, if there are any."""
    found = f"several frames or pages in {counted(len(paths), 'file')} ({some(paths)}): only the first of each is used"
    return [found] if paths else []
