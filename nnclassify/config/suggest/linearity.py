"""Whether examples are told apart as well by a linear model as by a nonlinear one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nnclassify.config.suggest.recipe import is_unbalanced
from nnclassify.data.tables.columns import scaled

if TYPE_CHECKING:
    from nnclassify.data import Splits
    from nnclassify.data.splitting import Labels, Rows

FOLDS = 5
FEW, MARGIN = 500, 0.02
"""With fewer training examples, a nonlinear model has to be better by this accuracy: what five folds of few examples
cannot tell apart."""
COMPARED, MAX_WORK = 2000, 2 * 10**9
"""Examples that are compared, fewer of many features, whose products take as many multiplications: 3 seconds."""
LEAF, TREE_ROWS = 3, 100
"""Examples in each leaf of a decision tree, and in all from which on there is one: of fewer, it would follow single
ones."""
ERRORS = 2
"""Standard errors by which a linear model has to be better where only some of the examples are compared: a nonlinear
one gains more from the others. On census, they are equal with 2,000 rows; with all 23,000, hidden layers gain 1.2%."""
MAX_EXAMPLES = 50_000
"""With more training examples no linear model is considered: the table would be read twice, and hidden layers lose
little on so many."""


def is_linear(splits: Splits) -> bool:
    """Return whether a linear model of the training split does as well as a nonlinear one, in cross-validation.

    The linear discriminant of the baselines is compared with the better one of a support vector machine, whose kernel
    is the usual one, and a decision tree, which also divides columns with a few values far from all others. Only
    classes with two examples or more count; with fewer than two of them, the simpler model is taken. All classes count
    the same where the loss is weighted.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    examples = splits.train.subset(splits.train.spaced_rows(num_compared(math.prod(splits.input_shape))))
    inputs = examples.inputs.index_select(0, examples.indices).flatten(1).double().numpy()
    targets = examples.all_targets().numpy()
    is_repeated = np.bincount(targets)[targets] > 1
    inputs, (_, targets) = inputs[is_repeated], np.unique(targets[is_repeated], return_inverse=True)
    counts = np.bincount(targets)
    if len(counts) < 2:
        return True
    inputs = scaled(inputs)
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1)
    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=0)
    parts = [*folds.split(inputs, targets)]
    balanced = is_unbalanced(splits.class_counts())
    linear = np.empty_like(targets)
    for fitted, judged in parts:
        linear[judged] = _discriminated(inputs, targets, fitted, judged, balanced=balanced)
    weight = "balanced" if balanced else None
    tree = DecisionTreeClassifier(min_samples_leaf=LEAF, class_weight=weight, random_state=0)
    machines = [SVC(class_weight=weight), *([tree] if len(targets) >= TREE_ROWS else [])]
    others = [cross_val_predict(machine, inputs, targets, cv=parts) for machine in machines]
    importance = len(targets) / (len(counts) * counts[targets]) if balanced else 1.0
    gains = min(
        (importance * ((linear == targets).astype(float) - (other == targets)) for other in others), key=np.mean
    )
    if len(examples) < len(splits.train):
        return bool(gains.mean() > ERRORS * gains.std() / math.sqrt(len(gains)))
    return bool(gains.mean() >= (-MARGIN if len(examples) < FEW else 0))


def num_compared(num_features: int) -> int:
    """Return the maximum number of examples to compare."""
    return max(FEW, min(COMPARED, math.isqrt(MAX_WORK // max(1, num_features))))


def _discriminated(inputs: np.ndarray, targets: Labels, fitted: Rows, judged: Rows, *, balanced: bool) -> Labels:
    """Return what a linear discriminant that is fitted to some rows predicts for others."""
    import torch

    from nnclassify.models.discriminant import discriminant

    num_classes = int(targets.max()) + 1
    weights, offsets = discriminant(torch.from_numpy(inputs[fitted]), torch.from_numpy(targets[fitted]), num_classes)
    # In float32, as a network computes: where a few values are far from all others, the rest is told apart by weights
    # so large that its scores are rounded.
    scores = (torch.from_numpy(inputs[judged]).float() @ weights.float() + offsets.float()).numpy()
    if balanced:
        scores -= np.log(np.bincount(targets[fitted], minlength=num_classes) / len(fitted))
    predicted: Labels = scores.argmax(axis=1)
    return predicted
