"""Out-of-fold probabilities: what a classifier says of each example that was not trained on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.data.splitting import Labels, stratified_folds
from nnclassify.evaluation.boosting import fitted_probabilities, max_examples
from nnclassify.seeds import numpy_rng

FOLDS = 5
PENALTIES = (0.003, 0.03, 0.3, 3.0)
"""Ridge penalties to choose from, relative to the mean variance of a feature times the number of examples."""
SCALES = torch.logspace(-1, 2.5, 60, dtype=torch.float64)
"""Factors to choose from that turn scores into logits."""
ROWS_AT_ONCE = 4096

Advance = Callable[[int], None]


def fold_of_each(targets: Labels, contents: Labels) -> Labels:
    """Return the fold of each example, `(N,)`: stratified by class, and the same for examples of equal content."""
    first, content = np.unique(contents, return_index=True, return_inverse=True)[1:]
    return stratified_folds(targets[first], None, FOLDS, numpy_rng(0, "audit", "folds"))[content]


def boosted_probabilities(
    inputs: Tensor, targets: Labels, num_classes: int, contents: Labels, advance: Advance = lambda _: None
) -> Tensor:
    """Return out-of-fold probabilities `(N, K)` of gradient-boosted trees; see `fold_of_each`.

    Args:
        inputs: Columns `(N, D)`.
        targets: Class indices `(N,)`.
        num_classes: K.
        contents: A number for each example, the same for equal ones, `(N,)`.
        advance: Called after each fold.
    """
    folds = fold_of_each(targets, contents)
    found = torch.zeros(len(inputs), num_classes, dtype=torch.float64)
    limit = max_examples(inputs.shape[1], num_classes)
    for fold in range(FOLDS):
        train, judged = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        train = train[np.linspace(0, len(train) - 1, min(limit, len(train))).astype(np.int64)]
        labels = torch.from_numpy(targets[train])
        found[judged] = fitted_probabilities(inputs[train], labels, inputs[judged], num_classes)
        advance(1)
    return found


def linear_probabilities(
    features: Tensor, targets: Labels, num_classes: int, contents: Labels, advance: Advance = lambda _: None
) -> Tensor:
    """Return out-of-fold probabilities `(N, K)` of ridge regression on features `(N, D)`; see `boosted_probabilities`.

    Its equations are those of all examples minus those of a fold, so all folds together cost one pass over the
    examples, and wrong labels move it little. Penalty and scale are those with the lowest out-of-fold log loss.
    """
    if len(features) < features.shape[1]:
        features = _rotated(features)
    folds = torch.from_numpy(fold_of_each(targets, contents))
    wanted = functional.one_hot(torch.from_numpy(targets), num_classes)
    grams, moments, sums, counts = _sums_by_fold(features, wanted, folds)
    gram, moment, total, count = sum(grams), sum(moments), sum(sums), sum(counts)
    best: tuple[float, Tensor] | None = None
    scores = {penalty: torch.empty(len(features), num_classes) for penalty in PENALTIES}
    for fold in range(FOLDS):
        rows = (folds == fold).nonzero()[:, 0]
        kept = gram - grams[fold], moment - moments[fold], total - sums[fold], count - counts[fold]
        for penalty, (weights, bias) in _ridge(*kept).items():
            for chunk in rows.split(ROWS_AT_ONCE):
                scores[penalty][chunk] = features[chunk].float() @ weights + bias
        advance(1)
    for found in scores.values():
        loss, probabilities = _calibrated(found, torch.from_numpy(targets))
        if best is None or loss < best[0]:
            best = loss, probabilities
    assert best is not None
    return best[1]


def _rotated(features: Tensor) -> Tensor:
    """Return N features of each of N examples with the same products, which are all that ridge regression sees."""
    inputs = features.float()
    values, axes = torch.linalg.eigh(inputs @ inputs.T)
    rotated: Tensor = axes * values.clamp(min=0).sqrt()
    return rotated


def _sums_by_fold(
    features: Tensor, wanted: Tensor, folds: Tensor
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Return for each fold X'X, X'Y, the sums of X, and those of Y."""
    width, classes = features.shape[1], wanted.shape[1]
    grams = [torch.zeros(width, width) for _ in range(FOLDS)]
    moments = [torch.zeros(width, classes) for _ in range(FOLDS)]
    sums = [torch.zeros(width) for _ in range(FOLDS)]
    counts = [torch.zeros(classes) for _ in range(FOLDS)]
    for fold in range(FOLDS):
        for rows in (folds == fold).nonzero()[:, 0].split(ROWS_AT_ONCE):
            inputs, targets = features[rows].float(), wanted[rows].float()
            grams[fold] += inputs.T @ inputs
            moments[fold] += inputs.T @ targets
            sums[fold] += inputs.sum(dim=0)
            counts[fold] += targets.sum(dim=0)
    return grams, moments, sums, counts


def _ridge(gram: Tensor, moment: Tensor, total: Tensor, counts: Tensor) -> dict[float, tuple[Tensor, Tensor]]:
    """Return weights `(D, K)` and biases `(K,)` for each penalty."""
    count = counts.sum()
    mean, share = total / count, counts / count
    centered = gram - count * torch.outer(mean, mean)
    right = moment - count * torch.outer(mean, share)
    spread = centered.diagonal().mean().clamp(min=1e-12)
    found = {}
    for penalty in PENALTIES:
        equations = centered.clone()
        equations.diagonal().add_(penalty * spread)
        weights = torch.cholesky_solve(right, torch.linalg.cholesky(equations))
        found[penalty] = weights, share - mean @ weights
    return found


def _calibrated(scores: Tensor, targets: Tensor) -> tuple[float, Tensor]:
    """Return the lowest log loss of any scale, and the probabilities with it."""
    losses = [float(functional.cross_entropy(scores * scale, targets)) for scale in SCALES.float()]
    scale = SCALES[int(np.argmin(losses))].float()
    return min(losses), (scores * scale).softmax(dim=1)
