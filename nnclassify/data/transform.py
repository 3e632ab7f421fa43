"""From raw examples to what a network sees: decoding, normalizing, and augmentation for training alone.

One `Transform` serves training, evaluation and prediction. It is fixed from the training split and stored in
the checkpoint, so an input means the same to a net wherever the net is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter

from nnclassify.data.image_depth import ValuesError, black_and_white, is_deep, range_of, to_bytes, values_of
from nnclassify.data.png import pixels_alone
from nnclassify.errors import InputError, one_line
from nnclassify.settings import Settings, Switch

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

Mode = Literal["rgb", "gray"]
Resize = Literal["squash", "crop", "pad"]
Tta = Literal["none", "mirror", "mirror_translate"]
Normalize = Literal["standard", "minmax", "unit", "none"]

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

LARGEST = 1.8e19
"""A normalized value beyond it has no square in float32: the first products of a net are infinite."""

STATISTICS_CHUNK = 2048
"""Examples read at a time for the statistics: bounds memory, changes no result."""


class Augment(Settings):
    """Random augmentation of training images, a function of (seed, epoch, example) only."""

    flip: Switch | Literal["alternate"] = False
    """Flip images horizontally with probability 0.5. With `alternate`, the choice is made at random in the first
    epoch, and each image is then flipped in every second epoch (Jordan, 2024, arXiv:2404.00498)."""
    crop: Annotated[int, Field(ge=0, le=64)] = 0
    """Random crop with this many pixels of reflection padding: shifts the image by up to this many pixels in each
    direction."""
    cutout: Annotated[int, Field(ge=0, le=1024)] = 0
    """Side in pixels of a square set to 0 after normalization, centered anywhere in the image (DeVries and Taylor,
    2017, arXiv:1708.04552)."""

    def refuses(self, input_shape: tuple[int, ...]) -> tuple[str, str] | None:
        """The option that examples of a shape cannot be changed by, and why; None: they can."""
        if self == Augment():
            return None
        shortest = min(input_shape[1:]) if len(input_shape) == 3 else 0
        side = "x".join(map(str, input_shape[1:]))
        if self.crop >= shortest > 0:
            return "crop", f"found {self.crop} for images of {side} pixels; expected at most {shortest - 1}"
        if self.cutout > shortest > 0:
            return "cutout", f"found {self.cutout} for images of {side} pixels; expected at most {shortest}"
        return None


class Evaluating(Settings):
    """How the network is evaluated: in validation, by `evaluate` and by `predict`."""

    tta: Tta = "none"
    """Test-time augmentation: views of an image whose outputs are averaged. `mirror`: the image and its mirror image;
    `mirror_translate`: half of the weight on these two, half on both shifted by one pixel down and right, and up and
    left."""


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
class PictureFormat:
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
        with Image.open(source, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{path}: {image.width}x{image.height} pixels, over the limit of {MAX_PIXELS}")
            return look(image)
    except InputError:
        raise
    except ValuesError as cause:
        raise InputError(f"{path}: {cause}") from cause
    except UnidentifiedImageError as cause:
        hint = f"expected one of {', '.join(sorted(formats))}"
        raise InputError(f"{path}: not a readable image ({_unidentified(path)}); {hint}") from cause
    except Exception as cause:  # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, ...
        hint = "expected a whole image file"
        raise InputError(f"{path}: not a readable image ({one_line(cause)}); {hint}") from cause


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


@dataclass(frozen=True)
class Transform:
    """Raw inputs `(N, ...)` to network inputs `(N, ...)`: `(raw - shift) / scale`.

    Attributes:
        input_shape: One example's shape: `(C, H, W)`, or `(num_features,)`.
        picture: How an image file becomes a raw input; None where examples are no images.
        feature_names: The columns in order; None where they have no names.
        shift: Float64, broadcastable to `input_shape`, in raw units.
        scale: Float64, same shape, never zero.
    """

    input_shape: tuple[int, ...]
    picture: PictureFormat | None
    feature_names: list[str] | None
    shift: Tensor
    scale: Tensor

    def __call__(self, raw: Tensor, dtype: torch.dtype) -> Tensor:
        """Normalize raw inputs of any number type into `dtype`.

        Tables arrive in float64 and are normalized there: two columns may differ in the tenth digit only.
        """
        import torch

        if raw.dtype == torch.float64:
            shift, scale = (value.to(raw.device, non_blocking=True) for value in (self.shift, self.scale))
            return raw.sub(shift).div_(scale).to(dtype)
        shift, scale = (value.to(raw.device, dtype, non_blocking=True) for value in (self.shift, self.scale))
        return raw.to(dtype).sub_(shift).div_(scale) if raw.dtype == torch.uint8 else (raw.to(dtype) - shift) / scale

    def too_large(self, raw: Tensor) -> dict[int, str]:
        """Of raw inputs `(N, ...)`, the rows that hold a value too large to compute with, and which value."""
        import torch

        if raw.dtype == torch.uint8:
            return {}
        normalized = ((raw.double() - self.shift) / self.scale).abs().flatten(1)
        fits = (normalized <= LARGEST) & (raw.flatten(1).abs() <= torch.finfo(torch.float32).max)
        rows = (~fits).any(dim=1).nonzero().flatten().tolist()
        found = {}
        for row in rows:
            place = int((~fits[row]).nonzero()[0])
            name = f"column {self.feature_names[place]!r}: " if self.feature_names else ""
            value, size = float(raw[row].flatten()[place]), float(normalized[row, place])
            found[row] = f"{name}{value:.6g}, {size:.2g} after normalizing, is too large to compute with in float32"
        return found

    def state(self) -> dict[str, Any]:
        """Primitives and tensors, for a checkpoint."""
        picture = None if self.picture is None else dict(vars(self.picture))
        return {
            "input_shape": list(self.input_shape),
            "picture": picture,
            "feature_names": self.feature_names,
            "shift": self.shift,
            "scale": self.scale,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Transform:
        """The inverse of `state`.

        Raises:
            ValueError: It is no such state.
        """
        shape, names, shift, scale = tuple(state["input_shape"]), state["feature_names"], state["shift"], state["scale"]
        picture = None if state["picture"] is None else TypeAdapter(PictureFormat).validate_python(state["picture"])
        if picture is not None and (shape != picture.shape() or not picture.is_sound()):
            raise ValueError("the image format does not fit the input shape, or white is not above black")
        if names is not None and shape != (len(names),):
            raise ValueError("the feature names do not fit the input shape")
        _check_statistics(shape, shift, scale)
        return cls(shape, picture, names, shift, scale)


def _check_statistics(shape: tuple[int, ...], shift: Tensor, scale: Tensor) -> None:
    """Refuse statistics that are not finite, do not fit one example, or divide by 0."""
    import torch

    for value in (shift, scale):
        # NumPy's broadcast_shapes: torch's imports sympy, which takes half a second.
        if value.dtype != torch.float64 or np.broadcast_shapes(tuple(value.shape), shape) != shape:
            raise ValueError("the transform's shift or scale does not fit its input shape")
    if not (shift.isfinite() & scale.isfinite() & (scale > 0)).all():
        raise ValueError("the transform's shift or scale is not finite, or a scale is not over 0")


def fit_normalization(inputs: Tensor, indices: Tensor, normalize: Normalize) -> tuple[Tensor, Tensor]:
    """Shift and scale from the training rows `indices` of raw `inputs` `(M, ...)`.

    Images `(N, C, H, W)` get one pair a channel, tables `(N, num_features)` one a column. `standard` is the
    mean and the standard deviation; `minmax` maps the smallest value to 0 and the largest to 1; `unit` does the
    same with one pair for all columns, and with 0 and 255 for images in uint8. A constant column is only
    shifted.

    Returns:
        Two float64 tensors that broadcast against one example.
    """
    import torch

    shape = [inputs.shape[1], *[1] * (inputs.ndim - 2)]
    if normalize == "none":
        return torch.zeros(shape, dtype=torch.float64), torch.ones(shape, dtype=torch.float64)
    if normalize == "unit" and inputs.dtype == torch.uint8:
        return torch.zeros(shape, dtype=torch.float64), torch.full(shape, 255.0, dtype=torch.float64)
    if normalize == "standard":
        shift, scale = _mean_and_std(inputs, indices)
    else:
        low, high = _extremes(inputs, indices)
        if normalize == "unit":
            low, high = low.min().repeat(len(low)), high.max().repeat(len(high))
        shift, scale = low, high - low
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return shift.reshape(shape), scale.reshape(shape)


def _mean_and_std(inputs: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Per channel or column, in float64; uint8 pixels are summed as integers, so exactly."""
    import torch

    dims = [dim for dim in range(inputs.ndim) if dim != 1]
    count = len(indices) * max(1, inputs[0, 0].numel())
    if inputs.dtype == torch.uint8:
        total, squares = _sums_of_bytes(inputs, indices)
        mean = total / count
        squares -= count * mean.square()
    else:
        chunks = indices.split(STATISTICS_CHUNK)
        mean = sum(inputs[rows].sum(dim=dims, dtype=torch.float64) for rows in chunks) / torch.tensor(count)
        shape = [-1, *[1] * (inputs.ndim - 2)]
        squares = torch.zeros_like(mean)
        for rows in chunks:
            squares += (inputs[rows].double() - mean.reshape(shape)).square_().sum(dim=dims)
    std = squares.div(count).clamp_(min=0).sqrt()
    # Rounding alone leaves a constant column a tiny spread, and dividing by that would turn it into noise.
    return mean, torch.where(std > 1e-12 * mean.abs(), std, torch.zeros_like(std))


def _sums_of_bytes(inputs: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """The exact sums of uint8 values and of their squares, per channel or column."""
    import torch

    total, squares = torch.zeros(2, inputs.shape[1], dtype=torch.float64).unbind()
    if inputs.ndim == 2:
        for rows in indices.split(256):  # 256 x 255^2 < 2^24: float32 adds that many without rounding
            values = inputs.index_select(0, rows).float()
            total += values.sum(dim=0)
            squares += values.square_().sum(dim=0)
        return total, squares
    values = torch.arange(256)
    for rows in indices.split(STATISTICS_CHUNK):
        channels = inputs.index_select(0, rows).transpose(0, 1).flatten(1)
        counts = torch.stack([channel.bincount(minlength=256) for channel in channels])
        total += (counts * values).sum(dim=1)
        squares += (counts * values.square()).sum(dim=1)
    return total, squares


def _extremes(inputs: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    dims = [dim for dim in range(inputs.ndim) if dim != 1]
    lows, highs = [], []
    for rows in indices.split(STATISTICS_CHUNK):
        lows.append(inputs[rows].amin(dim=dims))
        highs.append(inputs[rows].amax(dim=dims))
    return torch.stack(lows).amin(0).double(), torch.stack(highs).amax(0).double()
