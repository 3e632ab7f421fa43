"""A small member of each family, written as a contributor would, and the command line with them.

Each is one class; it joins the union of its family before `config/run_config.py` reads that, as it would in its file.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn, optim

from nnclassify import data, losses, models, schedulers
from nnclassify.data.base import RawDataset, UnsplitDataset
from nnclassify.data.unsplit import UnsplitExamples
from nnclassify.losses import Loss, LossFunction
from nnclassify.models.base import Model
from nnclassify.optim import optimizers
from nnclassify.optim.optimizers import Group, Optimizer
from nnclassify.schedulers import Scheduler, ScheduleState
from nnclassify.seeds import numpy_rng
from nnclassify.settings import PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from types import ModuleType


class Quadrants(UnsplitDataset):
    """Points of the plane; the class is the quadrant."""

    name: Literal["quadrants"] = "quadrants"

    def read(self, seed: int) -> RawDataset:
        """200 points."""
        points = numpy_rng(seed, "quadrants").uniform(-1, 1, size=(200, 2))
        labels = (2 * (points[:, 0] > 0) + (points[:, 1] > 0)).astype(np.int64)
        return RawDataset(
            UnsplitExamples(labels, torch.from_numpy(points)),
            class_names=["a", "b", "c", "d"],
            feature_names=["x", "y"],
        )


class Gated(Model):
    """A hidden layer whose units are switched by others."""

    name: Literal["gated"] = "gated"
    units: PositiveInt = 16
    """Units."""

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """A module of its own, no Sequential."""
        return _GatedNetwork(input_shape[0], self.units, num_outputs)


class _GatedNetwork(nn.Module):
    def __init__(self, num_inputs: int, units: int, num_outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_inputs, 2 * units)
        self.last = nn.Linear(units, num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(nn.functional.glu(self.hidden(inputs)))
        return outputs


class Margin(Loss):
    """The multi-class hinge loss."""

    name: Literal["margin"] = "margin"
    margin: PositiveFloat = 1.0
    """By how much the right output must be larger than the others."""

    def build(self, class_counts: Sequence[int]) -> LossFunction:
        """One output a class."""

        def losses(outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
            return nn.functional.multi_margin_loss(outputs, targets, margin=self.margin, reduction="none")

        return LossFunction(len(class_counts), 0.0, losses, lambda outputs: outputs.softmax(dim=1))


class SignMomentum(Optimizer):
    """Steps of one length along the sign of the momentum; no update rule, and no usual rate."""

    name: Literal["sign_momentum"] = "sign_momentum"
    lr: PositiveFloat = 0.01
    """The learning rate."""

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """An optimizer that torch has not."""
        return [_SignMomentum(groups, self.common())]


class _SignMomentum(optim.Optimizer):
    def __init__(self, groups: Any, defaults: dict[str, Any]) -> None:
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch has overloads
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(momentum=torch.zeros_like(parameter), num_updates=0, factor=1.0)
                state["num_updates"] += 1
                state["factor"] *= 0.999
                state["momentum"].mul_(0.9).add_(parameter.grad)
                length = group["lr"] * state["factor"] / state["num_updates"] ** 0.25
                parameter.sub_(length * state["momentum"].sign())


class Triangle(Scheduler):
    """Up and down once."""

    name: Literal["triangle"] = "triangle"

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """1 in the middle of the run."""
        return max(0.01, 1 - abs(2 * progress - 1))


def join(module: ModuleType, union: str, member: type) -> None:
    """Add a member to the union at the end of its family's module."""
    members, *annotations = get_args(getattr(module, union))
    setattr(module, union, Annotated[(members | member, *annotations)])


def stop_at(step: int) -> None:
    """Have a run be stopped by a signal there."""
    from nnclassify.cli.progress import EpochLines
    from nnclassify.training.trainer import Trainer

    def steps_done(self: EpochLines, trainer: Trainer, num_steps: int) -> None:
        if trainer.step >= step:
            trainer.request_stop(signal.SIGTERM)

    mock.patch.object(EpochLines, "steps_done", steps_done).start()


if __name__ == "__main__":
    join(data, "AnyDataset", Quadrants)
    join(models, "AnyModel", Gated)
    join(losses, "AnyLoss", Margin)
    join(optimizers, "AnyOptimizer", SignMomentum)
    join(schedulers, "AnyScheduler", Triangle)
    from nnclassify.cli.main import main

    if "STOP_AT" in os.environ:
        stop_at(int(os.environ["STOP_AT"]))
    main()
