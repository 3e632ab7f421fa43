"""The scores of trials, and how far the few examples that judge them can be trusted.

Trials of a diagnosis are judged on the same examples. What a change brings is therefore known better than either score:
examples that both networks get right, or both wrong, say nothing about it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """The scores of a network on some examples.

    Attributes:
        accuracy: The fraction of correct predictions.
        right: Whether each decision is right, 0 or 1, `(D,)`; empty after an error. See `metrics.decisions`.
        groups: The group that each decision belongs to, `(D,)`.
    """

    accuracy: float
    right: Tensor
    groups: Tensor

    @cached_property
    def balanced_accuracy(self) -> float:
        """Balanced accuracy; with multi-hot targets, averaged over the decisions on all classes."""
        parts = _by_group(self.right, self.groups)
        return sum(float(part.mean()) for part in parts) / max(1, len(parts))

    @cached_property
    def noise(self) -> float:
        """The standard deviation of `balanced_accuracy`, which is estimated from few examples.

        One more right and one more wrong than were seen (Agresti and Coull, 1998): 20 of 20 is not certainly 100%.
        """
        parts = _by_group(self.right, self.groups)
        shares = [(float(part.sum()) + 1) / (len(part) + 2) for part in parts]
        variance = sum(share * (1 - share) / len(part) for share, part in zip(shares, parts, strict=True))
        return math.sqrt(variance) / max(1, len(parts))


NO_SCORES = Scores(0.0, torch.empty(0, dtype=torch.float64), torch.empty(0, dtype=torch.int64))
"""The scores of a trial that ended in an error."""


def pooled(scores: Sequence[Scores]) -> Scores:
    """Return the scores on the examples of several folds together."""
    right = torch.cat([one.right for one in scores])
    groups = torch.cat([one.groups for one in scores])
    return Scores(sum(one.accuracy for one in scores) / len(scores), right, groups)


def gain_noise(before: Sequence[Scores], after: Sequence[Scores]) -> float:
    """Return the standard deviation of the gain in `balanced_accuracy`, due to the few examples that judge.

    Args:
        before: The scores of a network with several seeds.
        after: Those of another, on the same examples.

    Examples are paired, each with its mean over the seeds. Half an example more than was seen is gained, and half is
    lost (Agresti and Min, 2005): what 20 of 20 examples agree on is not certain.
    """
    groups = next((one.groups for one in (*after, *before) if len(one.groups)), NO_SCORES.groups)
    parts = _by_group(_mean_right(after, len(groups)) - _mean_right(before, len(groups)), groups)
    return math.sqrt(sum(map(_variance_of_gain, parts))) / max(1, len(parts))


def _mean_right(scores: Sequence[Scores], count: int) -> Tensor:
    """Return how often each decision is right over the seeds; a trial that ended in an error has none right."""
    zeros = torch.zeros(count, dtype=torch.float64)
    return torch.stack([one.right if len(one.right) else zeros for one in scores]).mean(dim=0)


def _variance_of_gain(gains: Tensor) -> float:
    count = len(gains) + 2
    return (float((gains**2).sum() + 1) / count - (float(gains.sum()) / count) ** 2) / count


def _by_group(values: Tensor, groups: Tensor) -> list[Tensor]:
    return [values[groups == group] for group in groups.unique()]
