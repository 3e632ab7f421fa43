"""Optimizers: one step by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from nnclassify.optimizers import AnyOptimizer

START, GRADIENT, LR = 2.0, 0.5, 0.1


def stepped(num_steps: int, shape: tuple[int, ...] = (1,), **options: Any) -> torch.Tensor:
    """The parameter after steps with a constant gradient."""
    parameter = nn.Parameter(torch.full(shape, START, dtype=torch.float64))
    optimizers = TypeAdapter(AnyOptimizer).validate_python({"lr": LR, **options}).build([parameter])
    for _ in range(num_steps):
        parameter.grad = torch.full(shape, GRADIENT, dtype=torch.float64)
        for optimizer in optimizers:
            optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize(
    ("num_steps", "options", "expected"),
    [
        (1, {"name": "sgd"}, START - LR * GRADIENT),
        (1, {"name": "sgd", "weight_decay": 0.1}, START - LR * (GRADIENT + 0.1 * START)),
        (2, {"name": "sgd", "momentum": 0.9}, START - LR * GRADIENT * (1 + 1.9)),
        (1, {"name": "sgd", "momentum": 0.9, "nesterov": True}, START - LR * GRADIENT * 1.9),
        (1, {"name": "adam"}, START - LR * GRADIENT / (GRADIENT + 1e-8)),
        (1, {"name": "adamw", "weight_decay": 0.1}, START * (1 - LR * 0.1) - LR),
        (1, {"name": "rmsprop"}, START - LR * GRADIENT / math.sqrt(0.01 * GRADIENT**2)),
        (2, {"name": "adagrad"}, START - LR * (1 + GRADIENT / math.sqrt(2 * GRADIENT**2))),
        (1, {"name": "adadelta"}, START - LR * math.sqrt(1e-6) / math.sqrt(0.1 * GRADIENT**2 + 1e-6) * GRADIENT),
    ],
)
def test_steps_by_hand(num_steps: int, options: dict[str, Any], expected: float) -> None:
    assert stepped(num_steps, **options).item() == pytest.approx(expected, rel=1e-6)


def test_muon_orthogonalises_matrices() -> None:
    parameter = nn.Parameter(torch.zeros(4, 4))
    optimizer = TypeAdapter(AnyOptimizer).validate_python({"name": "muon", "lr": 1.0}).build([parameter])[0]
    parameter.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    singular = torch.linalg.svdvals(parameter.detach())
    assert (singular > 0.4).all() and (singular < 1.5).all()  # the quintic iteration brings all near 1


def test_muon_leaves_what_is_no_matrix_to_adamw() -> None:
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in [(3, 2), (3,), (3, 2, 3, 3)]]
    optimizers = TypeAdapter(AnyOptimizer).validate_python({"name": "muon"}).build(parameters)
    held = [[tuple(p.shape) for group in optimizer.param_groups for p in group["params"]] for optimizer in optimizers]
    assert held == [[(3, 2)], [(3,), (3, 2, 3, 3)]]
