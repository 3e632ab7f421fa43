"""Bootstrap intervals of metrics (Efron and Tibshirani, 1993, chapter 14).

The examples are not drawn again, only the sums that the metrics are functions of: the numbers of times that examples
are drawn, times their sums, are the totals of all resamples in one matrix product. The intervals are BCa intervals:
in simulations they cover the true value more often than percentile intervals (`benchmarks/intervals`).

Losses have the bootstrap-t interval (Efron and Tibshirani, 1993, chapter 12): a few examples that a network is sure of
and wrong about make up most of them, and a small test split may lack such examples, which BCa intervals ignore.

The interval of the ROC AUC is that of its logit, by the jackknife: near 1, where networks are, it covers the true value
more often (Qin and Hotilovac, 2008, compare such intervals). With few examples of one of two classes, no estimated
variance can be relied on, and the interval is that of Newcombe, 2006; it is wide near 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import torch
from torch import Tensor

from nnclassify.evaluation.intervals import effective_count, wilson_interval
from nnclassify.evaluation.metrics import METRICS, MetricInputs, Statistics, Units
from nnclassify.evaluation.totals import exact
from nnclassify.seeds import numpy_rng

RESAMPLES = 1000
"""Number of resamples."""
MAX_UNITS, MIN_UNITS, MAX_SUMS = 2500, 250, 2**18
"""Maximum number of units that are drawn, its minimum however many classes there are, and the maximum number of sums of
one kind (units times classes). More examples than that are divided into random units of equal size, which are drawn
instead: their sums vary like those of the examples, and 2,500 of them tell the variance to within 3%."""
LEVEL = 0.95
"""The confidence level."""
MAX_BIAS = 0.7
"""Bias of the resamples, in standard deviations, that BCa intervals correct. It is larger with few examples of each of
many classes, since resamples lack some of them: in simulations of 195 classes with 278 and 900 examples, 13% and 30% of
such intervals of the macro F1 cover the true value."""
FEW = 100
"""With fewer examples of one of two classes, the variance of the ROC AUC is estimated from too few of them."""
_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf((1 + LEVEL) / 2)


def metric_intervals(
    given: MetricInputs, values: Mapping[str, float], groups: Tensor | None = None
) -> dict[str, tuple[float, float]]:
    """Compute 95% intervals of metrics.

    Fractions of the examples have Wilson intervals, which are exact enough for a few examples and for fractions near 1.
    ROC AUC has one of its own (`area_interval`), and the other metrics have bootstrap intervals: losses
    bootstrap-t intervals, the others BCa intervals. Their resamples are drawn from a random stream of their own, so the
    same outputs have the same intervals.

    Args:
        given: The outputs and targets.
        values: The metrics by name.
        groups: The group of each example, from 0, `(N,)`: groups are then drawn; None: examples are independent.

    Returns:
        Low and high by name; without the metrics that are no function of sums over the examples, and without those that
        are the same in nearly all resamples, as for a network that makes no mistake on a few examples, or always
        predicts the same class: the examples do not tell how much they vary.
    """
    count = len(given.targets)
    units = units_of(count, given.probabilities.shape[1], groups)
    weights = resampled(units.count)
    independent = effective_count(exact(given.predictions, given.targets), groups)
    found: dict[str, tuple[float, float]] = {}
    for name, value in values.items():
        metric = METRICS[name]
        if metric.interval == "wilson":
            right = round(value * count) / count * independent if value < 1 else independent
            found[name] = wilson_interval(right, independent)
        elif metric.statistics is not None:
            statistics = metric.statistics(given, units)
            if metric.interval == "area":
                interval = area_interval(statistics) if groups is None else logit_interval(statistics)
            elif metric.interval == "bootstrap_t":
                interval = bootstrap_t_interval(statistics.sums, weights)
            else:
                interval = bca_interval(statistics, weights)
            if interval is not None:
                found[name] = interval
    return found


def units_of(count: int, num_classes: int, groups: Tensor | None = None) -> Units:
    """Return the units that are drawn: the examples or their groups, or for more than some thousand, random units of
    as many of these each."""
    if groups is not None:
        units = units_of(int(groups.max()) + 1, num_classes)
        return Units(units.index[groups], units.count)
    limit = min(MAX_UNITS, max(MIN_UNITS, MAX_SUMS // num_classes))
    if count <= limit:
        return Units(torch.arange(count), count)
    order = torch.from_numpy(numpy_rng(0, "bootstrap", "units").permutation(count))
    return Units(order % limit, limit)


def resampled(num_units: int) -> Tensor:
    """Return how often each unit is drawn, float64 `(RESAMPLES, num_units)`; each row sums to the number of units."""
    drawn = torch.from_numpy(numpy_rng(0, "bootstrap", "resamples").integers(num_units, size=(RESAMPLES, num_units)))
    places = drawn + num_units * torch.arange(RESAMPLES)[:, None]
    return places.flatten().bincount(minlength=places.numel()).double().reshape(RESAMPLES, num_units)


def bca_interval(statistics: Statistics, weights: Tensor) -> tuple[float, float] | None:
    """Compute the bias-corrected and accelerated interval of a metric (Efron, 1987).

    Args:
        statistics: The metric as a function of sums of G units.
        weights: How often each unit is drawn, `(RESAMPLES, G)`.

    Returns:
        Low and high; None if they are the same, because the metric is in nearly all resamples, or if the resamples are
        biased by more than `MAX_BIAS`.
    """
    total = statistics.sums.sum(dim=0)
    values, whole = statistics.value(weights @ statistics.sums), statistics.value(total)
    without_one = statistics.value(total - statistics.sums)
    influence = without_one.mean() - without_one
    spread = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    half = 0.5 / len(values)
    below = float(((values < whole).double() + (values <= whole).double()).mean()) / 2
    bias = _NORMAL.inv_cdf(min(max(below, half), 1 - half))
    if abs(bias) > MAX_BIAS:
        return None
    levels = [_corrected(level, bias, acceleration) for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]
    low, high = values.quantile(torch.tensor(levels, dtype=values.dtype)).tolist()
    return None if math.isclose(low, high) else (low, high)


def bootstrap_t_interval(sums: Tensor, weights: Tensor) -> tuple[float, float] | None:
    """Compute the bootstrap-t interval of a weighted mean (Efron and Tibshirani, 1993, chapter 12).

    It divides the error of each resample's mean by the standard error of that resample, so one that lacks the largest
    values, whose mean and standard error are both too small, tells how far above such a mean the true one may be.

    Args:
        sums: The sum of the weighted values and that of the weights, of G units, `(G, 2)`.
        weights: How often each unit is drawn, `(RESAMPLES, G)`.

    Returns:
        Low, at least 0 if all sums are, and high; None if the mean is the same in nearly all resamples.
    """
    products = torch.stack([sums[:, 0] ** 2, sums[:, 0] * sums[:, 1], sums[:, 1] ** 2], dim=1)

    def mean_and_variance(drawn: Tensor) -> tuple[Tensor, Tensor]:
        totals = drawn @ sums
        mean = totals[:, 0] / totals[:, 1]
        squares, mixed, counts = (drawn @ products).unbind(dim=1)
        residual = squares - 2 * mean * mixed + mean**2 * counts  # the sum of squares of sum - mean * count
        return mean, residual.clamp(min=0) / totals[:, 1] ** 2

    center, spread = (float(one) for one in mean_and_variance(torch.ones_like(weights[:1])))
    means, variances = mean_and_variance(weights)
    varies = variances > 1e-12 * center**2  # not rounding
    if not spread > 1e-12 * center**2 or varies.double().mean() < LEVEL:
        return None
    ratios = (means[varies] - center) / variances[varies].sqrt()
    levels = torch.tensor([(1 + LEVEL) / 2, (1 - LEVEL) / 2], dtype=ratios.dtype)
    low, high = (center - ratios.quantile(levels) * math.sqrt(spread)).tolist()
    return (max(low, 0.0) if bool((sums[:, 0] >= 0).all()) else low), high


def area_interval(statistics: Statistics) -> tuple[float, float] | None:
    """Compute the interval of the ROC AUC from its sums: Newcombe's for few examples of two classes, or the logit's.

    Returns:
        Low and high; None if the examples do not tell how much it varies.
    """
    won, positive, _, negative = statistics.sums.sum(dim=0).chunk(4)
    if len(won) == 1 and min(float(positive), float(negative)) < FEW:
        return newcombe_interval(float(won / (positive * negative)), float(positive), float(negative))
    return logit_interval(statistics)


def newcombe_interval(area: float, positive: float, negative: float) -> tuple[float, float]:
    """Compute the interval of the area under a ROC curve of this many positive and negative examples.

    Its ends are the areas whose standard errors, times the quantile of the level, reach the given area (Newcombe, 2006,
    method 5): those of Hanley and McNeil, 1982, with the mean of both numbers of examples for each of them.
    """
    others = (positive + negative) / 2 - 1

    def end(outside: float) -> float:
        inside = area
        for _ in range(60):
            middle = (inside + outside) / 2
            shared = 1 + others * (1 - middle) / (2 - middle) + others * middle / (1 + middle)
            if (area - middle) ** 2 > _Z**2 * middle * (1 - middle) * shared / (positive * negative):
                outside = middle
            else:
                inside = middle
        return outside

    return end(0.0), end(1.0)


def logit_interval(statistics: Statistics) -> tuple[float, float] | None:
    """Compute the interval of a metric between 0 and 1 on the scale of its logit, with the variance of the jackknife.

    Returns:
        Low and high; None if the metric is 0 or 1, or is the same without any one of the units.
    """
    total = statistics.sums.sum(dim=0)
    whole, without_one = float(statistics.value(total)), statistics.value(total - statistics.sums)
    count = len(without_one)
    variance = float((without_one - without_one.mean()).square().sum()) * (count - 1) / count
    if not 0 < whole < 1 or not variance > 0:
        return None
    center = math.log(whole / (1 - whole))
    margin = _Z * math.sqrt(variance) / (whole * (1 - whole))
    low, high = (0.5 + 0.5 * math.tanh((center + sign * margin) / 2) for sign in (-1, 1))  # a sigmoid without overflow
    return low, high


def _corrected(level: float, bias: float, acceleration: float) -> float:
    """Return the quantile of the resamples that is the end of an interval at this level."""
    shifted = bias + _NORMAL.inv_cdf(level)
    return _NORMAL.cdf(bias + shifted / (1 - acceleration * shifted))
