"""Tests of steps captured as a CUDA graph against eager steps, on a stand-in for CUDA and, if available, on CUDA."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from builders import executed, trainer_of
from recorded import recorded
from steps import BATCH, DECAYS, FACTORS, OPTIMIZERS, SHORT, build, examples, run
from torch import Tensor

from nnclassify.device import Placement
from nnclassify.errors import DeviceError
from nnclassify.optim.averaging import Averaging, Ema, Lookahead
from nnclassify.optim.optimizers import Muon, Optimizer, Sgd
from nnclassify.training.plan import Execution
from nnclassify.training.step import StepFunction


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[StepFunction]:
    """A recorder on the CPU; it has to be told of the step, whose tensors a recording leaves alone."""
    steps: list[StepFunction] = []

    def record(work: Callable[[], tuple[Tensor, Tensor]], device: torch.device) -> object:
        return recorded(work, device, [tensor for step in steps for tensor in step.functional_state().tensors])

    monkeypatch.setattr("nnclassify.compile.cuda_graph.capture", record)
    return steps


def captured_step(optimizer: Optimizer, **options: Any) -> StepFunction:
    """A step that is to be recorded."""
    return build(optimizer, compiled=True, fast=Execution.CUDA_GRAPH, **options)


def pair(steps: list[StepFunction], optimizer: Optimizer, **options: Any) -> tuple[StepFunction, StepFunction]:
    """The same step, eager and recorded."""
    eager, captured = build(optimizer, compiled=False, **options), captured_step(optimizer, **options)
    steps.append(captured)
    return eager, captured


def check_alike(eager: StepFunction, captured: StepFunction, tolerance: float) -> None:
    """Four updates, in a group of three and one alone, four times: the first goes ahead, the others are replayed."""
    for _ in range(4):
        torch.testing.assert_close(run(captured), run(eager), rtol=tolerance, atol=tolerance)
    assert eager.averaged is not None and captured.averaged is not None
    for expected, found in ((eager.model, captured.model), (eager.averaged, captured.averaged)):
        for name, weight in expected.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], weight, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_a_recorded_step_is_the_eager_one(stand_in: list[StepFunction], member: Callable[[], Optimizer]) -> None:
    # Muon orthogonalises in bfloat16, where a last digit of a weight shows.
    check_alike(*pair(stand_in, member(), group_size=3), tolerance=0.02 if member is Muon else 1e-5)


@pytest.mark.parametrize("member", OPTIMIZERS)
def test_a_recorded_step_has_the_digits_of_float64(
    stand_in: list[StepFunction], member: Callable[[], Optimizer]
) -> None:
    """torch's fused kernels read a tensor rate in float32, which has lost half of its digits."""
    options: dict[str, Any] = {"placement": Placement(torch.device("cpu"), torch.float64), "group_size": 3}
    check_alike(*pair(stand_in, member(), **options), tolerance=0.02 if member is Muon else 1e-12)


@pytest.mark.parametrize("options", [{"averaging": Lookahead(every=2)}, {"clip": None}, {"placement": SHORT}])
def test_a_recorded_step_keeps_its_options(stand_in: list[StepFunction], options: dict[str, Any]) -> None:
    rule = Sgd(lr=0.1, momentum=0.9, weight_decay=0.01)
    check_alike(*pair(stand_in, rule, group_size=3, **options), tolerance=0.02 if "placement" in options else 1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("averaging", [Ema(0.9), Lookahead(every=2)])
@pytest.mark.parametrize(
    "options", [{}, {"dtype": torch.float64}, {"autocast_dtype": torch.bfloat16, "channels_last": True}]
)
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_a_recorded_step_on_cuda_is_the_eager_one(
    member: Callable[[], Optimizer], options: dict[str, Any], averaging: Averaging
) -> None:
    placement = Placement(torch.device("cuda"), **options)
    check_alike(*pair([], member(), group_size=3, placement=placement, averaging=averaging), tolerance=0.02)


def test_parts_of_a_recorded_group_are_the_whole_group_bit_for_bit(stand_in: list[StepFunction]) -> None:
    """So a resumed run, whose first group is not replayed, ends in the same bits."""
    whole, parted = (captured_step(Sgd(lr=0.1, momentum=0.9), group_size=size) for size in (4, 1))
    stand_in += [whole, parted]
    for _ in range(2):
        assert torch.equal(run(whole), run(parted))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(parted.model.state_dict()[name], weight)


def test_what_cannot_be_recorded_is_said_before_anything_changes(stand_in: list[StepFunction]) -> None:
    step = captured_step(Sgd(), group_size=4)
    stand_in.append(step)
    losses = step.loss_fn.losses
    step.loss_fn = replace(step.loss_fn, losses=lambda out, *rest: losses(out * float(out[0, 0].detach()), *rest))
    inputs, targets = (values[: 3 * BATCH] for values in examples())  # one by one: no whole group
    before = copy.deepcopy(step.model.state_dict())
    with pytest.raises(DeviceError, match=r"cannot be captured as a CUDA graph .*not permitted"):
        step.run(inputs, targets, FACTORS[:3], DECAYS[:3])
    assert all(torch.equal(weight, before[name]) for name, weight in step.model.state_dict().items())


def test_a_run_of_recorded_steps_is_the_eager_run(stand_in: list[StepFunction]) -> None:
    losses = []
    for execution in (Execution.EAGER, Execution.CUDA_GRAPH):
        _, trainer = trainer_of(epochs=4, batch_size=8, loss={"name": "cross_entropy", "class_weights": "balanced"})
        trainer = executed(trainer, execution)
        stand_in.append(trainer.step_function)
        trainer.fit()
        losses.append([row.train_loss for row in trainer.rows])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
