"""The rows of a table as its file has them, in the columns that matter most: what people are shown of an example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.base import Dataset
from nnclassify.errors import DataError
from nnclassify.inference.attribution import column_influence, table_columns
from nnclassify.inference.classifier import Classifier

MAX_COLUMNS = 8
"""Columns of a table that are shown."""


@dataclass(frozen=True)
class TableRows:
    """Some rows of a table.

    Attributes:
        columns: The names of the columns that are shown, the one that the losses of these rows depend on most first.
        texts: The values of each row in these columns, as they are written.
    """

    columns: list[str] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)

    def named(self) -> list[dict[str, str]]:
        """Return the values of each row by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.texts]


def table_rows(
    classifier: Classifier,
    dataset: Dataset,
    split: str,
    examples: Examples,
    rows: Tensor,
    note: Callable[[str], None] = lambda text: None,
) -> TableRows:
    """Return rows of a table; none if the examples are not rows, or their file cannot be read again.

    Args:
        classifier: The trained network.
        dataset: The dataset that the examples were read from.
        split: The name of their split.
        examples: The examples.
        rows: The rows to show, `(B,)`, numbered within the split.
        note: Called with why the file cannot be read again, on one line.
    """
    if len(classifier.transform.input_shape) != 1 or not len(rows):
        return TableRows()
    columns, influence = table_columns(classifier), column_influence(classifier, examples, rows)
    order = sorted(range(len(columns)), key=lambda index: -influence[index])[:MAX_COLUMNS]
    names = [columns[index][0] for index in order]
    chosen = examples.subset(rows)
    try:
        texts = dataset.written_rows(names, split, chosen, classifier.transform)
    except DataError as error:
        note(f"the values of rows are not shown: {error}")
        return TableRows()
    if texts is None:  # the features are all that there is
        raw = chosen.inputs.index_select(0, chosen.indices)
        if (encoder := classifier.transform.encoder) is not None:
            raw = torch.from_numpy(encoder.unscaled(raw.numpy()))
        places = [columns[index][1].start for index in order]
        texts = [[f"{value:.6g}" for value in row] for row in raw[:, places].tolist()]
    return TableRows(names, texts)
