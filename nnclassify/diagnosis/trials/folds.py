"""Examples that trials are judged on and never trained on: memorized examples prove nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.data.splitting import grouped_split, stratified_split
from nnclassify.errors import DataError
from nnclassify.evaluation.metrics import decisions
from nnclassify.seeds import numpy_rng

JUDGED = 600
"""Maximum number of examples to judge a trial on: with 600, an accuracy is known to within 4 points (two standard
deviations)."""
ENOUGH = 0.05
"""A validation split is sufficient if it determines balanced accuracy with this standard deviation: 100 examples of
balanced classes, or more if one class is rare."""
HELD_OUT = 0.25
"""Fraction of the training examples that is held out, if there are at least `MANY`."""
MANY, TOO_FEW = 200, 60
"""With fewer than `MANY` examples, trials train on all of them, and halves take turns to judge what seems to help;
with `TOO_FEW`, none are held out."""


def held_out_split(splits: Splits) -> Splits:
    """Return the splits for trials, whose `validation` judges them, if there are enough examples.

    The test split never judges.
    """
    has_validation = splits.validation is not None and not splits.validation_is_test
    if has_validation and splits.validation is not None and deviation(splits.validation.all_targets()) <= ENOUGH:
        return replace(splits, validation=_some(splits.validation))
    count = len(splits.train)
    if count < MANY or min(splits.class_counts()) < 2:
        return replace(splits, validation=None)
    parts = _split(splits.train, min(HELD_OUT, JUDGED / count))
    return replace(splits, validation=None) if parts is None else replace(splits, train=parts[0], validation=parts[1])


def two_folds(splits: Splits) -> list[Splits]:
    """Halves that take turns to train and to judge, so that all examples judge; empty if there are too few examples."""
    if len(splits.train) < TOO_FEW or min(splits.class_counts()) < 2:
        return []
    parts = _split(splits.train, 0.5)
    turns = [] if parts is None else [parts, parts[::-1]]
    return [replace(splits, train=train, validation=held_out) for train, held_out in turns]


def deviation(targets: Tensor) -> float:
    """Return the maximum standard deviation of the balanced accuracy: that of one class is 0.5 / sqrt(count)."""
    counts = decisions(targets, targets)[1].unique(return_counts=True)[1].double()
    return float(0.5 * (1 / counts).sum().sqrt() / len(counts))


def _some(examples: Examples) -> Examples:
    parts = _split(replace(examples, groups=None), JUDGED / len(examples)) if len(examples) > JUDGED else None
    return examples if parts is None else parts[1]


def _split(examples: Examples, share: float) -> tuple[Examples, Examples] | None:
    """Return all but a fraction of each class, and that fraction, both in file order; None if groups forbid it.

    What is learned of a group by heart proves nothing either, so none is in both parts.
    """
    targets, indices, rng = examples.targets.numpy(), examples.indices.numpy(), numpy_rng(0, "diagnosis")
    try:
        rest, chosen = (
            stratified_split(targets, indices, share, rng)
            if examples.groups is None
            else grouped_split(targets, examples.groups, indices, share, rng)
        )
    except DataError:  # too few groups
        return None
    return replace(examples, indices=torch.from_numpy(rest)), replace(examples, indices=torch.from_numpy(chosen))
