"""The decision threshold, against every threshold tried."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score

from nnclassify.errors import DataError
from nnclassify.evaluation.decision import best_threshold, check_threshold, cost_badness, f1_badness

HALVES = np.arange(-0.005, 1, 0.01)
"""One threshold between each two of the shares that are drawn."""


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shares = np.round(rng.beta(1, 3, 80), 2)
    return shares, (rng.random(80) < shares).astype(np.int64)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_f1_is_the_highest_of_all_thresholds(seed: int) -> None:
    shares, targets = drawn(seed)
    found = best_threshold(torch.from_numpy(shares), torch.from_numpy(targets), f1_badness(int(targets.sum())))
    tried = [f1_score(targets, shares > threshold, zero_division=0) for threshold in HALVES]
    assert f1_score(targets, shares > found) == pytest.approx(max(tried)) and 0 < found < 1


@pytest.mark.parametrize(("false_positive", "false_negative"), [(1, 1), (1, 5), (7, 1)])
def test_the_cost_is_the_lowest_of_all_thresholds(false_positive: float, false_negative: float) -> None:
    shares, targets = drawn(9)

    def cost(threshold: float) -> float:
        table = confusion_matrix(targets, shares > threshold, labels=[0, 1])
        return float(false_positive * table[0, 1] + false_negative * table[1, 0])

    badness = cost_badness(false_positive, false_negative)
    found = best_threshold(torch.from_numpy(shares), torch.from_numpy(targets), badness)
    assert cost(found) == min(cost(threshold) for threshold in HALVES)


def test_of_equal_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    shares, targets = torch.tensor([0.2, 0.4, 0.9]), torch.tensor([0, 0, 1])
    assert best_threshold(shares, targets, cost_badness(1, 1)) == pytest.approx(0.65)


def test_a_threshold_is_between_two_classes() -> None:
    check_threshold(0.3, ["a", "b"], is_multi_hot=False)
    check_threshold(None, ["a", "b", "c"], is_multi_hot=False)
    with pytest.raises(DataError, match="it needs two classes, but there are 3 classes"):
        check_threshold("f1", ["a", "b", "c"], is_multi_hot=False)
    with pytest.raises(DataError, match="but there are multi-hot targets"):
        check_threshold(0.3, ["a", "b"], is_multi_hot=True)
