"""From the columns of a table to the features that a network sees, as the training split fixes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nnclassify.data.images.image_listing import clean_name
from nnclassify.data.splitting import Values
from nnclassify.data.tables.encoding import (
    MAX_NAMED,
    AnyColumn,
    Column,
    Feature,
    NumberColumn,
    NumericColumn,
    all_missing,
)
from nnclassify.data.tables.quantiles import QuantileTransform
from nnclassify.errors import DataError, counted, some

_COLUMNS: TypeAdapter[tuple[AnyColumn, ...]] = TypeAdapter(tuple[AnyColumn, ...])


@dataclass(frozen=True)
class RawColumn:
    """A column of a table before it is encoded.

    Attributes:
        column: Its kind.
        texts: The texts that its values are the indices of; None: the values are the numbers, NaN where missing.
    """

    column: AnyColumn
    texts: list[str] | None = None

    def fitted(self, values: Values, *, may_be_missing: bool) -> AnyColumn:
        """Return the column with what is fixed from values `(N,)` of the training split.

        Raises:
            DataError: There is nothing to replace a missing value by.
        """
        if isinstance(self.column, NumberColumn):
            return self.column.fitted_to(values, may_be_missing=may_be_missing)
        assert self.texts is not None
        codes, counts = np.unique(values.astype(np.int64), return_counts=True)
        rows = {self.texts[code]: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}
        present = {text: count for text, count in rows.items() if not self.column.is_missing(clean_name(text))}
        if not present:
            raise DataError(all_missing(self.column.name))
        column = self.column.fitted(present)
        if not may_be_missing:
            return column
        return replace(column, fill=column.fill_for(present), marks_missing=len(present) < len(rows))


@dataclass(frozen=True)
class TableEncoder:
    """From the columns of a table to the features that a network sees.

    Attributes:
        columns: The columns, in order.
    """

    columns: tuple[AnyColumn, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    @cached_property
    def features(self) -> list[Feature]:
        """The features, in order."""
        return [feature for column in self.columns for feature in column.features()]

    @property
    def slices(self) -> list[slice]:
        """The place of each column's features."""
        ends = [*itertools.accumulate((len(column.features()) for column in self.columns), initial=0)]
        return [slice(start, end) for start, end in itertools.pairwise(ends)]

    @property
    def feature_names(self) -> list[str]:
        """The names of the features."""
        return [feature.name for feature in self.features]

    @property
    def is_plain(self) -> bool:
        """Whether every column is a number that must be there, and so a feature as it is."""
        return all(isinstance(column, NumberColumn) and column.is_plain for column in self.columns)

    def row(
        self, texts: Sequence[str], where: str, decimal: str, note: Callable[[str], object] = lambda text: None
    ) -> list[float]:
        """Return the features of one example.

        Args:
            texts: A text for each column.
            where: Where they come from, for messages.
            decimal: The decimal mark of numbers.
            note: Receives which missing values are replaced, and which categories have no indicator of their own.

        Raises:
            DataError: A value is missing or of another kind.
        """
        found, problems = list[float](), list[str]()
        for column, text in zip(self.columns, texts, strict=True):
            try:
                found += column.encoded(text, f"column {column.name!r}", decimal)
            except DataError as error:
                problems.append(str(error))
                continue
            if column.is_missing(clean_name(text)):
                note(replaced_note(column))
            if column.is_unseen(text):
                note(_unseen(column, repr(clean_name(text))))
        if problems:
            raise DataError(f"{where}: {'; '.join(problems)}")
        return found

    def matrix(self, raw: Sequence[RawColumn], values: Values) -> Values:
        """Return the features `(N, num_features)` of a table's values `(N, num_columns)`."""
        features = np.empty((len(values), len(self.features)))
        for column, source, place, given in zip(self.columns, raw, self.slices, values.T, strict=True):
            features[:, place] = _encoded(column, source.texts, given)
        return features

    @property
    def has_quantiles(self) -> bool:
        """Whether a column of numbers has a quantile transform."""
        return any(isinstance(column, NumericColumn) and column.quantile_transform for column in self.columns)

    def unscaled(self, features: Values) -> Values:
        """Return features `(N, num_features)` with the numbers themselves in place of what quantile transforms made of
        them, as far as the training split has such numbers."""
        numbers = features.copy()
        for column, place in zip(self.columns, self.slices, strict=True):
            if isinstance(column, NumericColumn):
                numbers[:, place.start] = column.unscaled(features[:, place.start])
        return numbers

    def unseen(self, raw: Sequence[RawColumn], values: Values) -> list[str]:
        """Return one line per column on the categories of a table's values without an indicator of their own."""
        notes = []
        for index, (column, source) in enumerate(zip(self.columns, raw, strict=True)):
            if source.texts is None:
                continue
            is_unseen = np.array([column.is_unseen(text) for text in source.texts], dtype=np.bool_)
            codes = values[:, index].astype(np.int64)
            if count := int(is_unseen[codes].sum()):
                names = [repr(clean_name(source.texts[code])) for code in np.unique(codes[is_unseen[codes]]).tolist()]
                notes.append(_unseen(column, f"{some(names, MAX_NAMED)} ({counted(count, 'row')})"))
        return notes

    def state(self) -> list[dict[str, Any]]:
        """Return the columns as primitives, for a checkpoint."""
        state: list[dict[str, Any]] = _COLUMNS.dump_python(self.columns, mode="json")
        return state

    @classmethod
    def from_state(cls, state: object) -> TableEncoder:
        """Return the encoder of a `state`.

        Raises:
            ValueError: It is no such state.
        """
        columns = _COLUMNS.validate_python(state)
        for column in columns:
            if isinstance(column, NumericColumn) and column.quantile_transform == QuantileTransform():
                raise ValueError(f"no quantiles of {column.name!r}")
            if column.fill is not None and column.problem(column.fill, ".") is not None:
                raise ValueError(
                    f"{column.fill!r}, which replaces missing values of {column.name!r}, is not one of them"
                )
        return cls(columns)


def replaced_note(column: Column) -> str:
    """Return a note on a missing value of a column, which is replaced."""
    known = "and marked by a feature" if column.marks_missing else "though no value was missing in the training split"
    return f"column {column.name!r}: a missing value is replaced by {column.fill!r}, {known}"


def _unseen(column: Column, what: str) -> str:
    return (
        f"column {column.name!r}: no indicator for {what}, which the training split does not have, or too rarely; "
        f"encoded as {column.name + ' (other)'!r}"
    )


def _encoded(column: AnyColumn, texts: Sequence[str] | None, values: Values) -> Values:
    """Return the features `(N, k)` of a column's values `(N,)`, which have been checked."""
    if texts is None:
        is_missing = np.isnan(values)
        filled = column.scaled(values if column.fill is None else np.where(is_missing, float(column.fill), values))
        return np.column_stack([filled, is_missing]) if column.marks_missing else filled[:, None]
    table = np.array([column.encoded(text, column.name) for text in texts])
    encoded: Values = table[values.astype(np.int64)]
    return encoded
