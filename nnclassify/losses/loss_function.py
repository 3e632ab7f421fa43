"""A loss at run time: losses per example, and the conversion of outputs to probabilities and predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Losses = Callable[["Tensor", "Tensor", "Tensor | None"], "Tensor"]


@dataclass(frozen=True)
class LossFunction:
    """A loss at run time.

    Attributes:
        num_outputs: Number of outputs that the network must have.
        threshold: With a single output: the smallest output for class 1; every further class is 1 higher.
        losses: Function of outputs `(N, num_outputs)`, targets `(N,)` and class weights, which returns one loss per
            example, `(N,)`, multiplied by the weight of its class. Multi-hot targets are `(N, K)`. So are soft targets:
            probabilities in floating point, which a loss gets only if its `Loss.refuses_soft` does not refuse them.
        uncalibrated: Function of outputs that returns probabilities `(N, K)` at temperature 1. They sum to 1 unless
            targets are multi-hot.
        class_weights: Class weights `(K,)`, or None if there are none.
        top: With a single output: the highest class index that it can predict.
        temperature: The temperature of the probabilities, fitted after training; see `evaluation.temperature`.
        decision: With two classes: the probability above which class 1 is predicted; None: the most probable class.
    """

    num_outputs: int
    threshold: float
    losses: Losses
    uncalibrated: Callable[[Tensor], Tensor]
    class_weights: Tensor | None = None
    top: int = 1
    temperature: float = 1.0
    decision: float | None = None

    def weights(self, targets: Tensor) -> Tensor | None:
        """Return the weight of each example, `(N,)`, or None for equal weights. The mean loss is sum(losses) /
        sum(weights)."""
        if self.class_weights is None:
            return None
        weights = self.class_weights.to(targets.device)
        return targets @ weights.to(targets.dtype) if targets.is_floating_point() else weights[targets]

    def labels(self, targets: Tensor) -> Tensor:
        """Return the targets that predictions are compared with: of soft targets the dominant class, `(N,)`."""
        return targets.argmax(dim=1) if targets.is_floating_point() else targets

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return one loss per example, `(N,)`."""
        weights = self.class_weights
        return self.losses(outputs, targets, None if weights is None else weights.to(outputs.device, outputs.dtype))

    def mean(self, losses: Tensor, targets: Tensor) -> Tensor:
        """Return the mean `()` of losses `(N,)`, weighted by class as in torch's own losses."""
        weights = self.weights(targets)
        return losses.mean() if weights is None else losses.sum() / weights.sum()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return probabilities `(N, K)`, which sum to 1 unless targets are multi-hot.

        At temperature T they are p^(1/T), normalized: for logits z, the softmax of z / T. No temperature changes the
        most probable class, not even where rounding makes two classes equal.
        """
        probabilities = self.tempered(outputs)
        if self.temperature == 1:
            return probabilities
        likeliest, highest = self.most_probable(outputs)[:, None], probabilities.max(dim=1, keepdim=True)
        above = highest.values.nextafter(probabilities.new_tensor(1.0))
        return probabilities.scatter(1, likeliest, highest.values.where(highest.indices == likeliest, above))

    def tempered(self, outputs: Tensor) -> Tensor:
        """Return `probabilities` that rounding may have made equal; of plain operations, which every runtime has."""
        if self.temperature == 1:
            return self.uncalibrated(outputs)
        # In float64: the power of a probability that float32 rounds to 0 or 1 may be far from either.
        logs = self.uncalibrated(outputs.double()).log()
        return (logs / self.temperature).softmax(dim=1).to(outputs.dtype)

    def most_probable(self, outputs: Tensor) -> Tensor:
        """Return the most probable class of each example, `(N,)`."""
        if self.num_outputs == 1:
            return (outputs[:, 0] - self.threshold).ceil().nan_to_num().clamp(0, self.top).long()
        return outputs.argmax(dim=1)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predicted class of each example, `(N,)`: the most probable one, unless `decision` is set."""
        if self.decision is None:
            return self.most_probable(outputs)
        return (self.probabilities(outputs)[:, 1] > self.decision).long()


class MultiHotLoss(LossFunction):
    """A loss for multi-hot targets `(N, K)` of 0 and 1: each output is an independent decision about one class.

    The probabilities `(N, K)` do not sum to 1.
    """

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class, `(N, K)`: for logits z, the sigmoid of z / T.

        A temperature takes no probability across the threshold, not even by rounding.
        """
        probabilities = self.tempered(outputs)
        if self.temperature == 1:
            return probabilities
        threshold = probabilities.new_tensor(MULTI_HOT_THRESHOLD)
        is_of = self.predictions(outputs) == 1
        return probabilities.clamp_min(threshold).where(
            is_of, probabilities.minimum(threshold.nextafter(threshold.new_zeros(())))
        )

    def tempered(self, outputs: Tensor) -> Tensor:
        """Return `probabilities` that rounding may have taken across the threshold."""
        if self.temperature == 1:
            return self.uncalibrated(outputs)
        logits = self.uncalibrated(outputs.double()).logit()
        return (logits / self.temperature).sigmoid().to(outputs.dtype)

    def weights(self, targets: Tensor) -> Tensor | None:
        """Return None: the class weights are those of positive targets, and do not weight examples."""
        return None

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return predictions `(N, K)`: 1 for each class with a probability of at least 0.5, else 0."""
        return multi_hot(self.uncalibrated(outputs))

    def labels(self, targets: Tensor) -> Tensor:
        """Return the targets that predictions are compared with: of soft targets the classes of at least 0.5."""
        return multi_hot(targets) if targets.is_floating_point() else targets


MULTI_HOT_THRESHOLD = 0.5
"""Smallest probability at which a class is predicted."""


def multi_hot(probabilities: Tensor) -> Tensor:
    """Return predictions `(N, K)` of 0 and 1 from the probabilities of the classes."""
    return (probabilities >= MULTI_HOT_THRESHOLD).long()
