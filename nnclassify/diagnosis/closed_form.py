"""What a net must beat, in closed form and in well under a second: a linear model, and always the majority."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.datasets import Examples, Splits
from nnclassify.transforms import Transform

MAX_EXAMPLES, MAX_SIDE = 10_000, 16
"""Training examples that are used at most, and the side that larger pictures are averaged down to: a linear model of
CIFAR-10 loses nothing by it, and takes a tenth of the time."""
RIDGE = 0.01
"""Share of the mean variance that is added to each: inputs that repeat one another make the equations singular."""


@dataclass(frozen=True)
class Baselines:
    """Accuracies on the test split, or on what stands in for it.

    Attributes:
        linear: Of a linear discriminant (Fisher, 1936; Hastie, Tibshirani and Friedman, 2009, section 4.3).
        majority: Of always naming the commonest class of the training split.
        linear_by_class: Of the linear discriminant, the mean accuracy of the classes.
    """

    linear: float
    majority: float
    linear_by_class: float


def baselines(splits: Splits, transform: Transform, judged: Examples) -> Baselines:
    """Fit on the training split and judge on a split."""
    inputs, targets = _features(splits.train, transform)
    test_inputs, test_targets = _features(judged, transform)
    counts = targets.bincount(minlength=splits.num_classes)
    share = counts.to(inputs.dtype) / len(targets)
    sums = torch.zeros(splits.num_classes, inputs.shape[1], dtype=inputs.dtype).index_add_(0, targets, inputs)
    means = sums / counts.clamp(min=1)[:, None]
    apart = inputs - means[targets]
    within = apart.T @ apart / len(targets)
    within.diagonal().add_(RIDGE * within.diagonal().mean() + torch.finfo(within.dtype).tiny)
    weights = torch.linalg.solve(within, means.T)
    offsets = share.log() - 0.5 * (means.T * weights).sum(dim=0)
    predictions = (test_inputs @ weights + offsets).argmax(dim=1)
    hits = (predictions == test_targets).double()
    return Baselines(
        linear=float(hits.mean()),
        majority=float((share.argmax() == test_targets).double().mean()),
        linear_by_class=sum(float(hits[test_targets == label].mean()) for label in test_targets.unique())
        / len(test_targets.unique()),
    )


def _features(examples: Examples, transform: Transform) -> tuple[Tensor, Tensor]:
    """Inputs `(N, features)`, large pictures averaged down, and targets `(N,)`."""
    rows = torch.linspace(0, len(examples) - 1, min(MAX_EXAMPLES, len(examples))).long()
    inputs: list[Tensor] = []
    for part in rows.split(1024):
        raw, _ = examples.select(part)
        prepared = transform(raw, torch.float32)
        if prepared.ndim == 4 and prepared[0].numel() > 4 * MAX_SIDE**2:
            prepared = functional.adaptive_avg_pool2d(prepared, MAX_SIDE)
        inputs.append(prepared.flatten(start_dim=1))
    return torch.cat(inputs), examples.all_targets()[rows]
