"""Checks of the splits before training: what cannot be learned from, and notes on what is unusual."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from nnclassify.data.examples import Examples
from nnclassify.data.splitting import Labels, counts_of
from nnclassify.data.unsplit import Drawn
from nnclassify.errors import DataError, LabelError, counted, some

COMPARED_AT_ONCE = 256
"""Images compared at a time: different images almost always differ within the first few."""


def check_different(train: Examples, where: str) -> None:
    """Reject training images that are all identical, which means that they were not read as intended.

    Raises:
        DataError: All images are identical.
    """
    if len(train) < 2:
        return
    first = train.inputs.index_select(0, train.indices[:1])[0]
    for rows in train.indices.split(COMPARED_AT_ONCE):
        if (train.inputs.index_select(0, rows) != first).any():
            return
    value = f"{first.flatten()[0].item():g}"
    shown = f"every pixel is {value}" if (first == first.flatten()[0]).all() else "pixel for pixel"
    raise DataError(
        f"{where}: all {len(train)} training images are identical after reading ({shown}); expected images that "
        "differ (only the upper 8 bits of 16-bit color images are read)"
    )


def check_range(targets: Labels, class_names: list[str], where: str) -> None:
    """Reject labels that are not classes.

    Raises:
        LabelError: A label is not in 0..num_classes - 1.
    """
    if len(targets) and (targets.min() < 0 or targets.max() >= len(class_names)):
        row = int(np.flatnonzero((targets < 0) | (targets >= len(class_names)))[0])
        raise LabelError(
            f"{where}: label {targets[row]} of example {row} is not a class; expected 0..{len(class_names) - 1}"
        )


def divided_groups(drawn: Mapping[str, Drawn]) -> Iterator[str]:
    """Yield a note for each pair of splits with examples of the same group, which only given splits can have."""
    found = {name: one.pool.groups.among(one.rows) for name, one in drawn.items() if one.pool.groups is not None}
    for (first, groups), (second, others) in itertools.combinations(found.items(), 2):
        if shared := sorted(groups & others):
            yield f"{counted(len(shared), 'group')} in both {first} and {second} (dataset.group): {some(shared, 5)}"


def older_examples(drawn: Mapping[str, Drawn]) -> Iterator[str]:
    """Yield a note for each split with examples that are not newer than the training examples; see `divided_groups`."""
    times = {name: one.pool.times[one.rows] for name, one in drawn.items() if one.pool.times is not None}
    train = times.pop("train", np.empty(0))
    for name, found in times.items() if len(train) else ():
        if count := int((found <= train.max()).sum()):
            yield f"{count} of {len(found)} {name} examples are not newer than all of train (dataset.time)"


def ever_present(targets: Labels, class_names: list[str]) -> list[str]:
    """Return one line per class that every training example has; this occurs with multi-hot targets only."""
    full = counts_of(targets, len(class_names)) == len(targets)
    return [
        f"every training example has class {name!r}, so there is nothing to learn for it"
        for name, is_full in zip(class_names, full, strict=True)
        if is_full
    ]


def untested(targets: Labels, class_names: list[str], *, by_folds: bool) -> list[str]:
    """Return a line that names the classes without test examples, which are rare, or in few groups."""
    counts = counts_of(targets, len(class_names))
    rare = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    found = f"no example of class {some(rare, 5)} in the test split"
    larger = "decrease dataset.folds" if by_folds else "increase dataset.test"
    return [f"{found}: its metrics cover the other classes only; add examples, or {larger}"] if rare else []


def check_classes(
    targets: Labels, class_names: list[str], where: str, skipped: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Reject training targets that a classifier cannot learn from.

    Args:
        targets: The class of each training example.
        class_names: The classes.
        where: The file or folder of the labels.
        skipped: The reason for each example that could not be read.

    Raises:
        DataError: There are no examples, or only one class.
        LabelError: A class has no examples.
    """
    reasons = [*skipped.values()]
    hint = f" ({counted(len(reasons), 'example')} could not be read; the first: {reasons[0]})" if reasons else ""
    if len(targets) == 0:
        raise DataError(f"{where}: no training examples{hint}; expected at least one of each class")
    if len(class_names) < 2:
        raise DataError(f"{where}: only one class ({', '.join(class_names)}); expected at least two classes")
    counts = counts_of(targets, len(class_names))
    if empty := [name for name, count in zip(class_names, counts, strict=True) if count == 0]:
        raise LabelError(
            f"{where}: no training examples of class {some(empty, 5)}{hint}; add examples, increase `limit`, or remove "
            "the class"
        )
