"""Stores the decoded images of a dataset: in memory, in the cache, or nowhere."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnclassify.data.examples import content_hashes
from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.image_cache import FOLDER, ImageCache, fingerprint
from nnclassify.data.images.image_folders import SplitFolder
from nnclassify.data.images.image_listing import name_within
from nnclassify.data.images.image_reading import (
    Decoded,
    DeepFound,
    Facts,
    Pixels,
    Scale,
    decode_blocks,
    frames_note,
    measured_scale,
)
from nnclassify.data.splitting import Rows
from nnclassify.data.unsplit import Loaded, UnsplitExamples
from nnclassify.errors import DataError, counted
from nnclassify.files.cache import private_folder, unusable
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.process import available_memory

if TYPE_CHECKING:
    from torch import Tensor

MIN_IMAGES = 1000
"""Fewer images are decoded in about a second and are not cached."""
MEMORY_SHARE = 0.5
"""Largest part of the available memory that decoded images may take."""
MAX_NAMED = 10
"""Number of files to name individually in messages."""
BAR_SECONDS = 1.0
"""A progress bar is drawn after this time."""


@dataclass(frozen=True)
class CacheOptions:
    """Where decoded images may be kept.

    Attributes:
        place: `auto` for the system's cache folder; `off`; or a folder.
        limit: Total size of the cache in bytes.
    """

    place: str
    limit: int

    def cache(self) -> ImageCache | None:
        """Return the cache, or None if there is none, or others can write to it.

        Raises:
            DataError: The config names a folder that cannot be used.
        """
        root = None if self.place == "auto" else Path(self.place)
        folder = private_folder(FOLDER, root)
        if folder is None and root is not None:
            raise DataError(f"dataset.cache: {unusable(FOLDER, root)}", ("dataset", "cache"))
        return None if folder is None else ImageCache(folder, root, self.limit)


class Reader:
    """Reads the splits of a dataset, one after the other.

    Attributes:
        image_format: The image format; black and white are set at the first image with more than 8 bits per pixel.
        unread: Error messages of the images that could not be read.
        frames: The images whose files have more frames or pages than the first.
        num_deep: Number of images with more than 8 bits per pixel; 0 if the config gives black and white.
    """

    def __init__(self, image_format: ImageFormat, root: Path, options: CacheOptions, *, is_limited: bool) -> None:
        self.image_format = image_format
        self.unread: dict[Path, str] = {}
        self.frames: list[Path] = []
        self.num_deep = 0
        self._root = root
        self._options = options
        self._is_limited = is_limited
        self._pools: list[FileList] = []
        self._reasons: list[str] = []

    def pool(self, split: SplitFolder) -> UnsplitExamples:
        """Return the images of a split, which are decoded once it is known which of them are used.

        All images of the pool are decoded together, so that other splits of it need no other decoding; with a limited
        number of examples, only those in a split.
        """
        import torch

        files = split.paths
        self._pools.append(files)
        stored: list[tuple[Tensor, Facts]] = []

        def load(rows: Rows) -> Loaded:
            source = rows if self._is_limited else None
            if not stored or source is not None:
                stored[:] = [self._read(files if source is None else files.take(source))]
            inputs, facts = stored[0]
            wanted = rows if source is None else np.arange(len(rows))
            hashes = torch.from_numpy(np.frombuffer(facts.hashes, np.uint8).reshape(-1, 8))
            return Loaded(inputs, source, wanted[~np.isin(wanted, [*facts.errors])], hashes)

        return UnsplitExamples(split.targets, load, files.example_names())

    def _read(self, files: FileList) -> tuple[Tensor, Facts]:
        try:
            inputs, facts = self._stored(files)
        except DeepFound:
            scale = self._scale()
            self.num_deep = scale.num_deep
            self.image_format = replace(self.image_format, black=scale.black, white=scale.white)
            inputs, facts = self._stored(files)
        self.unread |= {files[row]: error for row, error in facts.errors.items()}
        self.frames += [files[row] for row in facts.frames]
        return inputs, facts

    def _stored(self, files: FileList) -> tuple[Tensor, Facts]:
        """Return images in memory, from the cache, or streamed.

        Raises:
            DeepFound: An image has more than 8 bits per pixel, and it is not known how to scale it.
        """
        import torch

        from nnclassify.data.images.image_stream import StreamedImages

        decoded = None
        if self._options.place != "off":
            shape = (len(files), *self.image_format.shape())
            available = available_memory()
            fits = available is None or math.prod(shape) <= MEMORY_SHARE * available
            if len(files) >= MIN_IMAGES or not fits:
                decoded = self._cached(files, shape)
            if decoded is None and fits:
                decoded = self._in_memory(files, shape)
        if decoded is not None:
            return torch.from_numpy(decoded.pixels), decoded.facts
        facts = Facts()
        for _ in self._decoded(files, facts, "checking"):
            pass
        return StreamedImages.of(files, self.image_format), facts

    def _cached(self, files: FileList, shape: tuple[int, ...]) -> Decoded | None:
        """Return images from the cache, or None if they cannot be there: the reason is noted if it is the limit."""
        cache = self._options.cache()
        total = sum(map(len, self._pools)) * math.prod(shape[1:])
        if total > self._options.limit:
            self._reasons.append(
                f"dataset.cache_limit: {total / 1e9:.3g} GB of decoded images are over the limit of "
                f"{self._options.limit / 1e9:.3g} GB, so they are not cached"
            )
            return None
        key = None if cache is None else fingerprint(files, self.image_format)
        if cache is None or key is None:
            return None
        return cache.load_or_build(key, shape, lambda facts: self._decoded(files, facts, "decoding"))

    def _in_memory(self, files: FileList, shape: tuple[int, ...]) -> Decoded:
        facts, pixels, start = Facts(), np.empty(shape, dtype=np.uint8), 0
        for block in self._decoded(files, facts, "decoding"):
            pixels[start : start + len(block)] = block
            start += len(block)
        return Decoded(pixels, facts)

    def _decoded(self, files: FileList, facts: Facts, what: str) -> Iterator[Pixels]:
        """Yield decoded images in blocks, hashed, with a progress bar on a terminal."""
        blocks = decode_blocks(files, self.image_format, facts, until_deep=self.image_format.white is None)
        for block in _with_bar(blocks, len(files), f"{what} {self._root}"):
            facts.hashes += content_hashes(block.reshape(len(block), -1))
            yield block

    def _scale(self) -> Scale:
        """Return the scale of all images with more than 8 bits per pixel, from the cache if it is there."""
        files = FileList.joined(self._root, self._pools)
        cache = self._options.cache() if self._options.place != "off" and len(files) >= MIN_IMAGES else None
        key = None if cache is None else fingerprint(files, "scale")
        if cache is None or key is None:
            return measured_scale(files)
        kept = cache.load_or_build(key, (24,), lambda _: [np.array(measured_scale(files)).view(np.uint8)])
        if kept is None:
            return measured_scale(files)
        num_deep, black, white = np.array(kept.pixels).view(np.float64).tolist()
        return Scale(int(num_deep), black, white)

    def refuse_unread(self) -> None:
        """Reject images that cannot be read.

        Raises:
            DataError: There are such images; the message has a line for each of the first, and gives their number.
        """
        if not self.unread:
            return
        *others, last = [self.unread[path] for path in sorted(self.unread)[:MAX_NAMED]]
        more = f" ({len(self.unread)} such files)" if len(self.unread) > 1 else ""
        raise DataError([*map(_reason, others), f"{last}{more}; fix it, or set dataset.on_bad_file: skip"])

    def skipped(self) -> dict[str, str]:
        """Return the reason for each image that could not be read, by its path relative to the root."""
        return {name_within(self._root, path): _reason(self.unread[path]) for path in sorted(self.unread)}

    def notes(self) -> list[str]:
        """Return the notes on skipped images, multi-frame files, scaled values and what could not be cached."""
        notes = [f"skipped: {_reason(self.unread[path])}" for path in sorted(self.unread)[:MAX_NAMED]]
        if len(self.unread) > MAX_NAMED:
            notes.append(f"skipped: {len(self.unread) - MAX_NAMED} more files could not be read")
        notes += frames_note(self.frames)
        black, white, num_files = self.image_format.black, self.image_format.white, sum(map(len, self._pools))
        if self.num_deep and ((black, white) != (0, 65535) or self.num_deep + len(self.unread) < num_files):
            notes.append(
                f"{counted(self.num_deep, 'gray image')} with more than 8 bits per pixel: their values {black:g} to "
                f"{white:g} are scaled to 0 to 255; to scale others, set dataset.value_range"
            )
        return notes + list(dict.fromkeys(self._reasons))


def _reason(error: str) -> str:
    """Return an error of an image without what was expected instead."""
    return error.partition("; expected ")[0]


def _with_bar(blocks: Iterable[Pixels], total: int, what: str) -> Iterator[Pixels]:
    from tqdm import tqdm

    is_off = not sys.stderr.isatty() or os.environ.get("TERM") == "dumb"
    with tqdm(total=total, desc=what, unit="image", delay=BAR_SECONDS, disable=is_off, leave=False) as bar:
        for block in blocks:
            yield block
            bar.update(len(block))
