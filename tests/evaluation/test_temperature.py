"""The temperature, against scikit-learn's; and that it changes no prediction, of any loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nnclassify.evaluation.temperature import fit_temperature
from nnclassify.losses.functions import Bce, BceWithLogits, CrossEntropy, Focal, Mse, Nll
from nnclassify.losses.loss_function import LossFunction

LOSSES = [
    CrossEntropy().build([1] * 5),
    Nll().build([1] * 5),
    Focal().build([1] * 5),
    Bce().build([1] * 5),
    BceWithLogits().build([1] * 5),
    BceWithLogits().build([1, 1]),
    Bce(targets="index").build([1] * 5),
    Mse().build([1] * 5),
    Mse(targets="index").build([1] * 5),
    BceWithLogits().build_multi_hot(5),
    Bce().build_multi_hot(5),
    Mse().build_multi_hot(5),
]

PROBABILITIES = (3, 6, 10)
"""Those whose outputs are probabilities."""


def drawn(num_classes: int, scale: float = 3.0, count: int = 300) -> tuple[Tensor, Tensor]:
    """Logits that are `scale` times too large, and classes drawn from the right ones."""
    generator = torch.Generator().manual_seed(num_classes)
    logits = torch.randn(count, num_classes, generator=generator, dtype=torch.float64)
    return scale * logits, logits.softmax(dim=1).multinomial(1, generator=generator).squeeze(1)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_it_is_that_of_scikit_learn(num_classes: int) -> None:
    inputs, targets = (values.numpy() for values in drawn(num_classes))
    model = LogisticRegression(C=100).fit(np.concatenate([inputs, inputs * 0.1]), np.tile(targets, 2))
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(inputs, targets)
    logits = torch.from_numpy(np.atleast_2d(model.predict_log_proba(inputs)))
    found = fit_temperature(logits, torch.from_numpy(targets), CrossEntropy().build([1] * num_classes))
    shares = replace(CrossEntropy().build([1] * num_classes), temperature=found).probabilities(logits)
    assert shares.numpy() == pytest.approx(calibrated.predict_proba(inputs), abs=1e-4)


def test_logits_that_are_three_times_too_large_have_a_temperature_of_three() -> None:
    outputs, targets = drawn(4, scale=3.0, count=20_000)
    assert fit_temperature(outputs.float(), targets, CrossEntropy().build([1] * 4)) == pytest.approx(3, rel=0.03)
    shifted = outputs - outputs.logsumexp(dim=1, keepdim=True)
    assert fit_temperature(shifted, targets, Nll().build([1] * 4)) == pytest.approx(3, rel=0.03)


def test_multi_hot_classes_share_the_temperature_of_all_decisions() -> None:
    logits = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = logits.sigmoid().bernoulli(generator=torch.Generator().manual_seed(1)).long()

    tried = np.linspace(1.5, 2.5, 1001)
    losses = [binary_cross_entropy_with_logits(2 * logits / temperature, targets.double()) for temperature in tried]
    loss_fn = BceWithLogits().build_multi_hot(3)
    assert fit_temperature(2 * logits, targets, loss_fn) == pytest.approx(tried[np.argmin(losses)], abs=1e-3)


def test_without_a_mistake_the_least_sure_is_one_in_all_but_two() -> None:
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]] * 10)
    found = fit_temperature(logits, torch.tensor([0, 1, 0] * 10), CrossEntropy().build([1, 1]))
    assert float((logits[0] / found).softmax(dim=0)[0]) == pytest.approx(1 - 1 / 32)


@pytest.mark.parametrize(
    ("outputs", "targets", "expected"),
    [
        ([[0.0, 0.0]], [1], 1.0),
        ([[9.0, 0.0], [0.0, 9.0]], [1, 0], 100.0),
        ([[float("inf"), 0.0]], [1], 1.0),
    ],
)
def test_what_no_temperature_repairs_has_one_in_range(
    outputs: list[list[float]], targets: list[int], expected: float
) -> None:
    found = fit_temperature(torch.tensor(outputs * 20), torch.tensor(targets * 20), CrossEntropy().build([1, 1]))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("count", "is_fitted"), [(1, False), (19, False), (20, True)])
def test_a_few_examples_leave_the_probabilities_as_they_are(count: int, is_fitted: bool) -> None:
    logits = torch.tensor([[9.0, 0.0]]).repeat(count, 1)
    found = fit_temperature(logits, torch.zeros(count).long(), CrossEntropy().build([1, 1]))
    assert (found != 1) == is_fitted


@given(
    number=st.integers(0, len(LOSSES) - 1),
    values=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1e-9, -1e-9, 1e-30, 0.5000001, 3.0, 88.0, 1.5]), min_size=5),
    temperature=st.sampled_from([0.01, 0.3, 0.999, 1.7, 100.0]),
)
def test_no_temperature_changes_a_prediction(number: int, values: list[float], temperature: float) -> None:
    loss_fn = LOSSES[number]
    rows = len(values) // 5
    outputs = torch.tensor(values[: rows * 5]).reshape(rows, 5)[:, : loss_fn.num_outputs]
    outputs = outputs.clamp(0, 1) if number in PROBABILITIES else outputs
    if isinstance(loss_fn, type(LOSSES[-1])):
        assert_same_multi_hot(loss_fn, outputs, temperature)
        return
    scaled = replace(loss_fn, temperature=temperature)
    probabilities = scaled.probabilities(outputs)
    assert torch.equal(scaled.predictions(outputs), loss_fn.predictions(outputs))
    assert torch.equal(probabilities.argmax(dim=1), loss_fn.predictions(outputs))
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1.0] * rows, abs=1e-5)


def assert_same_multi_hot(loss_fn: LossFunction, outputs: Tensor, temperature: float) -> None:
    scaled = replace(loss_fn, temperature=temperature)
    assert torch.equal(scaled.predictions(outputs), loss_fn.predictions(outputs))
    assert torch.equal((scaled.probabilities(outputs) >= 0.5).long(), loss_fn.predictions(outputs))
