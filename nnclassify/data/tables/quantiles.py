"""Numbers whose values are far apart, as about normally distributed ones: the ranks matter, not the distances."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nnclassify.data.splitting import Values

NUM_QUANTILES = 33
FARTHEST, CLOSEST = 1e300, 1e-300
"""Larger numbers are cut off, and closer quantiles are one, so that no difference and no slope overflows."""


@dataclass(frozen=True)
class QuantileTransform:
    """A piecewise linear map that takes quantiles of the training split to those of the normal distribution.

    It is increasing between the smallest and the largest number of the training split and constant beyond them, so no
    number is far from the others. scikit-learn's `QuantileTransformer(output_distribution="normal")` does the same with
    more quantiles.

    Attributes:
        quantiles: Increasing numbers; none before it is fitted.
        outputs: What they are mapped to, increasing too.
    """

    quantiles: tuple[float, ...] = ()
    outputs: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.quantiles) != len(self.outputs):
            raise ValueError(f"{len(self.quantiles)} quantiles of a column, but {len(self.outputs)} outputs")
        points = np.array([self.quantiles, self.outputs])
        if not (np.isfinite(points).all() and (np.diff(points) > 0).all()):
            raise ValueError("the quantiles of a column, or their outputs, are not finite or not increasing")

    @classmethod
    def fitted(cls, values: Values) -> QuantileTransform:
        """Return the transform of numbers `(N,)` of the training split, without missing ones.

        A number that is several quantiles at once, as 0 may be of amounts, is mapped to the mean of their outputs.
        """
        levels = np.linspace(0, 1, NUM_QUANTILES)
        found = np.quantile(np.clip(values, -FARTHEST, FARTHEST), levels)
        half = 0.5 / NUM_QUANTILES  # the normal distribution has no smallest and no largest number
        outputs = np.array([NormalDist().inv_cdf(min(max(level, half), 1 - half)) for level in levels.tolist()])
        group = np.concatenate([[0], np.cumsum(np.diff(found) > CLOSEST)])
        first = np.unique(group, return_index=True)[1]
        means = np.bincount(group, weights=outputs) / np.bincount(group)
        return cls(tuple(found[first].tolist()), tuple(means.tolist()))

    def __call__(self, values: Values) -> Values:
        """Map numbers of any shape; NaN remains NaN."""
        return np.interp(values, self.quantiles, self.outputs)

    def inverse(self, outputs: Values) -> Values:
        """Return the numbers that are mapped to these, as far as the training split has such numbers."""
        return np.interp(outputs, self.outputs, self.quantiles)
