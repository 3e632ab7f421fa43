"""Tests of the training step: eager against torch's own loop, and compiled against eager, for every optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from steps import (
    BATCH,
    DECAYS,
    FACTORS,
    OPTIMIZERS,
    SHORT,
    build,
    compiling,
    examples,
    network,
    run,
    small_network,
    verified_steps_of,
)
from torch import nn

from nnclassify.compile.aot import CompiledSteps
from nnclassify.optim.averaging import Lookahead, Weights
from nnclassify.optim.optimizers import Muon, Optimizer, ParameterGroup, Sgd
from nnclassify.training.functional_state import FunctionalState
from nnclassify.training.step import StepFunction


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is found that another module compiled; the same step is compiled once for the tests of this one."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize("member", OPTIMIZERS)
def test_the_memory_layout_of_a_gradient_plays_no_part(member: Callable[[], Optimizer]) -> None:
    """A sum over processes is laid out row by row: fused kernels once took it for channels last."""
    weights = []
    for layout in (torch.channels_last, torch.contiguous_format):
        torch.manual_seed(0)
        model = nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
        gradients = [torch.randn(6, 4, 3, 3).contiguous(memory_format=layout), torch.randn(6)]
        state = FunctionalState.of(model, None, member().build(list(model.named_parameters())), epoch=1)
        for _ in range(2):
            state.update(gradients, [0.1] * len(state.groups))
        weights.append(model.weight.detach().clone())
    torch.testing.assert_close(*weights)


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


@compiling
@pytest.mark.parametrize("member", OPTIMIZERS)
def test_compiled_step_is_the_eager_one(member: Callable[[], Optimizer]) -> None:
    # Three steps in a loop, then one: a group that is not full.
    ways = (False, True)
    eager, compiled = (build(member(), compiled=way, group_size=3, network=small_network) for way in ways)
    # Muon's own arithmetic is in bfloat16, where the compiler keeps digits that the eager step rounds away.
    rtol, atol = (0.05, 0.02) if member is Muon else (1e-5, 1e-5)
    torch.testing.assert_close(run(compiled), run(eager), rtol=rtol, atol=atol)
    assert eager.averaged is not None and compiled.averaged is not None
    for expected, found in ((eager.model, compiled.model), (eager.averaged, compiled.averaged)):
        for name, weight in expected.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], weight, rtol=rtol, atol=atol)


def test_inputs_are_shortened_as_the_first_layer_does(monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = (build(Sgd(), compiled=False, placement=SHORT) for _ in range(2))
    losses = run(early)
    monkeypatch.setattr(StepFunction, "_cast_inputs", lambda self, inputs: inputs)
    assert torch.equal(run(late), losses)
    for name, weight in late.model.state_dict().items():
        assert torch.equal(early.model.state_dict()[name], weight)


@compiling
def test_compiled_step_in_bfloat16_with_channels_last_is_the_eager_one() -> None:
    eager, compiled = (build(Sgd(), compiled=way, group_size=1, placement=SHORT) for way in (False, True))
    torch.testing.assert_close(run(compiled), run(eager), rtol=0.02, atol=0.02)
    for name, weight in eager.model.state_dict().items():
        torch.testing.assert_close(compiled.model.state_dict()[name], weight, rtol=0.02, atol=0.02)


def grouped_step(*, compiled: bool) -> StepFunction:
    """Biases learn faster, and the convolution in one epoch only. Three steps in a loop, then one."""
    fast = ParameterGroup(match="*.bias", lr_factor=8.0)
    brief = ParameterGroup(match="0.weight", lr_factor=2.0, epochs=1)
    return build(Sgd(momentum=0.9, weight_decay=0.01, groups=[fast, brief]), compiled=compiled, group_size=3)


def test_a_group_stops_learning_after_its_epochs() -> None:
    step = grouped_step(compiled=False)
    run(step)
    convolution, head = (step.model.get_parameter(name).detach().clone() for name in ("0.weight", "6.weight"))
    step.begin_epoch(epoch=2)
    run(step)
    assert torch.equal(step.model.get_parameter("0.weight"), convolution)
    assert not torch.equal(step.model.get_parameter("6.weight"), head)
    assert not torch.equal(network().get_parameter("0.weight"), convolution)  # it did learn


def test_a_group_without_state_stops_learning_too() -> None:
    """Without momentum, the step's tensors are the same ones in both epochs."""
    brief = ParameterGroup(match="0.weight", epochs=1)
    step = build(Sgd(groups=[brief]), compiled=False)
    run(step)
    before = step.model.get_parameter("0.weight").detach().clone()
    step.begin_epoch(epoch=2)
    run(step)
    assert torch.equal(step.model.get_parameter("0.weight"), before)


@compiling
def test_compiled_lookahead_is_the_eager_one() -> None:
    steps = [build(Sgd(lr=0.1), compiled=compiled, averaging=Lookahead(every=2)) for compiled in (False, True)]
    for step in steps:
        torch.manual_seed(2)
        step.run(examples()[0][:8], examples()[1][:8], FACTORS[:1], [1.0])  # nothing meets
        run(step)  # the decays are under 1: they meet after each
    for name, weight in steps[0].model.state_dict().items():
        torch.testing.assert_close(steps[1].model.state_dict()[name], weight, rtol=1e-5, atol=1e-5)


def test_a_lookahead_at_a_rate_that_is_a_tensor_leaves_batch_norms_counter() -> None:
    """As in a compiled step, whose decay is no number: 1 means that nothing meets."""
    slow, fast = (Weights({}, {"count": torch.tensor(count)}) for count in (3, 4))
    Lookahead().update(slow, fast, torch.tensor(1.0))
    assert slow.buffers["count"] == 3
    Lookahead().update(slow, fast, torch.tensor(0.5))
    assert slow.buffers["count"] == 4


@compiling
def test_compiled_groups_are_the_eager_ones() -> None:
    eager, compiled = grouped_step(compiled=False), grouped_step(compiled=True)
    for epoch in (1, 2):
        for step in (eager, compiled):
            step.begin_epoch(epoch)
            run(step)
        for name, weight in eager.model.state_dict().items():
            torch.testing.assert_close(compiled.model.state_dict()[name], weight, rtol=1e-5, atol=1e-5)


@compiling
def test_compiled_step_alone_is_the_eager_one_and_is_kept() -> None:
    eager, compiled = (build(Sgd(momentum=0.9), compiled=way, group_size=1) for way in (False, True))
    first = run(compiled)
    torch.testing.assert_close(first, run(eager), rtol=1e-5, atol=1e-5)
    again = build(Sgd(momentum=0.9), compiled=True, group_size=1)
    assert is_kept(again)
    assert torch.equal(run(again), first)
    assert not is_kept(build(Sgd(momentum=0.8), compiled=True, group_size=1))


def is_kept(step: StepFunction) -> bool:
    """Whether the step has been compiled already."""
    fast = verified_steps_of(step).fast
    assert isinstance(fast, CompiledSteps)
    return fast.library().is_kept()


@compiling
def test_parts_of_a_compiled_group_are_the_whole_group_bit_for_bit() -> None:
    """Another `checkpoint_every` cuts groups elsewhere, and must not end in other bits."""
    whole, parted = grouped_step(compiled=True), grouped_step(compiled=True)
    inputs, targets = examples()
    losses = run(whole)  # three steps and one
    torch.manual_seed(2)
    first = parted.run(inputs[:16], targets[:16], FACTORS[:2], DECAYS[:2])[1]
    assert torch.equal(torch.cat([first, parted.run(inputs[16:], targets[16:], FACTORS[2:], DECAYS[2:])[1]]), losses)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, parted.model.state_dict()[name])


def test_states_loaded_from_a_checkpoint_go_on() -> None:
    inputs, targets = examples()
    whole = build(Sgd(momentum=0.9), compiled=False)
    whole.run(inputs[:8], targets[:8], [1.0], [0.5])
    resumed = build(Sgd(momentum=0.9), compiled=False)
    resumed.model.load_state_dict(copy.deepcopy(whole.model.state_dict()))
    resumed.optimizers[0].load_state_dict(copy.deepcopy(whole.optimizers[0].state_dict()))
    for step in (whole, resumed):
        torch.manual_seed(3)
        step.run(inputs[8:16], targets[8:16], [1.0], [0.5])
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name])
