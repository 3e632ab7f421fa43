"""The slices of an evaluated split on which a classifier is significantly worse."""

from __future__ import annotations

import torch

from nnclassify.data.base import Dataset
from nnclassify.evaluation.properties import properties_of
from nnclassify.evaluation.slices import Slice, weak_slices
from nnclassify.evaluation.totals import exact
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.predictions import Predicted


def slices_of(classifier: Classifier, predicted: Predicted, dataset: Dataset) -> list[Slice]:
    """Return the slices on which the accuracy is significantly lower than on the other examples of a split.

    Args:
        classifier: The trained network.
        predicted: The split, and what was predicted for it.
        dataset: The dataset that the split was read from.
    """
    examples, evaluation = predicted.examples, predicted.evaluation
    properties = properties_of(examples, classifier.class_names, classifier.transform, dataset.file_of)
    right = exact(evaluation.predictions, evaluation.targets).numpy()
    return weak_slices(
        right, evaluation.losses.double().numpy(), properties, lambda rows: examples.names_of(torch.from_numpy(rows))
    )
