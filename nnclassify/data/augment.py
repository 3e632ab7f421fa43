"""Random augmentation of training images: the options, and the values drawn for one epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnclassify.seeds import torch_rng
from nnclassify.settings import Settings, Switch

if TYPE_CHECKING:
    from torch import Tensor


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
        """Return the option that does not fit the shape of the examples, and why; None if all fit."""
        if self == Augment():
            return None
        shortest = min(input_shape[1:]) if len(input_shape) == 3 else 0
        side = "x".join(map(str, input_shape[1:]))
        if self.crop >= shortest > 0:
            return "crop", f"found {self.crop} for images of {side} pixels; expected at most {shortest - 1}"
        if self.cutout > shortest > 0:
            return "cutout", f"found {self.cutout} for images of {side} pixels; expected at most {shortest}"
        return None


@dataclass(frozen=True)
class Augmentation:
    """The random changes of one epoch, drawn for every example at once.

    Attributes:
        flips: Whether to flip each example horizontally, bool `(N,)`; None if flipping is off.
        shifts: Offset of each crop within the padded image, down and right, in 0..2 * crop, `(N, 2)`; None if off.
        crop: Pixels of reflection padding on each side.
        centers: Center of each cutout square, as fractions of height and width, `(N, 2)`; None if off.
        cutout: Side of the square in pixels.
    """

    flips: Tensor | None
    shifts: Tensor | None
    crop: int
    centers: Tensor | None = None
    cutout: int = 0

    @classmethod
    def draw(cls, augment: Augment | None, seed: int, epoch: int, num_examples: int) -> Augmentation | None:
        """Draw the changes for all examples of a split; None if there is nothing to change."""
        import torch

        if augment is None or augment == Augment():
            return None
        flips = shifts = centers = None
        if augment.flip == "alternate":
            flips = (torch.rand(num_examples, generator=torch_rng(seed, "flip")) < 0.5) ^ (epoch % 2 == 0)
        elif augment.flip:
            flips = torch.rand(num_examples, generator=torch_rng(seed, "flip", epoch)) < 0.5
        if augment.crop:
            rng = torch_rng(seed, "crop", epoch)
            shifts = torch.randint(0, 2 * augment.crop + 1, (num_examples, 2), generator=rng)
        if augment.cutout:
            centers = torch.rand(num_examples, 2, generator=torch_rng(seed, "cutout", epoch))
        return cls(flips, shifts, augment.crop, centers, augment.cutout)

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        """Flip and shift raw images `(B, C, H, W)`; `rows` `(B,)` are their positions in the split."""
        import torch

        if self.flips is not None:
            flips = self.flips[rows].to(images.device, non_blocking=True)
            images = torch.where(flips[:, None, None, None], images.flip(3), images)
        if self.shifts is not None:
            moves = self.shifts[rows].to(images.device, non_blocking=True)
            images = shift(images, moves, self.crop)
        return images

    def cut(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Set the cutout squares of normalized images `(B, C, H, W)` to 0; `rows` `(B,)` as in `apply`."""
        import torch

        if self.centers is None:
            return inputs
        height, width = inputs.shape[2:]
        first = (self.centers[rows] * torch.tensor([height, width])).long() - self.cutout // 2  # (B, 2)
        down, right = torch.arange(height) - first[:, :1], torch.arange(width) - first[:, 1:]  # (B, H), (B, W)
        in_rows, in_columns = ((place >= 0) & (place < self.cutout) for place in (down, right))
        square = in_rows[:, None, :, None] & in_columns[:, None, None, :]  # (B, 1, H, W)
        return inputs.masked_fill(square.to(inputs.device, non_blocking=True), 0.0)


def shift(images: Tensor, shifts: Tensor, border: int) -> Tensor:
    """Crop images `(B, C, H, W)`, padded by reflection, at each example's own offset `(B, 2)`.

    Works on the complete batch: one gather along the rows, then one along the columns.
    """
    import torch
    from torch.nn import functional

    _, channels, height, width = images.shape
    border_h, border_w = min(border, height - 1), min(border, width - 1)
    # Pad in float: reflection padding does not support uint8, and every value up to 255 is exact in float.
    padded = functional.pad(images.float(), (border_w, border_w, border_h, border_h), mode="reflect")
    down = shifts[:, :1].clamp(max=2 * border_h) + torch.arange(height, device=images.device)
    right = shifts[:, 1:].clamp(max=2 * border_w) + torch.arange(width, device=images.device)
    rows = down[:, None, :, None].expand(-1, channels, -1, padded.shape[3])
    columns = right[:, None, None, :].expand(-1, channels, height, -1)
    return padded.gather(2, rows).gather(3, columns).to(images.dtype)
