"""An .npz file of arrays: which are inputs and targets, and a network that suits them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnclassify.config.suggest.document import Entry, Suggestion
from nnclassify.config.suggest.images import TEST, VALIDATION, cnn_entries, suggested_blocks, validation_entry
from nnclassify.config.suggest.recipe import loss_entries
from nnclassify.config.suggest.tables import mlp_entries
from nnclassify.data.tensor_files import Tensors
from nnclassify.errors import DataError, InputError, counted, some

if TYPE_CHECKING:
    from nnclassify.data import Splits

INPUTS = ("x", "inputs", "input", "images", "image", "data", "features", "arr_0")
TARGETS = ("y", "targets", "target", "labels", "label", "classes", "class", "arr_1")
"""Names of arrays, in lower case: as they are, or with `train` or `test` before or behind them."""


def suggest_for_arrays(path: str, name: str) -> Suggestion:
    """Look at the arrays of an .npz file, and suggest a config.

    Raises:
        InputError: The arrays' names do not tell inputs from targets.
        DataError: The file is damaged, or its arrays cannot be learned from.
    """
    names = _array_names(path)
    train = _pair(names, "train") or _pair(names, "")
    if train is None:
        raise InputError(
            f"{path}: holds the arrays {some(names, 10)}; expected inputs and targets, such as x and y, or x_train, "
            "y_train, x_test and y_test; otherwise write a config with dataset: {name: tensors, ...}"
        )
    test = _pair(names, "test")
    files = {"train_inputs": train[0], "train_targets": train[1]}
    files |= {"test_inputs": test[0], "test_targets": test[1]} if test else {}
    keys = {key: f"{path}:{array}" for key, array in files.items()}
    held_out = {} if test else {"test": TEST}
    splits = Tensors.model_validate({"name": "tensors", **keys, **held_out}).build(0)
    dataset = [Entry("name", "tensors"), *(Entry(key, file) for key, file in keys.items())]
    dataset.append(validation_entry(len(splits.train) / (1 - VALIDATION)))
    if not test:
        dataset.append(Entry("test", TEST, "fraction of all examples; reported at the end, selects nothing"))
    return Suggestion(name, _found(path, names, splits), [Entry("dataset", dataset), *_network_entries(splits)])


def _array_names(path: str) -> list[str]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return list(arrays.files)
    except Exception as cause:  # zipfile, struct and numpy each raise their own
        raise DataError(f"{path}: cannot be read as .npz ({cause}); expected arrays that numpy.savez wrote") from cause


def _pair(names: Sequence[str], split: str) -> tuple[str, str] | None:
    """The names of the inputs and targets of a split; an empty split stands for names without one."""
    by_key = {name.lower().replace("-", "_"): name for name in names}

    def find(wanted: Sequence[str]) -> str | None:
        forms = [form for word in wanted for form in ((word,) if not split else (f"{word}_{split}", f"{split}_{word}"))]
        return next((by_key[form] for form in forms if form in by_key), None)

    inputs, targets = find(INPUTS), find(TARGETS)
    return None if inputs is None or targets is None else (inputs, targets)


def _network_entries(splits: Splits) -> list[Entry]:
    counts, shape, num_train = splits.class_counts(), splits.input_shape, len(splits.train)
    if len(shape) == 3 and min(shape[1:]) >= 4:
        blocks, recipe = suggested_blocks(num_train, *shape)
        model = cnn_entries(blocks, *shape[1:])
    else:
        model, recipe = mlp_entries(num_train, math.prod(shape))
    return [
        Entry("model", model),
        *loss_entries(counts),
        Entry("optimizer", {"name": "adamw", "lr": 0.002, "weight_decay": 0.01}),
        Entry("scheduler", "one_cycle"),
        *recipe.entries(),
    ]


def _found(path: str, names: Sequence[str], splits: Splits) -> list[str]:
    counts = zip(splits.class_names, splits.class_counts(), strict=True)
    classes = some([f"{name} {count:,}" for name, count in counts], 10)
    shape, kind = "x".join(map(str, splits.input_shape)), str(splits.train.inputs.dtype).removeprefix("torch.")
    return [
        f"{path}: {counted(len(names), 'array')} ({some(names, 10)}); inputs of shape {shape}, {kind}",
        f"{path}: {counted(splits.num_classes, 'class')} in {len(splits.train):,} training examples: {classes}",
        *splits.notes,
    ]
