"""Pillow's resizing as tensor operations, bit for bit, for images of any size in one graph.

Pillow resizes one axis, rounds to bytes, resizes the other one and rounds again; see `ROWS_FIRST` for the order. Each
pass is a product with a matrix of coefficients of 22 binary digits (libImaging's Resample.c, `precompute_coeffs` and
`normalize_coeffs_8bpc`). Sums of bytes times such integers are exact in float64. Which part of the image goes where is
`ImageOps.fit` and `ImageOps.pad`.
"""

from __future__ import annotations

from typing import NamedTuple

import PIL
import torch
from torch import Tensor

from nnclassify.files.images.image_format import ImageFormat, Interpolation

SUPPORT: dict[Interpolation, float] = {"bilinear": 1.0, "bicubic": 2.0}
"""Radius of each filter, in pixels of the larger of the two images."""
BITS = 22
"""Binary digits of a coefficient."""


def rows_first(version: str) -> tuple[int, int, int, int] | None:
    """Return when a release of Pillow resizes the height before the width, which is less work but rounds differently.

    Returns:
        The factors a, b, c, d: an image of `height` and `width` that becomes `new_height` and `new_width` is resized so
        if `new_height < height` and `a * height + b * width + c * new_height + d * new_width > 0`. None: never. Found
        by experiment: 30,000 images of random sizes were resized by Pillow 12.3 and 13.0.
    """
    release = tuple(int(part) for part in version.split(".")[:2])
    if release >= (13, 0):
        return 1, -2, -1, 2
    return (1, -100, 0, 0) if release >= (12, 3) else None


ROWS_FIRST = rows_first(PIL.__version__)
"""Of the installed release, so that an exported network predicts what `predict` does here."""


class Axis(NamedTuple):
    """Where the pixels of one side of the result come from; each is a float64 tensor `()`.

    Attributes:
        length: The side of the image.
        start: Where the part that is used begins.
        end: Where it ends.
        offset: The pixel of the result at which the resized part begins.
        size: The number of pixels that it is resized to.
    """

    length: Tensor
    start: Tensor
    end: Tensor
    offset: Tensor
    size: Tensor


def resized(images: Tensor, image_format: ImageFormat) -> Tensor:
    """Resize images as Pillow does.

    Args:
        images: uint8 values in any number type, `(N, H, W, C)` of any H and W.
        image_format: The size and the way to it.

    Returns:
        Whole numbers from 0 to 255, float64 `(N, C, height, width)`.
    """
    pixels = images.permute(0, 3, 1, 2).to(torch.float64).contiguous()
    height, width = map(_number, pixels.shape[2:])
    if image_format.resize != "pad":
        return _resized(pixels, height, width, image_format)
    is_narrow = (_wide(width, height, image_format.height) > width) | (
        _wide(height, width, image_format.width) > height
    )
    # A branch of the graph, which is taken by few images and costs the others nothing.
    found: Tensor = torch.cond(
        is_narrow,
        lambda pixels: _resized(*_widened(pixels, image_format), image_format),
        lambda pixels: _resized(pixels, _number(pixels.shape[2]), _number(pixels.shape[3]), image_format),
        (pixels,),
    )
    return found


def _resized(pixels: Tensor, height: Tensor, width: Tensor, image_format: ImageFormat) -> Tensor:
    """Resize images of `height` and `width`, which are the upper left part of `pixels`."""
    rows, columns = _axes(height, width, image_format)
    across = _matrix(columns, pixels.shape[3], image_format.width, image_format.interpolation).T
    down = _matrix(rows, pixels.shape[2], image_format.height, image_format.interpolation)
    if ROWS_FIRST is None:
        return _columns_first(pixels, down, across)
    sides = (rows.length, columns.length, rows.size, columns.size)
    balance = sum((factor * side for factor, side in zip(ROWS_FIRST, sides, strict=True)), torch.zeros_like(rows.size))
    are_first = (rows.size < rows.length) & (balance > 0)
    if not torch.compiler.is_compiling():  # `cond` would compile both branches
        return _rows_first(pixels, down, across) if are_first else _columns_first(pixels, down, across)
    found: Tensor = torch.cond(are_first, _rows_first, _columns_first, (pixels, down, across))
    return found


def _widened(pixels: Tensor, image_format: ImageFormat) -> tuple[Tensor, Tensor, Tensor]:
    """Widen images so narrow that less than one pixel of them would remain; see `ImageFormat`.

    Returns:
        Pixels, of which the upper left part is the image, and its height and width. A tensor of just that size would
        make torch.export refuse some sizes, because the size is a maximum of two.
    """
    height, width = pixels.shape[2:]
    high, wide = _number(height), _number(width)
    wider, higher = _wide(wide, high, image_format.height), _wide(high, wide, image_format.width)
    across = _matrix(_whole(wide, wider), width, width + height // image_format.height + 1, "bicubic").T
    down = _matrix(_whole(high, higher), height, height + width // image_format.width + 1, "bicubic")
    return _columns_first(pixels, down, across), higher, wider


def _columns_first(pixels: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _down(_across(pixels, across), down)


def _rows_first(pixels: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _across(_down(pixels, down), across)


def _across(pixels: Tensor, across: Tensor) -> Tensor:
    """Resize the columns, and round to bytes. (A transpose in here would be an operand of both branches of `cond`, and
    torch 2.11 refuses operands that share their memory.)"""
    # Of 4 and 2 dimensions, `matmul` compares strides; torch.export makes of that a guard that refuses some sizes.
    planes = pixels.flatten(0, 1)
    found = _to_bytes(torch.bmm(planes, across.expand(planes.shape[0], -1, -1)))
    return found.reshape(*pixels.shape[:2], *found.shape[1:])


def _down(pixels: Tensor, down: Tensor) -> Tensor:
    """Resize the rows, and round to bytes."""
    planes = pixels.flatten(0, 1)
    found = _to_bytes(torch.bmm(down.expand(planes.shape[0], -1, -1), planes))
    return found.reshape(*pixels.shape[:2], *found.shape[1:])


def _wide(length: Tensor, other: Tensor, target: int) -> Tensor:
    """Return the length that a side needs so that a pixel of it remains where the other side becomes `target`."""
    return torch.maximum(length, torch.ceil(other / target))


def _whole(length: Tensor, size: Tensor) -> Axis:
    zero = torch.zeros_like(length)
    return Axis(length, zero, length, zero, size)


def _number(length: int) -> Tensor:
    # Of a symbolic length this is a node of the graph, where `torch.tensor` would be a constant.
    return torch.full((), length, dtype=torch.float64)


def _axes(height: Tensor, width: Tensor, image_format: ImageFormat) -> tuple[Axis, Axis]:
    target = _number(image_format.height), _number(image_format.width)
    ways = {"squash": _squashed, "crop": _cropped, "pad": _padded}
    return ways[image_format.resize](height, width, target, image_format.crop_fraction)


def _squashed(height: Tensor, width: Tensor, target: tuple[Tensor, Tensor], _: float) -> tuple[Axis, Axis]:
    return _whole(height, target[0]), _whole(width, target[1])


def _cropped(height: Tensor, width: Tensor, target: tuple[Tensor, Tensor], fraction: float) -> tuple[Axis, Axis]:
    """The largest part in the middle that has the aspect ratio of the target: `ImageOps.fit`."""
    border = (1 - fraction) / 2
    left, top = border * width, border * height
    live_width, live_height = width - left * 2, height - top * 2
    ratio, wanted = live_width / live_height, target[1] / target[0]
    crop_width = torch.where(ratio > wanted, wanted * live_height, live_width)
    crop_height = torch.where(ratio < wanted, live_width / wanted, live_height)
    left, top = left + (live_width - crop_width) * 0.5, top + (live_height - crop_height) * 0.5
    zero = torch.zeros_like(height)
    (left, right), (top, bottom) = (
        (start.float().double(), (start + size).float().double())  # Pillow keeps the corners in float32
        for start, size in ((left, crop_width), (top, crop_height))
    )
    return Axis(height, top, bottom, zero, target[0]), Axis(width, left, right, zero, target[1])


def _padded(height: Tensor, width: Tensor, target: tuple[Tensor, Tensor], _: float) -> tuple[Axis, Axis]:
    """The whole image in the middle, as large as fits: `ImageOps.pad`."""
    ratio, wanted = width / height, target[1] / target[0]
    new_height = torch.where(ratio > wanted, torch.round(height / width * target[1]), target[0])
    new_width = torch.where(ratio < wanted, torch.round(width / height * target[0]), target[1])
    zero = torch.zeros_like(height)
    offsets = (torch.round((size - new) * 0.5) for size, new in zip(target, (new_height, new_width), strict=True))
    (down, across) = offsets
    return Axis(height, zero, height, down, new_height), Axis(width, zero, width, across, new_width)


def _matrix(axis: Axis, length: int, size: int, interpolation: Interpolation) -> Tensor:
    """Return the coefficients of `length` pixels for each of `size` pixels: integers, float64 `(size, length)`."""
    place = torch.arange(size, dtype=torch.float64)[:, None] - axis.offset  # (size, 1)
    scale = (axis.end - axis.start).float().double() / axis.size
    stretch = scale.clamp_min(1.0)
    radius = SUPPORT[interpolation] * stretch
    center = axis.start + (place + 0.5) * scale
    low = torch.floor(center - radius + 0.5).clamp_min(0.0)
    high = torch.minimum(torch.floor(center + radius + 0.5), axis.length)
    pixel = torch.arange(length, dtype=torch.float64)  # (length,)
    weight = _filter((pixel - center + 0.5) * (1.0 / stretch), interpolation)
    weight = torch.where((pixel >= low) & (pixel < high), weight, 0.0)
    weight = weight / weight.sum(dim=1, keepdim=True)
    is_inside = (place >= 0) & (place < axis.size)
    scaled = torch.where(is_inside, weight, 0.0) * 2.0**BITS
    return torch.where(scaled < 0, -torch.floor(0.5 - scaled), torch.floor(0.5 + scaled))


def _filter(distance: Tensor, interpolation: Interpolation) -> Tensor:
    x = distance.abs()
    if interpolation == "bilinear":
        return (1.0 - x).clamp_min(0.0)
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))


def _to_bytes(sums: Tensor) -> Tensor:
    return torch.floor((sums + 2.0 ** (BITS - 1)) * 2.0**-BITS).clamp(0.0, 255.0)
