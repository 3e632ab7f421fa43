"""Whether few examples are told apart as well by a linear model as by a nonlinear one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nnclassify.data import Splits
    from nnclassify.data.splitting import Labels, Rows

FOLDS = 5
MARGIN = 0.02
"""The accuracy by which a nonlinear model has to be better: what five folds of few examples cannot tell apart."""


def is_linear(splits: Splits) -> bool:
    """Return whether a linear model of the training split does as well as a nonlinear one, in cross-validation.

    The linear discriminant of the baselines is compared with a support vector machine, whose kernel is the usual one,
    on the classes with two examples or more. With fewer than two of them, the simpler model is taken.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    examples = splits.train
    inputs = examples.inputs.index_select(0, examples.indices).flatten(1).double().numpy()
    targets = examples.all_targets().numpy()
    is_repeated = np.bincount(targets)[targets] > 1
    inputs, (_, targets) = inputs[is_repeated], np.unique(targets[is_repeated], return_inverse=True)
    counts = np.bincount(targets)
    if len(counts) < 2:
        return True
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1)
    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=0)
    parts = [*folds.split(inputs, targets)]
    linear = np.mean([_linear_accuracy(inputs, targets, *part) for part in parts])
    return bool(linear >= cross_val_score(SVC(), inputs, targets, cv=parts).mean() - MARGIN)


def _linear_accuracy(inputs: np.ndarray, targets: Labels, fitted: Rows, judged: Rows) -> float:
    """Return the accuracy on some rows of a linear discriminant that is fitted to others."""
    import torch

    from nnclassify.evaluation.baselines import discriminant

    weights, offsets = discriminant(
        torch.from_numpy(inputs[fitted]), torch.from_numpy(targets[fitted]), int(targets.max()) + 1
    )
    scores = torch.from_numpy(inputs[judged]) @ weights + offsets
    return float((scores.argmax(dim=1).numpy() == targets[judged]).mean())
