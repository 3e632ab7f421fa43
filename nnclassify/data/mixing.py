"""Mixup and CutMix: training images, and their targets, mixed with other examples of the training set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.data.augment import Augment, rectangles
from nnclassify.seeds import numpy_rng, torch_rng


@dataclass(frozen=True)
class Mixing:
    """With which example, and how, each example is mixed in one epoch, drawn for all at once.

    Partners come from the whole split, not from the batch, so that the batch size plays no part.

    Attributes:
        partners: The other example, `(N,)`.
        shares: Weight of the example itself, 0..1, `(N,)`.
        is_cut: Whether a rectangle of the partner is pasted, bool `(N,)`; if not, the two are blended.
        centers: Center of the rectangle, as fractions of height and width, `(N, 2)`.
    """

    partners: Tensor
    shares: Tensor
    is_cut: Tensor
    centers: Tensor

    @classmethod
    def draw(cls, augment: Augment | None, seed: int, epoch: int, num_examples: int) -> Mixing | None:
        """Draw for all examples of a split; None if none is mixed."""
        if augment is None or not augment.mixes:
            return None
        rng = torch_rng(seed, "mix", epoch)
        partners = torch.randint(num_examples, (num_examples,), generator=rng)
        both = augment.mixup > 0 and augment.cutmix > 0
        is_cut = torch.rand(num_examples, generator=rng) < (0.5 if both else float(augment.cutmix > 0))
        centers = torch.rand(num_examples, 2, generator=rng)
        draws = numpy_rng(seed, "mix", epoch)  # torch's Beta distribution takes no generator
        blended, cut = (
            torch.from_numpy(draws.beta(alpha or 1.0, alpha or 1.0, num_examples))
            for alpha in (augment.mixup, augment.cutmix)
        )
        return cls(partners, torch.where(is_cut, cut, blended), is_cut, centers)

    def mix(self, inputs: Tensor, others: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mix normalized images `(B, C, H, W)` with those of their partners.

        Args:
            inputs: The images.
            others: The partners' images.
            rows: Positions of the images in the split, `(B,)`.

        Returns:
            The mixed images, and the weight of each one's own target, `(B,)`.
        """
        size = torch.tensor(inputs.shape[2:])
        shares, is_cut = self.shares[rows], self.is_cut[rows]
        sides = ((1 - shares).sqrt()[:, None] * size).long()
        first = (self.centers[rows] * size).long() - sides // 2
        masks = rectangles(first, sides, size) & is_cut[:, None, None, None]
        shares = torch.where(is_cut, 1 - masks.flatten(1).double().mean(dim=1), shares)
        masks = masks.to(inputs.device, non_blocking=True)
        weights = torch.where(is_cut, 1.0, shares).to(inputs.device, inputs.dtype)[:, None, None, None]
        return torch.where(masks, others, weights * inputs + (1 - weights) * others), shares


def soft_targets(targets: Tensor, others: Tensor, shares: Tensor, num_classes: int) -> Tensor:
    """Mix the targets, class indices `(B,)` or multi-hot `(B, K)`, of examples and their partners: `(B, K)`.

    Args:
        targets: Of the examples.
        others: Of their partners.
        shares: Weight of the examples' own targets, `(B,)`, in the number type of the result.
        num_classes: K.
    """
    own, theirs = (functional.one_hot(each, num_classes) if each.ndim == 1 else each for each in (targets, others))
    return shares[:, None] * own + (1 - shares[:, None]) * theirs
