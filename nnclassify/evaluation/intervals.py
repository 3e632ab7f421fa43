"""Confidence intervals of proportions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Z = 1.959963984540054
"""The quantile of the normal distribution that gives a 95% interval."""


def wilson_interval(num_correct: float, count: float, z: float = Z) -> tuple[float, float]:
    """Compute the Wilson score interval of a proportion (Wilson, 1927).

    Args:
        num_correct: The number of successes; a fraction if `count` is an effective number of trials.
        count: The number of trials.
        z: The quantile of the normal distribution; the default gives a 95% interval.

    Raises:
        ValueError: `count` is 0.
    """
    if count < 1:
        raise ValueError("an interval needs at least one example")
    share, spread = num_correct / count, z**2 / count
    center = share + spread / 2
    margin = z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    low, high = (center - margin) / (1 + spread), (center + margin) / (1 + spread)
    return (0.0 if num_correct == 0 else low), (1.0 if num_correct == count else high)


def effective_count(is_correct: Tensor, groups: Tensor | None) -> float:
    """Return how many independent examples would tell the accuracy as exactly as these.

    Examples of one group, such as the images of a patient, are alike: they tell less than as many independent ones. The
    number is that which gives Wilson's interval the variance between groups, and the quantile of Student's distribution
    (Korn and Graubard, 1998). If all or none are correct, this does not tell how alike they are: a group counts as one.

    Args:
        is_correct: Whether each example is predicted correctly, bool `(N,)`.
        groups: The group of each example, from 0, int64 `(N,)`; None: the examples are independent.
    """
    count = len(is_correct)
    if groups is None:
        return count
    sizes = groups.bincount().double()
    num_groups, share = len(sizes), float(is_correct.double().mean())
    if num_groups == count:
        return count
    apart = groups.bincount(is_correct.double(), minlength=num_groups) - share * sizes
    variance = float(apart.square().sum()) / count**2 * num_groups / max(1, num_groups - 1)
    if num_groups == 1 or variance == 0 or share in (0, 1):
        return num_groups
    from scipy.special import stdtrit

    ratio = Z / float(stdtrit(num_groups - 1, 0.975))
    return max(1.0, min(float(count), share * (1 - share) / variance) * ratio**2)


def share_interval(is_correct: Tensor, groups: Tensor | None) -> tuple[float, float]:
    """Return Wilson's interval of the fraction that is correct; see `effective_count`."""
    count, num_correct = effective_count(is_correct, groups), int(is_correct.sum())
    return wilson_interval(num_correct if groups is None else num_correct / len(is_correct) * count, count)
