"""ECE, Brier score and log loss, against scikit-learn and an independent sum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from nnclassify.evaluation.reliability import reliability


def drawn(num_classes: int, count: int = 500) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_classes)
    probabilities = torch.randn(count, num_classes, generator=generator, dtype=torch.float64).softmax(dim=1)
    return probabilities, torch.randint(0, num_classes, (count,), generator=generator)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_scores_are_those_of_scikit_learn(num_classes: int) -> None:
    probabilities, targets = drawn(num_classes)
    found, labels = reliability(probabilities, targets, probabilities.argmax(dim=1)), range(num_classes)
    shares = probabilities[:, 1] if num_classes == 2 else probabilities
    assert found.brier == pytest.approx(brier_score_loss(targets, shares, labels=labels))
    assert found.log_loss == pytest.approx(log_loss(targets, probabilities, labels=labels))


@pytest.mark.parametrize("num_classes", [2, 10])
def test_the_bins_are_those_of_scikit_learn_and_the_error_is_their_mean(num_classes: int) -> None:
    probabilities, targets = drawn(num_classes)
    confidence, predicted = (values.numpy() for values in probabilities.max(dim=1))
    correct = predicted == targets.numpy()
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15)
    found = reliability(probabilities, targets, probabilities.argmax(dim=1))
    assert np.array(found.bins)[:, 1] == pytest.approx(mean) and np.array(found.bins)[:, 2] == pytest.approx(accuracy)
    edges = np.linspace(0, 1, 16)
    parts = [(low < confidence) & (confidence <= high) for low, high in pairwise(edges)]
    gaps = [abs(correct[part].sum() - confidence[part].sum()) for part in parts]
    assert found.ece == pytest.approx(sum(gaps) / len(targets))


def test_multi_hot_targets_are_one_decision_per_example_and_class() -> None:
    probabilities, targets = drawn(3)
    is_of = torch.nn.functional.one_hot(targets, 3)
    found = reliability(probabilities, is_of, (probabilities > 0.5).long())
    flat = is_of.flatten().numpy()
    assert found.brier == pytest.approx(brier_score_loss(flat, probabilities.flatten().numpy()))
    assert found.log_loss == pytest.approx(log_loss(flat, probabilities.flatten().numpy()))


def test_certain_answers_are_in_the_last_bin_and_have_a_finite_log_loss() -> None:
    found = reliability(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert found.bins == ((2, 1.0, 0.5),) and found.ece == 0.5 and found.brier == 0.5
    assert found.log_loss == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2, rel=1e-5)
