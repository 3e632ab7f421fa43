"""Examples that a trial is judged on and never trained on: what is learned by heart proves nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.data.splitting import stratified_split
from nnclassify.evaluation.metrics import decisions
from nnclassify.seeds import numpy_rng

JUDGED = 600
"""Examples that trials are judged on at most: of 600, a share is known to within 4 points (two deviations)."""
ENOUGH = 0.05
"""A validation split judges by itself where it tells the mean accuracy of the classes with that standard deviation: 100
examples of balanced classes do, and more where one class is rare."""
KEPT_OUT = 0.25
"""The share of the training examples that is kept out, where there are `MANY`."""
MANY, TOO_FEW = 200, 60
"""Of fewer than many, trials see all, and halves take turns to judge what seems to help; of too few, none is spared."""


def judged(splits: Splits) -> Splits:
    """The splits that trials are trained with; `validation` judges them, where there are examples enough.

    The test split never judges.
    """
    has_validation = splits.validation is not None and not splits.validation_is_test
    if has_validation and splits.validation is not None and deviation(splits.validation.all_targets()) <= ENOUGH:
        return replace(splits, validation=_some(splits.validation))
    count = len(splits.train)
    if count < MANY or min(splits.class_counts()) < 2:
        return replace(splits, validation=None)
    train, kept_out = _parted(splits.train, min(KEPT_OUT, JUDGED / count))
    return replace(splits, train=train, validation=kept_out)


def halves(splits: Splits) -> list[Splits]:
    """Halves that take turns to train and to judge, so that all examples judge; empty: none can be spared."""
    if len(splits.train) < TOO_FEW or min(splits.class_counts()) < 2:
        return []
    first, second = _parted(splits.train, 0.5)
    return [replace(splits, train=one, validation=other) for one, other in ((first, second), (second, first))]


def deviation(targets: Tensor) -> float:
    """The standard deviation of the mean accuracy of the classes, at most: that of a class is 0.5 / sqrt(count)."""
    counts = decisions(targets, targets)[1].unique(return_counts=True)[1].double()
    return float(0.5 * (1 / counts).sum().sqrt() / len(counts))


def _some(examples: Examples) -> Examples:
    return examples if len(examples) <= JUDGED else _parted(examples, JUDGED / len(examples))[1]


def _parted(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """All but a share of each class, and that share; both in the order of the file."""
    targets, indices = examples.targets.numpy(), examples.indices.numpy()
    rest, chosen = stratified_split(targets, indices, share, numpy_rng(0, "diagnosis"))
    return replace(examples, indices=torch.from_numpy(rest)), replace(examples, indices=torch.from_numpy(chosen))
