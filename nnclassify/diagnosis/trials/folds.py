"""Examples that a trial is judged on and never trained on: what is learned by heart proves nothing."""

from __future__ import annotations

from dataclasses import replace

import torch

from nnclassify.data import Examples, Splits
from nnclassify.data.splitting import stratified_split
from nnclassify.seeds import numpy_rng

JUDGED = 600
"""Examples that trials are judged on at most: of 600, a share is known to within 4 points (two deviations)."""
ENOUGH = 100
"""A validation split of that size judges by itself: a share is known to within 10 points."""
KEPT_OUT = 0.25
"""The share of the training examples that is kept out, where there are `MANY`."""
MANY, TOO_FEW = 200, 60
"""Of fewer than many, trials see all, and halves take turns to judge what seems to help; of too few, none is spared."""


def judged(splits: Splits) -> Splits:
    """The splits that trials are trained with; `validation` judges them, where there are examples enough.

    The test split never judges.
    """
    has_validation = splits.validation is not None and not splits.validation_is_test
    if has_validation and splits.validation is not None and len(splits.validation) >= ENOUGH:
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


def _some(examples: Examples) -> Examples:
    return examples if len(examples) <= JUDGED else _parted(examples, JUDGED / len(examples))[1]


def _parted(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """All but a share of each class, and that share; both in the order of the file."""
    targets, indices = examples.targets.numpy(), examples.indices.numpy()
    rest, chosen = stratified_split(targets, indices, share, numpy_rng(0, "diagnosis"))
    return replace(examples, indices=torch.from_numpy(rest)), replace(examples, indices=torch.from_numpy(chosen))
