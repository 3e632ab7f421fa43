"""How far probabilities can be trusted: reliability diagram, expected calibration error, Brier score and log loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.evaluation.temperature import separate

NUM_BINS = 15
"""Bins of equal width, as in Guo et al., 2017."""


class Bin(NamedTuple):
    """The examples of a bin of the confidence.

    Attributes:
        num_examples: The number of examples.
        confidence: Their mean confidence.
        accuracy: The fraction that is predicted correctly.
    """

    num_examples: int
    confidence: float
    accuracy: float


class Scores(TypedDict):
    """The scores of probabilities: see `Reliability`."""

    ece: float
    brier: float
    log_loss: float


@dataclass(frozen=True)
class Reliability:
    """How well probabilities agree with how often they are right.

    Attributes:
        ece: The expected calibration error: the difference between confidence and accuracy, averaged over the bins of
            the confidence, weighted by their counts. The confidence is the probability of the predicted class: the
            highest one, unless a decision threshold decides.
        brier: The Brier score, as in scikit-learn: the squared error of the probabilities, summed over the classes and
            averaged over the examples; half of that for two classes.
        log_loss: The mean negative logarithm of the probability of the true class, clipped as in `METRICS`.
        bins: The bins of the confidence that are not empty, in order.
    """

    ece: float
    brier: float
    log_loss: float
    bins: tuple[Bin, ...]

    def summary(self) -> Scores:
        """Return the scores for JSON."""
        return {"ece": self.ece, "brier": self.brier, "log_loss": self.log_loss}


def reliability(probabilities: Tensor, targets: Tensor, predictions: Tensor) -> Reliability:
    """Compare probabilities `(N, K)` with targets and predictions `(N,)`, or `(N, K)`: then each class is a decision of
    its own."""
    smallest = torch.finfo(probabilities.dtype).eps
    shares, classes = separate(probabilities.double(), targets)
    predicted = predictions.flatten()
    confidence = shares.gather(1, predicted[:, None]).squeeze(1)
    bins = confidence_bins(confidence, predicted == classes)
    of_true = shares.gather(1, classes[:, None]).squeeze(1)
    # The squared error with 1 for the true class: sum p^2 - 2 p_true + 1.
    squared = float((shares.square().sum(dim=1) - 2 * of_true + 1).mean())
    return Reliability(
        ece=expected_calibration_error(bins),
        brier=squared / 2 if shares.shape[1] == 2 else squared,
        log_loss=-float(of_true.clamp(smallest, 1 - smallest).log().mean()),
        bins=bins,
    )


def confidence_bins(confidence: Tensor, correct: Tensor) -> tuple[Bin, ...]:
    """Return the bins ((i - 1) / n, i / n] that are not empty, of confidences, float64 `(N,)`, and bool `(N,)`."""
    place = (confidence * NUM_BINS).ceil().long().clamp(1, NUM_BINS) - 1
    counts = place.bincount(minlength=NUM_BINS)
    sums = (place.bincount(weights=values, minlength=NUM_BINS) / counts for values in (confidence, correct.double()))
    rows = zip(counts.tolist(), *(means.tolist() for means in sums), strict=True)
    return tuple(Bin(*row) for row in rows if row[0])


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the difference between confidence and accuracy, averaged over the bins, weighted by their counts."""
    gaps = sum(one.num_examples * abs(one.confidence - one.accuracy) for one in bins)
    return gaps / sum(one.num_examples for one in bins)
