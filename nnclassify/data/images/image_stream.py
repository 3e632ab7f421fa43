"""Images that are decoded whenever they are used, for folders that fit neither into memory nor into the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.image_reading import Decoded, decode_images
from nnclassify.errors import DataError
from nnclassify.files.images.image_format import ImageFormat

KNOWN = (Tensor.size, Tensor.dim, Tensor.__len__)
"""What is answered from the shape alone, besides properties."""


class StreamedImages(Tensor):
    """A uint8 tensor `(N, C, H, W)` without memory: `index_select` decodes the files of its rows, on all cores.

    Nothing else can be computed with it. Rows that will be needed next can be read ahead, while others are used.

    Attributes:
        files: The files.
        image_format: The format to decode them in.
        ahead: What is being decoded in the background, by the bytes of its rows.
    """

    files: FileList
    image_format: ImageFormat
    ahead: dict[bytes, Future[Decoded]]

    @staticmethod
    def of(files: FileList, image_format: ImageFormat) -> StreamedImages:
        """Return the images of files."""
        shape = (len(files), *image_format.shape())
        images = torch.zeros(1, dtype=torch.uint8).expand(shape).as_subclass(StreamedImages)
        images.files, images.image_format, images.ahead = files, image_format, {}
        return images

    def read_ahead(self, parts: Iterable[Tensor]) -> None:
        """Start to decode the images of some rows `(B,)` each, and of no others: `index_select` of the same rows waits
        for them instead of decoding. What was started before is waited for, and forgotten."""
        wait(self.ahead.values())
        self.ahead = {key: _worker().submit(self._decode, rows) for rows in parts for key in [_key(rows)]}

    def _decode(self, rows: Tensor) -> Decoded:
        return decode_images(self.files.take(rows.cpu().numpy()), self.image_format)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Iterable[Any] = (),
        kwargs: Mapping[Any, Any] | None = None,
    ) -> Any:
        """Compute with the images, as torch asks for every operation of a subclass of `Tensor`."""
        if func is Tensor.index_select:
            images, _, rows = args
            return images.decoded(rows)
        if func.__name__ == "__get__" or func in KNOWN:
            return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]  # torch's
        raise TypeError(f"{func.__name__}: only index_select reads streamed images")

    def decoded(self, rows: Tensor) -> Tensor:
        """Return the images of rows `(B,)`, `(B, C, H, W)`.

        Raises:
            DataError: A file that could be read before cannot be read any more.
        """
        started = self.ahead.pop(_key(rows), None)
        pixels, facts = self._decode(rows) if started is None else started.result()
        if facts.errors:
            raise DataError(f"{next(iter(facts.errors.values()))}; it could be read when the run began")
        return torch.from_numpy(pixels)

    def state(self) -> dict[str, Any]:
        """Return the state for another process: primitives and tensors."""
        names = self.files.example_names()
        places = {"root": str(self.files.root), "text": names.text, "ends": names.ends}
        return {**places, "image_format": dict(vars(self.image_format))}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> StreamedImages:
        """Restore from `state()`."""
        files = FileList(Path(state["root"]), state["text"].numpy(), state["ends"].numpy())
        return cls.of(files, ImageFormat(**state["image_format"]))


def _key(rows: Tensor) -> bytes:
    return rows.cpu().numpy().tobytes()


@cache
def _worker() -> ThreadPoolExecutor:
    """The thread that reads ahead: one, which decodes large files on all cores."""
    return ThreadPoolExecutor(1, "read-ahead")
