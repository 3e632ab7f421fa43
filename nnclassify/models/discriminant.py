"""The linear discriminant, in closed form: a baseline, and where a linear model may start."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_EQUATIONS = 4096
"""Maximum number of linear equations with one per column; of more columns, there is one per example."""
RIDGE = 0.01
"""The fraction of the mean variance that is added to each variance: repeated inputs make the equations singular."""


def discriminant(inputs: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Fit a linear discriminant to inputs `(N, columns)`, changed in place, and targets `(N,)`.

    Returns:
        Weights `(columns, K)` and offsets `(K,)`.
    """
    counts = targets.bincount(minlength=num_classes)
    sums = torch.zeros(num_classes, inputs.shape[1], dtype=inputs.dtype).index_add_(0, targets, inputs)
    means = sums / counts.clamp(min=1)[:, None]
    weights = directions(inputs.sub_(means[targets]), means)
    share = counts.to(inputs.dtype) / len(targets)
    return weights, share.log() - 0.5 * (means.T * weights).sum(dim=0)


def directions(apart: Tensor, means: Tensor) -> Tensor:
    """Return the directions `(columns, K)` that separate the classes: W^-1 M, where M are the means `(K, columns)`,
    transposed, and W = A'A / N + r I for centered inputs A `(N, columns)`.

    With more columns than examples, W^-1 M = (M - A' (A A' + N r I)^-1 A M) / r (Woodbury, 1950).
    """
    count, columns = apart.shape
    ridge = RIDGE * float(apart.square().sum(dim=1).double().sum()) / apart.numel()
    # Where all examples of each class are the same, there is no variance to take a fraction of.
    ridge += torch.finfo(apart.dtype).eps * float(means.square().mean()) + torch.finfo(apart.dtype).tiny
    if columns <= min(count, MAX_EQUATIONS):
        within = apart.T @ apart / count
        within.diagonal().add_(ridge)
        weights: Tensor = torch.linalg.solve(within, means.T)
        return weights
    between = apart @ apart.T
    between.diagonal().add_(count * ridge)
    shared: Tensor = torch.linalg.solve(between, apart @ means.T)
    return (means.T - apart.T @ shared) / ridge
