"""Tests of the verification of fast steps: each kind of fault is found, and rounding is not a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from steps import BATCH, CPU, DECAYS, EMA, OPTIMIZERS, SHORT, build, examples, verified_steps_of
from torch import Tensor, nn

from nnclassify.errors import DeviceError
from nnclassify.optim.averaging import Lookahead
from nnclassify.optim.optimizers import Adagrad, Adam, Muon, Optimizer, RmsProp, Sgd
from nnclassify.training.step import StepFunction
from nnclassify.training.verification import Results, Snapshot

Spoil = Callable[[Snapshot, Tensor, Tensor], Results]
"""Spoils a step that was taken from a snapshot, or what it returned."""


class Spoiled:
    """A fast way that takes the eager steps, and then spoils them."""

    is_exact = True

    def __init__(self, step: StepFunction, spoil: Spoil, take: Callable[..., Results] | None = None) -> None:
        self.take = take or verified_steps_of(step).eager
        self.spoil = spoil
        self.state = verified_steps_of(step).state
        self.group_size = step.plan.group_size
        self.reasons: list[str] = []

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """One after another."""
        results = []
        for one in zip(inputs.split(1), targets.split(1), rates.split(1), strict=True):
            before = Snapshot.of(self.state)
            results.append(self.spoil(before, *self.take(*one)))
        outputs, losses = zip(*results, strict=True)
        return torch.cat(outputs), torch.cat(losses)

    def set_aside(self, reason: str) -> str:
        """Note why."""
        self.reasons.append(reason)
        return ""


def verdict(step: StepFunction, fast: Spoiled) -> str | None:
    """Why a fast way is refused in its first groups, and whether everything then is as it was; None: it is trusted."""
    verified_steps_of(step).fast = fast
    inputs, targets = examples()
    inputs = inputs.to(step.placement.dtype).unflatten(0, (-1, BATCH))
    num_groups = len(step.functional_state().groups)
    rates = torch.tensor([[*[0.1] * num_groups, decay] for decay in DECAYS], dtype=inputs.dtype)
    torch.manual_seed(2)
    for first in range(0, 4, fast.group_size):
        group = slice(first, first + fast.group_size)
        before = Snapshot.of(step.functional_state())
        try:
            verified_steps_of(step).run(inputs[group], targets.unflatten(0, (-1, BATCH))[group], rates[group])
        except DeviceError as error:
            assert before.same_as(Snapshot.of(step.functional_state())) and fast.reasons[0] in str(error)
            return str(error)
    return None


def scaled(step: StepFunction, factor: float) -> Spoil:
    """What learns goes another way than it should."""

    def spoil(before: Snapshot, outputs: Tensor, losses: Tensor) -> Results:
        with torch.no_grad():
            for place, start in zip(step.functional_state().tensors, before.values, strict=True):
                if any(place is parameter for parameter in step.functional_state().parameters()):
                    place.copy_(start + factor * (place - start))
        return outputs, losses

    return spoil


def stale(step: StepFunction, name: str) -> Spoil:
    """One tensor stays as it was."""

    def spoil(before: Snapshot, outputs: Tensor, losses: Tensor) -> Results:
        place = step.functional_state().names.index(name)
        with torch.no_grad():
            step.functional_state().tensors[place].copy_(before.values[place])
        return outputs, losses

    return spoil


def nothing(before: Snapshot, outputs: Tensor, losses: Tensor) -> Results:
    return outputs, losses


def with_options(step: StepFunction, **options: Any) -> Callable[..., Results]:
    """The eager step with other options of its optimizer."""
    state = verified_steps_of(step).state
    groups = [replace(group, options={**group.options, **options}) for group in state.groups]
    return partial(step._eager_step, replace(state, groups=groups))


@pytest.mark.parametrize("group_size", [1, pytest.param(2, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_the_eager_step_agrees_with_itself(member: Callable[[], Optimizer], group_size: int) -> None:
    step = build(member(), compiled=True, group_size=group_size)
    assert verdict(step, Spoiled(step, nothing)) is None


@pytest.mark.parametrize("factor", [0.9, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (-1.0, 0.0))])
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_a_lost_sign_or_factor_is_found(member: Callable[[], Optimizer], factor: float) -> None:
    step = build(member(), compiled=True)
    assert "weight is off by" in str(verdict(step, Spoiled(step, scaled(step, factor))))


@pytest.mark.slow
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_every_tensor_that_does_not_move_is_found(member: Callable[[], Optimizer]) -> None:
    """Those of the network and its average with SGD, which has no others, and the states of every other optimizer."""
    of_network, names = (build(each(), compiled=True).functional_state().names for each in (Sgd, member))
    found_once = [] if member is Sgd else of_network
    chosen = [name for name in names if ("6.weight" in name or "running_mean" in name) and name not in found_once]
    assert chosen
    for name in chosen:
        step = build(member(), compiled=True, averaging=Lookahead(every=2))
        assert name in str(verdict(step, Spoiled(step, stale(step, name))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "lost"),
    [
        (Sgd(momentum=0.9), {"momentum": 0.0}),
        (Sgd(momentum=0.9), {"dampening": 0.9}),
        (Sgd(momentum=0.9, nesterov=True), {"nesterov": False}),
        *((rule().model_copy(update={"weight_decay": 1e-3}), {"weight_decay": 0.0}) for rule in OPTIMIZERS[:-1]),
        (Muon(weight_decay=0.3), {"weight_decay": 0.0}),  # of 1% its own rounding in bfloat16 leaves nothing
        (Adam(), {"betas": (0.9, 0.99)}),
        (Adagrad(), {"lr_decay": 0.1}),
        (RmsProp(), {"eps": 1e-4}),
    ],
)
def test_a_lost_option_is_found(optimizer: Optimizer, lost: dict[str, Any]) -> None:
    step = build(optimizer, compiled=True, group_size=1)
    assert verdict(step, Spoiled(step, nothing, with_options(step, **lost))) is not None


@pytest.mark.slow
def test_lost_clipping_a_mask_drawn_twice_and_another_order_are_found() -> None:
    def twice(before: Snapshot, outputs: Tensor, losses: Tensor) -> Results:
        torch.rand(3)
        return outputs, losses

    step = build(Sgd(), compiled=True, clip=0.01)
    unclipped = build(Sgd(), compiled=False, clip=None)
    unclipped.model, unclipped.loss_fn = step.model, step.loss_fn
    assert "weight" in str(
        verdict(step, Spoiled(step, nothing, partial(unclipped._eager_step, step.functional_state())))
    )
    assert "different random numbers" in str(verdict(step, Spoiled(step, twice)))
    assert "outputs" in str(verdict(step, Spoiled(step, lambda before, outputs, losses: (outputs.flip(0), losses))))
    assert "losses" in str(verdict(step, Spoiled(step, lambda before, outputs, losses: (outputs, losses * 1.01))))


@pytest.mark.slow
@pytest.mark.parametrize("is_exact", [True, False])
@pytest.mark.parametrize("group_size", [2, 4])
def test_faults_of_the_loop_are_found(group_size: int, is_exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spoiled, "is_exact", is_exact)

    class Shortened(Spoiled):
        def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
            """Of a group, the last step is never taken."""
            count = max(1, len(inputs) - 1)
            outputs, losses = super().run(inputs[:count], targets[:count], rates[:count])
            lost = BATCH * (len(inputs) - count)
            return torch.cat([outputs, outputs[:lost]]), torch.cat([losses, losses[:lost]])

    class Turned(Spoiled):
        def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
            """What a group returns is in another order."""
            outputs, losses = super().run(inputs, targets, rates)
            return outputs.unflatten(0, (-1, BATCH)).flip(0).flatten(0, 1), losses

    for way in (Shortened, Turned):
        step = build(Sgd(), compiled=True, group_size=group_size)
        assert "in one call differ from the same" in str(verdict(step, way(step, nothing)))


def rounded(step: StepFunction) -> Spoil:
    """Every weight and state may be off by its last digit, as another order of sums would have it."""
    generator = torch.Generator().manual_seed(5)

    def spoil(before: Snapshot, outputs: Tensor, losses: Tensor) -> Results:
        with torch.no_grad():
            for place in step.functional_state().tensors:
                if place.is_floating_point():
                    place.mul_(
                        1 + torch.finfo(place.dtype).eps * (2 * torch.rand(place.shape, generator=generator) - 1)
                    )
        return outputs, losses

    return spoil


@pytest.mark.parametrize("member", OPTIMIZERS)
def test_a_last_digit_is_no_fault(member: Callable[[], Optimizer]) -> None:
    step = build(member(), compiled=True, group_size=1)
    assert verdict(step, Spoiled(step, rounded(step))) is None


@pytest.mark.slow
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_a_gradient_that_is_zero_up_to_rounding_is_no_fault(member: Callable[[], Optimizer]) -> None:
    """Batch norm subtracts the bias before it, whose gradient is rounding alone, and another one in another order."""

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3))

    def verdict_at(factor: float, seed: int) -> str | None:
        step = build(member(), compiled=True, group_size=1, network=partial(network, seed))
        eager = verified_steps_of(step).eager

        def reversed_order(inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
            outputs, losses = eager(inputs.flip(1), targets.flip(1), rates)
            return outputs.flip(0), losses.flip(0)

        return verdict(step, Spoiled(step, scaled(step, factor), reversed_order))

    assert all(verdict_at(1.0, seed) is None for seed in range(20))
    assert verdict_at(0.9, seed=0) is not None


def test_a_step_that_cannot_be_run_is_set_aside() -> None:
    """As that of an LSTM, whose backward pass the compiled code cannot call, with torch 2.14."""

    def fails(before: Snapshot, outputs: Tensor, losses: Tensor) -> Results:
        raise RuntimeError("Unable to find a proxy executor")

    step = build(Sgd(), compiled=True, placement=CPU)
    found = verdict(step, Spoiled(step, fails))
    assert found is not None and "it fails (Unable to find a proxy executor)" in found


def test_what_was_proven_is_run_without_a_proof() -> None:
    step = build(Sgd(), compiled=True, averaging=EMA, placement=CPU)
    assert verdict(step, Spoiled(step, nothing)) is None
    assert verdict(step, Spoiled(step, scaled(step, 0.5))) is None


def test_short_products_are_no_fault_and_hide_none() -> None:
    for factor, is_right in ((1.0, True), (0.9, False), (-1.0, False)):
        step = build(Sgd(momentum=0.9), compiled=True, placement=SHORT, group_size=1)
        assert (verdict(step, Spoiled(step, scaled(step, factor))) is None) == is_right
