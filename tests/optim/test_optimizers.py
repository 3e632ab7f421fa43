"""Tests of one step of each optimizer against values by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from nnclassify.errors import ModelError
from nnclassify.optim.optimizers import AnyOptimizer

START, GRADIENT, LR = 2.0, 0.5, 0.1


def stepped(num_steps: int, shape: tuple[int, ...] = (1,), **options: Any) -> torch.Tensor:
    """The parameter after steps with a constant gradient."""
    parameter = nn.Parameter(torch.full(shape, START, dtype=torch.float64))
    optimizers = TypeAdapter(AnyOptimizer).validate_python({"lr": LR, **options}).build([("weight", parameter)])
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
    optimizer = TypeAdapter(AnyOptimizer).validate_python({"name": "muon", "lr": 1.0}).build([("weight", parameter)])[0]
    parameter.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    singular = torch.linalg.svdvals(parameter.detach())
    assert (singular > 0.4).all() and (singular < 1.5).all()  # the quintic iteration brings all near 1


def test_muon_takes_convolutions_where_asked() -> None:
    _, (muon, adamw) = built(name="muon", convolutions=True)
    shapes = [[tuple(p.shape) for p in optimizer.param_groups[0]["params"]] for optimizer in (muon, adamw)]
    assert shapes == [[(4, 2, 3, 3), (3, 4)], [(4,), (4,)]]


def test_muon_leaves_what_is_no_matrix_to_adamw() -> None:
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in [(3, 2), (3,), (3, 2, 3, 3)]]
    named = [(str(place), parameter) for place, parameter in enumerate(parameters)]
    optimizers = TypeAdapter(AnyOptimizer).validate_python({"name": "muon"}).build(named)
    held = [[tuple(p.shape) for group in optimizer.param_groups for p in group["params"]] for optimizer in optimizers]
    assert held == [[(3, 2)], [(3,), (3, 2, 3, 3)]]


NAMES = {"conv.weight": (4, 2, 3, 3), "conv.bias": (4,), "norm.bias": (4,), "head.weight": (3, 4)}
"""What a small network's parameters are called."""


def built(**options: Any) -> tuple[dict[str, nn.Parameter], list[torch.optim.Optimizer]]:
    """Parameters of 2 everywhere, each with a gradient of 0.5, and their optimizers."""
    named = {name: nn.Parameter(torch.full(shape, START, dtype=torch.float64)) for name, shape in NAMES.items()}
    for parameter in named.values():
        parameter.grad = torch.full_like(parameter, GRADIENT)
    return named, TypeAdapter(AnyOptimizer).validate_python({"lr": LR, **options}).build(list(named.items()))


def test_groups_have_rates_and_decays_of_their_own() -> None:
    groups = [{"match": "norm.*", "lr_factor": 8.0}, {"match": "*.bias", "lr_factor": 3.0, "weight_decay": 0.0}]
    named, (sgd,) = built(name="sgd", weight_decay=0.1, groups=groups)
    sgd.step()
    after = {name: parameter.flatten()[0].item() for name, parameter in named.items()}
    assert after["head.weight"] == after["conv.weight"] == pytest.approx(START - LR * (GRADIENT + 0.1 * START))
    assert after["norm.bias"] == pytest.approx(START - 8 * LR * (GRADIENT + 0.1 * START))
    assert after["conv.bias"] == pytest.approx(START - 3 * LR * GRADIENT)  # the first group that fits has norm.bias


def test_a_decoupled_decay_does_not_depend_on_the_rates() -> None:
    options = {"name": "sgd", "weight_decay": 0.01, "decoupled": True, "momentum": 0.9, "nesterov": True}
    for lr in (LR, 2 * LR):
        named, (sgd,) = built(**{**options, "lr": lr}, groups=[{"match": "*.bias", "lr_factor": 64.0}])
        sgd.step()
        for name, factor in (("head.weight", 1), ("norm.bias", 64)):
            pull = factor * lr * GRADIENT + 0.01 * START
            assert named[name].flatten()[0].item() == pytest.approx(START - 1.9 * pull)  # nesterov: gradient + momentum


def test_muon_parts_its_groups() -> None:
    _, optimizers = built(name="muon", adamw_lr=0.004, groups=[{"match": "head.*", "lr_factor": 2.0, "epochs": 3}])
    found = [[(group["lr"], group.get("epochs")) for group in optimizer.param_groups] for optimizer in optimizers]
    assert found == [[(2 * LR, 3)], [(pytest.approx(0.004), None)]]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            [{"match": "*.gain"}],
            r"^optimizer.groups.1st: no parameter matches '\*.gain', .* for the names conv.weight",
        ),
        (
            [{"match": "*"}, {"match": "*.bias"}],
            "^optimizer.groups.2nd: no parameter matches '.*', apart from those of earlier groups",
        ),
        ([{"match": "*", "epochs": 2}], "^optimizer.groups: every parameter is frozen before the end"),
    ],
)
def test_groups_that_cannot_be_are_refused(groups: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        built(name="adam", groups=groups)
