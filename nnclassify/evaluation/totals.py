"""Sums over the examples of an epoch, divided once at the end: means are exact with batches of any size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnclassify.losses import LossFunction


@dataclass
class Totals:
    """Sums over the examples of an epoch. Only reading them synchronizes with the device.

    Attributes:
        loss: The sum of the weighted losses, on the CPU, without those in `unread`.
        weight: The sum of the weights; the number of examples if all weights are equal.
        num_correct: The number of correct predictions, on the device.
        count: The number of examples.
        unread: Losses `(B,)` and weights `(B,)` or None of the latest batches, on the device, in order.
    """

    loss: Tensor
    weight: Tensor
    num_correct: Tensor
    count: int = 0
    unread: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)

    @classmethod
    def zeros(cls, device: torch.device) -> Totals:
        """Create totals of no examples."""
        loss, weight = torch.zeros(2, dtype=torch.float64).unbind()
        return cls(loss, weight, torch.zeros((), dtype=torch.int64, device=device))

    def add(self, losses: Tensor, outputs: Tensor, targets: Tensor, loss_fn: LossFunction) -> None:
        """Add a batch: its losses `(B,)`, outputs `(B, num_outputs)` and targets `(B,)` or `(B, K)`."""
        self.unread.append((losses.detach(), loss_fn.weights(targets)))
        self.num_correct += exact(loss_fn.predictions(outputs), loss_fn.labels(targets)).sum()
        self.count += len(targets)
        if losses.device.type == "cpu":  # reading does not wait for a device
            self._read()

    def mean_loss(self) -> float:
        """Return the weighted mean loss; NaN without examples."""
        self._read()
        return float(self.loss) / float(self.weight) if self.count else math.nan

    def accuracy(self) -> float:
        """Return the fraction of correct predictions, 0..1; NaN without examples."""
        return float(self.num_correct) / self.count if self.count else math.nan

    def state(self) -> dict[str, Any]:
        """Return the sums as primitives, for a checkpoint in mid-epoch."""
        self._read()
        return {
            "loss": float(self.loss),
            "weight": float(self.weight),
            "hits": int(self.num_correct),
            "count": self.count,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> Totals:
        """Create totals from what `state` returned."""
        totals = cls.zeros(device)
        totals.loss.fill_(state["loss"])
        totals.weight.fill_(state["weight"])
        totals.num_correct.fill_(state["hits"])
        totals.count = state["count"]
        return totals

    def _read(self) -> None:
        for losses, weights in self.unread:
            self.loss = _add_in_order(self.loss, losses)
            self.weight = self.weight + len(losses) if weights is None else _add_in_order(self.weight, weights)
        self.unread = []


def _add_in_order(total: Tensor, values: Tensor) -> Tensor:
    """Add values `(N,)` to the total one by one, so that the sum does not depend on how they are split into calls.

    A run resumed in mid-epoch splits them differently, and its sums must not differ in the last digit. On the CPU,
    `cumsum` is a plain loop.
    """
    return torch.cat([total[None], values.to(total.device, total.dtype)]).cumsum(0)[-1]


def exact(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return whether each example is predicted correctly, bool `(N,)`.

    With multi-hot targets, all classes of the example must be correct; the mean is the subset accuracy, as in
    scikit-learn's `accuracy_score`.
    """
    same = predictions == targets
    return same if same.ndim == 1 else same.all(dim=1)


@dataclass(frozen=True)
class Score:
    """The mean loss and the accuracy of a split."""

    loss: float
    accuracy: float


def score(outputs: Tensor, targets: Tensor, loss_fn: LossFunction) -> Score:
    """Compute the mean loss and accuracy of outputs `(N, num_outputs)` for targets `(N,)` or `(N, K)`."""
    totals = Totals.zeros(outputs.device)
    totals.add(loss_fn(outputs, targets), outputs, targets, loss_fn)
    return Score(totals.mean_loss(), totals.accuracy())
