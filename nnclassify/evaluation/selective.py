"""Selective prediction: how often a network errs if it answers only where it is confident enough."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

MAX_STEPS = 256
"""Maximum number of thresholds to keep, evenly spaced in coverage."""
SIGNIFICANCE = 0.05
"""The probability with which a threshold for a risk may fail it."""


@dataclass(frozen=True)
class RiskCoverage:
    """The errors among the examples that are answered, by the threshold on the confidence.

    Attributes:
        thresholds: Confidences in descending order, float64 `(M,)`. An example is answered if its confidence is at
            least the threshold.
        answered: The number of examples that are answered, `(M,)`.
        errors: The number of them that are predicted wrongly, `(M,)`.
    """

    thresholds: Tensor
    answered: Tensor
    errors: Tensor

    @classmethod
    def of(cls, confidence: Tensor, correct: Tensor) -> RiskCoverage:
        """Count the errors for the confidence `(N,)` of each example as the threshold; equal ones are one."""
        ordered, order = confidence.double().sort(descending=True, stable=True)
        errors = (~correct[order]).cumsum(0)
        ends = torch.cat([ordered[1:] != ordered[:-1], torch.tensor([True])]).nonzero().squeeze(1)
        return cls(ordered[ends], ends + 1, errors[ends])

    def thinned(self, limit: int = MAX_STEPS) -> RiskCoverage:
        """Return at most `limit` of the thresholds, evenly spaced in the number of examples; the last is kept."""
        total = int(self.answered[-1])
        wanted = torch.arange(1, limit + 1, dtype=torch.float64) * total / limit
        kept = torch.searchsorted(self.answered.double(), wanted).clamp(max=len(self.answered) - 1).unique()
        return RiskCoverage(self.thresholds[kept], self.answered[kept], self.errors[kept])

    def points(self) -> list[tuple[float, float]]:
        """Return the coverage (the fraction that is answered) and the risk (the fraction of errors among these)."""
        total = int(self.answered[-1])
        return [
            (count / total, wrong / count)
            for count, wrong in zip(self.answered.tolist(), self.errors.tolist(), strict=True)
        ]

    def area(self) -> float:
        """Return the area under the risk-coverage curve, AURC: the mean over the examples of the risk if all that are
        as confident are answered (Geifman et al., 2019, arXiv:1805.08206); 0 is perfect."""
        coverages = [0.0, *(coverage for coverage, _ in self.points())]
        widths = [after - before for before, after in pairwise(coverages)]
        return sum(width * risk for width, (_, risk) in zip(widths, self.points(), strict=True))

    def threshold_for(self, risk: float) -> float | None:
        """Return the lowest threshold whose risk is shown to be at most `risk`; None if none is.

        Selection with guaranteed risk (Geifman and El-Yaniv, 2017, arXiv:1705.08500): a binary search over the
        thresholds, in which each of its k steps holds the upper bound of the risk at level `SIGNIFICANCE` / k against
        `risk`. So the risk of the threshold on new examples is at most `risk` with a probability of 95%.
        """
        low, high = 0, len(self.thresholds) - 1
        found = None
        while low <= high:
            middle = (low + high) // 2
            if self._risk_bound(middle) <= risk:
                found, low = middle, middle + 1
            else:
                high = middle - 1
        return None if found is None else float(self.thresholds[found])

    def lowest_risk(self) -> float:
        """Return the lowest risk for which `threshold_for` finds a threshold.

        Until it has found one, its search only goes up, so these are the bounds that it can meet. Others may be lower,
        but to choose among all of them would not be 95% certain.
        """
        bounds, high = [], len(self.thresholds) - 1
        while high >= 0:
            bounds.append(self._risk_bound(high // 2))
            high = high // 2 - 1
        return min(bounds)

    def _risk_bound(self, place: int) -> float:
        """Return the upper limit of the risk at a threshold (Clopper and Pearson, 1934), one-sided at the level of a
        step of the search."""
        from scipy.special import betaincinv

        level = SIGNIFICANCE / len(self.thresholds).bit_length()
        errors, answered = int(self.errors[place]), int(self.answered[place])
        return 1.0 if errors == answered else float(betaincinv(errors + 1, answered - errors, 1 - level))
