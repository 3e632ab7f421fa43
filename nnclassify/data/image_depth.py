"""Gray images with more than 8 bits a pixel: 16-bit PNG and PGM, 16-bit, 32-bit and float TIFF.

No file says which of its values is white: a 12-bit camera writes 16-bit files, and programs write 8-bit values, shares
or degrees into any of them. So black and white follow from the values of the whole data set, and stay with the run.
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

BIT_DEPTHS = (8, 10, 12, 14, 16)
"""Of cameras, scanners and the files that they write."""

OVERSHOOT = 0.1
"""By how much of the range values may lie outside it: resizing and sharpening go a little over white."""


class ValuesError(Exception):
    """The values of an image cannot be brought to 0..255; what is wrong with them."""


@dataclass(frozen=True)
class ValueRange:
    """The smallest and the largest value, and whether they are whole numbers by type."""

    low: float
    high: float
    whole: bool

    def __or__(self, other: ValueRange) -> ValueRange:
        return ValueRange(min(self.low, other.low), max(self.high, other.high), self.whole and other.whole)


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits a pixel, in one channel; Pillow reduces those in color by itself."""
    return image.mode[0] in "IF"  # I, F, I;16, I;16B, ...


def values_of(image: Image.Image) -> Values:
    """The values `(H, W)` of a deep image.

    Raises:
        ValuesError: One is NaN or infinite.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValuesError("holds NaN or infinity; expected finite values")
    return values


def range_of(values: Values) -> ValueRange:
    """The range of one image's values."""
    return ValueRange(float(values.min()), float(values.max()), values.dtype.kind in "iu")


def black_and_white(ranges: Iterable[ValueRange]) -> tuple[float, float]:
    """Which values become 0 and 255, for images of these ranges.

    Whole numbers from 0 on are taken to fill the smallest usual bit depth that holds them; floats, 0..1 or 0..255 where
    they fill at least half of it. Anything else, such as degrees or heights, is spread from its smallest value to its
    largest.
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
    """Bring `(H, W)` values to 0..255.

    Raises:
        ValuesError: They reach beyond black or white.
    """
    found, is_bit_depth = range_of(values), black == 0 and white in [2**bits - 1 for bits in BIT_DEPTHS]
    over = 0 if is_bit_depth and found.whole else OVERSHOOT * (white - black)
    if found.low < black - over or found.high > white + over:
        raise ValuesError(
            f"values from {found.low:g} to {found.high:g}; those of the other images are from {black:g} to {white:g}: "
            "bring "
            "it to the same range, or set dataset.value_range"
        )
    if values.dtype.kind in "iu" and black == 0:
        return (values.astype(np.int64) * 256 // (int(white) + 1)).astype(np.uint8)  # of 16 bits, the upper 8
    scaled = (values.astype(np.float64) - black) * (255 / ((white - black) or 1))
    return scaled.round().clip(0, 255).astype(np.uint8)
