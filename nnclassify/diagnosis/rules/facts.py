"""Facts about the data, gathered within a second: counts, order, scales, constant columns, repeated examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnclassify.data import Splits
from nnclassify.data.duplicates import Contents, Duplicate
from nnclassify.data.splitting import strata
from nnclassify.data.transform import Transform
from nnclassify.diagnosis.audit.columns import FEWEST as FEWEST_ROWS
from nnclassify.diagnosis.audit.columns import revealing_columns
from nnclassify.evaluation.baselines import commonest

MAX_SAMPLE, MAX_FEATURES = 2000, 100
"""Maximum number of examples that scales are measured on, and of features of a table whose columns are judged alone."""


@dataclass(frozen=True)
class DataFacts:
    """Facts about the data.

    Attributes:
        num_examples: The number of training examples.
        class_counts: The number of training examples of each class.
        majority: The frequency of the most common class; with multi-hot targets, of the most common row.
        order: Class changes from one training example to the next, relative to a random order: about 1 if examples
            are shuffled, near 0 if they are sorted by class.
        class_order: The classes in order of first appearance in the training split; with multi-hot targets, the
            strata.
        largest: The largest absolute value of a normalized input.
        scales: The standard deviation of each normalized column (tables) or channel (images) over the sample.
        constant: Indices of columns, before they are encoded, with the same value in all splits; tables only.
        duplicates: The examples of the validation and test splits that are identical to one of an earlier split.
        num_repeated: The number of test examples that are identical to a training example.
        repeated: Their fraction of the test examples.
        repeated_within: The fraction of training examples that occur twice in the training split.
        repeated_by_chance: The fraction of examples that would equal another training example if the columns of the
            table were independent of each other; 0 for images.
        distinct: The largest number of distinct values of any one input in the sample.
        contradicted: The fraction of all examples that are identical to one with another label.
        revealing: Columns of a table that give the label away, each with what it predicts alone, in words.
        shape: The shape of an example: `(C, H, W)` for images.
    """

    num_examples: int
    class_counts: tuple[int, ...]
    majority: float
    order: float
    class_order: tuple[int, ...]
    largest: float
    scales: tuple[float, ...]
    constant: tuple[int, ...]
    duplicates: tuple[Duplicate, ...]
    num_repeated: int
    repeated: float
    repeated_within: float
    repeated_by_chance: float
    distinct: int
    contradicted: float = 0.0
    revealing: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    @property
    def scale_ratio(self) -> float:
        """The largest scale of a column divided by the smallest of a column that is not constant."""
        scales = [scale for scale in self.scales if scale > 0]
        return max(scales) / min(scales) if scales else 1.0


def data_facts(splits: Splits, transform: Transform) -> DataFacts:
    """Gather the facts in one pass over the data."""
    train = splits.train
    raw, _ = train.select(train.spaced_rows(MAX_SAMPLE))
    sample = transform(raw, torch.float64)
    flat = sample.reshape(len(sample), -1)
    is_table = sample.ndim == 2 and flat.shape[1] <= MAX_FEATURES
    groups = torch.from_numpy(strata(train.all_targets().numpy()))
    contents = Contents(splits)
    found = tuple(contents.duplicates())
    num_repeated = sum((one.split, one.other_split) == ("test", "train") for one in found)
    return DataFacts(
        num_examples=len(train),
        class_counts=tuple(splits.class_counts()),
        majority=commonest(train.all_targets())[1],
        order=_order(groups, splits.num_classes + 1),
        class_order=tuple(dict.fromkeys(groups.tolist())),
        largest=float(sample.abs().max()),
        scales=_scales(sample, transform),
        constant=_constant(splits) if sample.ndim == 2 else (),
        duplicates=found,
        num_repeated=num_repeated,
        repeated=num_repeated / len(splits.test) if splits.test else 0.0,
        repeated_within=1 - len(np.unique(contents.hashes["train"])) / len(train),
        repeated_by_chance=_repeated_by_chance(raw.numpy(), len(train)) if is_table else 0.0,
        distinct=max(len(flat[:, column].unique()) for column in _some(flat.shape[1])),
        contradicted=_contradicted(contents),
        revealing=_revealing(splits) if is_table else (),
        shape=tuple(sample.shape[1:]),
    )


def _revealing(splits: Splits) -> tuple[str, ...]:
    """What is said of each column of the training split that gives the label away."""
    train = splits.train
    if splits.is_multi_hot or len(train) < FEWEST_ROWS:
        return ()
    raw, targets = train.select(train.spaced_rows(MAX_SAMPLE))
    return tuple(flag.detail for flag in revealing_columns(raw, targets.numpy(), splits))


def _repeated_by_chance(rows: np.ndarray[Any, Any], num_examples: int) -> float:
    """Return the expected fraction of rows that equal one of `num_examples` others whose columns are independent."""
    chance = np.ones(len(rows))
    for column in rows.T:
        _, values, counts = np.unique(column, return_inverse=True, return_counts=True)
        chance *= (counts[values] - 1) / max(len(rows) - 1, 1)
    return float((1 - (1 - chance) ** num_examples).mean())


def _contradicted(contents: Contents) -> float:
    """The fraction of all examples whose content has several labels."""
    labels = strata(np.concatenate([part.all_targets().numpy() for part in contents.parts.values()]))
    content = np.unique(np.concatenate([*contents.hashes.values()]), return_inverse=True)[1]
    pairs = np.unique(np.stack([content, labels]), axis=1)
    return float((np.bincount(pairs[0])[content] > 1).mean())


def _scales(sample: Tensor, transform: Transform) -> tuple[float, ...]:
    """Return the standard deviations of columns or channels that are normalized: indicators of categories are not."""
    scales = sample.std(dim=[dim for dim in range(sample.ndim) if dim != 1], correction=0).tolist()
    features = [None] * len(scales) if transform.encoder is None else transform.encoder.features
    return tuple(
        scale for scale, feature in zip(scales, features, strict=True) if not (feature and feature.keeps_scale)
    )


def _some(count: int, most: int = 50) -> list[int]:
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, most))})


def _order(targets: Tensor, num_groups: int) -> float:
    """Class changes between neighbors divided by their expectation in a random order, (N - 1)(1 - sum of p^2)."""
    shares = targets.bincount(minlength=num_groups).double() / len(targets)
    expected = (len(targets) - 1) * float(1 - shares.square().sum())
    return float((targets[1:] != targets[:-1]).sum()) / expected if expected > 0 else 1.0


def _constant(splits: Splits) -> tuple[int, ...]:
    parts = [part for part in (splits.train, splits.validation, splits.test) if part is not None]
    lows = torch.stack([part.inputs[part.indices].amin(dim=0) for part in parts]).amin(dim=0)
    highs = torch.stack([part.inputs[part.indices].amax(dim=0) for part in parts]).amax(dim=0)
    is_constant: list[bool] = (lows == highs).tolist()
    if splits.encoder is not None:
        is_constant = [all(is_constant[part]) for part in splits.encoder.slices]
    return tuple(index for index, constant in enumerate(is_constant) if constant)
