"""Grayscale images with more than 8 bits per pixel: 16-bit PNG and PGM; 16-bit, 32-bit and float TIFF.

The files do not say which value is white: a 12-bit camera writes 16-bit files, and programs store 8-bit values,
fractions or temperatures in any of these types. So black and white are determined from the complete dataset and
stored with the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Values = np.ndarray[Any, np.dtype[Any]]

GRAY_MODES = {"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L"}
"""Pillow's modes without color."""

BIT_DEPTHS = (8, 10, 12, 14, 16)
"""Usual bit depths of cameras and scanners."""

OVERSHOOT = 0.1
"""Fraction of the range by which values may exceed it: resizing and sharpening overshoot white a little."""


class ValuesError(Exception):
    """The values of an image cannot be scaled to 0..255; the message says why."""


@dataclass(frozen=True)
class ValueRange:
    """Smallest and largest value of an image, and whether its values are integers by type."""

    low: float
    high: float
    whole: bool

    def __or__(self, other: ValueRange) -> ValueRange:
        return ValueRange(min(self.low, other.low), max(self.high, other.high), self.whole and other.whole)


def is_deep(image: Image.Image) -> bool:
    """Return whether an image is grayscale with more than 8 bits per pixel. Pillow itself reduces color images to 8."""
    return image.mode[0] in "IF"  # I, F, I;16, I;16B, ...


def values_of(image: Image.Image) -> Values:
    """Return the values `(H, W)` of a deep image.

    Raises:
        ValuesError: A value is NaN or infinite.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValuesError("holds NaN or infinity; expected finite values")
    return values


def range_of(values: Values) -> ValueRange:
    """Return the range of one image's values."""
    return ValueRange(float(values.min()), float(values.max()), values.dtype.kind in "iu")


def black_and_white(ranges: Iterable[ValueRange]) -> tuple[float, float]:
    """Return the values to map to 0 and 255, for images with these ranges.

    Nonnegative integers are assumed to fill the smallest usual bit depth that holds them, and floats to fill 0..1 or
    0..255 if they fill at least half of it. Anything else, such as temperatures or heights, is scaled from its
    smallest value to its largest.
    """
    found = reduce(ValueRange.__or__, ranges)
    if found.whole and found.low >= 0:
        for bits in BIT_DEPTHS:
            if found.high < 2**bits:
                return 0.0, 2.0**bits - 1
    elif not found.whole:
        if found.low >= -OVERSHOOT and 0.5 < found.high <= 1 + OVERSHOOT:
            return 0.0, 1.0
        if found.low >= 0 and 127 < found.high <= 255:
            return 0.0, 255.0
    return found.low, found.high


def to_bytes(values: Values, black: float, white: float) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Scale values `(H, W)` to 0..255.

    Raises:
        ValuesError: A value is below black or above white.
    """
    found, is_bit_depth = range_of(values), black == 0 and white in [2**bits - 1 for bits in BIT_DEPTHS]
    over = 0 if is_bit_depth and found.whole else OVERSHOOT * (white - black)
    if found.low < black - over or found.high > white + over:
        raise ValuesError(
            f"values from {found.low:g} to {found.high:g}; those of the other images are from {black:g} to {white:g}: "
            "rescale it to the same range, or set dataset.value_range"
        )
    if values.dtype.kind in "iu" and black == 0:
        return (values.astype(np.int64) * 256 // (int(white) + 1)).astype(np.uint8)  # the upper 8 of 16 bits
    scaled = (values.astype(np.float64) - black) * (255 / ((white - black) or 1))
    return scaled.round().clip(0, 255).astype(np.uint8)
