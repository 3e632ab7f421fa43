"""The training step: eager against torch's own loop, compiled against eager, for every optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from nnclassify.averaging import Averaging, Ema, Lookahead, frozen_copy
from nnclassify.device import Placement
from nnclassify.losses import CrossEntropy
from nnclassify.optimizers import AnyOptimizer, Muon, Optimizer, ParameterGroup, Sgd
from nnclassify.step import StepRecipe, TrainingStep

OPTIMIZERS: list[Callable[[], Optimizer]] = list(get_args(get_args(AnyOptimizer)[0]))
FACTORS = [1.0, 0.5, 0.25, 0.75]
DECAYS = [0.1, 0.2, 0.3, 0.4]
BATCH = 8
EMA = Ema(0.9)


def examples() -> tuple[Tensor, Tensor]:
    """Four batches of eight pictures."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(32, 1, 6, 6, generator=generator), torch.randint(0, 3, (32,), generator=generator)


def network() -> nn.Sequential:
    """Convolution, batch norm and dropout: all that a step must get right."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3)
    )


def build(
    optimizer: Optimizer, *, compiled: bool, clip: float | None = 0.5, averaging: Averaging = EMA
) -> TrainingStep:
    """A step over a fresh network, two updates a group."""
    model = network()
    loss_fn = CrossEntropy(class_weights=[1.0, 2.0, 3.0], label_smoothing=0.1).build([1, 1, 1])
    optimizers = optimizer.build(list(model.named_parameters()))
    recipe = StepRecipe(BATCH, clip, compiled=compiled, group_size=2, averaging=averaging)
    return TrainingStep(model, frozen_copy(model), loss_fn, optimizers, Placement(torch.device("cpu")), recipe)


def run(step: TrainingStep) -> Tensor:
    """Four updates in two groups: every loss."""
    inputs, targets = examples()
    torch.manual_seed(2)
    losses = []
    for group in range(2):
        rows, steps = slice(16 * group, 16 * group + 16), slice(2 * group, 2 * group + 2)
        losses.append(step.run(inputs[rows], targets[rows], FACTORS[steps], DECAYS[steps])[1])
    return torch.cat(losses)


@pytest.mark.parametrize("member", OPTIMIZERS)
def test_eager_step_is_torchs_own_loop(member: Callable[[], Optimizer]) -> None:
    step = build(member(), compiled=False, clip=0.5)
    losses = run(step)
    model = network()
    optimizers = member().build(list(model.named_parameters()))
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    inputs, targets = examples()
    loss_fn = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1)
    torch.manual_seed(2)
    for batch, factor in enumerate(FACTORS):
        rows = slice(BATCH * batch, BATCH * batch + BATCH)
        model.zero_grad()
        loss_fn(model(inputs[rows]), targets[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for optimizer, initial in zip(optimizers, rates, strict=True):
            for group, lr in zip(optimizer.param_groups, initial, strict=True):
                group["lr"] = lr * factor
            optimizer.step()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(step.model.state_dict()[name], weight)
    assert losses.isfinite().all()


@pytest.mark.slow
@pytest.mark.xdist_group("compile")
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_compiled_step_is_the_eager_one(member: Callable[[], Optimizer]) -> None:
    eager, compiled = build(member(), compiled=False), build(member(), compiled=True)
    # Muon's own arithmetic is in bfloat16, where the compiler keeps digits that the eager step rounds away.
    rtol, atol = (0.05, 0.02) if member is Muon else (1e-3, 1e-4)
    torch.testing.assert_close(run(compiled), run(eager), rtol=rtol, atol=atol)
    assert eager.averaged is not None and compiled.averaged is not None
    for expected, found in ((eager.model, compiled.model), (eager.averaged, compiled.averaged)):
        for name, weight in expected.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], weight, rtol=rtol, atol=atol)


def grouped_step(*, compiled: bool) -> TrainingStep:
    """Biases learn faster, and the convolution in one epoch only."""
    fast = ParameterGroup(match="*.bias", lr_factor=8.0)
    brief = ParameterGroup(match="0.weight", lr_factor=2.0, epochs=1)
    return build(Sgd(momentum=0.9, weight_decay=0.01, groups=[fast, brief]), compiled=compiled)


def test_a_group_stops_learning_after_its_epochs() -> None:
    step = grouped_step(compiled=False)
    run(step)
    convolution, head = (step.model.get_parameter(name).detach().clone() for name in ("0.weight", "5.weight"))
    step.begin(epoch=2)
    run(step)
    assert torch.equal(step.model.get_parameter("0.weight"), convolution)
    assert not torch.equal(step.model.get_parameter("5.weight"), head)
    assert not torch.equal(network().get_parameter("0.weight"), convolution)  # it did learn


@pytest.mark.slow
@pytest.mark.xdist_group("compile")
def test_compiled_lookahead_is_the_eager_one() -> None:
    steps = [build(Sgd(lr=0.1), compiled=compiled, averaging=Lookahead(every=2)) for compiled in (False, True)]
    for step in steps:
        torch.manual_seed(2)
        step.run(examples()[0][:8], examples()[1][:8], FACTORS[:1], [1.0])  # not whole: eager, and nothing meets
        run(step)  # the decays are under 1: they meet after each
    for name, weight in steps[0].model.state_dict().items():
        torch.testing.assert_close(steps[1].model.state_dict()[name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.xdist_group("compile")
def test_compiled_groups_are_the_eager_ones() -> None:
    eager, compiled = grouped_step(compiled=False), grouped_step(compiled=True)
    for epoch in (1, 2):
        for step in (eager, compiled):
            step.begin(epoch)
            run(step)
        for name, weight in eager.model.state_dict().items():
            torch.testing.assert_close(compiled.model.state_dict()[name], weight, rtol=1e-3, atol=1e-4)


def test_states_loaded_from_a_checkpoint_go_on() -> None:
    inputs, targets = examples()
    whole = build(Sgd(momentum=0.9), compiled=False)
    whole.run(inputs[:8], targets[:8], [1.0], [0.5])
    resumed = build(Sgd(momentum=0.9), compiled=False)
    resumed.model.load_state_dict(copy.deepcopy(whole.model.state_dict()))
    resumed.groups[0].optimizer.load_state_dict(copy.deepcopy(whole.groups[0].optimizer.state_dict()))
    for step in (whole, resumed):
        torch.manual_seed(3)
        step.run(inputs[8:16], targets[8:16], [1.0], [0.5])
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name])
