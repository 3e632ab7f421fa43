"""Tests that training uses bfloat16 only where it agrees with float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nnclassify.device import Placement
from nnclassify.losses import CrossEntropy
from nnclassify.training.precision import agrees, is_fast

CPU = Placement(torch.device("cpu"))
LOSS = CrossEntropy().build([1, 1, 1])


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 20, generator=generator), torch.randint(3, (64,), generator=generator)


class Cancelling(nn.Module):
    """A difference of two large products: bfloat16 loses all of its digits."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(20, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        large = self.linear(inputs * 1e4)
        return torch.sub(self.linear(inputs * 1e4 + inputs.cos()), large)


def test_an_ordinary_network_agrees_and_is_left_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Dropout(0.3), nn.Linear(30, 3))
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    assert agrees(model, LOSS, CPU, *batch())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_network_that_bfloat16_breaks_does_not_agree() -> None:
    torch.manual_seed(0)
    assert not agrees(Cancelling(), LOSS, CPU, *batch())


def test_only_machines_with_the_instructions_are_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert not is_fast(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert is_fast(torch.device("cpu"))
    assert not is_fast(torch.device("mps"))
