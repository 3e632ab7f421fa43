"""Plot a confusion matrix: with numbers if they are readable, else next to a list of its largest entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nnclassify.evaluation.confusion import largest_confusions
from nnclassify.inference.display_names import num_columns, readable_names
from nnclassify.inference.plots.figures import QUIET, WRONG, title

Counts = np.ndarray[Any, np.dtype[np.int64]]

MAX_NUMBERED = 20
"""Maximum number of classes for a number in each cell."""
MAX_CELLS = 100
"""Maximum number of class names along a side of the matrix."""
NAME_INCHES = 0.085
"""Width of a column of text."""
MAX_LISTED = 30
"""Number of confusions listed next to a matrix without numbers."""


def confusion(counts: Sequence[Sequence[int]], class_names: Sequence[str], run: str = "") -> Figure:
    """Draw the confusion matrix, with each row colored by its fractions."""
    draw = _numbered if len(class_names) <= MAX_NUMBERED else _listed
    figure = draw(np.array(counts), class_names)
    num_correct, count = int(np.trace(counts)), int(np.sum(counts))
    figure.suptitle(title(run, f"confusion matrix, {num_correct:,} of {count:,} examples right"))
    return figure


def _numbered(matrix: Counts, class_names: Sequence[str]) -> Figure:
    names = readable_names(class_names, 30)
    side, margin = max(3.0, 0.5 * len(names)), NAME_INCHES * max(map(num_columns, names))
    is_upright = margin > side / len(names)
    size = (side + margin + 2.5, side + (margin if is_upright else 0) + 1.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = _draw_matrix(axes, matrix)
    axes.set_xticks(range(len(names)), names, fontsize=9, rotation=90 if is_upright else 0)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set(xlabel="predicted class", ylabel="true class")
    for (row, column), count in np.ndenumerate(matrix):
        color = "white" if count > 0.5 * matrix[row].sum() else "black" if count else QUIET
        axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9 if count < 1e4 else 6.5)
    _add_bar(figure, axes, image)
    return figure


def _listed(matrix: Counts, class_names: Sequence[str]) -> Figure:
    """Draw cells without numbers (of several classes each if there are very many) and list the largest confusions."""
    names = readable_names(class_names, 24)
    step = -(-len(names) // MAX_CELLS)
    starts = range(0, len(names), step)
    blocks = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)
    side, margin = 2.5 + 0.09 * len(starts), NAME_INCHES * max(map(num_columns, names))
    figure = Figure(figsize=(side + 2 * margin + 5.0, max(side + margin, 6.5)), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=[side, 3.2])
    image = _draw_matrix(axes, blocks)
    axes.set_xticks(range(len(starts)), names[::step], fontsize=7, rotation=90)
    axes.set_yticks(range(len(starts)), names[::step], fontsize=7)
    of_block = "" if step == 1 else f" (in groups of {step}; the first of each is named)"
    axes.set(xlabel=f"predicted class{of_block}", ylabel=f"true class{of_block}")
    _add_bar(figure, axes, image)
    _list_largest(beside, matrix, names)
    return figure


def _draw_matrix(axes: Axes, matrix: Counts) -> AxesImage:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)


def _add_bar(figure: Figure, axes: Axes, image: AxesImage) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.6, format=PercentFormatter(1.0))
    bar.set_label("share of the true class")


def _list_largest(axes: Axes, matrix: Counts, names: Sequence[str]) -> None:
    """Draw bars for the largest confusions, each with the number of examples of the true class."""
    largest = largest_confusions(matrix.tolist(), MAX_LISTED)
    axes.set_title("largest confusions: true → predicted", fontsize=10)
    if not largest:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no mistake", ha="center", transform=axes.transAxes)
        return
    supports = matrix.sum(axis=1)
    bars = axes.barh(range(len(largest)), [entry.count for entry in largest], color=WRONG, alpha=0.75)
    axes.bar_label(bars, [f"{entry.count} of {supports[entry.target]}" for entry in largest], fontsize=8, padding=3)
    labels = [f"{names[entry.target]} → {names[entry.predicted]}" for entry in largest]
    axes.set_yticks(range(len(largest)), labels, fontsize=8)
    axes.set_ylim(max(len(largest), 15) - 0.4, -0.6)
    axes.set_xlim(0, largest[0].count * 1.35)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
