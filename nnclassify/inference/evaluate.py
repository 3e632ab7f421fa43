"""The exact figures of a trained net on a split."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.data.image_listing import clean_name
from nnclassify.errors import DataError, TrainingError, some
from nnclassify.evaluation.metrics import (
    ClassReport,
    MultiHotFigures,
    class_reports,
    confusion_matrix,
    exact,
    multi_hot_reports,
    score,
    wilson_interval,
)
from nnclassify.inference.classifier import Classifier, check_columns
from nnclassify.losses import multi_hot


@dataclass(frozen=True)
class Evaluation:
    """Figures of one split.

    Attributes:
        num_examples: N.
        loss: Mean loss.
        accuracy: 0..1.
        accuracy_interval: 95 %, Wilson.
        classes: One report a class.
        confusion: `(K, K)` counts; rows are the true classes. Empty where targets are multi-hot.
        losses: Of each example, `(N,)`.
        probabilities: Of each example, `(N, K)`.
        multi_hot: What else there is to tell where targets are multi-hot; else None.
    """

    num_examples: int
    loss: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    classes: list[ClassReport]
    confusion: list[list[int]]
    losses: Tensor
    probabilities: Tensor
    multi_hot: MultiHotFigures | None = None

    @property
    def predictions(self) -> Tensor:
        """The classes `(N,)`; or multi-hot, `(N, K)`."""
        if self.multi_hot is None:
            return self.probabilities.argmax(dim=1)
        return multi_hot(self.probabilities)

    def summary(self) -> dict[str, float]:
        """The figures of the whole split, for JSON."""
        figures = {"loss": self.loss, "accuracy": self.accuracy}
        return figures if self.multi_hot is None else figures | self.multi_hot.summary()

    def figures(self) -> dict[str, Any]:
        """All but the single examples, for JSON."""
        return {
            "num_examples": self.num_examples,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "classes": [asdict(report) for report in self.classes],
            "confusion": self.confusion,
            **({} if self.multi_hot is None else asdict(self.multi_hot)),
        }


def evaluate(classifier: Classifier, examples: Examples) -> Evaluation:
    """The exact figures of a split. The training's batch size plays no part in them.

    Raises:
        TrainingError: The net says NaN or infinity of an example.
    """
    outputs, targets = classifier.outputs(examples), examples.all_targets()
    totals = score(outputs, targets, classifier.loss_fn)
    if not math.isfinite(totals.loss):
        raise TrainingError(
            f"{classifier.path}: the loss over {len(examples)} examples is not finite; some inputs are far from "
            "those it was trained on, or it has diverged: check the data, or train with a lower optimizer.lr"
        )
    probabilities = classifier.loss_fn.probabilities(outputs)
    predictions = classifier.loss_fn.predictions(outputs)
    names = classifier.class_names
    figures = MultiHotFigures.of(predictions, targets) if classifier.is_multi_hot else None
    confusion = [] if figures else confusion_matrix(predictions, targets, len(names))
    return Evaluation(
        num_examples=len(examples),
        loss=totals.loss,
        accuracy=totals.accuracy,
        accuracy_interval=wilson_interval(int(exact(predictions, targets).sum()), len(examples)),
        classes=multi_hot_reports(figures.confusion, names) if figures else class_reports(confusion, names),
        confusion=confusion,
        losses=classifier.loss_fn(outputs, targets),
        probabilities=probabilities,
        multi_hot=figures,
    )


def splits_of(classifier: Classifier) -> Splits:
    """The run's own splits, drawn again.

    Raises:
        DataError: The data is not there, or its classes or shape are not the run's.
    """
    config = classifier.config
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
    """The split of that name; left out, the test split, else validation, else train.

    Raises:
        DataError: There is no such split.
    """
    for candidate in [name] if name else ["test", "validation", "train"]:
        examples = splits.split(candidate)
        if examples is not None:
            return candidate, examples
    raise DataError(f"split {name}: the dataset has none; set dataset.{name} in the config, or choose another")
