"""Sums over the examples of an epoch. They are divided once, so ragged batches are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnclassify.losses import LossFunction


@dataclass
class Totals:
    """Sums over the examples of an epoch; only their reading synchronizes.

    Attributes:
        loss: Sum of weighted losses, on the CPU, of what is not `unread`.
        weight: Sum of the weights; the number of examples if all weights are equal.
        num_correct: Right predictions, on the device.
        count: Examples.
        unread: Losses `(N,)` and weights `(N,)` or None, on the device, in their order.
    """

    loss: Tensor
    weight: Tensor
    num_correct: Tensor
    count: int = 0
    unread: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)

    @classmethod
    def zeros(cls, device: torch.device) -> Totals:
        """Nothing counted yet."""
        loss, weight = torch.zeros(2, dtype=torch.float64).unbind()
        return cls(loss, weight, torch.zeros((), dtype=torch.int64, device=device))

    def add(self, losses: Tensor, outputs: Tensor, targets: Tensor, loss_fn: LossFunction) -> None:
        """Count examples: their losses `(N,)`, outputs `(N, num_outputs)` and targets `(N,)` or `(N, K)`."""
        self.unread.append((losses.detach(), loss_fn.weights(targets)))
        self.num_correct += exact(loss_fn.predictions(outputs), targets).sum()
        self.count += len(targets)
        if losses.device.type == "cpu":  # nothing to wait for, so nothing to hold
            self._read()

    def mean_loss(self) -> float:
        """Weighted mean loss; NaN of nothing."""
        self._read()
        return float(self.loss) / float(self.weight) if self.count else math.nan

    def accuracy(self) -> float:
        """Share of right predictions, 0..1; NaN of nothing."""
        return float(self.num_correct) / self.count if self.count else math.nan

    def state(self) -> dict[str, Any]:
        """Primitives, for a checkpoint in mid-epoch."""
        self._read()
        return {
            "loss": float(self.loss),
            "weight": float(self.weight),
            "hits": int(self.num_correct),
            "count": self.count,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> Totals:
        """The inverse of `state`."""
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
    """The total with values `(N,)` added one after the other: however they are cut into calls, the sum is the same.

    A resume in mid-epoch cuts anew, and its sums must not differ in the last digit. On the CPU, where `cumsum` is a
    plain loop.
    """
    return torch.cat([total[None], values.to(total.device, total.dtype)]).cumsum(0)[-1]


def exact(predictions: Tensor, targets: Tensor) -> Tensor:
    """Whether each example is predicted right, bool `(N,)`.

    With multi-hot targets, that is in all of its classes: the share of such examples is scikit-learn's
    `accuracy_score`, the subset accuracy.
    """
    same = predictions == targets
    return same if same.ndim == 1 else same.all(dim=1)


@dataclass(frozen=True)
class Score:
    """Loss and accuracy of a split."""

    loss: float
    accuracy: float


def score(outputs: Tensor, targets: Tensor, loss_fn: LossFunction) -> Score:
    """The exact score of outputs `(N, num_outputs)` against targets `(N,)`."""
    totals = Totals.zeros(outputs.device)
    totals.add(loss_fn(outputs, targets), outputs, targets, loss_fn)
    return Score(totals.mean_loss(), totals.accuracy())
