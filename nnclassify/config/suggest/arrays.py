"""An .npz file of arrays, or .npy files in a folder: which are inputs and targets, and a network that suits them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nnclassify.config.suggest.document import Entry, Suggestion
from nnclassify.config.suggest.images import TEST, VALIDATION, cnn_entries, suggested_blocks, validation_entry
from nnclassify.config.suggest.linearity import MAX_EXAMPLES, is_linear
from nnclassify.config.suggest.recipe import loss_entries
from nnclassify.config.suggest.tables import linear_entries, mlp_entries
from nnclassify.data.array_names import array_files, named_pair
from nnclassify.data.tensor_files import Tensors, load_tensor, texts_of
from nnclassify.errors import InputError, counted, some

if TYPE_CHECKING:
    from torch import Tensor

    from nnclassify.data import Splits

MIN_SIDE, MAX_RATIO, LOOKED_AT = 8, 4, 1000
"""Pixels of the shorter side of an image at least, how many times as long the other side is at most, and the examples
whose values are looked at."""


def suggest_for_arrays(path: str, name: str) -> Suggestion:
    """Look at the arrays of an .npz file, or of the .npy files in a folder, and suggest a config.

    Raises:
        InputError: The arrays' names do not tell inputs from targets.
        DataError: The file is damaged, or its arrays cannot be learned from.
    """
    arrays = array_files(path)
    names = [*arrays]
    train = named_pair(names, "train") or named_pair(names)
    if train is None:
        holds = f"the arrays {some(names, 10)}" if names else "no arrays"
        raise InputError(
            f"{path}: holds {holds}; expected inputs and targets, such as x and y, or x_train, y_train, x_test and "
            "y_test; otherwise write a config with dataset: {name: tensors, ...}"
        )
    given = {split: pair for split in ("validation", "test") if (pair := named_pair(names, split)) is not None}
    files = {"train": train, **given}
    keys = {
        f"{split}_{kind}": arrays[array]
        for split, pair in files.items()
        for kind, array in zip(("inputs", "targets"), pair, strict=True)
    }
    held_out = {} if "test" in given else {"test": TEST}
    inputs = load_tensor(keys["train_inputs"])
    by_sides = _axes_by_sides(inputs)
    axes = by_sides if by_sides is not None and _has_pixels(inputs) else None
    options = {"name": "tensors", **keys, **held_out, "axes": axes}
    splits = Tensors.model_validate(options).build(0)
    dataset = [Entry("name", "tensors"), *(Entry(key, file) for key, file in keys.items())]
    if axes is not None:
        dataset.append(Entry("axes", axes, "read as images, by their sides and values; remove it if they are not"))
    names_array, class_names = _class_names(arrays, splits.num_classes)
    if class_names is not None:
        splits = Tensors.model_validate({**options, "class_names": class_names}).build(0)
        dataset.append(Entry("class_names", class_names, f"the array {names_array}"))
    if "validation" not in given:
        dataset.append(validation_entry(len(splits.train) / (1 - VALIDATION)))
    if "test" not in given:
        dataset.append(Entry("test", TEST, "fraction of all examples; reported at the end, selects nothing"))
    found = [*_found(path, names, splits), *_on_axes(keys["train_inputs"], inputs, splits.input_shape, by_sides, axes)]
    if unused := [array for array in names if array not in (*itertools.chain(*files.values()), names_array)]:
        found.append(f"{path}: not used: {some(unused, 10)}")
    return Suggestion(name, found, [Entry("dataset", dataset), *network_entries(splits, may_be_linear=True)])


def _axes_by_sides(inputs: Tensor) -> str | None:
    """Return the axes of inputs that have the sides of images, where their shape alone does not tell; else None."""
    axes = {3: "NHW", 4: "NHWC"}.get(inputs.ndim)
    if axes is None or inputs.numel() == 0:
        return None
    height, width, *channels = inputs.shape[1:]
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_RATIO * min(height, width):
        return None
    is_clear = all(number in (1, 3, 4) or height == width for number in channels)
    return axes if is_clear and all(number < min(height, width) for number in channels) else None


def _on_axes(
    file: str, inputs: Tensor, read_shape: tuple[int, ...], by_sides: str | None, axes: str | None
) -> list[str]:
    """Return a line on inputs with the sides of images: whether they are read as images, and how to change that."""
    if axes is not None:
        letters = ", ".join(axes)
        return [f"{file}: read as images ({letters}), by sides and values; if they are not, set dataset.axes: null"]
    if by_sides is None or read_shape != inputs.shape[1:]:
        return []
    return [
        f"{file}: not read as images, since the values are not those of pixels; if they are images, set "
        f"dataset.axes: {by_sides}"
    ]


def _has_pixels(inputs: Tensor) -> bool:
    """Return whether inputs have the values of pixels: in 0..1, or whole numbers in 0..255, or in 0..65535 of 16-bit
    images."""
    if inputs.is_complex():
        return False
    some_values = inputs[:: -(-len(inputs) // LOOKED_AT)].float()
    low, high = float(some_values.min()), float(some_values.max())
    is_whole = high > 1 and bool((some_values == some_values.floor()).all())
    return low >= 0 and (high <= 1 or (is_whole and high < 2**16))


CLASS_NAMES = ("classnames", "targetnames", "labelnames")
"""Names of arrays with the name of each class, in lower case and without `_`."""


def _class_names(arrays: Mapping[str, str], num_classes: int) -> tuple[str | None, list[str] | None]:
    """Return the array that names the classes, one text each, and the names; None if there is no such array."""
    for name, file in arrays.items():
        if name.lower().replace("_", "") in CLASS_NAMES:
            texts = texts_of(file)
            if texts is not None and len({*texts}) == len(texts) == num_classes:
                return name, texts
    return None, None


def network_entries(splits: Splits, *, may_be_linear: bool = False) -> list[Entry]:
    """Return the model, the loss, the optimizer and how long to train, suited to examples that have been read.

    Args:
        splits: The examples.
        may_be_linear: Whether examples without the shape of images may take a linear model.
    """
    counts, shape, num_train = splits.class_counts(), splits.input_shape, len(splits.train)
    num_values = math.prod(shape)
    if len(shape) == 3 and min(shape[1:]) >= 4:
        blocks, recipe = suggested_blocks(num_train, *shape)
        model = cnn_entries(blocks, *shape[1:])
    elif may_be_linear and num_train <= MAX_EXAMPLES and is_linear(splits):
        model, recipe = linear_entries(num_train, num_values, splits.num_classes)
    else:
        model, recipe = mlp_entries(num_train, num_values, splits.num_classes)
    return [
        Entry("model", model),
        *loss_entries(counts),
        *recipe.entries(),
    ]


def _found(path: str, names: Sequence[str], splits: Splits) -> list[str]:
    counts = zip(splits.class_names, splits.class_counts(), strict=True)
    classes = some([f"{name} {count:,}" for name, count in counts], 10)
    shape, kind = "x".join(map(str, splits.input_shape)), str(splits.train.inputs.dtype).removeprefix("torch.")
    return [
        f"{path}: {counted(len(names), 'array')} ({some(names, 10)}); inputs of shape {shape}, {kind}",
        f"{path}: {counted(splits.num_classes, 'class')} in {len(splits.train):,} training examples: {classes}",
    ]
