"""One image file to an array of shape (C, H, W): decoding, rotation, mode and size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import ConfigDict

from nnclassify.data.image_depth import ValuesError, black_and_white, is_deep, range_of, to_bytes, values_of
from nnclassify.data.png import pixels_alone
from nnclassify.errors import InputError, one_line

if TYPE_CHECKING:
    from PIL import Image

Mode = Literal["rgb", "gray"]
Resize = Literal["squash", "crop", "pad"]

Result = TypeVar("Result")

MAX_PIXELS = 89_478_485
"""Pillow's own limit against decompression bombs; beyond it an image is an error, not a warning."""

FIRST_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""What a file is most often, and so is tried first."""
OTHER_PROGRAMS = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FPX", "MIC"}
"""What Pillow recognizes, but reads only with another program, such as Ghostscript, or not at all."""

FRAMES = {"GIF", "PNG", "WEBP", "TIFF", "AVIF", "FLI", "DCX", "IM"}
"""What may hold several frames or pages; not a second image for the screen alone (MPO), nor layers (PSD)."""

ORIENTATION = 0x0112
"""EXIF's tag of how an image is to be turned."""

TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF's orientations, and what Pillow calls the turn that each asks for."""


class Picture(NamedTuple):
    """An image that was read.

    Attributes:
        pixels: uint8 `(C, H, W)`.
        is_deep: Whether its file has more than 8 bits a pixel, in one channel.
        has_frames: Whether its file holds more frames or pages than the one that was read, the first.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    is_deep: bool
    has_frames: bool


@dataclass(frozen=True)
class ImageFormat:
    """How an image file becomes an array of shape (C, H, W).

    Attributes:
        height: H in pixels.
        width: W in pixels.
        mode: `rgb` (C = 3) or `gray` (C = 1).
        resize: How another aspect ratio is met: `squash` it, `crop` its center, or `pad` it with black.
        max_value: The value of white: 255 for uint8 images, 1 for float ones.
        black: The value in 16-bit, 32-bit and float files that becomes 0.
        white: The value in such files that becomes 255; None: no image of the data set had such values, and
            each file's own decide.
    """

    height: int
    width: int
    mode: Mode
    resize: Resize = "squash"
    max_value: int = 255
    black: float = 0.0
    white: float | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    def shape(self) -> tuple[int, int, int]:
        """One example's shape `(C, H, W)`."""
        return 3 if self.mode == "rgb" else 1, self.height, self.width

    def is_sound(self) -> bool:
        """Whether white is over black, both finite."""
        high = math.inf if self.white is None else self.white
        return self.max_value > 0 and -math.inf < self.black < high and self.white != math.inf

    def read(self, path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Decode a file that Pillow reads, its EXIF rotation obeyed, into uint8 `(C, H, W)`, 0..255.

        Raises:
            InputError: The file is missing, no image, truncated, or too large to be honest.
        """
        return self.decode(path).pixels

    def decode(self, path: Path) -> Picture:
        """The same, and what else there is to know of the file.

        Raises:
            InputError: As `read`.
        """
        return look_at(path, self._picture)

    def decode_image(self, image: Image.Image, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The same of an image in memory, which is left as it is.

        Args:
            image: The image.
            name: What to call it.

        Raises:
            InputError: Its pixels cannot be read, or there are too many.
        """
        with _explained(name):
            _check_size(image, name)
            turn = _turn(image)
            return self.convert(image if turn is None else image.transpose(turn))

    def _picture(self, image: Image.Image) -> Picture:
        longest = max(self.width, self.height)  # either way up: the rotation comes after
        if min(image.size) > longest:
            image.draft(image.mode, (longest, longest))  # lets JPEG decode at a fraction of its size
        image.load()
        turn = _turn(image)
        turned = image if turn is None else image.transpose(turn)
        return Picture(self.convert(turned), is_deep(image), _has_frames(image))

    def convert(self, image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Bring an image into this mode and size: uint8 `(C, H, W)`."""
        from PIL import Image, ImageOps

        image = self._to_mode(image, "RGB" if self.mode == "rgb" else "L")
        size = (self.width, self.height)
        if image.size != size:
            methods: dict[Resize, Callable[[], Image.Image]] = {
                "squash": lambda: image.resize(size, Image.Resampling.BILINEAR),
                "crop": lambda: ImageOps.fit(image, size, Image.Resampling.BILINEAR),
                "pad": lambda: ImageOps.pad(self._widened(image), size, Image.Resampling.BILINEAR),
            }
            image = methods[self.resize]()
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]

    def _widened(self, image: Image.Image) -> Image.Image:
        """An image so narrow that less than a pixel of it would remain, made a pixel wide."""
        size = max(image.width, -(-image.height // self.height)), max(image.height, -(-image.width // self.width))
        return image if size == image.size else image.resize(size)

    def _to_mode(self, image: Image.Image, mode: str) -> Image.Image:
        """To RGB or L; transparency over white, as a viewer shows it; more than 8 bits by `black` and `white`."""
        from PIL import Image

        if is_deep(image):
            values = values_of(image)
            own = (self.black, self.white) if self.white is not None else black_and_white([range_of(values)])
            image = Image.fromarray(to_bytes(values, *own))
        elif "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        return image if image.mode == mode else image.convert(mode)


@cache
def picture_formats() -> list[str]:
    """What is read as an image, by Pillow's names: all that this Pillow was built with and reads by itself."""
    from PIL import Image

    Image.init()  # looks at what this Pillow was built with, once
    first = [name for name in FIRST_FORMATS if name in Image.OPEN]
    return first + sorted(name for name in Image.OPEN if name not in OTHER_PROGRAMS and name not in first)


def look_at(path: Path, look: Callable[[Image.Image], Result]) -> Result:
    """What a function makes of an image file.

    Raises:
        InputError: The file is missing, no image, truncated, or too large to be honest.
    """
    try:
        return _look_at(path, path, look)
    except InputError:
        if not path.is_file() or (bare := pixels_alone(path)) is None:
            raise
    return _look_at(path, bare, look)


def _look_at(path: Path, source: Path | BytesIO, look: Callable[[Image.Image], Result]) -> Result:
    """What a function makes of an image, from its file or from memory; every error names the file."""
    from PIL import Image, UnidentifiedImageError

    formats = picture_formats()
    try:
        with _explained(path), Image.open(source, formats=formats) as image:
            _check_size(image, path)
            return look(image)
    except UnidentifiedImageError as cause:
        hint = f"expected one of {', '.join(sorted(formats))}"
        raise InputError(f"{path}: not a readable image ({_unidentified(path)}); {hint}") from cause


def _check_size(image: Image.Image, name: Path | str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{name}: {image.width}x{image.height} pixels, over the limit of {MAX_PIXELS}")


@contextmanager
def _explained(name: Path | str) -> Iterator[None]:
    """Turn whatever Pillow raises of an image into an error that names it; not that it knows no such format."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except (InputError, UnidentifiedImageError):
        raise
    except ValuesError as cause:
        raise InputError(f"{name}: {cause}") from cause
    except Exception as cause:  # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, ...
        hint = "expected a whole image file"
        raise InputError(f"{name}: not a readable image ({one_line(cause)}); {hint}") from cause


def _unidentified(path: Path) -> str:
    return "an empty file" if path.stat().st_size == 0 else "in no known format, or damaged at its start"


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How an image's EXIF data says that it is to be turned. Damaged EXIF data says nothing: the pixels are whole."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # as many kinds as there are ways to damage it
        return None
    if orientation not in TURNS:
        return None
    from PIL import Image

    return Image.Transpose[TURNS[orientation]]


def _has_frames(image: Image.Image) -> bool:
    """Whether there are more frames than the one that was read. A second one that is damaged is one, too."""
    try:
        return image.format in FRAMES and bool(getattr(image, "is_animated", False))
    except Exception:
        return True
