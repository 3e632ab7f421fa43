"""Plot where images to predict show evidence for the prediction."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

from nnclassify.errors import DataError, InputError
from nnclassify.evaluation.percent import percent
from nnclassify.inference.attribution import heatmaps
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.display_names import readable
from nnclassify.inference.inputs import RawInput, items_of
from nnclassify.inference.plots.attribution import draw_image
from nnclassify.inference.plots.examples import CELL, MAX_LISTED
from nnclassify.inference.plots.figures import save
from nnclassify.inference.predict import reader_of

MAX_DRAWN = 12
"""Number of images that are drawn."""


def save_input_heatmaps(path: Path, classifier: Classifier, inputs: Sequence[str]) -> None:
    """Draw the first images of inputs beside the evidence for their most probable class.

    Raises:
        InputError: The network takes no images.
        DataError: None of the first inputs can be read; the message says why, a line each.
        SaveError: The file could not be written.
    """
    if classifier.transform.image_format is None:
        raise InputError("--heatmap: this network takes no images; `nnclassify plots` draws the importance of columns")
    reader = reader_of(classifier, lambda text: None)
    found = itertools.chain.from_iterable(reader.read(name, item) for name, item in items_of(list(inputs)))
    first = [*itertools.islice(found, MAX_DRAWN)]
    read = [one for one in first if one.values is not None]
    if not read:
        raise DataError([one.error for one in first if one.error is not None])
    save(lambda: input_heatmaps(classifier, read), path, [*classifier.class_names, *(one.name for one in read)])


def input_heatmaps(classifier: Classifier, inputs: Sequence[RawInput]) -> Figure:
    """Draw images that have been read, each beside the evidence for its most probable class."""
    images = torch.stack([one.values for one in inputs if one.values is not None])
    shares, classes = classifier.probabilities(images).max(dim=1)
    found = heatmaps(classifier, images, classes)
    num_columns = min(3, len(images))
    num_rows = -(-len(images) // num_columns)
    figure = Figure(figsize=(max(2 * CELL * num_columns, 6), (CELL + 0.5) * num_rows + 0.6), layout="constrained")
    figure.suptitle(f"{found.in_words()}", fontsize=10)
    grid = figure.subplots(num_rows, 2 * num_columns, squeeze=False).reshape(-1, 2)
    for axes in grid.flatten():
        axes.set_axis_off()
    for (plain, explained), one, image, values, share, label in zip(
        grid, inputs, images, found.values, shares.tolist(), classes.tolist(), strict=False
    ):
        name = readable(classifier.class_names[label], MAX_LISTED)
        draw_image(plain, image, None, readable(Path(one.name).name, MAX_LISTED))
        draw_image(explained, image, values, f"{name} ({percent(share)})")
    return figure
