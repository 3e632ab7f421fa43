"""A training step of a small network with everything that a step may contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

import pytest
import torch
from torch import Tensor, nn

from nnclassify.device import Placement
from nnclassify.losses import CrossEntropy
from nnclassify.models.layers import Dropout
from nnclassify.optim.averaging import Averaging, Ema, frozen_copy
from nnclassify.optim.optimizers import AnyOptimizer, Optimizer
from nnclassify.schedulers import Constant
from nnclassify.training.plan import Execution, ExecutionPlan
from nnclassify.training.recipe import Recipe
from nnclassify.training.step import StepFunction
from nnclassify.training.verification import VerifiedSteps

OPTIMIZERS: list[Callable[[], Optimizer]] = list(get_args(get_args(AnyOptimizer)[0]))
FACTORS = [1.0, 0.5, 0.25, 0.75]
DECAYS = [0.1, 0.2, 0.3, 0.4]
BATCH = 8
EMA = Ema(0.9)
CPU = Placement(torch.device("cpu"))
SHORT = Placement(torch.device("cpu"), autocast_dtype=torch.bfloat16, channels_last=True)
Test = TypeVar("Test", bound=Callable[..., None])


def compiling(test: Test) -> Test:
    """Marks a test that runs the C++ compiler: slow, run on every supported torch release, and never beside another
    such test, since two compilers would wait for each other."""
    for mark in (pytest.mark.slow, pytest.mark.compiled, pytest.mark.xdist_group("compile")):
        test = mark(test)
    return test


def examples() -> tuple[Tensor, Tensor]:
    """Four batches of eight images."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(32, 1, 6, 6, generator=generator), torch.randint(0, 3, (32,), generator=generator)


def network() -> nn.Sequential:
    """Convolution, batch norm, pooling and dropout: all that a step must get right."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),  # of 5x5: a row is left over
        *(nn.Flatten(), Dropout(0.5), nn.Linear(16, 3)),
    )


def small_network() -> nn.Sequential:
    """Weights of each shape that an update rule tells apart, of 4, 2 and 1 dimensions: compiled in half of the time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3))


def build(
    optimizer: Optimizer,
    *,
    compiled: bool,
    clip: float | None = 0.5,
    averaging: Averaging = EMA,
    group_size: int = 2,
    placement: Placement = CPU,
    fast: Execution = Execution.COMPILED,
    network: Callable[[], nn.Module] = network,
) -> StepFunction:
    """A step over a fresh network."""
    model = placement.to(network())
    loss_fn = CrossEntropy(class_weights=[1.0, 2.0, 3.0], label_smoothing=0.1).build([1, 1, 1])
    optimizers = optimizer.build(list(model.named_parameters()))
    recipe = Recipe(1, BATCH, Constant(), clip_grad_norm=clip, averaging=averaging)
    plan = ExecutionPlan(
        placement,
        group_size=group_size,
        execution=fast if compiled else Execution.EAGER,
        key=f"{averaging} {clip} {placement} {getattr(network, '__name__', network)}",
    )
    return StepFunction(model, frozen_copy(model), loss_fn, optimizers, recipe, plan, note=print)


def verified_steps_of(step: StepFunction) -> VerifiedSteps:
    """The proof of a step that is fast."""
    assert step.fast_steps is not None
    return step.fast_steps


def run(step: StepFunction) -> Tensor:
    """Four updates in groups: every loss."""
    inputs, targets = (values.to(step.placement.device) for values in examples())
    inputs = inputs.to(step.placement.dtype)
    torch.manual_seed(2)
    losses, size = [], step.plan.group_size
    for first in range(0, 4, size):
        steps = slice(first, min(first + size, 4))
        rows = slice(BATCH * steps.start, BATCH * steps.stop)
        losses.append(step.run(inputs[rows], targets[rows], FACTORS[steps], DECAYS[steps])[1])
    return torch.cat(losses)
