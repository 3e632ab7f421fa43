"""Compare confidence intervals of proportions with those of scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nnclassify.evaluation.intervals import wilson_interval


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
