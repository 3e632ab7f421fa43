"""Reads targets: class indices from 0 or 1, labels -1 and 1, floats, one-hot rows, and multi-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnclassify.data.splitting import Labels
from nnclassify.errors import DataError, LabelError, MissingValueError, some

if TYPE_CHECKING:
    from torch import Tensor


def class_indices(labels: Labels, classes: Sequence[int], path: str) -> Labels:
    """Convert labels `(N,)` to class indices `(N,)`; multi-hot targets `(N, K)` are checked.

    Args:
        labels: The labels.
        classes: The label, or the column, of each class.
        path: The file of the labels.

    Raises:
        LabelError: A label is not a class, or the number of columns is wrong.
    """
    if labels.ndim == 2:
        if labels.shape[1] != len(classes):
            raise LabelError(f"{path}: {labels.shape[1]} columns of targets; expected {len(classes)}, one per class")
        return labels
    order = np.array(classes)
    places = np.searchsorted(order, labels).clip(max=len(order) - 1)
    if (strange := np.flatnonzero(order[places] != labels)).size:
        expected = f"{order[0]}..{order[-1]}" if order[0] >= 0 else "-1 or 1"
        row = int(strange[0])
        raise LabelError(f"{path}: label {labels[row]} of example {row} is not a class; expected {expected}")
    return places.astype(np.int64)


NUMBER_ANEW = "number the labels 0, 1, ..., or write them as texts (labels.astype(str))"
"""What to do with labels that are names rather than indices."""


def numbering_of(labels: Labels, num_names: int | None, path: str, notes: list[str]) -> list[int]:
    """Return the label, or the column, of each class: labels are numbered from 0, from 1, or as -1 and 1.

    Args:
        labels: Labels of the training examples, `(N,)`, or multi-hot targets `(N, K)`.
        num_names: Number of classes that the config names, or None.
        path: File of the labels.
        notes: List to which a line is appended if the labels do not begin with 0.

    Raises:
        DataError: A label is too large for every class to have an example.
    """
    if labels.ndim == 2:
        return list(range(num_names or labels.shape[1]))
    highest = int(labels.max(initial=-1))
    known = set(np.unique(labels).tolist())
    if num_names in (None, highest) and 1 <= highest == len(known) and min(known) == 1:
        notes.append(f"{path}: labels 1..{highest} are the {highest} classes; there is no class 0")
        return list(range(1, highest + 1))
    if num_names in (None, 2) and known == {-1, 1}:
        notes.append(f"{path}: labels -1 and 1 are the two classes")
        return [-1, 1]
    if num_names is None and highest >= max(len(labels), 1):
        raise DataError(
            f"{path}: label {highest} among {len(labels)} examples; expected 0, 1, ..., each at least "
            f"once; {NUMBER_ANEW}"
        )
    if num_names is None and min(known, default=0) >= 0 and (gaps := sorted({*range(highest)} - known)):
        absent = some([*map(str, gaps)], 5)
        raise LabelError(f"{path}: no training examples of class {absent}; add examples, or {NUMBER_ANEW}")
    return list(range(num_names or max(highest + 1, 1)))


def read_labels(targets: Tensor, path: str, notes: list[str]) -> Labels:
    """Read labels as integers `(N,)`.

    Args:
        targets: Integers `(N,)` or `(N, 1)`, by type or by value; or one-hot rows `(N, K)`.
        path: File of the targets.
        notes: List to which a line is appended if the targets are not integers `(N,)` by type.

    Raises:
        LabelError: They are something else, such as several classes per example, class probabilities or measurements.
        MissingValueError: A value is NaN or infinite.
    """
    found = f"{path}: {targets.dtype} of shape {tuple(targets.shape)}"
    if targets.is_complex() or targets.ndim not in (1, 2) or (targets.ndim == 2 and targets.shape[1] == 0):
        raise LabelError(f"{found}; expected class indices: integers (N,)")
    if targets.is_floating_point() and not (finite := targets.isfinite()).all():
        row = int((~finite.reshape(len(targets), -1).all(dim=1)).nonzero()[0])
        raise MissingValueError(f"{path}: example {row} holds NaN or infinity; expected a class index")
    if targets.ndim == 2 and targets.shape[1] > 1:
        return _from_one_hot(targets, path, notes)
    if targets.ndim == 2:
        notes.append(f"{found}, read as {len(targets)} class indices")
    flat = targets.reshape(-1)
    if flat.is_floating_point():
        if (broken := (flat != flat.floor()).nonzero()).numel():
            row = int(broken[0])
            raise LabelError(
                f"{path}: {flat[row].item():g} of example {row} is not a class index; expected whole numbers (a "
                "network that predicts measurements is not a classifier)"
            )
        notes.append(f"{path}: class indices written as {targets.dtype}, read as integers")
    return flat.long().numpy()


def read_multi_hot(targets: Tensor, path: str) -> Labels:
    """Read multi-hot targets `(N, K)`: any number of ones per row.

    Args:
        targets: 0 and 1, of any number type.
        path: File of the targets.

    Raises:
        LabelError: They are something else.
    """
    found = f"{path}: {targets.dtype} of shape {tuple(targets.shape)}"
    if targets.ndim != 2 or targets.shape[1] < 2:
        raise LabelError(f"{found}; expected multi-hot targets (N, K), one column of 0 and 1 per class")
    ones = targets == 1
    if (strange := (~(ones | (targets == 0))).nonzero()).numel():
        row, column = strange[0].tolist()
        value = targets[row, column].item()
        raise LabelError(
            f"{path}: {value:g} of example {row}, class {column}; expected 0 or 1 (dataset.targets: multi_hot)"
        )
    return ones.long().numpy()


def _from_one_hot(targets: Tensor, path: str, notes: list[str]) -> Labels:
    """Return the column of the 1 in each one-hot row `(N, K)`."""
    found = f"{path}: {targets.dtype} of shape {tuple(targets.shape)}"
    ones = targets == 1
    if not (ones | (targets == 0)).all():
        raise LabelError(f"{found}; expected class indices (N,), or one-hot rows of 0 and 1")
    counts = ones.sum(dim=1)
    if (several := (counts != 1).nonzero()).numel():
        row = int(several[0])
        raise LabelError(
            f"{found}: row {row} has {int(counts[row])} ones; expected one class per example; if an example may have "
            "several classes or none, set dataset.targets: multi_hot"
        )
    notes.append(f"{found}, read as one-hot rows of {targets.shape[1]} classes")
    return ones.int().argmax(dim=1).numpy()
