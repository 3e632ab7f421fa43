"""What looks odd about the columns of a table: those that number the rows, and those that give the label away."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from nnclassify.data.splitting import Labels, Values
from nnclassify.data.transform import CONSTANT

FEW_ROWS = 10
"""In fewer rows, consecutive numbers are a coincidence."""
MANY_ROWS = 20
"""In fewer rows, a column with a value per class is a coincidence."""
MOST_NOTES = 10
MARKERS = [float(sign * (10**digits - 1)) for digits in range(2, 7) for sign in (-1, 1)]
"""Numbers that often stand for a missing value: -99, 99, -999 and so on."""
MANY_VALUES = 10_000
"""As many rows tell where most values of a column lie."""
COLLAPSED = 1e-6
"""Of a column's range: float32 tells values apart that differ by a little less."""

_IDENTIFIER = re.compile(
    r"(.*[_ .-])?(id|index|idx|row|rowid|rownum|row_?number|row_?names?|key|uuid)|unnamed: ?\d+|(?-i:.*[a-z]I[dD])",
    re.I,
)


def is_unnamed(name: str) -> bool:
    """Return whether a column has no name, or a name that table libraries give to unnamed columns."""
    return not name or re.fullmatch(r"Unnamed: \d+(_level_\d+)?|__index_level_\d+__", name) is not None


def is_identifier(name: str) -> bool:
    """Return whether a column has a name that is usual for identifiers of rows, such as `patient_id` or `PatientId`."""
    return _IDENTIFIER.fullmatch(name) is not None


@np.errstate(over="ignore")
def numbers_the_rows(column: Values) -> bool:
    """Return whether a column consists of consecutive whole numbers, one per row, in any order."""
    is_long = len(column) >= FEW_ROWS and column.max() - column.min() == len(column) - 1
    return bool(is_long) and is_index(column)


def is_index(column: Values) -> bool:
    """Return whether a column consists of whole numbers, a different one in each row."""
    return len(column) > 1 and bool((column == np.floor(column)).all()) and len(np.unique(column)) == len(column)


def scaled(values: Values) -> Values:
    """Return columns divided by powers of two, in -1..1: nothing is rounded, and no square or float32 overflows."""
    _, exponents = np.frexp(np.abs(values).max(axis=0))
    found: Values = np.ldexp(values, -exponents)
    return found


@np.errstate(over="ignore")
def outlier_notes(names: Sequence[str], values: Values, lines: Labels) -> list[str]:
    """Return one line per column whose other values are lost next to a few outliers, such as a missing-data marker."""
    if len(values) < FEW_ROWS:
        return []
    low, high = values.min(axis=0), values.max(axis=0)
    with np.errstate(over="ignore"):
        wide = high - low
    some = values[:: max(1, len(values) // MANY_VALUES)]
    least, most = np.quantile(some, (0.1, 0.9), axis=0, method="nearest")
    notes = []
    for index in np.flatnonzero((most > least) & ((most - least) < COLLAPSED * wide)).tolist():
        column = values[:, index]
        row = int(np.argmax(np.abs(column - np.median(some[:, index]))))
        notes.append(
            f"column {names[index]!r}: next to {column[row]:.6g} in line {lines[row]}, all other values are "
            "practically equal: if it stands for a missing value, fill it in or remove the row"
        )
    return _first(notes)


def marker_notes(names: Sequence[str], values: Values) -> list[str]:
    """Return one line per number such as -999 that probably stands for a missing value: several rows have it, and it is
    further from all other values of its column than they are from each other."""
    smallest, largest = np.fmin.reduce(values, initial=np.inf), np.fmax.reduce(values, initial=-np.inf)
    notes = []
    for index in np.flatnonzero(np.isin([smallest, largest], MARKERS).any(axis=0)).tolist():
        column = values[:, index]
        others = column[~np.isin(column, MARKERS)]
        low, high = np.fmin.reduce(others, initial=np.inf), np.fmax.reduce(others, initial=-np.inf)
        for marker in sorted({smallest[index], largest[index]}.intersection(MARKERS)):
            count = int((column == marker).sum())
            if count > 1 and low < high and max(low - marker, marker - high) > high - low:
                notes.append(
                    f"column {names[index]!r}: {marker:.0f} in {count} rows, far from all other values ({low:.6g} to "
                    f"{high:.6g}): if it stands for a missing value, leave the field empty"
                )
    return _first(notes)


@np.errstate(over="ignore")
def flat_notes(names: Sequence[str], values: Values) -> list[str]:
    """Return one line per column whose values differ, but by so little that `normalize: standard` takes them for
    constant."""
    low, high = values.min(axis=0, initial=np.inf), values.max(axis=0, initial=-np.inf)
    notes = []
    for index in np.flatnonzero((high > low) & (high - low < COLLAPSED * np.abs(low))).tolist():
        mean, std = values[:, index].mean(), values[:, index].std()
        if std <= CONSTANT * abs(mean):
            notes.append(
                f"column {names[index]!r}: values from {low[index]:.17g} to {high[index]:.17g} differ by rounding "
                "alone, so the column is taken for constant; if they mean something, subtract an offset from them"
            )
    return _first(notes)


@np.errstate(over="ignore")
def column_notes(names: Sequence[str], values: Values, targets: Labels, texts: Collection[str] = ()) -> list[str]:
    """Return one line per column that probably should not be learned from; of `texts`, the values are codes of the
    texts."""
    consecutive = values.max(axis=0, initial=-np.inf) - values.min(axis=0, initial=np.inf) == len(values) - 1
    same_as_label = np.any([give_away(values, column) for column in np.atleast_2d(targets.T)], axis=0)
    notes = []
    for index, name in enumerate(names):
        shown = f"column {name!r}" if name else f"column {index + 1} (no name)"
        is_number = name not in texts
        if is_number and consecutive[index] and numbers_the_rows(values[:, index]):
            found = "numbers the rows"
        elif (
            is_number and (not name or _IDENTIFIER.fullmatch(name)) and len(np.unique(values[:, index])) == len(values)
        ):
            found = "has a different value in every row, like an identifier"
        elif same_as_label[index]:
            found = "reveals the label: it has a different value for each class, or marks one, as others do"
        else:
            continue
        notes.append(f"{shown} {found}; if it is not a property of the examples, remove it from dataset.features")
    return _first(notes)


def give_away(values: Values, targets: Labels) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for each column whether it is the label in other words, alone or with others.

    Such a column has one value for each class, and as many as there are classes; or it marks one class and others mark
    the other ones (one-hot), also where the label itself is one of these columns.

    Args:
        values: The columns, `(N, num_columns)`.
        targets: The class of each row, `(N,)`.
    """
    classes, first, place = np.unique(targets, return_index=True, return_inverse=True)
    found = np.zeros(values.shape[1], dtype=np.bool_)
    if len(targets) < MANY_ROWS or len(classes) < 2:
        return found
    marked: dict[int, int] = {}
    for index in np.flatnonzero((values[:MANY_ROWS] == values[first][place[:MANY_ROWS]]).all(axis=0)).tolist():
        of_class = values[first, index]
        levels, level, counts = np.unique(of_class, return_inverse=True, return_counts=True)
        if len(levels) > 1 and (values[:, index] == of_class[place]).all():
            found[index] = len(levels) == len(classes)
            if len(levels) == 2 and counts.min() == 1:
                marked[index] = int(np.flatnonzero(counts[level] == 1)[0])
    if len({*marked.values()}) >= len(classes) - 1:
        found[[*marked]] = True
    if len(classes) == 2:
        found[_others_of_one_hot(values, place == 0)] = True
        found[_others_of_one_hot(values, place == 1)] = True
    return found


def _others_of_one_hot(values: Values, is_set: np.ndarray[Any, np.dtype[np.bool_]]) -> Labels:
    """Return the columns of two values of which exactly one is set in each row where the label is not, and none where
    it is."""
    off = values[is_set][0]
    others = np.flatnonzero((values[is_set] == off).all(axis=0))
    on = values[~is_set][:, others] != off[others]
    is_used = on.any(axis=0) & np.array([len(np.unique(values[:, index])) == 2 for index in others], dtype=np.bool_)
    is_one_hot = is_used.sum() > 1 and (on[:, is_used].sum(axis=1) == 1).all()
    return others[is_used] if is_one_hot else others[:0]


def _first(notes: list[str]) -> list[str]:
    """Return the first notes, and how many there are beyond them."""
    return notes[:MOST_NOTES] + ([f"and {len(notes) - MOST_NOTES} more such columns"] if notes[MOST_NOTES:] else [])
