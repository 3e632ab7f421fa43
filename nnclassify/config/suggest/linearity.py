"""Whether few examples are told apart as well by a linear model as by a nonlinear one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nnclassify.data import Splits

FOLDS = 5
MIN_EXAMPLES = 3
"""Examples of a class of which two are always in the other folds: of one alone there is no covariance."""
MARGIN = 0.02
"""The accuracy by which a nonlinear model has to be better: what five folds of few examples cannot tell apart."""


def is_linear(splits: Splits) -> bool:
    """Return whether a linear model of the training split does as well as a nonlinear one, in cross-validation.

    A linear discriminant is compared with a support vector machine, whose kernel is the usual one, on the classes that
    have enough examples. Where fewer than two classes have, nothing can be compared, and the simpler model is taken.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    examples = splits.train
    inputs = examples.inputs.index_select(0, examples.indices).flatten(1).double().numpy()
    targets = examples.all_targets().numpy()
    is_common = np.bincount(targets)[targets] >= MIN_EXAMPLES
    inputs, targets = inputs[is_common], targets[is_common]
    if len(np.unique(targets)) < 2:
        return True
    num_folds = min(FOLDS, int(np.unique_counts(targets).counts.min()))
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1)
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=0)
    linear, nonlinear = (
        float(cross_val_score(model, inputs, targets, cv=folds).mean())
        for model in (LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), SVC())
    )
    return linear >= nonlinear - MARGIN
