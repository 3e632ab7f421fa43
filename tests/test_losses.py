"""Tests of the losses and their probabilities against values by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from nnclassify.config.reference import families
from nnclassify.errors import DataError
from nnclassify.losses import AnyLoss, LossFunction
from nnclassify.losses.functions import project_to_simplex

LOSSES = [name for name in families()["loss"] if name != "python"]


def build(name: str, counts: list[int] | None = None, **options: Any) -> LossFunction:
    built: LossFunction = TypeAdapter(AnyLoss).validate_python({"name": name, **options}).build(counts or [2, 2, 4])
    return built


def outputs_for(loss_fn: LossFunction, name: str, num: int = 50) -> Tensor:
    raw = torch.randn(num, loss_fn.num_outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return {"nll": lambda: raw.log_softmax(1), "bce": lambda: raw.sigmoid()}.get(name, lambda: raw)()


LOGITS = torch.tensor([[0.0, math.log(2.0), 0.0]], dtype=torch.float64)  # softmax: 1/4, 1/2, 1/4
TARGET = torch.tensor([1])


@pytest.mark.parametrize(
    ("name", "options", "outputs", "expected"),
    [
        ("cross_entropy", {}, LOGITS, math.log(2)),
        # (1 - s) log 2 + s/3 (log 4 + log 2 + log 4), s = 0.3
        ("cross_entropy", {"label_smoothing": 0.3}, LOGITS, 0.7 * math.log(2) + 0.1 * 5 * math.log(2)),
        ("nll", {}, LOGITS.log_softmax(1), math.log(2)),
        ("focal", {"gamma": 2.0}, LOGITS, 0.25 * math.log(2)),
        ("focal", {"gamma": 0.0}, LOGITS, math.log(2)),
        ("mse", {}, torch.tensor([[0.5, 0.5, 0.25]]), (0.25 + 0.25 + 0.0625) / 3),
        ("bce", {}, torch.tensor([[0.5, 0.25, 0.5]]), (math.log(2) + math.log(4) + math.log(2)) / 3),
        ("bce_with_logits", {}, torch.zeros(1, 3), math.log(2)),
    ],
)
def test_loss_by_hand(name: str, options: dict[str, Any], outputs: Tensor, expected: float) -> None:
    assert float(build(name, **options)(outputs, TARGET)[0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["bce", "bce_with_logits"])
def test_one_output_for_two_classes(name: str) -> None:
    loss_fn = build(name, [3, 5])
    output = torch.tensor([[0.8 if name == "bce" else math.log(4.0)]])  # sigmoid(log 4) = 0.8
    assert loss_fn.num_outputs == 1
    assert float(loss_fn(output, torch.tensor([1]))) == pytest.approx(-math.log(0.8), rel=1e-6)
    assert float(loss_fn(output, torch.tensor([0]))) == pytest.approx(-math.log(0.2), rel=1e-6)
    assert loss_fn.probabilities(output)[0].tolist() == pytest.approx([0.2, 0.8])


@pytest.mark.parametrize("counts", [[3, 5], [2, 2, 4]])
@pytest.mark.parametrize("name", LOSSES)
def test_probabilities_agree_with_predictions(name: str, counts: list[int]) -> None:
    loss_fn = build(name, counts)
    outputs = outputs_for(loss_fn, name)
    probabilities = loss_fn.probabilities(outputs)
    assert probabilities.shape == (50, len(counts))
    assert torch.allclose(probabilities.sum(1), torch.ones(50, dtype=torch.float64))
    assert (probabilities >= 0).all()
    assert torch.equal(probabilities.argmax(1), loss_fn.predictions(outputs))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
def test_extreme_outputs_keep_probabilities_and_gradients_finite(name: str, scale: float) -> None:
    loss_fn = build(name)
    raw = torch.tensor([[1.0, -1.0, 0.0], [-1.0, -2.0, -3.0]], dtype=torch.float32) * scale
    raw.requires_grad_(True)
    outputs = {"nll": lambda: raw.log_softmax(1), "bce": lambda: raw.sigmoid()}.get(name, lambda: raw)()
    losses = loss_fn(outputs, torch.tensor([1, 0]))
    losses.sum().backward()
    assert losses.isfinite().all() and raw.grad is not None and raw.grad.isfinite().all()
    probabilities = loss_fn.probabilities(outputs)
    assert probabilities.isfinite().all()
    assert torch.equal(probabilities.argmax(1), loss_fn.predictions(outputs))


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "focal"])
def test_class_weights_multiply_each_loss_and_divide_the_mean(name: str) -> None:
    plain, weighted = build(name), build(name, class_weights=[1.0, 2.0, 4.0])
    outputs, targets = outputs_for(plain, name, 3), torch.tensor([0, 1, 2])
    assert torch.allclose(weighted(outputs, targets), plain(outputs, targets) * torch.tensor([1.0, 2.0, 4.0]).double())
    weights = weighted.weights(targets)
    assert weights is not None and weights.tolist() == [1.0, 2.0, 4.0]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    weights = build("cross_entropy", [2, 2, 4], class_weights="balanced").class_weights
    assert weights is not None and weights.tolist() == pytest.approx([8 / 6, 8 / 6, 8 / 12])


def test_class_weights_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match=r"loss.class_weights: 2 weights; expected 3"):
        build("cross_entropy", class_weights=[1.0, 2.0])


@pytest.mark.parametrize(
    ("loss", "output", "advice"),
    [
        ("bce", "none", "bce_with_logits"),
        ("bce", "relu", "sigmoid"),
        ("nll", "none", "log_softmax"),
        ("nll", "sigmoid", "cross_entropy"),
    ],
)
def test_a_combination_that_cannot_train_says_which_to_use(loss: str, output: str, advice: str) -> None:
    assert advice in families()["loss"][loss]().refuses(output)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]),
        ([2.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ([0.6, 0.6, 0.0], [0.5, 0.5, 0.0]),
        ([0.9, 0.3, 0.0], [0.8, 0.2, 0.0]),
        ([1e15, 0.0, 1.0], [1.0, 0.0, 0.0]),
        ([-1.0, -1.0, -1.0], [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_project_to_simplex_by_hand(outputs: list[float], expected: list[float]) -> None:
    assert project_to_simplex(torch.tensor([outputs]))[0].tolist() == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6))
def test_project_to_simplex_is_the_shift_that_sums_to_one(outputs: list[float]) -> None:
    low, high = min(outputs) - 1, max(outputs)  # sum(max(0, x - t)) falls in t: bisection
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(max(0.0, x - middle) for x in outputs) > 1 else (low, middle)
    projected = project_to_simplex(torch.tensor([outputs], dtype=torch.float64))[0]
    assert projected.tolist() == pytest.approx([max(0.0, x - low) for x in outputs], abs=1e-9)
