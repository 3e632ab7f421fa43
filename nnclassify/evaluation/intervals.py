"""Confidence intervals of proportions."""

from __future__ import annotations

import math


def wilson_interval(num_correct: int, count: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Compute the Wilson score interval of a proportion (Wilson, 1927).

    Args:
        num_correct: The number of successes.
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
