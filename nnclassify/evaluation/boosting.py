"""The baseline of gradient-boosted trees, which are hard to beat on tables: scikit-learn's, of bounded size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nnclassify.data.tables.encoding import OneHotColumn
from nnclassify.data.tables.table_encoder import TableEncoder

MAX_EXAMPLES, MAX_WORK = 25_000, 5 * 10**7
"""Maximum number of training examples, and of values that all trees read: half a second on one core. On the 23,444 rows
and 14 columns of census, 50 rounds reach 87.1% in 0.25 s, and 100 rounds 87.4% in 0.45 s."""
ITERATIONS, MIN_ITERATIONS, MAX_TREES = 50, 20, 1000
"""Rounds of boosting, each of which grows a tree per class (one for two classes): fewer rounds for many classes."""
SEED = 0


def num_iterations(num_classes: int) -> int:
    """Return the number of rounds of boosting for a number of classes."""
    trees_per_round = 1 if num_classes == 2 else num_classes
    return max(MIN_ITERATIONS, min(ITERATIONS, MAX_TREES // trees_per_round))


def max_examples(num_columns: int, num_classes: int) -> int:
    """Return the maximum number of training examples."""
    num_trees = num_iterations(num_classes) * (1 if num_classes == 2 else num_classes)
    return max(2 * num_classes, min(MAX_EXAMPLES, MAX_WORK // (num_columns * num_trees)))


def tree_columns(raw: Tensor, encoder: TableEncoder | None) -> Tensor:
    """Return raw examples as trees read them, `(N, D)`: of a column of categories, one number instead of indicators.

    Trees divide categories by their places as well as by indicators, and on census in a sixth of the time.

    Args:
        raw: The features of the examples, `(N, ...)`.
        encoder: How the columns of a table became features; None if they are features as they are.
    """
    raw = raw.flatten(1)
    if encoder is None:
        return raw
    parts = []
    for column, place in zip(encoder.columns, encoder.slices, strict=True):
        features = raw[:, place]
        if isinstance(column, OneHotColumn):
            indicators, rest = features.tensor_split([len(column.categories) + 1], dim=1)
            features = torch.cat([indicators.argmax(dim=1, keepdim=True).to(raw.dtype), rest], dim=1)
        parts.append(features)
    return torch.cat(parts, dim=1)


def boosted_predictions(inputs: Tensor, targets: Tensor, judged: Tensor, num_classes: int) -> Tensor:
    """Fit gradient-boosted trees and predict.

    Args:
        inputs: The training inputs `(N, columns)`.
        targets: Their class indices `(N,)`, or multi-hot targets `(N, K)`, which get one model per class.
        judged: The inputs to predict, `(M, columns)`.
        num_classes: The number of classes, K.

    Returns:
        Class indices `(M,)`, or multi-hot predictions `(M, K)`.
    """
    if targets.ndim == 2:
        return torch.stack([boosted_predictions(inputs, column, judged, 2) for column in targets.T], dim=1)
    return fitted_probabilities(inputs, targets, judged, num_classes).argmax(dim=1)


def fitted_probabilities(inputs: Tensor, targets: Tensor, judged: Tensor, num_classes: int) -> Tensor:
    """Return the probabilities `(M, K)` of trees that are fitted to class indices `(N,)`; see `boosted_predictions`."""
    probabilities = torch.zeros(len(judged), num_classes, dtype=torch.float64)
    if len(targets.unique()) == 1:
        probabilities[:, targets[0]] = 1
        return probabilities
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=num_iterations(num_classes), early_stopping=False, random_state=SEED
    ).fit(inputs.numpy(), targets.numpy())
    probabilities[:, torch.from_numpy(np.asarray(model.classes_))] = torch.from_numpy(
        model.predict_proba(judged.numpy())
    )
    return probabilities
