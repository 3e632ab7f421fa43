"""What pretrained weights require of the rest of a run: of its images, and of its optimizer."""

from __future__ import annotations

from dataclasses import dataclass

from nnclassify.files.images.image_format import Interpolation


@dataclass(frozen=True)
class Preprocessing:
    """How images were prepared when weights were trained.

    Attributes:
        height: H in pixels.
        width: W in pixels.
        mean: Mean of each channel, for pixels in 0..1.
        std: Standard deviation of each channel, for pixels in 0..1.
        interpolation: How images were resized.
        crop_fraction: Fraction of the shorter side that the center crop kept.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation = "bilinear"
    crop_fraction: float = 1.0


@dataclass(frozen=True)
class Body:
    """The pretrained part of a network, without its new head.

    Attributes:
        parameters: The names of its parameters.
        lr_factor: Factor on its learning rate.
        first_epoch: First epoch (from 1) in which it learns.
    """

    parameters: frozenset[str]
    lr_factor: float
    first_epoch: int
