"""Figures: sums while training, and what is reported of a split. Sums are divided once, so ragged batches are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        weight: Sum of weights, likewise: examples, where all weigh the same.
        hits: Right predictions, on the device.
        count: Examples.
        unread: Losses `(N,)` and weights `(N,)` or None, on the device, in their order.
    """

    loss: Tensor
    weight: Tensor
    hits: Tensor
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
        self.hits += exact(loss_fn.predictions(outputs), targets).sum()
        self.count += len(targets)
        if losses.device.type == "cpu":  # nothing to wait for, so nothing to hold
            self._read()

    def mean_loss(self) -> float:
        """Weighted mean loss; NaN of nothing."""
        self._read()
        return float(self.loss) / float(self.weight) if self.count else math.nan

    def accuracy(self) -> float:
        """Share of right predictions, 0..1; NaN of nothing."""
        return float(self.hits) / self.count if self.count else math.nan

    def state(self) -> dict[str, Any]:
        """Primitives, for a checkpoint in mid-epoch."""
        self._read()
        return {
            "loss": float(self.loss),
            "weight": float(self.weight),
            "hits": int(self.hits),
            "count": self.count,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> Totals:
        """The inverse of `state`."""
        totals = cls.zeros(device)
        for name in ("loss", "weight", "hits"):
            getattr(totals, name).fill_(state[name])
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


def decisions(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each decision is right, and the group that it belongs to, `(D,)` each.

    A decision is about an example, and its group is the true class; with multi-hot targets it is about an example
    and a class, and its group is the class with the true answer.
    """
    same = predictions == targets
    if same.ndim == 1:
        return same, targets
    return same.flatten(), (2 * torch.arange(targets.shape[1], device=targets.device) + targets).flatten()


def balanced_accuracy(right: Tensor, groups: Tensor) -> float:
    """The mean over the groups of the share of right decisions `(D,)`; see `decisions`."""
    return float(torch.stack([right[groups == group].double().mean() for group in groups.unique()]).mean())


def commonest(targets: Tensor) -> tuple[Tensor, float]:
    """The most common target, a class or a multi-hot row, and its share."""
    values, counts = targets.unique(dim=0, return_counts=True)
    return values[counts.argmax()], float(counts.max()) / len(targets)


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


def confusion_matrix(predictions: Tensor, targets: Tensor, num_classes: int) -> list[list[int]]:
    """Counts `(K, K)`: rows are the true classes, columns the predicted ones."""
    cells = torch.bincount(targets * num_classes + predictions, minlength=num_classes**2)
    rows: list[list[int]] = cells.reshape(num_classes, num_classes).tolist()
    return rows


@dataclass(frozen=True)
class ClassReport:
    """How well one class is told from the others; a share of nothing is 0."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def class_reports(confusion: list[list[int]], class_names: list[str]) -> list[ClassReport]:
    """Precision, recall, F1 and support of each class."""
    reports = []
    for index, name in enumerate(class_names):
        hits, support = confusion[index][index], sum(confusion[index])
        predicted = sum(row[index] for row in confusion)
        f1 = 2 * hits / (support + predicted) if support + predicted else 0.0
        precision, recall = (hits / whole if whole else 0.0 for whole in (predicted, support))
        reports.append(ClassReport(name, precision, recall, f1, support))
    return reports


@dataclass(frozen=True)
class MultiHotFigures:
    """What is told of multi-hot predictions beside the subset accuracy, in scikit-learn's terms.

    Attributes:
        hamming_loss: The share of all N x K decisions that are wrong.
        f1_macro: The mean of the classes' F1.
        f1_micro: F1 over all decisions together.
        balanced_accuracy: The mean over the classes of the mean accuracy of both answers.
        confusion: Counts `(K, 2, 2)`: for each class, rows are the true answers, columns the predicted ones.
    """

    hamming_loss: float
    f1_macro: float
    f1_micro: float
    balanced_accuracy: float
    confusion: list[list[list[int]]]

    @classmethod
    def of(cls, predictions: Tensor, targets: Tensor) -> MultiHotFigures:
        """The figures of predictions and targets `(N, K)` of 0 and 1."""
        tables = [confusion_matrix(*pair, 2) for pair in zip(predictions.T, targets.T, strict=True)]
        f1 = [report.f1 for report in multi_hot_reports(tables, [""] * len(tables))]
        hits, named = int((predictions & targets).sum()), int(predictions.sum() + targets.sum())
        return cls(
            hamming_loss=float((predictions != targets).double().mean()),
            f1_macro=sum(f1) / len(f1),
            f1_micro=2 * hits / named if named else 0.0,
            balanced_accuracy=balanced_accuracy(*decisions(predictions, targets)),
            confusion=tables,
        )

    def summary(self) -> dict[str, float]:
        """All but the counts, for JSON."""
        return {name: value for name, value in vars(self).items() if name != "confusion"}


def multi_hot_reports(confusion: Sequence[list[list[int]]], class_names: list[str]) -> list[ClassReport]:
    """Precision, recall, F1 and support of each class, of counts `(K, 2, 2)`."""
    pairs = zip(confusion, class_names, strict=True)
    return [class_reports(table, ["", name])[1] for table, name in pairs]


@dataclass(frozen=True)
class Confusion:
    """How many examples of one class are taken for another; classes by their index."""

    target: int
    predicted: int
    count: int


def largest_confusions(confusion: Sequence[Sequence[int]], limit: int) -> list[Confusion]:
    """The cells off the diagonal of a confusion matrix that are not 0, the largest first."""
    matrix = torch.tensor(confusion)
    cells = matrix.fill_diagonal_(0).flatten()
    order = cells.sort(descending=True, stable=True).indices[: min(limit, int(cells.count_nonzero()))]
    return [Confusion(cell // len(matrix), cell % len(matrix), int(cells[cell])) for cell in order.tolist()]


def wilson_interval(hits: int, count: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The Wilson score interval of a share (Wilson, 1927); 95 % by default.

    Raises:
        ValueError: Of nothing.
    """
    if count < 1:
        raise ValueError("an interval needs at least one example")
    share, spread = hits / count, z**2 / count
    center = share + spread / 2
    margin = z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    low, high = (center - margin) / (1 + spread), (center + margin) / (1 + spread)
    return (0.0 if hits == 0 else low), (1.0 if hits == count else high)
