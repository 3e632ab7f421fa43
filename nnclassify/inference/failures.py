"""Where a classifier fails: its mistakes by name, the slices on which it is worse, the columns that it relies on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnclassify.data import Examples
from nnclassify.data.base import Dataset
from nnclassify.evaluation.properties import properties_of
from nnclassify.evaluation.slices import Property, Slice, weak_slices
from nnclassify.evaluation.totals import exact
from nnclassify.inference.attribution import ColumnImportance
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.mistakes import Mistake, named_mistakes
from nnclassify.inference.predictions import Predicted


@dataclass(frozen=True)
class Failures:
    """Where a classifier fails on a split.

    Attributes:
        highest: The mistakes with the highest loss.
        lowest: Of the other mistakes, those with the lowest loss.
        slices: The slices on which it is significantly less accurate than on the other examples.
        columns: The importance of the columns of a table; None if it was not asked for.
    """

    highest: Sequence[Mistake] = ()
    lowest: Sequence[Mistake] = ()
    slices: Sequence[Slice] = ()
    columns: Sequence[ColumnImportance] | None = None

    def figures(self) -> dict[str, Any]:
        """Return the failures for JSON: see `Mistakes`."""
        return {
            "mistakes": {"highest_loss": self.highest, "lowest_loss": self.lowest},
            "slices": [part.figures() for part in self.slices],
            **({} if self.columns is None else {"importance": self.columns}),
        }


def failures_of(
    classifier: Classifier,
    predicted: Predicted,
    properties: Sequence[Property],
    columns: Sequence[ColumnImportance] | None = None,
) -> Failures:
    """Find out where a classifier fails on a split.

    Args:
        classifier: The trained network.
        predicted: The split, and what was predicted for it.
        properties: What divides its examples: see `slicing_properties`.
        columns: The importance of the columns, if it was asked for.
    """
    mistakes = named_mistakes(predicted, classifier.class_names)
    return Failures(*mistakes, slices_of(predicted, properties), columns)


def slicing_properties(
    classifier: Classifier, split: str, examples: Examples, dataset: Dataset, by: Sequence[str] = ()
) -> list[Property]:
    """Return what divides the examples of a split into slices.

    Args:
        classifier: The trained network.
        split: The name of the split.
        examples: Its examples.
        dataset: The dataset that they were read from.
        by: Columns of the table that are no features, but divide the examples too.

    Raises:
        DataError: There is no such column.
    """
    properties = properties_of(examples, classifier.class_names, classifier.transform, dataset.file_of)
    known = {one.name for one in properties}
    return properties + [
        Property.of_texts(column, dataset.column_texts(column, split, examples)) for column in by if column not in known
    ]


def slices_of(predicted: Predicted, properties: Sequence[Property]) -> list[Slice]:
    """Return the slices on which the accuracy is significantly lower than on the other examples of a split."""
    examples, evaluation = predicted.examples, predicted.evaluation
    right = exact(evaluation.predictions, evaluation.targets).numpy()
    return weak_slices(
        right, evaluation.losses.double().numpy(), properties, lambda rows: examples.names_of(torch.from_numpy(rows))
    )
