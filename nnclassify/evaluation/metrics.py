"""Metrics of the outputs of a network on a split.

To add a metric, write its function here and add a `Metric` to `METRICS`: `select_by`, the history, texts, plots,
`compare`, `result.json` and `--json` then include it.

The metrics are written in torch, and the tests compare them with scikit-learn's. Importing `sklearn.metrics` after
torch would add 1.1 s to every `train` and `evaluate`, and its functions take 1 to 5 ms for 90 examples, longer than an
epoch of a tiny network. This module defers the import of torch, because a config refers to metrics by name.
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
class MetricInputs:
    """The outputs and targets of a split, and what several metrics compute from them, cached.

    Attributes:
        outputs: The outputs `(N, num_outputs)`, on the CPU.
        targets: The class indices `(N,)`, or multi-hot targets `(N, K)`.
        loss_fn: The loss, which turns outputs into probabilities and predictions.
    """

    outputs: Tensor
    targets: Tensor
    loss_fn: LossFunction

    @property
    def is_multi_hot(self) -> bool:
        """Whether an example may belong to several classes, or to none."""
        return self.targets.ndim == 2

    @cached_property
    def probabilities(self) -> Tensor:
        """The probabilities `(N, K)`."""
        return self.loss_fn.probabilities(self.outputs)

    @cached_property
    def predictions(self) -> Tensor:
        """The predicted classes `(N,)`, or multi-hot predictions `(N, K)`."""
        return self.loss_fn.predictions(self.outputs)

    @cached_property
    def score(self) -> Score:
        """The mean loss and the accuracy."""
        from nnclassify.evaluation.totals import score

        return score(self.outputs, self.targets, self.loss_fn)

    @cached_property
    def counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """The number of correct predictions, examples and predictions of each class, float64 `(K,)` each."""
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
    """A metric.

    Attributes:
        name: The name in `select_by` and JSON.
        label: The name in texts and plots.
        compute: The function; called only if `refuses` and `undefined` return None.
        higher_is_better: Whether the best epoch has the highest value; otherwise the lowest.
        targets: The targets that it is defined for: one class per example, multi-hot, or both.
        min_classes: The minimum number of classes.
        needs_every_class: Whether it is undefined on a split without examples of some class; with multi-hot targets,
            also on a split where all examples belong to some class.
    """

    name: str
    label: str
    compute: Callable[[MetricInputs], float]
    higher_is_better: bool = True
    targets: Literal["any", "class", "multi_hot"] = "any"
    min_classes: int = 2
    needs_every_class: bool = False

    def refuses(self, *, is_multi_hot: bool, num_classes: int | None = None) -> str | None:
        """Return the reason why the metric does not fit a dataset, or None; `num_classes` is None if not yet known."""
        if self.targets == "class" and is_multi_hot:
            return f"{self.name} expects one class per example, but the targets are multi-hot"
        if self.targets == "multi_hot" and not is_multi_hot:
            return f"{self.name} needs multi-hot targets, but every example has one class"
        if num_classes is not None and num_classes < self.min_classes:
            return f"{self.name} needs at least {self.min_classes} classes, but there are {num_classes}"
        return None

    def undefined(self, targets: Tensor, class_names: Sequence[str]) -> str | None:
        """Return the reason why the metric has no value on a split with these targets, or None."""
        if not self.needs_every_class:
            return None
        if targets.ndim == 2:
            counts = targets.sum(dim=0).tolist()
            lacking = [name for name, count in zip(class_names, counts, strict=True) if count in (0, len(targets))]
            return f"none or all of the examples are of class {lacking[0]!r}" if lacking else None
        counts = targets.bincount(minlength=len(class_names)).tolist()
        lacking = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
        return f"no example is of class {lacking[0]!r}" if lacking else None


def measured(given: MetricInputs, class_names: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Compute all metrics that fit the targets.

    Returns:
        The value of each metric, by name; and the reason for each one that has no value on this split.
    """
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name, metric in METRICS.items():
        if metric.refuses(is_multi_hot=given.is_multi_hot, num_classes=len(class_names)) is not None:
            continue
        if (reason := metric.undefined(given.targets, class_names)) is not None:
            reasons[name] = reason
        else:
            values[name] = metric.compute(given)
    return values, reasons


def decisions(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return whether each of D decisions is correct, and its group, `(D,)` each.

    There is one decision per example, grouped by true class; with multi-hot targets there is one per example and
    class, grouped by class and true answer.
    """
    import torch

    same = predictions == targets
    if same.ndim == 1:
        return same, targets
    return same.flatten(), (2 * torch.arange(targets.shape[1], device=targets.device) + targets).flatten()


def balanced_accuracy(predictions: Tensor, targets: Tensor) -> float:
    """Average the fraction of correct `decisions` over their groups; with one class per example, the mean recall."""
    right, groups = decisions(predictions, targets)
    _, group, counts = groups.unique(return_inverse=True, return_counts=True)
    return float((group.bincount(weights=right.double()) / counts).mean())


def _f1_macro(given: MetricInputs) -> float:
    """Average the F1 of all classes with multi-hot targets, else of the classes that occur or are predicted."""
    correct, support, predicted = given.counts
    f1 = 2 * correct / (support + predicted).clamp(min=1)
    return float((f1 if given.is_multi_hot else f1[support + predicted > 0]).mean())


def _f1_micro(given: MetricInputs) -> float:
    """Compute F1 over the decisions about all classes together."""
    correct, support, predicted = given.counts
    return 2 * float(correct.sum()) / max(float((support + predicted).sum()), 1.0)


def _hamming_loss(given: MetricInputs) -> float:
    """Compute the fraction of all N x K decisions that are wrong."""
    return float((given.predictions != given.targets).double().mean())


def _top_5_accuracy(given: MetricInputs) -> float:
    """Compute how often the true class is among the five most probable; the lower index wins a tie."""
    first = given.probabilities.argsort(dim=1, descending=True, stable=True)[:, :5]
    return float((first == given.targets[:, None]).any(dim=1).double().mean())


def _roc_auc(given: MetricInputs) -> float:
    """Compute the area under the ROC curve; for more than two classes, the mean over one-vs-rest curves."""
    from torch.nn import functional

    probabilities, is_of = given.probabilities, given.targets
    if not given.is_multi_hot:
        is_of = functional.one_hot(given.targets, probabilities.shape[1])
    pairs = [*zip(probabilities.T, is_of.T.bool(), strict=True)]
    if not given.is_multi_hot and len(pairs) == 2:
        pairs = pairs[1:]  # both areas are equal
    return sum(_area(scores, positive) for scores, positive in pairs) / len(pairs)


def _area(scores: Tensor, positive: Tensor) -> float:
    """Compute how often a positive example has a higher score than a negative one; a tie counts as one half.

    Computed from the rank sum, as in the test of Mann and Whitney, 1947; equal scores share their mean rank.
    """
    _, place, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts - 1) / 2)[place]
    count, others = int(positive.sum()), int((~positive).sum())
    return (float(ranks[positive].sum()) - count * (count + 1) / 2) / (count * others)


def _matthews(given: MetricInputs) -> float:
    """Compute the Matthews correlation coefficient (Gorodkin, 2004, for several classes).

    It is 0 if all examples, or all predictions, are of one class.
    """
    correct, support, predicted = given.counts
    count = support.sum()
    spread = ((count**2 - support @ support) * (count**2 - predicted @ predicted)).sqrt()
    return float((correct.sum() * count - support @ predicted) / spread) if spread > 0 else 0.0


def _log_loss(given: MetricInputs) -> float:
    """Compute the mean negative log-probability of the true class, clipped to [eps, 1 - eps]."""
    import torch

    step = torch.finfo(given.probabilities.dtype).eps
    of_true = given.probabilities.gather(1, given.targets[:, None]).clamp(step, 1 - step)
    return -float(of_true.double().log().mean())


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("loss", "loss", lambda given: given.score.loss, higher_is_better=False),
        Metric("accuracy", "accuracy", lambda given: given.score.accuracy),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            lambda given: balanced_accuracy(given.predictions, given.targets),
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
