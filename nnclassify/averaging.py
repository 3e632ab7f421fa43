"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy that is evaluated, never trained."""
    return copy.deepcopy(model).requires_grad_(False)


def decay_at(step: int, decay: float) -> float:
    """The decay of an update (from 0): (1 + step) / (10 + step) at most, so that the random start is soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def average_into(averaged: nn.Module, model: nn.Module, decay: float | Tensor) -> None:
    """averaged += (1 - decay) (model - averaged), in place; buffers are copied."""
    for old, new in zip(averaged.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - decay)
    for kept, buffer in zip(averaged.buffers(), model.buffers(), strict=True):
        kept.copy_(buffer)
