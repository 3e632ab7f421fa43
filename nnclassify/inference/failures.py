"""Where a classifier fails on an evaluated split: its mistakes by name, and the slices on which it is worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.base import Dataset
from nnclassify.evaluation.properties import properties_of
from nnclassify.evaluation.slices import Property, Slice, weak_slices
from nnclassify.evaluation.totals import exact
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.predictions import Predicted
from nnclassify.inference.table_rows import TableRows

NUM_NAMED = 10
"""Mistakes with the highest and with the lowest loss that are named."""


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction.

    Attributes:
        name: The name of the example.
        true: Its class; with multi-hot targets, its classes separated by commas.
        predicted: The predicted class, or classes.
        probability: The lowest probability of the predicted classes; of none, the highest of all classes.
        loss: Its loss.
        row: Of a table, its values by column, as they are written in the file: in at most 8 columns, the one that the
            losses of the named mistakes depend on most first. Empty if the examples are no rows.
    """

    name: str
    true: str
    predicted: str
    probability: float
    loss: float
    row: dict[str, str] = field(default_factory=dict)


def ranked_mistakes(examples: Examples, evaluation: Evaluation) -> Tensor:
    """Return the rows of the wrong predictions, that with the highest loss first."""
    wrong = (~exact(evaluation.predictions, examples.all_targets())).nonzero()[:, 0]
    return wrong[evaluation.losses[wrong].argsort(descending=True, stable=True)]


def named_mistakes(
    predicted: Predicted, class_names: Sequence[str], rows_of: Callable[[Tensor], TableRows] = lambda rows: TableRows()
) -> tuple[list[Mistake], list[Mistake]]:
    """Return the mistakes with the highest loss, and of the others those with the lowest, the extreme ones first.

    Args:
        predicted: The examples, and what was predicted for them.
        class_names: The names of the classes.
        rows_of: Returns rows of a table, by their numbers `(B,)` within the split.
    """
    ranked = ranked_mistakes(predicted.examples, predicted.evaluation)
    highest, lowest = ranked[:NUM_NAMED], ranked[NUM_NAMED:].flip(0)[:NUM_NAMED]
    shown = torch.cat([highest, lowest])
    values = rows_of(shown).named() or [{} for _ in shown]
    named = list(_named(predicted, shown, class_names, values))
    return named[: len(highest)], named[len(highest) :]


def _named(
    predicted: Predicted, rows: Tensor, class_names: Sequence[str], values: Sequence[dict[str, str]]
) -> Iterator[Mistake]:
    evaluation = predicted.evaluation
    for row, name, written in zip(rows.tolist(), predicted.examples.names_of(rows), values, strict=True):
        labels, shares = evaluation.predictions[row], evaluation.probabilities[row]
        chosen = shares[_indices(labels)]
        yield Mistake(
            name,
            _in_words(evaluation.targets[row], class_names),
            _in_words(labels, class_names),
            float(chosen.min() if len(chosen) else shares.max()),
            float(evaluation.losses[row]),
            written,
        )


def _indices(labels: Tensor) -> Tensor:
    """Return the classes of a class index `()` or of a multi-hot row `(K,)`."""
    return labels[None] if labels.ndim == 0 else torch.nonzero(labels)[:, 0]


def _in_words(labels: Tensor, class_names: Sequence[str]) -> str:
    return ", ".join(class_names[label] for label in _indices(labels).tolist()) or "no class"


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
