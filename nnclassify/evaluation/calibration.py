"""What the validation split tells about a network's probabilities: what its checkpoint keeps for `predict`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nnclassify.data.transform import Costs, Threshold
from nnclassify.evaluation.conformal import ConformalScores, true_scores
from nnclassify.evaluation.decision import best_threshold, cost_badness, f1_badness
from nnclassify.evaluation.novelty import Novelty
from nnclassify.evaluation.selective import RiskCoverage
from nnclassify.evaluation.temperature import fit_temperature
from nnclassify.losses import LossFunction


@dataclass(frozen=True)
class Calibration:
    """Quantities of the validation split.

    Attributes:
        num_examples: The number of validation examples.
        temperature: The temperature of the probabilities.
        threshold: The chosen probability above which the second of two classes is predicted; None: none was to be
            chosen, or the split has examples of one class alone.
        scores: The conformal scores of the true classes; None with multi-hot targets.
        risks: The errors by confidence; None with multi-hot targets.
        novelty: What is unlike the training data; None if there is no score for it.
    """

    num_examples: int
    temperature: float
    threshold: float | None = None
    scores: ConformalScores | None = None
    risks: RiskCoverage | None = None
    novelty: Novelty | None = None

    @classmethod
    def fit(
        cls, outputs: Tensor, targets: Tensor, loss_fn: LossFunction, threshold: Threshold, novelty: Novelty | None
    ) -> Calibration:
        """Fit everything to the outputs of the validation split.

        Args:
            outputs: `(N, num_outputs)`.
            targets: The class indices `(N,)`, or multi-hot targets `(N, K)`.
            loss_fn: The loss, as in training.
            threshold: The rule of the decision threshold.
            novelty: What is unlike the training data.
        """
        found = cls(len(outputs), fit_temperature(outputs, targets, loss_fn), novelty=novelty)
        if targets.ndim == 2:
            return found
        probabilities = calibrated(loss_fn, found).probabilities(outputs)
        if (badness := _badness(threshold, targets)) is not None:
            found = replace(found, threshold=best_threshold(probabilities[:, 1], targets, badness))
        predictions = calibrated(loss_fn, found, threshold).predictions(outputs)
        confidence = probabilities.gather(1, predictions[:, None]).squeeze(1)
        return replace(
            found,
            scores=ConformalScores.of(true_scores(probabilities, targets)),
            risks=RiskCoverage.of(confidence, predictions == targets).thinned(),
        )

    def state(self) -> dict[str, Any]:
        """Return the quantities as primitives and tensors, for a checkpoint."""
        risks = self.risks
        columns = None if risks is None else [risks.thresholds, risks.answered.double(), risks.errors.double()]
        return {
            "num_examples": self.num_examples,
            "temperature": self.temperature,
            "threshold": self.threshold,
            "scores": None if self.scores is None else self.scores.kept,
            "risks": None if columns is None else torch.stack(columns, dim=1),
            "novelty": None if self.novelty is None else self.novelty.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Calibration:
        """Return what `state` described.

        Raises:
            ValueError: The quantities do not fit each other.
        """
        count, scores, risks, novelty = (state[key] for key in ("num_examples", "scores", "risks", "novelty"))
        if scores is not None:
            _check_column("scores", scores, count)
        if risks is not None:
            _check_risks(risks, count)
        return cls(
            count,
            state["temperature"],
            state["threshold"],
            None if scores is None else ConformalScores(count, scores),
            None if risks is None else RiskCoverage(risks[:, 0], *risks[:, 1:].long().unbind(dim=1)),
            None if novelty is None else Novelty.from_state(novelty),
        )


def calibrated(loss_fn: LossFunction, calibration: Calibration | None, threshold: Threshold = None) -> LossFunction:
    """Return the loss with calibrated probabilities, and predictions by a decision threshold.

    At 0.5, the most probable class is predicted, as with a threshold that was to be chosen but has not been.
    """
    if isinstance(threshold, str | Costs):
        threshold = None if calibration is None else calibration.threshold
    temperature = 1.0 if calibration is None else calibration.temperature
    return replace(loss_fn, temperature=temperature, decision=None if threshold == 0.5 else threshold)


def _badness(threshold: Threshold, targets: Tensor) -> Callable[[Tensor, Tensor], Tensor] | None:
    if len(targets.unique()) < 2:  # every threshold that always predicts the one class would be the best
        return None
    if isinstance(threshold, Costs):
        return cost_badness(threshold.false_positive, threshold.false_negative)
    return f1_badness(int(targets.sum())) if threshold == "f1" else None


def _check_column(name: str, values: Tensor, count: int) -> None:
    if values.dtype != torch.float64 or values.ndim != 1 or not 0 < len(values) <= count or values.isnan().any():
        raise ValueError(f"{name}: expected 1 to {count} float64 numbers")
    if (values.diff() < 0).any():
        raise ValueError(f"{name}: not in ascending order")


def _check_risks(risks: Tensor, count: int) -> None:
    if risks.ndim != 2 or risks.shape[1] != 3:
        raise ValueError(f"risks: shape {tuple(risks.shape)}; expected (M, 3)")
    thresholds, answered, errors = risks.unbind(dim=1)
    for name, column in (("thresholds", -thresholds), ("answered", answered), ("errors", errors)):
        _check_column(f"risks: {name}", column, count)
    if answered[-1] != count or answered[0] < 1 or errors[0] < 0 or (errors > answered).any():
        raise ValueError(f"risks: not the counts of {count} examples")
