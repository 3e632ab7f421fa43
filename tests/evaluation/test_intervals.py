"""Compare confidence intervals of proportions with those of scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from nnclassify.evaluation.intervals import effective_count, share_interval, wilson_interval


@pytest.mark.parametrize(("num_correct", "count"), [(0, 10), (10, 10), (7, 10), (981, 1000), (1, 1), (0, 1)])
def test_wilson_interval_is_that_of_scipy(num_correct: int, count: int) -> None:
    expected = stats.binomtest(num_correct, count).proportion_ci(method="wilson")
    assert wilson_interval(num_correct, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson_interval(0, 0)


@pytest.mark.parametrize("accuracy", [0.5, 0.7, 0.9, 0.95, None])
@pytest.mark.parametrize("count", [100, 300, 1000, 10_000])
def test_95_of_100_intervals_cover_the_accuracy(count: int, accuracy: float | None) -> None:
    """In 1,000 runs of one accuracy, or of accuracies between 50% and 99%."""
    rng = np.random.default_rng(1)
    accuracies = rng.uniform(0.5, 0.99, 1000) if accuracy is None else np.full(1000, accuracy)
    intervals = [wilson_interval(correct, count) for correct in rng.binomial(count, accuracies).tolist()]
    covered = [low <= value <= high for (low, high), value in zip(intervals, accuracies.tolist(), strict=True)]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_intervals_of_few_examples_cover_the_accuracy_at_least_nine_times_in_ten() -> None:
    """There are few possible numbers of correct predictions, so the coverage goes up and down; here it is exact."""
    for count, accuracy in itertools.product((10, 30, 100, 300), (0.5, 0.7, 0.9, 0.95, 0.99)):
        covered = 0.0
        for correct in range(count + 1):
            low, high = wilson_interval(correct, count)
            chance = math.comb(count, correct) * accuracy**correct * (1 - accuracy) ** (count - correct)
            covered += chance * (low <= accuracy <= high)
        assert 0.9 < covered < 0.98, (count, accuracy)


def of_groups(rng: np.random.Generator, num_groups: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Examples of groups whose accuracies vary around 80%."""
    shares = rng.beta(4, 1, num_groups)
    return torch.tensor(rng.random((num_groups, size)) < shares[:, None]).flatten(), torch.arange(
        num_groups
    ).repeat_interleave(size)


def test_intervals_of_examples_in_groups_cover_the_accuracy_on_new_groups() -> None:
    rng, covered, naively = np.random.default_rng(0), 0, 0
    for _ in range(300):
        is_correct, groups = of_groups(rng, 15, 20)
        low, high = share_interval(is_correct, groups)
        covered += low <= 0.8 <= high
        low, high = share_interval(is_correct, None)
        naively += low <= 0.8 <= high
    assert covered / 300 > 0.93 and naively / 300 < 0.75


def test_groups_that_are_alike_tell_as_much_as_one_example_each() -> None:
    groups = torch.arange(10).repeat_interleave(30)
    is_correct = groups < 8  # all examples of a group are predicted alike
    # p (1 - p) / (sum of squares / N^2 * G / (G - 1)) = 0.16 / (1.6 / 100 * 10 / 9) = 9; t(9) = 2.2622
    assert effective_count(is_correct, groups) == pytest.approx(9 * (1.959964 / 2.262157) ** 2, abs=1e-5)
    assert effective_count(torch.ones(300, dtype=torch.bool), groups) == 10
    assert effective_count(is_correct, None) == effective_count(is_correct, torch.arange(300)) == 300
