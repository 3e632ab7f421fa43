"""Decodes one image file into an array of shape (C, H, W): format, rotation, color mode and size."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from nnclassify.errors import InputError, one_line
from nnclassify.files.images.image_depth import ValuesError, black_and_white, is_deep, range_of, to_bytes, values_of
from nnclassify.files.images.png import MAX_BYTES, lacks_rows, pixels_alone

if TYPE_CHECKING:
    from PIL import Image
    from pydantic import ConfigDict

Mode = Literal["rgb", "gray"]
Resize = Literal["squash", "crop", "pad"]
Interpolation = Literal["bilinear", "bicubic"]

Result = TypeVar("Result")

MAX_PIXELS = 89_478_485
"""Pillow's own limit against decompression bombs; a larger image is an error, not a warning."""

FIRST_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""The most frequent formats, which are tried first."""
OTHER_PROGRAMS = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FPX", "MIC"}
"""Formats that Pillow recognizes but can read only with another program, such as Ghostscript, or not at all."""

FRAMES = {"GIF", "PNG", "WEBP", "TIFF", "AVIF", "FLI", "DCX", "IM"}
"""Formats with several frames or pages. MPO (a preview for the screen) and PSD (layers) do not count."""

ORIENTATION = 0x0112
"""EXIF tag of an image's orientation."""

TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's transposition for each EXIF orientation."""


class DecodedImage(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: uint8 `(C, H, W)`.
        is_deep: Whether the file is grayscale with more than 8 bits per pixel.
        has_frames: Whether the file has more frames or pages than the first, which was read.
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
        resize: How to change the aspect ratio: `squash` the image, `crop` its center, or `pad` it with black.
        max_value: The value of white: 255 for uint8 images, 1 for float ones.
        black: The value mapped to 0 in 16-bit, 32-bit and float files.
        white: The value mapped to 255 in such files; None if the dataset has none of them: each file is then scaled
            by its own values.
        interpolation: How to interpolate between pixels when resizing.
        crop_fraction: With `crop`: fraction of the shorter side that is kept.
        background: The color that shows through transparent pixels, by its name or as `#rrggbb`.
    """

    height: int
    width: int
    mode: Mode
    resize: Resize = "squash"
    max_value: int = 255
    black: float = 0.0
    white: float | None = None
    interpolation: Interpolation = "bilinear"
    crop_fraction: float = 1.0
    background: str = "white"

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    def shape(self) -> tuple[int, int, int]:
        """Return the shape of one example, `(C, H, W)`."""
        return 3 if self.mode == "rgb" else 1, self.height, self.width

    def is_sound(self) -> bool:
        """Return whether black and white are finite, white is above black, and the background is a color."""
        high = math.inf if self.white is None else self.white
        return (
            0 < self.crop_fraction <= 1
            and self.max_value > 0
            and -math.inf < self.black < high
            and self.white != math.inf
            and is_color(self.background)
        )

    def decode(self, path: Path | str, content: bytes | None = None, max_pixels: int = MAX_PIXELS) -> DecodedImage:
        """Decode an image file and apply its EXIF rotation.

        Args:
            path: The file.
            content: The file, if it is in memory; `path` then only names it in messages.
            max_pixels: A larger image is an error.

        Raises:
            InputError: The file is missing, not an image, truncated, or has too many pixels.
        """
        return look_at(path, self._decoded, content, max_pixels)

    def open_upright(self, path: Path | str) -> Image.Image:
        """Open an image file as `decode` does, up to the point where colors and size are converted."""
        return look_at(path, self._upright)

    def decode_image(self, image: Image.Image, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Convert an image in memory, which is not changed, as `decode` does.

        Args:
            image: The image.
            name: Its name in error messages.

        Raises:
            InputError: Its pixels cannot be read, or there are too many.
        """
        with _explained(name):
            _check_size(image, name)
            turn = _turn(image)
            return self.convert(image if turn is None else image.transpose(turn))

    def _decoded(self, image: Image.Image) -> DecodedImage:
        return DecodedImage(self.convert(self._upright(image)), is_deep(image), _has_frames(image))

    def _upright(self, image: Image.Image) -> Image.Image:
        longest = math.ceil(
            max(self.width, self.height) / self.crop_fraction
        )  # not yet rotated, so either side may become the height
        if min(image.size) > longest:
            image.draft(image.mode, (longest, longest))  # lets the JPEG decoder work at a fraction of the size
        image.load()
        turn = _turn(image)
        return image if turn is None else image.transpose(turn)

    def convert(self, image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Convert an image to this mode and size: uint8 `(C, H, W)`."""
        from PIL import Image, ImageOps

        image = self.recolored(image)
        size = (self.width, self.height)
        if image.size != size or self.crop_fraction < 1:
            method, border = Image.Resampling[self.interpolation.upper()], (1 - self.crop_fraction) / 2
            methods: dict[Resize, Callable[[], Image.Image]] = {
                "squash": lambda: image.resize(size, method),
                "crop": lambda: ImageOps.fit(image, size, method, border),
                "pad": lambda: ImageOps.pad(self._widened(image), size, method),
            }
            image = methods[self.resize]()
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]

    def _widened(self, image: Image.Image) -> Image.Image:
        """Widen an image that is so narrow that less than one pixel of it would remain to one pixel."""
        size = max(image.width, -(-image.height // self.height)), max(image.height, -(-image.width // self.width))
        return image if size == image.size else image.resize(size)

    def recolored(self, image: Image.Image) -> Image.Image:
        """Convert an image of any size to RGB or L: transparent pixels over the background; more than 8 bits scaled by
        `black` and `white`."""
        from PIL import Image, ImageColor

        mode = "RGB" if self.mode == "rgb" else "L"
        if is_deep(image):
            values = values_of(image)
            own = (self.black, self.white) if self.white is not None else black_and_white([range_of(values)])
            image = Image.fromarray(to_bytes(values, *own))
        elif image.has_transparency_data:
            image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
            background = Image.new("RGBA", image.size, ImageColor.getcolor(self.background, "RGBA"))
            image = Image.alpha_composite(background, image)
        elif image.mode == "LAB":
            image = image.convert("RGB")  # from CIELAB, Pillow converts to nothing else
        return image if image.mode == mode else image.convert(mode)


def is_color(text: str) -> bool:
    """Return whether a text is a color that Pillow knows: a name of HTML, or `#rrggbb`."""
    from PIL import ImageColor

    try:
        return len(ImageColor.getrgb(text)) == 3
    except ValueError:
        return False


HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
"""The first brand of HEIF files (ISO/IEC 23008-12), as cameras and phones write them."""


OTHER_FILES = {
    "an HTML page, such as the error page of a server": (b"<!doctype html", b"<html"),
    "a pointer of Git LFS; run `git lfs pull`": (b"version https://git-lfs",),
    "an SVG drawing; convert it to PNG": (b"<svg", b'<?xml version="1.0" encoding="utf-8"?><svg'),
    "XML": (b"<?xml", b"<"),
    "JSON": (b"{", b"["),
    "PDF": (b"%pdf",),
    "a zip archive; unpack it": (b"pk\x03\x04",),
    "compressed by gzip; unpack it": (b"\x1f\x8b",),
    "an array of NumPy": (b"\x93numpy",),
}
"""What files are that are taken for images by mistake, by their beginnings in lower case."""


@cache
def file_formats() -> list[str]:
    """Return the names of the formats that this build of Pillow reads without another program: HEIF too, if
    `pillow-heif` is installed."""
    from PIL import Image

    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()  # loads Pillow's plugins, once
    first = [name for name in FIRST_FORMATS if name in Image.OPEN]
    return first + sorted(name for name in Image.OPEN if name not in OTHER_PROGRAMS and name not in first)


def look_at(
    path: Path | str,
    look: Callable[[Image.Image], Result],
    content: bytes | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Result:
    """Open an image file and return `look(image)`.

    Args:
        path: The file.
        look: What is done with the image, whose pixels are not loaded yet.
        content: The file, if it is in memory; `path` then only names it in messages.
        max_pixels: A larger image is an error.

    Raises:
        InputError: The file is missing, not an image, truncated, or has too many pixels.
    """
    source = path if content is None else BytesIO(content)
    try:
        return _look_at(path, source, look, max_pixels)
    except InputError:
        if content is None and not os.path.isfile(path):  # noqa: PTH113, also where its folder cannot be read
            raise
        if (bare := pixels_alone(_start_of(source, MAX_BYTES + 1))) is None:
            raise
    return _look_at(path, bare, look, max_pixels)


def _look_at(
    path: Path | str, source: Path | str | BytesIO, look: Callable[[Image.Image], Result], max_pixels: int
) -> Result:
    """Return `look(image)` of an image from its file or from memory; errors name the file."""
    from PIL import Image, UnidentifiedImageError

    formats = file_formats()
    try:
        with _explained(path), Image.open(source, formats=formats) as image:
            _check_size(image, path, max_pixels)
            result = look(image)
            if _ends_blank(image) and lacks_rows(_start_of(source, MAX_BYTES + 1)):
                raise InputError(f"{path}: not a readable image (rows are missing); expected a complete image file")
            return result
    except UnidentifiedImageError as cause:
        raise InputError(f"{path}: not a readable image {_unidentified(_start_of(source, 132), formats)}") from cause


def _ends_blank(image: Image.Image) -> bool:
    """Return whether an image is a PNG whose pixels have been loaded, and whose last row is all zeros."""
    from PIL.PngImagePlugin import PngImageFile

    is_loaded = isinstance(image, PngImageFile) and not image.tile
    return is_loaded and image.crop((0, image.height - 1, image.width, image.height)).getbbox() is None


def _start_of(source: Path | str | BytesIO, size: int) -> bytes:
    """Return at most the first `size` bytes of a file; none if it cannot be read."""
    if isinstance(source, BytesIO):
        return source.getvalue()[:size]
    try:
        with Path(source).open("rb") as file:
            return file.read(min(size, os.fstat(file.fileno()).st_size))  # a buffer of that many bytes is made first
    except OSError:
        return b""


def _check_size(image: Image.Image, name: Path | str, max_pixels: int = MAX_PIXELS) -> None:
    if not image.width * image.height:
        raise InputError(f"{name}: {image.width}x{image.height} pixels; expected at least one")
    if image.width * image.height > max_pixels:
        size = f"{image.width}x{image.height} pixels"
        raise InputError(f"{name}: {size}, over the limit of {max_pixels}; make it smaller")


@contextmanager
def _explained(name: Path | str) -> Iterator[None]:
    """Turn whatever Pillow raises about an image, other than an unknown format, into an `InputError` that names it."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except (InputError, UnidentifiedImageError):
        raise
    except ValuesError as cause:
        raise InputError(f"{name}: {cause}") from cause
    except Exception as cause:  # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, ...
        why, hint = one_line(cause), "expected a complete image file"
        if isinstance(cause, FileNotFoundError):
            why, hint = "a broken link, or a file that has been removed", "fix or remove it"
        elif isinstance(cause, PermissionError):
            hint = "fix permissions"
        elif isinstance(cause, Image.DecompressionBombError):
            hint = "make it smaller"
        raise InputError(f"{name}: not a readable image ({why}); {hint}") from cause


def other_files(start: bytes) -> list[str]:
    """Return what a file of another kind may be, by its first bytes, the most likely first."""
    beginning = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return [kind for kind, signs in OTHER_FILES.items() if beginning.startswith(signs)]


def _unidentified(start: bytes, formats: list[str]) -> str:
    """Return what is wrong with a file that Pillow does not recognize, by its first bytes, and what was expected."""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS and "HEIF" not in formats:
        return "(HEIC); install what reads it: pip install 'nnclassify[heif]'"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis") and "AVIF" not in formats:
        return "(AVIF); install what reads it: pip install 'pillow>=11.3'"
    found = "in no known format, or damaged at its start" if start else "an empty file"
    kinds = other_files(start)
    if start[4:8] == b"ftyp":
        kinds = ["a video"]
    elif start[128:] == b"DICM":
        kinds = ["DICOM"]
    return f"({kinds[0] if kinds else found}); expected one of {', '.join(sorted(formats))}"


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return the rotation given by an image's EXIF data. Damaged EXIF data is ignored: the pixels are intact."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # as many kinds as there are ways to damage it
        return None
    if orientation not in TURNS:
        return None
    from PIL import Image

    return Image.Transpose[TURNS[orientation]]


def _has_frames(image: Image.Image) -> bool:
    """Return whether a file has more than one frame. A damaged second frame counts."""
    try:
        return image.format in FRAMES and bool(getattr(image, "is_animated", False))
    except Exception:
        return True
