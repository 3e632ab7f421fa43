"""Plot what predictions rest on: heatmaps over images, and the importance of columns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from nnclassify.errors import DataError, InputError
from nnclassify.evaluation.percent import percent
from nnclassify.inference.attribution import ColumnImportance, heatmaps
from nnclassify.inference.classifier import Classifier, reader_of
from nnclassify.inference.display_names import readable, readable_names
from nnclassify.inference.displayed_images import displayed
from nnclassify.inference.failures import ranked_mistakes
from nnclassify.inference.inputs import RawInput, items_of
from nnclassify.inference.plots.examples import CELL, MAX_LISTED, MAX_NAME, describe_one
from nnclassify.inference.plots.figures import COLORS, add_grid, save, title
from nnclassify.inference.predictions import Predicted

NUM_EXPLAINED = 6
"""Number of mistakes with heatmaps."""
FOR, AGAINST = (0.84, 0.19, 0.12), (0.13, 0.4, 0.67)
"""The colors of evidence for and against a class."""
MAX_DRAWN = 12
"""Number of images to predict that are drawn."""
MAX_COLUMNS = 25
"""Number of columns of a table, the most important ones."""


def mistake_heatmaps(classifier: Classifier, predicted: Predicted, run: str = "") -> Figure:
    """Draw the wrong predictions with the highest loss, and the evidence for the predicted and for the true class."""
    rows = ranked_mistakes(predicted.examples, predicted.evaluation)[:NUM_EXPLAINED]
    images, targets = predicted.examples.select(rows)
    labels = predicted.evaluation.predictions[rows]
    of_predicted, of_true = (heatmaps(classifier, images, classes) for classes in (labels, targets))
    names = readable_names(classifier.class_names, MAX_NAME)
    described = [
        describe_one(predicted.evaluation, int(row), target, names) for row, target in zip(rows, targets, strict=True)
    ]
    files = [readable(name, MAX_LISTED) for name in predicted.examples.names_of(rows)]
    figure = Figure(figsize=(max(CELL * len(rows), 6), (CELL + 0.3) * 3 + 0.8), layout="constrained")
    figure.suptitle(title(run, f"mistakes with the highest loss ({of_predicted.in_words()})"))
    grid = figure.subplots(3, len(rows), squeeze=False)
    for place, (image, file, (label, true)) in enumerate(zip(images, files, described, strict=True)):
        draw_image(grid[0, place], image, None, file)
        draw_image(grid[1, place], image, of_predicted.values[place], f"predicted {label}")
        draw_image(grid[2, place], image, of_true.values[place], f"true {true}")
    return figure


def draw_image(axes: Axes, image: Tensor, evidence: Tensor | None, words: str) -> None:
    """Draw an image `(C, H, W)`; with evidence `(H, W)`, in gray, and the evidence over it in color."""
    axes.set_axis_off()
    pixels = displayed(image)
    gray = pixels if evidence is None or pixels.ndim == 2 else pixels.mean(axis=2)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(words, fontsize=7.5)
    if evidence is not None:
        step = -(-evidence.shape[0] // gray.shape[0])
        values = evidence[::step, ::step].numpy()[: gray.shape[0], : gray.shape[1]]
        colors = np.where(values[..., None] >= 0, FOR, AGAINST)
        axes.imshow(np.concatenate([colors, 0.75 * np.abs(values)[..., None]], axis=2), interpolation="nearest")


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
    figure.suptitle(found.in_words(), fontsize=10)
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


def importance(columns: Sequence[ColumnImportance], run: str = "") -> Figure:
    """Draw the accuracy that is lost if a column is shuffled, the most important column first."""
    shown = columns[:MAX_COLUMNS]
    names = readable_names([column.name for column in shown], 30)
    figure = Figure(figsize=(8, 1.4 + 0.26 * max(len(shown), 4)), layout="constrained")
    more = f" ({len(shown)} of {len(columns)} columns)" if len(shown) < len(columns) else ""
    figure.suptitle(title(run, f"importance of columns{more}"))
    axes = figure.subplots()
    lost, deviations = [column.lost for column in shown], [column.deviation for column in shown]
    axes.barh(range(len(shown)), lost, xerr=deviations, color=COLORS[0], alpha=0.85, error_kw={"linewidth": 1})
    axes.set_yticks(range(len(shown)), names, fontsize=8.5)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("accuracy that is lost if the values of the column are shuffled")
    add_grid(axes, "x")
    return figure
