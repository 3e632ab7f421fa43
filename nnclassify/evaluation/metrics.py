"""The metrics: figures of a network's outputs and the targets of a split.

To add one, write its function here and a `Metric` for it in `METRICS`: `select_by`, the history, the texts, plots,
`compare`, `result.json` and `--json` follow.

They are written in torch, and the tests compare them with scikit-learn's. The import of `sklearn.metrics` after torch
takes 1.1 s, which every `train` and `evaluate` would pay at its end, and its functions take 1 to 5 ms for 90 examples,
longer than a whole epoch of a tiny net. This module imports torch only when it computes: a config names metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from nnclassify.losses import LossFunction

if TYPE_CHECKING:
    from torch import Tensor

    from nnclassify.evaluation.totals import Score


@dataclass(frozen=True)
class Judged:
    """Outputs of a split beside its targets, and what several metrics need of them, computed once.

    Attributes:
        outputs: `(N, num_outputs)`, on the CPU.
        targets: `(N,)`, or multi-hot `(N, K)`.
        loss_fn: The loss, which turns outputs into probabilities and predictions.
    """

    outputs: Tensor
    targets: Tensor
    loss_fn: LossFunction

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may be of several classes, or of none."""
        return self.targets.ndim == 2

    @cached_property
    def probabilities(self) -> Tensor:
        """`(N, K)`."""
        return self.loss_fn.probabilities(self.outputs)

    @cached_property
    def predictions(self) -> Tensor:
        """`(N,)`, or multi-hot `(N, K)`."""
        return self.loss_fn.predictions(self.outputs)

    @cached_property
    def score(self) -> Score:
        """Mean loss and accuracy."""
        from nnclassify.evaluation.totals import score

        return score(self.outputs, self.targets, self.loss_fn)

    @cached_property
    def counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each class, in float64 `(K,)`: right predictions, examples, predictions."""
        if self.is_multi_hot:
            both = self.predictions & self.targets
            return both.sum(dim=0).double(), self.targets.sum(dim=0).double(), self.predictions.sum(dim=0).double()
        right = self.targets[self.predictions == self.targets]
        num_classes = self.probabilities.shape[1]
        correct, support, predicted = (
            classes.bincount(minlength=num_classes).double() for classes in (right, self.targets, self.predictions)
        )
        return correct, support, predicted


@dataclass(frozen=True)
class Metric:
    """A figure of a split.

    Attributes:
        name: As `select_by` and JSON have it.
        label: As texts and plots have it.
        compute: The figure; called where `refuses` and `undefined` have nothing to say.
        higher_is_better: Whether the best epoch has the highest value; else the lowest.
        targets: Which it is defined for: one class per example, multi-hot, or both.
        min_classes: Classes that it needs.
        needs_every_class: Whether it is undefined on a split without examples of a class; with multi-hot targets,
            also on one where all examples are of a class.
    """

    name: str
    label: str
    compute: Callable[[Judged], float]
    higher_is_better: bool = True
    targets: Literal["any", "class", "multi_hot"] = "any"
    min_classes: int = 2
    needs_every_class: bool = False

    def refuses(self, *, is_multi_hot: bool, num_classes: int | None = None) -> str | None:
        """Why it does not fit a dataset; None where it does. Left out, the number of classes is not yet known."""
        if self.targets == "class" and is_multi_hot:
            return f"{self.name} takes one class per example, and targets are multi-hot"
        if self.targets == "multi_hot" and not is_multi_hot:
            return f"{self.name} is for multi-hot targets, and every example has one class"
        if num_classes is not None and num_classes < self.min_classes:
            return f"{self.name} needs at least {self.min_classes} classes, and there are {num_classes}"
        return None

    def undefined(self, targets: Tensor, class_names: Sequence[str]) -> str | None:
        """Why it has no value on a split with these targets; None where it has one."""
        if not self.needs_every_class:
            return None
        if targets.ndim == 2:
            counts = targets.sum(dim=0).tolist()
            lacking = [name for name, count in zip(class_names, counts, strict=True) if count in (0, len(targets))]
            return f"none or all of the examples are of class {lacking[0]!r}" if lacking else None
        counts = targets.bincount(minlength=len(class_names)).tolist()
        lacking = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
        return f"no example is of class {lacking[0]!r}" if lacking else None


def measured(judged: Judged, class_names: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """The value of every metric that fits, by name; and why others that fit have no value on this split."""
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name, metric in METRICS.items():
        if metric.refuses(is_multi_hot=judged.is_multi_hot, num_classes=len(class_names)) is not None:
            continue
        if (reason := metric.undefined(judged.targets, class_names)) is not None:
            reasons[name] = reason
        else:
            values[name] = metric.compute(judged)
    return values, reasons


def decisions(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each decision is right, and the group that it belongs to, `(D,)` each.

    A decision is about an example, and its group is the true class; with multi-hot targets it is about an example
    and a class, and its group is the class with the true answer.
    """
    import torch

    same = predictions == targets
    if same.ndim == 1:
        return same, targets
    return same.flatten(), (2 * torch.arange(targets.shape[1], device=targets.device) + targets).flatten()


def balanced_accuracy(predictions: Tensor, targets: Tensor) -> float:
    """The mean over the groups of `decisions` of the share that is right: over the classes, the mean recall."""
    right, groups = decisions(predictions, targets)
    _, group, counts = groups.unique(return_inverse=True, return_counts=True)
    return float((group.bincount(weights=right.double()) / counts).mean())


def _f1_macro(judged: Judged) -> float:
    """The mean of the classes' F1: of all of them where targets are multi-hot, else of those that occur."""
    correct, support, predicted = judged.counts
    f1 = 2 * correct / (support + predicted).clamp(min=1)
    return float((f1 if judged.is_multi_hot else f1[support + predicted > 0]).mean())


def _f1_micro(judged: Judged) -> float:
    """F1 over the decisions about all classes together."""
    correct, support, predicted = judged.counts
    return 2 * float(correct.sum()) / max(float((support + predicted).sum()), 1.0)


def _hamming_loss(judged: Judged) -> float:
    """The share of all N x K decisions that are wrong."""
    return float((judged.predictions != judged.targets).double().mean())


def _top_5_accuracy(judged: Judged) -> float:
    """How often the true class is among the five most probable; of equal ones, the first in order."""
    first = judged.probabilities.argsort(dim=1, descending=True, stable=True)[:, :5]
    return float((first == judged.targets[:, None]).any(dim=1).double().mean())


def _roc_auc(judged: Judged) -> float:
    """The area under the ROC curve of two classes; of more, the mean over the classes, each against the rest."""
    from torch.nn import functional

    probabilities, is_of = judged.probabilities, judged.targets
    if not judged.is_multi_hot:
        is_of = functional.one_hot(judged.targets, probabilities.shape[1])
    pairs = [*zip(probabilities.T, is_of.T.bool(), strict=True)]
    if not judged.is_multi_hot and len(pairs) == 2:
        pairs = pairs[1:]  # the two are the same
    return sum(_area(scores, positive) for scores, positive in pairs) / len(pairs)


def _area(scores: Tensor, positive: Tensor) -> float:
    """How often an example that is `positive` has the higher of two scores `(N,)`, and half as often the same.

    From the sum of its ranks, as in the test of Mann and Whitney, 1947; equal scores share their mean rank.
    """
    _, place, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts - 1) / 2)[place]
    count, others = int(positive.sum()), int((~positive).sum())
    return (float(ranks[positive].sum()) - count * (count + 1) / 2) / (count * others)


def _matthews(judged: Judged) -> float:
    """Matthews' correlation between classes and predictions (Gorodkin, 2004, for several classes).

    0 where all examples, or all predictions, are of one class.
    """
    correct, support, predicted = judged.counts
    count = support.sum()
    spread = ((count**2 - support @ support) * (count**2 - predicted @ predicted)).sqrt()
    return float((correct.sum() * count - support @ predicted) / spread) if spread > 0 else 0.0


def _log_loss(judged: Judged) -> float:
    """The mean negative logarithm of the true class's probability, which is kept off 0 and 1 by one rounding step."""
    import torch

    step = torch.finfo(judged.probabilities.dtype).eps
    of_true = judged.probabilities.gather(1, judged.targets[:, None]).clamp(step, 1 - step)
    return -float(of_true.double().log().mean())


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("loss", "loss", lambda judged: judged.score.loss, higher_is_better=False),
        Metric("accuracy", "accuracy", lambda judged: judged.score.accuracy),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            lambda judged: balanced_accuracy(judged.predictions, judged.targets),
        ),
        Metric("f1_macro", "macro F1", _f1_macro),
        Metric("f1_micro", "micro F1", _f1_micro, targets="multi_hot"),
        Metric("hamming_loss", "Hamming loss", _hamming_loss, higher_is_better=False, targets="multi_hot"),
        Metric("top_5_accuracy", "top-5 accuracy", _top_5_accuracy, targets="class", min_classes=6),
        Metric("roc_auc", "ROC AUC", _roc_auc, needs_every_class=True),
        Metric("matthews_corrcoef", "Matthews correlation", _matthews, targets="class"),
        Metric("log_loss", "log loss", _log_loss, higher_is_better=False, targets="class"),
    )
}
"""Every metric by name. `loss` is the config's own loss, class weights included."""
