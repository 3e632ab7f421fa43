"""Properties by which the examples of a split are divided into slices: class, group, column, brightness, size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.tables.encoding import EPOCH, AnyColumn, DateColumn, OneHotColumn, OrdinalColumn, YesNoColumn
from nnclassify.data.transform import Transform
from nnclassify.errors import InputError
from nnclassify.evaluation.slices import UNKNOWN, Numbers, Property
from nnclassify.files.images.image_format import look_at

MAX_COLUMNS = 200
"""Tables of more columns are not divided by them: with so many slices, none is significant."""
MAX_VALUES = 2**22
"""Values of columns, or pixels, that are read; of a larger split, the properties of evenly spaced examples are known.
"""
MAX_FILES = 500
"""Image files whose sizes are read."""
SIDE, CHUNK = 32, 2048
"""Side to which larger images are thinned out for their brightness, and images at a time."""


def properties_of(
    examples: Examples, class_names: Sequence[str], transform: Transform, file_of: Callable[[str], Path | None]
) -> list[Property]:
    """Return the properties of the examples of a split that are known without waiting.

    Args:
        examples: The split, of N examples.
        class_names: The names of the classes.
        transform: The transform, which knows the columns of a table.
        file_of: Returns the image file of an example by its name; None if it is unknown.
    """
    found = [*_classes(examples.all_targets(), class_names)]
    if examples.groups is not None:
        codes = examples.groups.codes[examples.indices.cpu().numpy()]
        found.append(Property("group", examples.groups.names, codes))
    if transform.image_format is not None:
        found += _of_images(examples, transform.image_format.max_value)
        found.append(_of_sizes(examples, file_of))
    elif len(transform.input_shape) == 1:
        found += _of_columns(examples, transform)
    return found


def _classes(targets: Tensor, class_names: Sequence[str]) -> Iterator[Property]:
    """Yield the class; with multi-hot targets, whether an example belongs to each class."""
    if targets.ndim == 1:
        yield Property("class", class_names, targets.cpu().numpy())
        return
    for name, is_of in zip(class_names, targets.T.cpu().numpy().astype(np.int64), strict=True):
        yield Property(f"class {name}", ["no", "yes"], is_of)


def _spread(given: Property, rows: Tensor, count: int) -> Property:
    """Return a property of some rows as one of all examples, unknown for the others."""
    codes = np.full(count, UNKNOWN, dtype=np.int64)
    codes[rows.numpy()] = given.codes
    return replace(given, codes=codes)


def _of_images(examples: Examples, white: int) -> Iterator[Property]:
    """Yield brightness and contrast: mean and standard deviation of the pixels, as percentages of white.

    Images that are decoded whenever they are used are not decoded once more.
    """
    if type(examples.inputs) is not torch.Tensor:
        return
    step = math.ceil(max(examples.inputs.shape[-2:]) / SIDE)
    thinned = examples.inputs[:, :, ::step, ::step]
    rows = examples.spaced_rows(max(1, MAX_VALUES // max(1, math.prod(thinned.shape[1:]))))
    parts = [thinned[part].flatten(1).float() for part in examples.indices.cpu()[rows].split(CHUNK)]
    means, deviations = ([part.mean(dim=1) for part in parts], [part.std(dim=1, correction=0) for part in parts])
    for name, values in (("brightness", means), ("contrast", deviations)):
        shares = torch.cat(values).double().numpy() * (100 / white)
        yield _spread(Property.of_numbers(name, shares, lambda share: f"{share:.3g}%"), rows, len(examples))


def _of_sizes(examples: Examples, file_of: Callable[[str], Path | None]) -> Property:
    """Return the shorter side of the image files; that of an image that has no file, or no longer, is unknown."""
    rows = examples.spaced_rows(MAX_FILES)

    def side(path: Path | None) -> float:
        try:
            return math.nan if path is None else look_at(path, lambda image: float(min(image.size)))
        except InputError:
            return math.nan

    sides = np.array([*map(side, map(file_of, examples.names_of(rows)))])
    found = Property.of_numbers("shorter side", sides, lambda pixels: f"{pixels:.0f} pixels")
    return _spread(found, rows, len(examples))


def _of_columns(examples: Examples, transform: Transform) -> Iterator[Property]:
    """Yield the columns of a table."""
    if transform.num_columns > MAX_COLUMNS:
        return
    rows = examples.spaced_rows(max(1, MAX_VALUES // transform.input_shape[0]))
    values = examples.select(rows)[0].cpu().double().numpy()
    if transform.encoder is None:
        names = transform.feature_names or [f"feature {number}" for number in range(1, values.shape[1] + 1)]
        found = [Property.of_numbers(*column) for column in zip(names, values.T, strict=True)]
    else:
        columns = zip(transform.encoder.columns, transform.encoder.slices, strict=True)
        found = [given for column, place in columns for given in _of_column(column, values[:, place])]
    yield from (_spread(given, rows, len(examples)) for given in found)


def _of_column(column: AnyColumn, features: Numbers) -> Iterator[Property]:
    """Yield the properties of a column, of its features `(B, k)`."""
    is_missing = features[:, -1] == 1 if column.marks_missing else np.zeros(len(features), dtype=np.bool_)
    for given in _known_of_column(column, np.where(is_missing[:, None], np.nan, features)):
        if not is_missing.any():
            yield given
            continue
        codes = np.where(is_missing, len(given.labels), given.codes)
        yield Property(given.name, [*given.labels, "missing"], codes)


def _known_of_column(column: AnyColumn, features: Numbers) -> Iterator[Property]:
    """Yield the properties of a column; features of missing values are NaN."""
    if isinstance(column, OneHotColumn):
        indicators = np.nan_to_num(features[:, : len(column.categories) + 1])
        yield Property(column.name, [*column.categories, "other"], indicators.argmax(axis=1))
    elif isinstance(column, OrdinalColumn | YesNoColumn):
        labels = column.categories if isinstance(column, OrdinalColumn) else ("no", "yes")
        yield Property.of_numbers(column.name, features[:, 0], lambda place: labels[int(place)])
    elif isinstance(column, DateColumn):
        for part, name, values in zip(column.parts, column.feature_names(), features.T, strict=False):
            if part == "days":
                yield Property.of_numbers(column.name, values, lambda days: f"{EPOCH + timedelta(days=days):%Y-%m-%d}")
            else:
                yield Property.of_numbers(name, values, lambda value: f"{value:g}")
    else:
        yield Property.of_numbers(column.name, column.unscaled(features[:, 0]))
