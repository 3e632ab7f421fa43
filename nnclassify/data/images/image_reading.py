"""Reads many images in one format, each file once; what is wrong with a file is reported with its row."""

from __future__ import annotations

import statistics
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from nnclassify.data.images.file_list import FileList
from nnclassify.errors import DataError, InputError, counted, some
from nnclassify.files.images.image_depth import ValueRange, black_and_white, is_deep, range_of, values_of
from nnclassify.files.images.image_format import ImageFormat, look_at
from nnclassify.files.images.reading_processes import read_files, reading_processes
from nnclassify.process import num_cores

if TYPE_CHECKING:
    from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Result = TypeVar("Result")

SMALL_FILE = 12_288
"""Average size in bytes up to which threads take longer than one of them: a JPEG of about 350 x 350 pixels."""

LARGE_FILE = 32_768
"""Average size in bytes from which threads are as fast as processes."""

BULK = 20_000_000
"""Work, in bytes, that takes 0.8 s of one core: processes are worth their start, 0.15 s of each core."""

OVERHEAD = 2048
"""Bytes that are decoded in the time that opening a file takes."""

BLOCK_BYTES = 2**24
"""Pixels that are decoded at a time, in bytes."""

AT_ONCE = 64
"""Small files that are read at a time."""


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
    with closing(read_each(paths, image_format.decode, ahead=size, processes=True)) as results:
        for start in range(0, len(paths), size):
            pixels = np.zeros((min(size, len(paths) - start), *shape), dtype=np.uint8)
            for row, found in enumerate(islice(results, len(pixels))):
                if isinstance(found, InputError):
                    facts.errors[start + row] = str(found)
                    continue
                if until_deep and found.is_deep:
                    raise DeepFound
                pixels[row] = found.pixels
                if found.has_frames:
                    facts.frames.append(start + row)
            yield pixels


def read_each(
    paths: Sequence[Path], look: Callable[[str], Result], *, ahead: int = 256, processes: bool = False
) -> Generator[Result | InputError, None, None]:
    """Yield what `look` returns of each file, or why the file cannot be read, in order.

    Large files are read in a thread per core, small ones one by one, or many of them in a process per core.

    Args:
        paths: The files.
        look: The function.
        ahead: The number of results that may be in memory before they are asked for.
        processes: Whether `look` can be pickled, and is in a module that takes little time to import.
    """
    ignore_warnings()
    read_all, size, cores = partial(read_files, look), _mean_size(paths), num_cores()
    is_bulk = size < LARGE_FILE and len(paths) * (size + OVERHEAD) >= BULK
    in_processes = processes and is_bulk and cores > 1
    if size < SMALL_FILE and not in_processes:
        for part in _parts(paths, AT_ONCE):
            for path in part:
                yield from read_all([path])
        return
    num_files = min(max(ahead // (4 * cores), 1), AT_ONCE) if in_processes else 1
    with ThreadPoolExecutor(cores) as pool, ExitStack() as stack:
        call = stack.enter_context(reading_processes(cores, read_all)) if in_processes else read_all
        stack.callback(pool.shutdown, cancel_futures=True)  # nothing more is read for a caller that has gone
        waiting: deque[Future[list[Result | InputError]]] = deque()
        for part in _parts(paths, num_files):
            waiting.append(pool.submit(call, part))
            if len(waiting) * num_files > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _mean_size(paths: Sequence[Path]) -> float:
    """Return the average size in bytes of about 50 of the files that are there."""
    sample = map(Path, paths[:: len(paths) // 50 + 1])
    return statistics.mean([path.stat().st_size for path in sample if path.is_file()] or [0])


def _parts(paths: Sequence[Path], size: int) -> Iterator[list[str]]:
    """Yield the paths, so many at a time, as texts."""
    for start in range(0, len(paths), size):
        rows = range(start, min(start + size, len(paths)))
        yield paths.texts(rows) if isinstance(paths, FileList) else [*map(str, paths[start : rows.stop])]


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
