"""Reads many images in one format, each file once; what is wrong with a file is reported with its row."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from nnclassify.data.file_list import FileList
from nnclassify.data.image_depth import ValueRange, black_and_white, is_deep, range_of, values_of
from nnclassify.data.image_format import ImageFormat, look_at
from nnclassify.errors import DataError, InputError, counted, some
from nnclassify.process import num_cores

if TYPE_CHECKING:
    from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
PathLike = TypeVar("PathLike", str, Path)
Result = TypeVar("Result")

SMALL_FILE = 8192
"""Average size in bytes, as of a JPEG of about 170 x 170 pixels."""

BLOCK_BYTES = 2**24
"""Pixels that are decoded at a time, in bytes."""


@dataclass
class Facts:
    """What is known of images after reading them.

    Attributes:
        errors: Error message of each row that could not be read.
        frames: The rows whose files have more frames or pages than the first, which was read.
        hashes: The hashes of the pixels of all rows, eight bytes each; empty if nobody needs them.
    """

    errors: dict[int, str] = field(default_factory=dict)
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
    for start in range(0, len(paths), size):
        files = _texts(paths, range(start, min(start + size, len(paths))))
        pixels = np.zeros((len(files), *shape), dtype=np.uint8)
        for row, found in enumerate(read_each(files, image_format.decode)):
            if isinstance(found, InputError):
                facts.errors[start + row] = str(found)
                continue
            if until_deep and found.is_deep:
                raise DeepFound
            pixels[row] = found.pixels
            if found.has_frames:
                facts.frames.append(start + row)
        yield pixels


def _texts(paths: Sequence[Path], rows: range) -> list[str]:
    if isinstance(paths, FileList):
        return paths.texts(rows)
    return [*map(str, paths[rows.start : rows.stop])]


def read_each(paths: Sequence[PathLike], look: Callable[[PathLike], Result]) -> Iterator[Result | InputError]:
    """Yield what `look` returns of each file, or why the file cannot be read, in order; large files on all cores."""

    def read(path: PathLike) -> Result | InputError:
        try:
            return look(path)
        except InputError as error:
            return error

    # With small files, threads mostly wait for Python's lock: two threads take twice as long as one.
    sizes = [path.stat().st_size for path in map(Path, paths[:: len(paths) // 50 + 1]) if path.is_file()]
    ignore_warnings()
    if sum(sizes) < SMALL_FILE * len(sizes):
        yield from map(read, paths)
        return
    with ThreadPoolExecutor(num_cores()) as pool:
        yield from pool.map(read, paths)


def ignore_warnings() -> None:
    """Ignore Pillow's warnings: odd metadata does not affect pixels, and our own limit rejects huge images.

    This lasts until the end of `process.preserve_process_state`, or of the process: warning filters belong to the
    process, and threads that restore them interfere with each other.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


class Scale(NamedTuple):
    """How images with more than 8 bits per pixel are scaled to 0..255; see `ImageFormat`."""

    num_deep: int
    black: float
    white: float


def measured_scale(paths: Sequence[Path]) -> Scale:
    """Return the scale of all images with more than 8 bits per pixel (at least one). Unreadable ones are reported
    elsewhere.

    Raises:
        DataError: Their values cannot be compared.
    """
    found = read_each(paths, partial(look_at, look=_range_if_deep))
    ranges = {row: each for row, each in enumerate(found) if isinstance(each, ValueRange)}
    of_type = {each.whole: paths[row] for row, each in ranges.items()}
    if len(of_type) > 1:
        raise DataError(
            f"dataset.root: some gray images are floating-point ({of_type[False]}) and others 16-bit or 32-bit "
            f"({of_type[True]}), so their values cannot be compared; convert all of them to one type, or set "
            "dataset.value_range"
        )
    return Scale(len(ranges), *black_and_white(ranges.values()))


def _range_if_deep(image: Image.Image) -> ValueRange | None:
    return range_of(values_of(image)) if is_deep(image) else None


def frames_note(paths: list[Path]) -> list[str]:
    """Return a line on files of which only the first frame or page is used, if there are any."""
    found = f"several frames or pages in {counted(len(paths), 'file')} ({some(paths)}): only the first of each is used"
    return [found] if paths else []
