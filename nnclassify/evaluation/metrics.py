"""Metrics of the outputs of a network on a split.

To add a metric, write its function here and add a `Metric` to `METRICS`: `select_by`, the history, texts, plots,
`compare`, `result.json` and `--json` then include it. If it is a function of sums over the examples, write it as
`Statistics`: it then has a bootstrap interval too (`evaluation/bootstrap.py`).

The metrics are written in torch: scikit-learn's take 1 to 5 ms for 90 examples, longer than an epoch of a tiny network.
This module defers the import of torch, because a config refers to metrics by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from nnclassify.evaluation.percent import percent
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

    def curves(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield whether each example is positive, bool `(N,)`, and its `_wins`, for each of the ROC curves."""
        scores = self.probabilities
        first = 1 if scores.shape[1] == 2 and not self.is_multi_hot else 0  # of two classes, both areas are equal
        for label in range(first, scores.shape[1]):
            positive = self.targets[:, label].bool() if self.is_multi_hot else self.targets == label
            yield positive, _wins(scores[:, label], positive)


@dataclass(frozen=True)
class Units:
    """A partition of N examples into `count` units, over which statistics are summed: `index` `(N,)` is the unit of
    each example."""

    index: Tensor
    count: int

    @classmethod
    def one(cls, targets: Tensor) -> Units:
        """Return one unit of all examples."""
        return cls(targets.new_zeros(len(targets)), 1)

    def sums(self, groups: Tensor, num_groups: int, values: Tensor | None = None) -> Tensor:
        """Add up values by unit and group, or count them, float64 `(count, num_groups)`.

        Args:
            groups: The group of each value, from 0; the first dimension is that of the examples.
            num_groups: The number of groups.
            values: The values, of the shape of `groups`; None: 1 each.
        """
        units = self.index.reshape(-1, *[1] * (groups.ndim - 1)) * num_groups
        weights = None if values is None else values.double().flatten()
        sums = (units + groups).flatten().bincount(weights, minlength=self.count * num_groups)
        return sums.double().reshape(self.count, num_groups)

    def total(self, *values: Tensor) -> Tensor:
        """Add up each of P values of the examples `(N,)` by unit, float64 `(count, P)`."""
        import torch

        one = torch.zeros_like(self.index)
        return torch.cat([self.sums(one, 1, value) for value in values], dim=1)


@dataclass(frozen=True)
class Statistics:
    """A metric as a function of sums over the examples, which can be resampled without the examples.

    Attributes:
        sums: P sums of each of G units, float64 `(G, P)`.
        value: The function of totals `(..., P)` that returns the metric, `(...)`.
    """

    sums: Tensor
    value: Callable[[Tensor], Tensor]

    def whole(self) -> float:
        """Return the metric over all units."""
        return float(self.value(self.sums.sum(dim=0)))


IN_DIGITS = ("loss", "log_loss", "matthews_corrcoef", "roc_auc")
"""Metrics that are no fractions of examples, which are written with four decimals."""


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
        statistics: The sums that it is a function of, by unit; None: it has no interval, or Wilson's.
        interval: How its interval is computed: by Wilson for a fraction of the examples; else, from `statistics`, by
            the bootstrap (`bootstrap_t`: of a mean) or as an area under a curve; see `evaluation/bootstrap.py`.
    """

    name: str
    label: str
    compute: Callable[[MetricInputs], float]
    higher_is_better: bool = True
    targets: Literal["any", "class", "multi_hot"] = "any"
    min_classes: int = 2
    needs_every_class: bool = False
    statistics: Callable[[MetricInputs, Units], Statistics] | None = None
    interval: Literal["wilson", "bootstrap", "bootstrap_t", "area"] = "bootstrap"

    def text(self, value: float) -> str:
        """Return a value in words: a percentage, or a number with four decimals."""
        return f"{value:.4f}" if self.name in IN_DIGITS else percent(value)

    @classmethod
    def of_sums(
        cls, name: str, label: str, statistics: Callable[[MetricInputs, Units], Statistics], **options: Any
    ) -> Metric:
        """Create a metric that is a function of sums over the examples; `options` are those of `Metric`."""

        def compute(given: MetricInputs) -> float:
            return statistics(given, Units.one(given.targets)).whole()

        return cls(name, label, compute, statistics=statistics, **options)

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
    return _recalls(predictions, targets, Units.one(targets)).whole()


def _recalls(predictions: Tensor, targets: Tensor, units: Units) -> Statistics:
    import torch

    right, groups = (decided.reshape(len(targets), -1) for decided in decisions(predictions, targets))
    num_groups = int(groups.max()) + 1
    sums = [units.sums(groups, num_groups, right), units.sums(groups, num_groups)]

    def value(totals: Tensor) -> Tensor:
        correct, support = totals.split(num_groups, dim=-1)
        return _mean(correct / support, support > 0)

    return Statistics(torch.cat(sums, dim=1), value)


def _mean(values: Tensor, exists: Tensor) -> Tensor:
    """Average values `(..., K)` over the classes for which they exist; 0 without any."""
    return values.where(exists, 0.0).sum(dim=-1) / exists.sum(dim=-1).clamp(min=1)


def _counts(given: MetricInputs, units: Units) -> Tensor:
    """Count correct predictions, examples and predictions of each class by unit, float64 `(G, 3K)`."""
    import torch

    predictions, targets, num_classes = given.predictions, given.targets, given.probabilities.shape[1]
    if given.is_multi_hot:
        classes = torch.arange(num_classes).expand_as(targets)
        kinds = (predictions & targets, targets, predictions)
        return torch.cat([units.sums(classes, num_classes, kind) for kind in kinds], dim=1)
    correct = units.sums(targets, num_classes, predictions == targets)
    return torch.cat([correct, units.sums(targets, num_classes), units.sums(predictions, num_classes)], dim=1)


def _f1_macro(given: MetricInputs, units: Units) -> Statistics:
    """Average the F1 of all classes with multi-hot targets, else of the classes that occur or are predicted."""

    def value(totals: Tensor) -> Tensor:
        correct, support, predicted = totals.chunk(3, dim=-1)
        either = support + predicted
        return _mean(2 * correct / either.clamp(min=1), (either > 0) | given.is_multi_hot)

    return Statistics(_counts(given, units), value)


def _f1_micro(given: MetricInputs, units: Units) -> Statistics:
    """Compute F1 over the decisions about all classes together."""

    def value(totals: Tensor) -> Tensor:
        correct, support, predicted = (counts.sum(dim=-1) for counts in totals.chunk(3, dim=-1))
        return 2 * correct / (support + predicted).clamp(min=1)

    return Statistics(_counts(given, units), value)


def _matthews(given: MetricInputs, units: Units) -> Statistics:
    """Compute the Matthews correlation coefficient (Gorodkin, 2004, for several classes).

    It is 0 if all examples, or all predictions, are of one class.
    """

    def value(totals: Tensor) -> Tensor:
        correct, support, predicted = totals.chunk(3, dim=-1)
        count = support.sum(dim=-1)
        spread = ((count**2 - support.square().sum(-1)) * (count**2 - predicted.square().sum(-1))).sqrt()
        covariance = correct.sum(-1) * count - (support * predicted).sum(-1)
        return (covariance / spread).where(spread > 0, 0.0)

    return Statistics(_counts(given, units), value)


def _hamming_loss(given: MetricInputs, units: Units) -> Statistics:
    """Compute the fraction of all N x K decisions that are wrong."""
    return _mean_of(units, (given.predictions != given.targets).double().mean(dim=1))


def _log_loss(given: MetricInputs, units: Units) -> Statistics:
    """Compute the mean negative log-probability of the true class, clipped to [eps, 1 - eps]."""
    import torch

    step = torch.finfo(given.probabilities.dtype).eps
    of_true = given.probabilities.gather(1, given.targets[:, None])[:, 0].clamp(step, 1 - step)
    return _mean_of(units, -of_true.double().log())


def _mean_of(units: Units, values: Tensor, weights: Tensor | None = None) -> Statistics:
    """Return the statistics of the mean of sums over sums of weights, `(N,)` each; None: the mean of the values."""
    sums = units.total(values, values.new_ones(len(values)) if weights is None else weights)
    return Statistics(sums, lambda totals: totals[..., 0] / totals[..., 1])


def _loss(given: MetricInputs, units: Units) -> Statistics:
    losses = given.loss_fn(given.outputs, given.targets)
    return _mean_of(units, losses, given.loss_fn.weights(given.targets))


def _top_5_accuracy(given: MetricInputs) -> float:
    """Compute how often the true class is among the five most probable; the lower index wins a tie."""
    import torch

    shares, targets = given.probabilities, given.targets[:, None]
    of_true, lower = shares.gather(1, targets), torch.arange(shares.shape[1]) < targets
    rank = ((shares > of_true) | ((shares == of_true) & lower)).sum(dim=1)
    return float((rank < 5).double().mean())


def _roc_auc(given: MetricInputs, units: Units) -> Statistics:
    """Compute the area under the ROC curve; for more than two classes, the mean over one-vs-rest curves.

    The area of a class is the fraction of the pairs of one of its examples (positive) and another example (negative)
    in which the positive one has the higher score; a tie counts as one half (Mann and Whitney, 1947). Pairs are not
    sums over examples, so in a resample each positive example is held against all negative ones of the split, and each
    negative one against all positive ones (the Hajek projection, as in DeLong, DeLong and Clarke-Pearson, 1988).
    """
    import torch

    by_curve = []
    for is_of, wins in given.curves():  # one at a time: together, those of 1,000 classes take gigabytes
        positive, negative = is_of.double(), (~is_of).double()
        by_curve.append(units.total(positive * wins, positive, negative * wins, negative))
    sums = torch.stack(by_curve, dim=2).flatten(1)
    won, positive, _, negative = sums.sum(dim=0).chunk(4)
    area = won / (positive * negative)

    def value(totals: Tensor) -> Tensor:
        won, some_positive, held, some_negative = totals.chunk(4, dim=-1)
        areas = won / (some_positive * negative) + held / (some_negative * positive) - area
        return _mean(areas, (some_positive > 0) & (some_negative > 0))

    return Statistics(sums, value)


def _wins(scores: Tensor, positive: Tensor) -> Tensor:
    """Count the pairs in which a positive example has the higher score, by the example in them, float64 `(N,)`.

    There is one pair for each positive and negative example; a tie counts as one half.
    """
    import torch
    from torch.nn import functional

    ordered, order = scores.sort()
    positives = positive[order].double()
    negatives = 1 - positives
    rank = functional.pad((ordered[1:] != ordered[:-1]).cumsum(0), (1, 0))  # equal scores share a rank
    alike, unlike = rank.bincount(positives), rank.bincount(negatives)  # how many positive, negative have each rank
    lower = unlike.cumsum(0) - unlike / 2
    higher = alike.sum() - alike.cumsum(0) + alike / 2
    wins = torch.empty_like(positives)
    wins[order] = lower[rank] * positives + higher[rank] * negatives
    return wins


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "loss",
            "loss",
            lambda given: given.score.loss,
            higher_is_better=False,
            statistics=_loss,
            interval="bootstrap_t",
        ),
        Metric("accuracy", "accuracy", lambda given: given.score.accuracy, interval="wilson"),
        Metric.of_sums(
            "balanced_accuracy",
            "balanced accuracy",
            lambda given, units: _recalls(given.predictions, given.targets, units),
        ),
        Metric.of_sums("f1_macro", "macro F1", _f1_macro),
        Metric.of_sums("f1_micro", "micro F1", _f1_micro, targets="multi_hot"),
        Metric.of_sums("hamming_loss", "Hamming loss", _hamming_loss, higher_is_better=False, targets="multi_hot"),
        Metric("top_5_accuracy", "top-5 accuracy", _top_5_accuracy, targets="class", min_classes=6, interval="wilson"),
        Metric.of_sums("roc_auc", "ROC AUC", _roc_auc, needs_every_class=True, interval="area"),
        Metric.of_sums("matthews_corrcoef", "Matthews correlation", _matthews, targets="class"),
        Metric.of_sums(
            "log_loss", "log loss", _log_loss, higher_is_better=False, targets="class", interval="bootstrap_t"
        ),
    )
}
"""Every metric by name. `loss` is the config's own loss, class weights included."""
