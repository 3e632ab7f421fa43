"""Where a classifier fails: its mistakes by name, the slices on which it is worse, the columns that it relies on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnclassify.data.base import Dataset
from nnclassify.evaluation.properties import properties_of
from nnclassify.evaluation.slices import Property, Slice, weak_slices
from nnclassify.evaluation.totals import exact
from nnclassify.inference.attribution import ColumnImportance, column_importance
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
        """Return the failures for JSON."""
        return {
            "mistakes": {"highest_loss": self.highest, "lowest_loss": self.lowest},
            "slices": [part.figures() for part in self.slices],
            **({} if self.columns is None else {"importance": self.columns}),
        }


def failures_of(
    classifier: Classifier,
    predicted: Predicted,
    dataset: Dataset,
    by: Sequence[str] = (),
    *,
    with_importance: bool = False,
) -> Failures:
    """Find out where a classifier fails on a split; see `slices_of`.

    Raises:
        DataError: There is no column of a name in `by`.
        InputError: The importance of columns is asked for, but the network takes no table.
    """
    columns = column_importance(classifier, predicted.examples) if with_importance else None
    mistakes = named_mistakes(predicted, classifier.class_names)
    return Failures(*mistakes, slices_of(classifier, predicted, dataset, by), columns)


def slices_of(classifier: Classifier, predicted: Predicted, dataset: Dataset, by: Sequence[str] = ()) -> list[Slice]:
    """Return the slices on which the accuracy is significantly lower than on the other examples of a split.

    Args:
        classifier: The trained network.
        predicted: The split, and what was predicted for it.
        dataset: The dataset that the split was read from.
        by: Columns of the table that are no features, but divide the examples too.

    Raises:
        DataError: There is no such column.
    """
    examples, evaluation = predicted.examples, predicted.evaluation
    properties = properties_of(examples, classifier.class_names, classifier.transform, dataset.file_of)
    known = {one.name for one in properties}
    for column in by:
        if column not in known:
            properties.append(Property.of_texts(column, dataset.column_texts(column, predicted.split, examples)))
    right = exact(evaluation.predictions, evaluation.targets).numpy()
    return weak_slices(
        right, evaluation.losses.double().numpy(), properties, lambda rows: examples.names_of(torch.from_numpy(rows))
    )
