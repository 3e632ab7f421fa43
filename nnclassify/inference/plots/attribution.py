"""Plot what predictions rest on: heatmaps over images, and the importance of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from nnclassify.inference.attribution import ColumnImportance, heatmaps
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.display_names import readable, readable_names
from nnclassify.inference.displayed_images import displayed
from nnclassify.inference.failures import ranked_mistakes
from nnclassify.inference.plots.examples import CELL, MAX_LISTED, MAX_NAME, describe_one
from nnclassify.inference.plots.figures import COLORS, add_grid, title
from nnclassify.inference.predictions import Predicted

NUM_EXPLAINED = 6
"""Number of mistakes with heatmaps."""
FOR, AGAINST = (0.84, 0.19, 0.12), (0.13, 0.4, 0.67)
"""The colors of evidence for and against a class."""
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
