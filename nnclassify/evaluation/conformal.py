"""Prediction sets that contain the true class as often as asked for: split conformal prediction with RAPS scores.

The score of a class is the probability of all classes that are more probable, plus a penalty for each rank beyond the
first `FREE_RANKS` (Angelopoulos et al., 2021, arXiv:2009.14193, with u = 0: not randomized). A set holds the classes
whose score is at most the quantile of the true classes' scores on the validation split. So the most probable class,
whose score is 0, is always in it. The tests compare scores, quantiles and coverage with MAPIE's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

PENALTY, FREE_RANKS = 0.01, 5
"""The penalty per rank, and the number of ranks without one: the paper's, fixed rather than tuned, so that they need no
examples of their own."""
MAX_SCORES = 4096
"""Maximum number of scores to keep. Of more, every m-th is kept, and a quantile is rounded up: sets grow a little, and
still cover as often as asked for."""


def class_scores(probabilities: Tensor) -> Tensor:
    """Return the score of every class, float64 `(N, K)`; of equal probabilities, the lower index comes first."""
    shares, order = probabilities.double().sort(dim=1, descending=True, stable=True)
    ranks = torch.arange(1, shares.shape[1] + 1, dtype=shares.dtype)
    scores = shares.cumsum(dim=1) - shares + PENALTY * (ranks - FREE_RANKS).clamp_min(0)
    return torch.empty_like(scores).scatter_(1, order, scores)


def true_scores(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the score of the true class of each example, float64 `(N,)`."""
    return class_scores(probabilities).gather(1, targets[:, None]).squeeze(1)


@dataclass(frozen=True)
class ConformalScores:
    """The scores of the true classes on the validation split.

    Attributes:
        count: The number of examples, n.
        kept: Their scores in ascending order, float64 `(M,)`: the j-th is that of rank ceil(j n / M).
    """

    count: int
    kept: Tensor

    @classmethod
    def of(cls, scores: Tensor, limit: int = MAX_SCORES) -> ConformalScores:
        """Keep at most `limit` of the scores `(n,)`."""
        count = len(scores)
        num_kept = min(count, limit)
        ranks = -(-torch.arange(1, num_kept + 1) * count // num_kept)  # rounded up
        return cls(count, scores.double().sort().values[ranks - 1])

    def limit(self, coverage: float) -> float:
        """Return the score of rank ceil((n + 1) * coverage); infinity if there is none: only the set of all classes
        has such a coverage for certain."""
        rank = math.ceil((self.count + 1) * coverage - 1e-9)
        if rank > self.count:
            return math.inf
        return float(self.kept[(rank - 1) * len(self.kept) // self.count])

    def sets(self, probabilities: Tensor, coverage: float) -> Tensor:
        """Return the prediction sets of probabilities `(N, K)`: bool `(N, K)`."""
        return class_scores(probabilities) <= self.limit(coverage)


class Coverage(TypedDict):
    """How often sets hold the true class, and how many classes they hold on average."""

    coverage: float
    mean_size: float


def coverage_of(sets: Tensor, targets: Tensor) -> Coverage:
    """Measure sets, bool `(N, K)`, by the true classes `(N,)`."""
    covered = sets.gather(1, targets[:, None]).double().mean()
    return {"coverage": float(covered), "mean_size": float(sets.sum(dim=1).double().mean())}
