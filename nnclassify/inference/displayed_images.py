"""Raw images of any number type and number of channels as they are displayed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

MAX_SIDE = 600
"""Maximum side of an image in pixels; larger images are drawn with every second pixel, every third, and so on."""


def displayed(
    image: Tensor, limits: tuple[float, float] | None = None, max_side: int = MAX_SIDE
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Convert an image `(C, H, W)` of any number type to values in 0..1: `(H, W, 3)`, or `(H, W)` of a gray image.

    Unless it has one or three channels, the mean of the channels is shown.

    Args:
        image: The image.
        limits: The values of black and white. Default: 0 and 255 for bytes, else the lowest and the highest value.
        max_side: See `MAX_SIDE`.
    """
    step = -(-max(image.shape[1:]) // max_side)
    values = image[:, ::step, ::step].float()
    usual = (0.0, 255.0) if image.dtype == torch.uint8 else (float(values.min()), float(values.max()))
    low, high = limits or usual
    values = ((values - low) / max(high - low, 1e-12)).clamp(0, 1)
    return (values.permute(1, 2, 0) if len(values) == 3 else values.mean(0)).numpy()
