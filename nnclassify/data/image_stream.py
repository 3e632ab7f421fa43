"""Images that are decoded whenever they are used, for folders that fit neither into memory nor into the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.data.file_list import FileList
from nnclassify.data.image_format import ImageFormat
from nnclassify.data.image_reading import decode_images
from nnclassify.errors import DataError

KNOWN = (Tensor.size, Tensor.dim, Tensor.__len__)
"""What is answered from the shape alone, besides properties."""


class StreamedImages(Tensor):
    """A uint8 tensor `(N, C, H, W)` without memory: `index_select` decodes the files of its rows, on all cores.

    Nothing else can be computed with it.

    Attributes:
        files: The files.
        image_format: The format to decode them in.
    """

    files: FileList
    image_format: ImageFormat

    @staticmethod
    def of(files: FileList, image_format: ImageFormat) -> StreamedImages:
        """Return the images of files."""
        shape = (len(files), *image_format.shape())
        images = torch.zeros(1, dtype=torch.uint8).expand(shape).as_subclass(StreamedImages)
        images.files, images.image_format = files, image_format
        return images

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
        pixels, facts = decode_images(self.files.take(rows.cpu().numpy()), self.image_format)
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
