"""Features of examples that need no training: patches of images, encoded columns of tables.

A network of one layer whose filters are whitened patches of the images themselves (Coates, Ng and Lee, An analysis of
single-layer networks in unsupervised feature learning, 2011) is a good classifier with a linear layer on top, has no
learning rate to choose, and sees each image once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.seeds import torch_rng

PATCH, NUM_FILTERS, POOLED = 6, 128, 3
"""Side of a patch in pixels, number of filters, and the side of the grid to which their responses are averaged."""
NUM_PATCHES, WHITENING, THRESHOLD = 100_000, 0.1, 0.25
"""Patches that the whitening is fitted to; what is added to each variance, relative to their mean; and the response
from which on a filter counts."""
IMAGES_AT_ONCE = 32
NOISE = 10.0
"""Variance of the pixels of a patch that counts as noise."""


def image_features(images: Tensor, advance: Callable[[int], None] = lambda _: None) -> Tensor:
    """Return features `(N, D)` of uint8 images `(N, C, H, W)`, standardized, in half precision.

    They are the mean responses of the filters to a grid, and the mean colors, which the filters do not see.
    """
    filters, offsets = _filters(images)
    parts = []
    for chunk in images.split(IMAGES_AT_ONCE):
        responses = _responses(chunk.float(), filters) - offsets[:, None, None]
        side = min(POOLED, responses.shape[2]), min(POOLED, responses.shape[3])
        halves = (functional.relu(sign * responses - THRESHOLD) for sign in (1, -1))
        pooled = [functional.adaptive_avg_pool2d(part, side).flatten(1) for part in (*halves, chunk.float())]
        parts.append(torch.cat(pooled, dim=1).half())
        advance(len(chunk))
    return standardized(torch.cat(parts))


def _responses(images: Tensor, filters: Tensor) -> Tensor:
    """Return what filters `(F, C, P, P)` say of each patch, normalized as by `_normalized`, `(B, F, H', W')`.

    Filters that sum to 0 need no patches with zero mean, so a convolution does.
    """
    size = filters.shape[2:]
    mean = functional.avg_pool2d(images.mean(dim=1, keepdim=True), size, stride=1)
    squares = functional.avg_pool2d(images.square().mean(dim=1, keepdim=True), size, stride=1)
    spread = (squares - mean.square()).clamp_(min=0)
    centered = filters - filters.mean(dim=(1, 2, 3), keepdim=True)
    return functional.conv2d(images, centered) / (spread + NOISE).sqrt()


def standardized(features: Tensor) -> Tensor:
    """Return features `(N, D)` with zero mean and unit variance, of the same number type; constant ones are 0."""
    mean = torch.stack([part.float().sum(dim=0) for part in features.split(4096)]).sum(dim=0) / len(features)
    squares = [(part.float() - mean).square().sum(dim=0) for part in features.split(4096)]
    std = (torch.stack(squares).sum(dim=0) / len(features)).sqrt()
    scale = torch.where(std > 0, std, torch.ones_like(std))
    return torch.cat([((part.float() - mean) / scale).to(features.dtype) for part in features.split(4096)])


def _filters(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return filters `(F, C, P, P)` that whiten, and their offsets `(F,)`."""
    rng = torch_rng(0, "audit", "patches")
    patch = min(PATCH, *images.shape[2:])
    per_image = max(1, math.ceil(NUM_PATCHES / len(images)))
    rows = torch.randperm(len(images), generator=rng)[: math.ceil(NUM_PATCHES / per_image)]
    found = []
    for chunk in rows.split(IMAGES_AT_ONCE):
        patches = functional.unfold(images[chunk].float(), patch)
        places = torch.randint(patches.shape[2], (len(chunk), 1, per_image), generator=rng)
        found.append(patches.gather(2, places.expand(-1, patches.shape[1], -1)).transpose(1, 2).flatten(0, 1))
    sample = _normalized(torch.cat(found))
    mean = sample.mean(dim=0)
    variances, axes = torch.linalg.eigh((sample - mean).T @ (sample - mean) / len(sample))
    whitening = axes @ ((variances + WHITENING * variances.mean()).rsqrt()[:, None] * axes.T)
    varied = sample[sample.square().sum(dim=1) > 0]
    chosen = varied[torch.randperm(len(varied), generator=rng)[:NUM_FILTERS]] if len(varied) else sample[:1]
    directions = functional.normalize((chosen - mean) @ whitening)
    filters = directions @ whitening
    return filters.reshape(-1, images.shape[1], patch, patch), filters @ mean


def _normalized(patches: Tensor) -> Tensor:
    """Return patches `(N, D)` of values 0 to 255 with zero mean, and unit variance if they are not all alike."""
    centered = patches - patches.mean(dim=1, keepdim=True)
    return centered / (centered.square().mean(dim=1, keepdim=True) + NOISE).sqrt()
