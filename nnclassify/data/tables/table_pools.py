"""From tables that were read to the examples that splits are drawn from, encoded once the training split is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from nnclassify.data.base import RawDataset
from nnclassify.data.labels import matched
from nnclassify.data.names import ExampleNames
from nnclassify.data.splitting import Groups, Rows
from nnclassify.data.tables.csv_table import Table
from nnclassify.data.tables.encoding import AnyColumn, NumberColumn
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.data.unsplit import Loaded, UnsplitExamples
from nnclassify.errors import DataError, LabelError, some


class TablePools:
    """The examples of one or several tables with the same columns.

    What the columns need to know, such as categories and the values that replace missing ones, is fixed by the rows
    that are taken first, which are those of the training split.

    Args:
        encoder: That of a run whose columns these are; None: there is none yet.
        may_be_missing: Whether missing values are replaced.
    """

    def __init__(self, encoder: TableEncoder | None, *, may_be_missing: bool) -> None:
        self.encoder = encoder
        self.may_be_missing = may_be_missing
        self.notes: list[str] = []

    def pool(self, table: Table, rows: Rows | None = None, prefix: str = "") -> UnsplitExamples:
        """Return the examples of a table, or of some of its rows.

        Args:
            table: The table.
            rows: The rows; None: all of them.
            prefix: What the names of the examples begin with, where other tables have the same ones.
        """
        import torch

        names = ExampleNames(prefix, lines=torch.from_numpy(table.lines))
        names = names.with_texts(table.aside["id"]) if "id" in table.aside else names
        targets, values, times = table.targets, table.values, table.times
        groups = Groups.of(table.aside["group"]) if "group" in table.aside else None
        if rows is not None:
            names, targets, values = names.at(torch.from_numpy(rows)), targets[rows], values[rows]
            groups = groups and groups.at(rows)
            times = None if times is None else times[rows]
        is_plain = (
            self.encoder is None
            and not self.may_be_missing
            and all(isinstance(raw.column, NumberColumn) and raw.column.is_plain for raw in table.columns)
        )
        of_rows = partial(self._take, replace(table, values=values))
        return UnsplitExamples(targets, torch.from_numpy(values) if is_plain else of_rows, names, groups, times)

    def _take(self, table: Table, rows: Rows) -> Loaded:
        """Return the features `(N, num_features)` of rows of a table."""
        import torch

        values = table.values[rows]
        if self.encoder is None:
            self.encoder = self._fitted(table, values)
        self.notes += [f"{table.where}: {note}" for note in self.encoder.unseen(table.columns, values)]
        return Loaded(torch.from_numpy(self.encoder.matrix(table.columns, values)), rows, np.arange(len(rows)))

    def _fitted(self, table: Table, values: np.ndarray) -> TableEncoder:
        """Return the encoder for values of the training split."""
        columns, problems = [], []
        for index, raw in enumerate(table.columns):
            try:
                columns.append(raw.fitted(values[:, index], may_be_missing=self.may_be_missing))
            except DataError as error:
                problems.append(f"{table.where}: {error}")
        if problems:
            raise DataError(problems)
        replaced = [f"{column.name!r} by {_shown(column)}" for column in columns if column.marks_missing]
        if replaced:
            self.notes.append(
                f"{table.where}: missing values are replaced, and marked by a feature: {', '.join(replaced)}"
            )
        return TableEncoder(tuple(columns))

    def finish(self, source: RawDataset) -> RawDataset:
        """Add what is known once all splits are taken."""
        if self.encoder is None or self.encoder.is_plain:
            return source
        names = self.encoder.feature_names
        return replace(source, feature_names=names, encoder=self.encoder, notes=[*source.notes, *self.notes])


def _shown(column: AnyColumn) -> str:
    """Return what replaces the missing values of a column, for a note."""
    return f"{float(column.fill or 0):g}" if isinstance(column, NumberColumn) else repr(column.fill)


def in_classes_of(table: Table, class_names: list[str], where: str) -> Table:
    """Return the table with the class indices of another table.

    Raises:
        LabelError: It has a class that the other does not have.
    """
    if table.targets.ndim == 2:
        return table
    place = matched(table.class_names, class_names)
    if new := [repr(name) for name, index in zip(table.class_names, place, strict=True) if index is None]:
        raise LabelError(f"{where}: class {some(new, 5)} is not one of the training file's: {some(class_names, 10)}")
    return replace(table, targets=np.array(place, dtype=np.int64)[table.targets])
