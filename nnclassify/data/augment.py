"""Random augmentation of training images: the options, and the values drawn for one epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nnclassify.seeds import torch_rng
from nnclassify.settings import Settings, Switch

if TYPE_CHECKING:
    import torch
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
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Rotation by a random angle of up to this many degrees in either direction; corners become black."""
    color: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Change of brightness, contrast and saturation, each by a random factor from 1 - color to 1 + color."""
    auto: Literal["trivial", "rand"] | None = None
    """Automatic augmentation: `trivial` for one random operation per image (TrivialAugment, Mueller and Hutter, 2021,
    arXiv:2103.10158), `rand` for two (RandAugment, Cubuk et al., 2019, arXiv:1909.13719)."""
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that a random rectangle of the image is set to 0 after normalization (random erasing, Zhong et al.,
    2017, arXiv:1708.04896)."""
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Blend each image, and its target, with another example of the training set: the weight is drawn from a Beta
    distribution with this parameter (mixup, Zhang et al., 2017, arXiv:1710.09412); 0 for never. The training accuracy
    is then against the class with the larger weight."""
    cutmix: Annotated[float, Field(ge=0, le=100)] = 0.0
    """As `mixup`, with a rectangle of the other image pasted in place of a blend (CutMix, Yun et al., 2019,
    arXiv:1905.04899). With both, each image gets one of the two at random."""

    @property
    def mixes(self) -> bool:
        """Return whether images are mixed with others, so that targets are soft."""
        return self.mixup > 0 or self.cutmix > 0

    def change(self) -> Callable[[Tensor], Tensor] | None:
        """Return torchvision's random transform of one image `(C, H, W)`; None if no option asks for one."""
        if not (self.rotate or self.color or self.auto):
            return None
        from torchvision.transforms import InterpolationMode, v2

        steps: list[Callable[[Tensor], Tensor]] = []
        if self.rotate:
            steps.append(v2.RandomRotation([-self.rotate, self.rotate], InterpolationMode.BILINEAR))
        if self.color:
            steps.append(v2.ColorJitter(self.color, self.color, self.color))
        if self.auto:
            steps.append({"trivial": v2.TrivialAugmentWide, "rand": v2.RandAugment}[self.auto]())
        composed: Callable[[Tensor], Tensor] = v2.Compose(steps)
        return composed

    def refuses(self, input_shape: tuple[int, ...], *, has_units: bool = True) -> tuple[str, str] | None:
        """Return the option that does not fit the examples, and why; None if all fit.

        Args:
            input_shape: Shape of one example.
            has_units: Whether the values of black and white are known.
        """
        if self == Augment():
            return None
        if not has_units and (self.color or self.auto):
            option = "color" if self.color else "auto"
            return option, "needs images with 1 or 3 channels in 0..255 or 0..1; remove it"
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
        change: torchvision's random transform of one image `(C, H, W)`; None if off.
        seeds: Seed of that transform for each example, `(N,)`.
        erased: Rectangle to erase in each example: whether there is one, area, logarithm of height over width, and
            position, down and right, as fractions of what is possible, `(N, 5)`; None if off.
    """

    flips: Tensor | None
    shifts: Tensor | None
    crop: int
    centers: Tensor | None = None
    cutout: int = 0
    change: Callable[[Tensor], Tensor] | None = None
    seeds: Tensor | None = None
    erased: Tensor | None = None

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
        change, seeds, erased = augment.change(), None, None
        if change is not None:
            seeds = torch.randint(2**62, (num_examples,), generator=torch_rng(seed, "change", epoch))
        if augment.erase:
            erased = _drawn_rectangles(augment.erase, num_examples, torch_rng(seed, "erase", epoch))
        return cls(flips, shifts, augment.crop, centers, augment.cutout, change, seeds, erased)

    def apply(self, images: Tensor, rows: Tensor, white: int | None = 255) -> Tensor:
        """Flip, shift and change raw images `(B, C, H, W)`.

        Args:
            images: The images.
            rows: Their positions in the split, `(B,)`.
            white: The value of white; None if unknown.
        """
        import torch

        if self.flips is not None:
            # Of each image and its mirror image, select one: on a CPU, four times as fast as torch.where.
            chosen = torch.arange(len(images)) + len(images) * self.flips[rows]
            both = torch.cat([images, images.flip(3)])
            images = both.index_select(0, chosen.to(images.device, non_blocking=True))
        if self.shifts is not None:
            moves = self.shifts[rows].to(images.device, non_blocking=True)
            images = shift(images, moves, self.crop)
        if self.change is not None and self.seeds is not None:
            images = _changed(images, self.change, self.seeds[rows].tolist(), white)
        return images

    def cut(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Set cutout squares and erased rectangles of normalized images `(B, C, H, W)` to 0; `rows` as in `apply`."""
        import torch

        size = torch.tensor(inputs.shape[2:])
        if self.centers is not None:
            first = (self.centers[rows] * size).long() - self.cutout // 2  # (B, 2)
            square = rectangles(first, torch.full_like(first, self.cutout), size)
            inputs = inputs.masked_fill(square.to(inputs.device, non_blocking=True), 0.0)
        if self.erased is not None:
            is_erased, area, ratio, *places = self.erased[rows].unbind(dim=1)
            sides = (area * size.prod()).sqrt()[:, None] * torch.stack([ratio / 2, -ratio / 2], dim=1).exp()  # (B, 2)
            sides = torch.minimum(sides.round(), size) * is_erased[:, None]
            first = (torch.stack(places, dim=1) * (size - sides + 1)).long()
            inputs = inputs.masked_fill(rectangles(first, sides, size).to(inputs.device, non_blocking=True), 0.0)
        return inputs


def _drawn_rectangles(probability: float, num_examples: int, rng: torch.Generator) -> Tensor:
    """Draw rectangles `(N, 5)` as in `Augmentation.erased`, with the limits of torchvision's RandomErasing."""
    import torch

    drawn = torch.rand(num_examples, 5, generator=rng, dtype=torch.float64)
    drawn[:, 0] = drawn[:, 0] < probability
    drawn[:, 1] = 0.02 + (0.33 - 0.02) * drawn[:, 1]
    drawn[:, 2] = math.log(0.3) + (math.log(3.3) - math.log(0.3)) * drawn[:, 2]
    return drawn


def rectangles(first: Tensor, sides: Tensor, size: Tensor) -> Tensor:
    """Return masks `(B, 1, H, W)` of rectangles, given by their first row and column and their sides, each `(B, 2)`."""
    import torch

    inside = []
    for axis in range(2):
        place = torch.arange(int(size[axis])) - first[:, axis : axis + 1]
        inside.append((place >= 0) & (place < sides[:, axis : axis + 1]))
    return inside[0][:, None, :, None] & inside[1][:, None, None, :]


def _changed(images: Tensor, change: Callable[[Tensor], Tensor], seeds: list[int], white: int | None) -> Tensor:
    """Change each image alone, with random numbers of its own: neither the batch nor the order plays a part.

    torchvision takes float images in 0..1.
    """
    import torch

    scale = 1.0 if white is None or images.dtype == torch.uint8 else float(white)
    changed = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(images if scale == 1 else images / scale, seeds, strict=True):
            torch.default_generator.manual_seed(seed)
            changed.append(change(image))
    stacked = torch.stack(changed)
    return stacked if scale == 1 else stacked * scale


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
