"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy that is evaluated, never trained."""
    return copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def average_into(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """averaged += (1 - decay) (model - averaged), in place; buffers are copied.

    Early on the decay is (1 + step) / (10 + step) at most, so that the random start is soon forgotten.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for old, new in zip(averaged.parameters(), model.parameters(), strict=True):
        old.data.lerp_(new, 1 - decay)
    for kept, buffer in zip(averaged.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)
