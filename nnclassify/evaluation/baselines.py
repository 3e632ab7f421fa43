"""What a network is compared with: a linear model and the most common class, in closed form, and boosted trees.

The tests compare the linear model with scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=...)`. That
is not used here: it takes 1.8 times as long (1.7 s instead of 0.9 s for 10,000 examples of 784 columns), and its matrix
of columns by columns takes 80 GB for 100,000 columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.data import Examples, Splits
from nnclassify.data.transform import Transform
from nnclassify.evaluation.intervals import share_interval
from nnclassify.evaluation.metrics import balanced_accuracy
from nnclassify.evaluation.significance import mcnemar, mcnemar_of_groups
from nnclassify.evaluation.totals import exact
from nnclassify.losses import multi_hot
from nnclassify.models.discriminant import directions, discriminant
from nnclassify.process import release_memory

MAX_EXAMPLES, MAX_SIDE = 10_000, 16
"""Maximum number of training examples, and the side to which larger images are averaged down: for CIFAR-10 the linear
model is as accurate with it, and takes a tenth of the time."""
MAX_WORK = 10**11
"""Maximum number of multiplications to set up the equations of the linear model: of a wide table, fewer examples are
used."""
MAX_CHUNK = 2**20
"""Maximum number of values to prepare at a time."""


@dataclass(frozen=True)
class Baselines:
    """Accuracies of the baselines on a split that the network is evaluated on, or on `MAX_EXAMPLES` examples of it.

    Apart from `boosted`, what has a default is None in a run of an earlier release.

    Attributes:
        linear: Of a linear discriminant (Fisher, 1936; Hastie, Tibshirani and Friedman, 2009, section 4.3); with
            multi-hot targets, of one linear regression per class (section 4.2).
        majority: Of always predicting the most common class of the training split, or its most common multi-hot row.
        linear_balanced_accuracy: The balanced accuracy of the linear model; see `metrics.decisions`.
        boosted: Of gradient-boosted trees; None if they were not fitted. They are no measure of what a network should
            reach, so no finding depends on them.
        majority_balanced_accuracy: The balanced accuracy of always predicting the most common class.
        boosted_balanced_accuracy: The balanced accuracy of the boosted trees; None if they were not fitted.
        intervals: The 95% Wilson intervals of `linear`, `majority` and `boosted`, by name; see `share_interval`.
        num_correct: The number of these examples that the network predicts correctly.
        linear_where_correct: The fraction of those that the linear model predicts correctly too, or None.
        p_values: The p-values of McNemar's test that the network and `linear`, `majority` or `boosted` are right
            equally often, by name.
    """

    linear: float
    majority: float
    linear_balanced_accuracy: float
    boosted: float | None = None
    majority_balanced_accuracy: float | None = None
    boosted_balanced_accuracy: float | None = None
    intervals: dict[str, tuple[float, float]] | None = None
    num_correct: int | None = None
    linear_where_correct: float | None = None
    p_values: dict[str, float] | None = None


@dataclass(frozen=True)
class FittedBaselines:
    """The baselines, fitted on the training split, to evaluate on other splits.

    Attributes:
        splits: The splits that they were fitted on.
        transform: The transform of the network.
        weights: The weights of the linear model, `(columns, K)`.
        offsets: Its offsets, `(K,)`.
        majority: The most common target, a class or a multi-hot row.
    """

    splits: Splits
    transform: Transform
    weights: Tensor
    offsets: Tensor
    majority: Tensor

    @classmethod
    def fit(cls, splits: Splits, transform: Transform) -> FittedBaselines:
        """Fit the linear model and find the most common class."""
        columns = _flattened(splits.train.select(torch.zeros(1, dtype=torch.int64))[0], transform).shape[1]
        train = _some(splits.train, min(MAX_EXAMPLES, max(2 * splits.num_classes, math.isqrt(MAX_WORK // columns))))
        targets = train.all_targets()
        of_kind = _regression if splits.is_multi_hot else discriminant
        inputs = torch.empty(len(train), columns)  # joining chunks would need it twice
        for rows, chunk in zip(inputs.split(_rows_at_once(transform)), _features(train, transform), strict=True):
            rows.copy_(chunk)
        release_memory()  # the equations need as much as the images
        weights, offsets = of_kind(inputs, targets, splits.num_classes)
        del inputs
        release_memory()
        return cls(splits, transform, weights, offsets, commonest(targets)[0])

    def evaluated(self, examples: Examples, predictions: Tensor, *, with_boosted: bool = False) -> Baselines:
        """Evaluate the baselines.

        Args:
            examples: The examples to evaluate on.
            predictions: What the network predicts for them, `(N,)` or `(N, K)`, on the CPU.
            with_boosted: Whether to fit gradient-boosted trees too.
        """
        some = _some(examples, MAX_EXAMPLES)
        targets, groups = some.all_targets(), some.all_groups()
        scores = torch.cat([chunk @ self.weights + self.offsets for chunk in _features(some, self.transform)])
        answers = {
            "linear": multi_hot(scores) if self.splits.is_multi_hot else scores.argmax(dim=1),
            "majority": self.majority.expand_as(targets),
            **({"boosted": _boosted(self.splits, self.transform, some)} if with_boosted else {}),
        }
        correct = {name: exact(those, targets) for name, those in answers.items()}
        accuracies = {name: float(right.double().mean()) for name, right in correct.items()}
        balanced = {name: balanced_accuracy(those, targets) for name, those in answers.items()}
        is_right = exact(predictions[examples.spaced_rows(MAX_EXAMPLES)], targets)
        of_network = correct["linear"][is_right]
        return Baselines(
            linear=accuracies["linear"],
            majority=accuracies["majority"],
            linear_balanced_accuracy=balanced["linear"],
            boosted=accuracies.get("boosted"),
            majority_balanced_accuracy=balanced["majority"],
            boosted_balanced_accuracy=balanced.get("boosted"),
            intervals={name: share_interval(right, groups) for name, right in correct.items()},
            num_correct=len(of_network),
            linear_where_correct=float(of_network.double().mean()) if len(of_network) else None,
            p_values={name: _p_value(is_right, right, groups) for name, right in correct.items()},
        )


def _p_value(first: Tensor, other: Tensor, groups: Tensor | None) -> float:
    """Return the p-value that two networks are right equally often, on examples of these groups if there are any."""
    exact_value = mcnemar(int((first & ~other).sum()), int((other & ~first).sum()))
    if groups is None:
        return exact_value
    return max(exact_value, mcnemar_of_groups(groups.bincount(first.double() - other.double()).tolist()))


def _boosted(splits: Splits, transform: Transform, judged: Examples) -> Tensor:
    """Return what gradient-boosted trees, fitted on the training split, predict."""
    from nnclassify.evaluation.boosting import boosted_predictions, max_examples, tree_columns

    def inputs_of(examples: Examples) -> Tensor:
        if len(transform.input_shape) == 1:
            return tree_columns(examples.select(torch.arange(len(examples)))[0], transform.encoder)
        return torch.cat(list(_features(examples, transform)))

    inputs = inputs_of(judged)
    train = _some(splits.train, max_examples(inputs.shape[1], splits.num_classes))
    return boosted_predictions(inputs_of(train), train.all_targets(), inputs, splits.num_classes)


def commonest(targets: Tensor) -> tuple[Tensor, float]:
    """Return the most common target (a class or a multi-hot row) and its relative frequency."""
    values, counts = targets.unique(dim=0, return_counts=True)
    return values[counts.argmax()], float(counts.max()) / len(targets)


def _regression(inputs: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Fit weights `(columns, K)` and offsets `(K,)` to targets `(N, K)` by least squares; inputs change in place."""
    wanted = targets.to(inputs.dtype)
    mean, shares = inputs.mean(dim=0), wanted.mean(dim=0)
    apart = inputs.sub_(mean)
    weights = directions(apart, (wanted - shares).T @ apart / len(targets))
    return weights, shares - mean @ weights


def _some(examples: Examples, limit: int) -> Examples:
    """Return at most `limit` examples, evenly spaced."""
    return examples.subset(examples.spaced_rows(limit))


def _features(examples: Examples, transform: Transform) -> Iterator[Tensor]:
    """Yield inputs `(B, columns)` in chunks."""
    for rows in torch.arange(len(examples)).split(_rows_at_once(transform)):
        yield _flattened(examples.select(rows)[0], transform)


def _rows_at_once(transform: Transform) -> int:
    return max(1, min(1024, MAX_CHUNK // math.prod(transform.input_shape)))


def _flattened(raw: Tensor, transform: Transform) -> Tensor:
    """Return raw examples as `(B, columns)`, with large images averaged down."""
    prepared = transform(raw, torch.float32)
    if prepared.ndim == 4 and prepared[0].numel() > 4 * MAX_SIDE**2:
        prepared = functional.adaptive_avg_pool2d(prepared, MAX_SIDE)
    return prepared.flatten(start_dim=1)
