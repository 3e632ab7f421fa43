"""Whether the difference between two accuracies can be chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

import numpy as np

from nnclassify.seeds import numpy_rng

ALPHA = 0.05
"""Differences are called more than chance if they, or larger ones, are chance less often than this."""
NUM_RESAMPLES = 10_000
SEED_VARIANCE = 3.0
"""Variance of A - B between two networks of one config with different seeds, where A and B are the numbers of examples
that only the first and only the second gets right, in units of A + B, its variance if a coin were tossed for each of
these examples. It was 1.0 to 3.2, and most often about 2, for nine configs on 230 to 10,094 test examples, and 14 and
16 for two that train on 2,700 images in batches of 20: only several seeds tell that.
`python -m benchmarks.significance` measures it."""

Interval = tuple[float, float]


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar, 1947) that two networks are right equally often.

    Args:
        only_first: The number of examples that only the first network predicts correctly.
        only_second: The number of examples that only the second network predicts correctly.
    """
    # The exact binomial test, as scipy.stats.binomtest computes it.
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = ways = 1
    for number in range(fewer):
        ways = ways * (count - number) // (number + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << count))


def mcnemar_of_groups(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of McNemar's test for examples in groups, which are not independent (Durkalski et
    al., 2003).

    Args:
        differences: Of each group, the number of examples that only the first network predicts correctly, minus that of
            those that only the second one does.
    """
    squares = sum(difference**2 for difference in differences)
    return math.erfc(abs(sum(differences)) / math.sqrt(2 * squares)) if squares else 1.0


def mcnemar_between_seeds(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value that one network each of two configs differs this much, if the configs do not.

    Two networks of one config with different seeds differ truly: one is right more often than the other, however many
    examples there are. That makes the difference vary more than McNemar's test allows for, by `SEED_VARIANCE`. The
    statistic is McNemar's with a continuity correction (Edwards, 1948), and the p-value is never below that of the
    exact test.

    Args:
        only_first: The number of examples that only the first network predicts correctly.
        only_second: The number of examples that only the second network predicts correctly.
    """
    count, difference = only_first + only_second, abs(only_first - only_second)
    if difference <= 1:
        return 1.0
    inflated = math.erfc((difference - 1) / math.sqrt(2 * SEED_VARIANCE * count))
    return max(inflated, mcnemar(only_first, only_second))


def difference_interval(only_first: int, only_second: int, count: int) -> Interval:
    """Return the 95% paired bootstrap interval of the accuracy of the first network minus that of the second.

    To draw N examples with replacement, and to count those that only one network gets right, is to draw these counts
    from a multinomial distribution; so the examples themselves are not needed.

    Args:
        only_first: The number of examples that only the first network predicts correctly.
        only_second: The number of examples that only the second network predicts correctly.
        count: The number of examples, N.
    """
    rng = numpy_rng(0, "bootstrap")
    shares = np.array([only_first, only_second, count - only_first - only_second]) / count
    drawn = rng.multinomial(count, shares, size=NUM_RESAMPLES)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / count, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def corrected_t_test(differences: Sequence[float], test_share: float) -> tuple[float, Interval]:
    """Test whether the mean of differences between two configs over seeds or folds is 0.

    The runs of a config share training examples, so their differences vary less than those of independent runs would.
    The corrected resampled t-test allows for that (Nadeau and Bengio, 2003, Machine Learning 52).

    Args:
        differences: The difference between the accuracies of the two configs, per seed or fold: at least two.
        test_share: The number of test examples per training example.

    Returns:
        The two-sided p-value, and the 95% interval of the mean difference.
    """
    from scipy.special import stdtr, stdtrit

    mean, freedom = fmean(differences), len(differences) - 1
    error = math.sqrt((1 / len(differences) + test_share) * variance(differences))
    margin = error * float(stdtrit(freedom, 1 - ALPHA / 2))
    if error == 0:
        return float(mean == 0), (mean, mean)
    return 2 * float(stdtr(freedom, -abs(mean) / error)), (mean - margin, mean + margin)


def mean_interval(values: Sequence[float], test_share: float) -> Interval | None:
    """Return the 95% interval of the mean accuracy of runs of one config; None if they do not tell how much it varies.

    Over runs with the same test examples, it is Student's interval: what other seeds reach on these examples. If each
    run draws its splits anew, as folds do, runs share training examples; it is then that of `corrected_t_test`.

    Args:
        values: The accuracy of each run.
        test_share: 0 for runs with the same test examples, else the number of test examples per training example.
    """
    if len(set(values)) < 2:
        return None
    low, high = corrected_t_test(values, test_share)[1]
    return max(0.0, low), min(1.0, high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of several tests so that all of them together are wrong as rarely as one (Holm, 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
