"""The probability from which the second of two classes is predicted, chosen on the validation split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nnclassify.data.transform import Threshold
from nnclassify.errors import DataError


def check_threshold(threshold: Threshold, class_names: list[str], *, is_multi_hot: bool) -> None:
    """Check that a decision threshold applies to the classes.

    Raises:
        DataError: There are more than two classes, or targets are multi-hot.
    """
    if threshold is not None and (is_multi_hot or len(class_names) != 2):
        found = "multi-hot targets" if is_multi_hot else f"{len(class_names)} classes"
        raise DataError(
            f"evaluation.threshold: it needs two classes, but there are {found}; remove it",
            ("evaluation", "threshold"),
        )


def best_threshold(shares: Tensor, targets: Tensor, badness: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Return the threshold with the lowest badness; of equal ones, that nearest to 0.5.

    Args:
        shares: The probability of class 1, `(N,)`, which is predicted if it exceeds the threshold.
        targets: The class indices, 0 or 1, `(N,)`.
        badness: Function of the numbers of false positives and false negatives, float64 `(M,)` each, of M thresholds.
    """
    ordered, order = shares.double().sort()
    positive = targets[order].double()
    # With the n lowest examples predicted as class 0: the positives among these are missed.
    missed = torch.cat([torch.zeros(1, dtype=torch.float64), positive.cumsum(0)])
    raised = torch.cat([(1 - positive).flip(0).cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])
    edges = torch.cat([torch.zeros(1, dtype=torch.float64), ordered, torch.ones(1, dtype=torch.float64)])
    middles, is_between = (edges[1:] + edges[:-1]) / 2, edges[1:] > edges[:-1]
    values, middles = badness(raised, missed)[is_between], middles[is_between]
    best = middles[values == values.min()]
    return float(best[(best - 0.5).abs().argmin()])


def f1_badness(num_positive: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function to 1 - F1 of class 1, where F1 = 2 TP / (2 TP + FP + FN)."""

    def badness(false_positives: Tensor, false_negatives: Tensor) -> Tensor:
        wrong = false_positives + false_negatives
        return wrong / (2 * (num_positive - false_negatives) + wrong).clamp_min(1)

    return badness


def cost_badness(false_positive: float, false_negative: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function to the total cost."""
    return lambda false_positives, false_negatives: false_positive * false_positives + false_negative * false_negatives
