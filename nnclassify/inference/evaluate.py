"""Evaluate a trained network on a split."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.data.base import IN_MEMORY, told_where_to_look
from nnclassify.data.images.image_listing import clean_name
from nnclassify.errors import DataError, TrainingError, counted, some
from nnclassify.evaluation.bootstrap import metric_intervals
from nnclassify.evaluation.confusion import ClassReport, class_reports, confusion_matrix, multi_hot_reports
from nnclassify.evaluation.features import Features
from nnclassify.evaluation.intervals import effective_count
from nnclassify.evaluation.metrics import METRICS, MetricInputs, measured
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.totals import exact
from nnclassify.files.json_files import plain
from nnclassify.inference.classifier import Classifier, check_columns
from nnclassify.process import release_memory


@dataclass(frozen=True)
class Evaluation:
    """Metrics, confusion matrix and predictions on one split of N examples and K classes.

    Attributes:
        num_examples: The number of examples, N.
        metrics: The value of each metric, by name.
        intervals: The 95% interval of each metric that has one, by name; see `metric_intervals`.
        classes: One report per class.
        confusion: Counts `(K, K)`: rows are the true classes, columns the predicted ones. With multi-hot targets
            `(K, 2, 2)`: for each class, rows are the true answers, columns the predicted ones.
        losses: The loss of each example, `(N,)`.
        probabilities: The calibrated probabilities of each example, `(N, K)`.
        outputs: The outputs of the network for each example, `(N, num_outputs)`, on the CPU.
        targets: The true classes `(N,)`, or multi-hot targets `(N, K)`, on the CPU.
        predictions: The predicted classes `(N,)`, or multi-hot predictions `(N, K)`.
        features: What tells whether the examples are like the training data.
        is_unlike: Whether each example is unlike the training data, bool `(N,)`; None if that is unknown.
        undefined: The metrics that have no value on this split, each with the reason.
        is_multi_hot: Whether an example may belong to several classes, or to none.
        split: The name of the split: see `EvaluationExamples`; empty if unknown.
        notes: Notes about the examples, one line each.
        num_groups: The number of groups that the examples are of, for which the intervals allow; None: they are
            independent.
        effective_count: How many independent examples would tell the accuracy as exactly; see `effective_count`;
            None: as many as there are.
        test_looks: How many networks have looked at the examples, this one included, if they are a test split.
    """

    num_examples: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    classes: list[ClassReport]
    confusion: list[Any]
    losses: Tensor
    probabilities: Tensor
    outputs: Tensor
    targets: Tensor
    predictions: Tensor
    features: Features = field(default_factory=dict)
    is_unlike: Tensor | None = None
    undefined: dict[str, str] = field(default_factory=dict)
    is_multi_hot: bool = False
    split: str = ""
    notes: tuple[str, ...] = ()
    num_groups: int | None = None
    effective_count: float | None = None
    test_looks: int | None = None

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.metrics["loss"]

    @property
    def accuracy(self) -> float:
        """The fraction of examples that are predicted correctly, 0..1."""
        return self.metrics["accuracy"]

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the accuracy, as fractions."""
        return self.intervals["accuracy"]

    def summary(self) -> dict[str, Any]:
        """Return the metrics for JSON; those without a value are null, with the reason in `undefined`."""
        reasons = {"undefined": self.undefined} if self.undefined else {}
        return {**self.metrics, **dict.fromkeys(self.undefined), **reasons}

    def __repr__(self) -> str:
        accuracy = percent(self.accuracy)
        return f"Evaluation(split={self.split!r}, num_examples={self.num_examples}, accuracy={accuracy})"

    def _repr_html_(self) -> str:
        # Only notebooks need it.
        from nnclassify.inference.report.card import Card, Confusions, classes_table, metrics_table

        names = [report.name for report in self.classes]
        confusions = None if self.is_multi_hot else Confusions.of("confusion matrix", names, self.confusion)
        facts = [*([f"{self.split} split"] if self.split else []), counted(self.num_examples, "example")]
        tables = [metrics_table(self.metrics, self.intervals), classes_table(self.classes)]
        notes = [*(f"no {METRICS[name].label}: {reason}" for name, reason in self.undefined.items()), *self.notes]
        return Card("Evaluation", facts, tables=tables, confusions=confusions, notes=notes).html()

    def figures(self) -> dict[str, Any]:
        """Return everything except what is stored per example, for JSON."""
        return plain(
            {
                "num_examples": self.num_examples,
                **self.summary(),
                "accuracy_interval": self.accuracy_interval,
                "intervals": self.intervals,
                "classes": self.classes,
                "confusion": self.confusion,
            }
        )


def evaluate(classifier: Classifier, examples: Examples) -> Evaluation:
    """Evaluate a classifier. The result does not depend on the batch size.

    Raises:
        TrainingError: The loss of an example is not finite.
    """
    outputs, features = classifier.outputs_and_features(examples)
    return evaluated(classifier, outputs, features, examples)


def evaluated(classifier: Classifier, outputs: Tensor, features: Features, examples: Examples) -> Evaluation:
    """Evaluate outputs that have been computed for examples.

    Raises:
        TrainingError: The loss of an example is not finite.
    """
    release_memory()  # the metrics and their intervals need as much as the images
    targets, groups = examples.all_targets(), examples.all_groups()
    metric_inputs = MetricInputs(outputs, targets, classifier.loss_fn)
    if not math.isfinite(metric_inputs.score.loss):
        raise TrainingError(
            f"{classifier.path}: the loss over {len(outputs)} examples is not finite; some inputs are far from "
            "those it was trained on, or it has diverged: check the data, or train with a lower optimizer.lr"
        )
    names, predictions = classifier.class_names, metric_inputs.predictions
    confusion: list[Any]
    if metric_inputs.is_multi_hot:
        confusion = [confusion_matrix(*pair, 2) for pair in zip(predictions.T, targets.T, strict=True)]
        classes = multi_hot_reports(confusion, names)
    else:
        confusion = confusion_matrix(predictions, targets, len(names))
        classes = class_reports(confusion, names)
    values, undefined = measured(metric_inputs, names)
    intervals = metric_intervals(metric_inputs, values, groups)
    release_memory()  # and the next pass over images as much as the resamples of the intervals
    return Evaluation(
        num_examples=len(outputs),
        metrics=values,
        intervals=intervals,
        classes=classes,
        confusion=confusion,
        losses=metric_inputs.loss_fn(outputs, targets),
        probabilities=metric_inputs.probabilities,
        outputs=outputs,
        targets=targets,
        predictions=predictions,
        features=features,
        is_unlike=classifier.is_unlike(outputs, features),
        undefined=undefined,
        is_multi_hot=metric_inputs.is_multi_hot,
        num_groups=None if groups is None else int(groups.max()) + 1,
        effective_count=effective_count(exact(predictions, targets), groups),
    )


def splits_of(classifier: Classifier) -> Splits:
    """Read the data of a run and split it as in training.

    Raises:
        DataError: The data is missing, or its classes, columns or shape are not those of the run.
    """
    config = classifier.config
    places = config.dataset.places()
    if IN_MEMORY in places.values() and not Path(IN_MEMORY).exists():
        keys = " ".join(f"dataset.{key}=FILE" for key in places)
        raise DataError(
            f"{classifier.path}: NNClassifier trained it on data in memory; give that data in files, with {keys}, "
            "or evaluate other data, with --data FILE"
        )
    with told_where_to_look(config.dataset):
        splits = config.dataset.as_trained(classifier.transform).build(config.seed)
    if [*map(clean_name, splits.class_names)] != [*map(clean_name, classifier.class_names)]:
        raise DataError(
            f"{config.dataset.name}: classes {some(splits.class_names, 10)}; the run was trained on "
            f"{some(classifier.class_names, 10)}"
        )
    if splits.input_shape != classifier.transform.input_shape:
        raise DataError(
            f"{config.dataset.name}: examples of shape {splits.input_shape}; the run was trained on "
            f"{classifier.transform.input_shape}"
        )
    check_columns(classifier, splits.feature_names)
    return splits


def choose_split(splits: Splits, name: str | None) -> tuple[str, Examples]:
    """Return a split and its name; by default, the first that exists of test, validation and train.

    Raises:
        DataError: The dataset does not have the split.
    """
    for candidate in [name] if name else ["test", "validation", "train"]:
        examples = splits.split(candidate)
        if examples is not None:
            return candidate, examples
    raise DataError(f"split {name}: the dataset does not have one; set dataset.{name} in the config, or choose another")
