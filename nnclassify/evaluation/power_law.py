"""Learning curves: the error of a network as a power law of the number of training examples.

`error(n) = a + b n^-c`: `a` is the error that more examples of the same kind do not remove, and `c` says how fast the
rest falls (Cortes et al., 1993; Hestness et al., 2017, arXiv:1712.00409, found 0.07 to 0.35 for large networks, and
theory has 0.5 to 1). From five sizes, many such curves are possible, so none of them is chosen: each is weighted by how
well it explains the runs, and a prediction is an interval over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]

EXPONENTS = np.linspace(0.05, 1.5, 30)
"""Exponents c that are possible, each as probable as the others before the runs are seen."""
SPREADS = np.geomspace(0.003, 0.5, 16)
"""Standard deviations of the error of a run, relative to it, that are possible."""
NUM_FLOORS, NUM_SCALES = 24, 25
"""Values of a and b that are tried per exponent."""
DISAGREEMENT = 0.5
"""Variance of the error over seeds that comes from the examples it is measured on being few, as a fraction of that of
independent examples: networks of different seeds agree on most of them."""
NUM_DRAWS = 20_000
"""Curves that are drawn for an interval."""


@dataclass(frozen=True)
class Expected:
    """The error to expect of a run: the median, and the 95% interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class PowerLaw:
    """Curves `a + b n^-c` that explain the errors of runs, drawn by their probability.

    Attributes:
        floor: The a of each curve, `(D,)`.
        scale: Its b.
        exponent: Its c.
        spread: Its standard deviation of the error of a run, relative to the error.
        num_judged: The number of examples that errors are measured on.
    """

    floor: Numbers
    scale: Numbers
    exponent: Numbers
    spread: Numbers
    num_judged: int

    @classmethod
    def fit(cls, sizes: Sequence[int], errors: Sequence[float], num_judged: int) -> PowerLaw:
        """Weigh the curves that explain runs, and draw from them; the same each time.

        Args:
            sizes: The number of training examples of each run, of at least three different sizes.
            errors: The error of each run, 0..1.
            num_judged: The number of examples that errors are measured on.

        Raises:
            ValueError: There are fewer than three sizes.
        """
        if len(set(sizes)) < 3:
            raise ValueError(f"a power law needs runs of three sizes or more, found {len(set(sizes))}")
        counts, found = np.array(sizes, dtype=np.float64), np.array(errors, dtype=np.float64)
        floor, scale, exponent = _curves(counts, found)
        expected = floor[:, None] + scale[:, None] * counts ** -exponent[:, None]
        logs = np.stack([_log_likelihood(expected, found, spread, num_judged) for spread in SPREADS], axis=1)
        chances = np.exp(logs - logs.max()).flatten()
        rng = np.random.default_rng(0)
        chosen = rng.choice(chances.size, NUM_DRAWS, p=chances / chances.sum())
        curve, of_spread = np.unravel_index(chosen, logs.shape)
        return cls(floor[curve], scale[curve], exponent[curve], SPREADS[of_spread], num_judged)

    def curve(self, size: float) -> Expected:
        """Return the mean error of runs with `size` training examples."""
        return _interval(self._means(size))

    def run(self, size: float) -> Expected:
        """Return the error of one run with `size` training examples."""
        means = self._means(size)
        noise = np.random.default_rng(1).normal(size=len(means))
        return _interval(np.clip(means + noise * np.sqrt(_variance(means, self.spread, self.num_judged)), 0, 1))

    def avoided(self, before: float, after: float) -> Expected:
        """Return the fraction of the mistakes that are avoided with `after` instead of `before` training examples."""
        return _interval(1 - self._means(after) / np.maximum(self._means(before), 1e-12))

    def _means(self, size: float) -> Numbers:
        means: Numbers = self.floor + self.scale * size**-self.exponent
        return np.minimum(means, 1.0)


def _curves(counts: Numbers, found: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return a, b and c of the curves of a grid, `(G,)` each: b is varied around its weighted least squares."""
    lowest = max(min(found[counts == size].mean() for size in np.unique(counts)), 1e-6)
    floors = np.linspace(0, lowest, NUM_FLOORS)
    floor, exponent = (part.flatten() for part in np.meshgrid(floors, EXPONENTS, indexing="ij"))
    basis = counts ** -exponent[:, None]
    weights = 1 / np.maximum(found, lowest / 2) ** 2
    best = ((found - floor[:, None]) * basis * weights).sum(axis=1) / (basis**2 * weights).sum(axis=1)
    factors = np.geomspace(0.6, 1 / 0.6, NUM_SCALES)
    scale = (np.maximum(best, 1e-9)[:, None] * factors).flatten()
    return np.repeat(floor, NUM_SCALES), scale, np.repeat(exponent, NUM_SCALES)


def _variance(means: Numbers, spread: Numbers | float, num_judged: int) -> Numbers:
    """Return the variance of the error of a run around its mean."""
    variance: Numbers = (spread * means) ** 2 + DISAGREEMENT * means * (1 - means) / num_judged
    return np.maximum(variance, (0.5 / num_judged) ** 2)


def _log_likelihood(expected: Numbers, found: Numbers, spread: float, num_judged: int) -> Numbers:
    """Return the logarithm of the likelihood of the runs for each curve, `(G,)`."""
    variance = _variance(np.clip(expected, 0, 1), spread, num_judged)
    logs: Numbers = -0.5 * ((found - expected) ** 2 / variance + np.log(variance)).sum(axis=1)
    return logs


def _interval(values: Numbers) -> Expected:
    low, median, high = np.quantile(values, [0.025, 0.5, 0.975]).tolist()
    return Expected(median, low, high)
