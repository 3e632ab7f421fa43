"""Averages of a network's weights over training, which are evaluated and saved in place of the weights if enabled.

This module imports torch only when an average is computed, since configs use it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nnclassify.settings import NonNegativeFloat, PositiveInt, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Weights:
    """Parameters and buffers by name: a network's own, or copies."""

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module) -> Weights:
        """Return a network's own tensors; changing them changes the network."""
        return cls(dict(model.named_parameters()), dict(model.named_buffers()))

    def all(self) -> dict[str, Tensor]:
        """Return parameters, then buffers."""
        return {**self.parameters, **self.buffers}


@dataclass(frozen=True)
class Ema:
    """Exponential moving average of the weights.

    Attributes:
        decay: Weight of the previous average in each update.
    """

    decay: float

    def decay_at(self, step: int, total_steps: int) -> float:
        """Return the decay of a step (from 0), at most (1 + step) / (10 + step), so that the initial weights fade
        quickly."""
        return min(self.decay, (1 + step) / (10 + step))

    def update(self, averaged: Weights, model: Weights, decay: float | Tensor) -> None:
        """Update in place: averaged += (1 - decay) (model - averaged). Buffers are copied."""
        import torch

        with torch.no_grad():
            for name, kept in averaged.parameters.items():
                kept.lerp_(model.parameters[name], 1 - decay)
            for name, kept in averaged.buffers.items():
                kept.copy_(model.buffers[name])


class Lookahead(Settings):
    """The Lookahead optimizer: slow weights that follow the trained ones (Zhang et al., 2019, arXiv:1907.08610).

    Every few steps the slow weights move a fraction of the way to the trained (fast) weights, and the fast weights are
    reset to them. The slow weights are the ones evaluated and saved.
    """

    every: PositiveInt = 5
    """Number of optimizer steps between two updates of the slow weights (k in the paper)."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Step size of the slow weights (alpha in the paper)."""
    power: NonNegativeFloat = 0.0
    """If above 0, the step size decreases from 1 at the start of the run to `share` at its end, as 1 - (1 - share) *
    progress^power."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield an error for a step size of 1, with which the slow weights are the network's own."""
        if self.share == 1:
            yield "share", "found 1, which averages nothing; lower share, or remove lookahead"

    def decay_at(self, step: int, total_steps: int) -> float:
        """Return the weight of the previous slow weights after a step (from 0); 1 if this step does not update them."""
        updates = step + 1
        if updates % self.every:
            return 1.0
        return float((1 - self.share) * (updates / total_steps) ** self.power)

    def update(self, averaged: Weights, model: Weights, decay: float | Tensor) -> None:
        """Average if decay < 1: averaged += (1 - decay) (model - averaged), then model = averaged, in place.

        This includes the running statistics of batch normalization, which belong to the weights.
        """
        import torch

        if not isinstance(decay, torch.Tensor) and decay == 1:
            return
        with torch.no_grad():
            every = model.all()
            for name, slow in averaged.all().items():
                fast = every[name]
                # In a compiled step, the decay is a tensor and cannot be branched on: torch.where selects the values.
                if not slow.is_floating_point():
                    slow.copy_(torch.where(decay < 1, fast, slow) if isinstance(decay, torch.Tensor) else fast)
                    continue
                slow.lerp_(fast, 1 - decay)
                fast.copy_(torch.where(decay < 1, slow, fast) if isinstance(decay, torch.Tensor) else slow)


Averaging = Ema | Lookahead


def frozen_copy(model: nn.Module) -> nn.Module:
    """Return a copy for evaluation, without gradients."""
    return copy.deepcopy(model).requires_grad_(False)
