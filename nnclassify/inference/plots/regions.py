"""Plot the plane of two features, colored by the predicted class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from nnclassify.data import Examples
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.display_names import num_columns, readable, readable_names
from nnclassify.inference.plots.figures import COLORS, QUIET, add_legend, title

Values = np.ndarray[Any, np.dtype[np.float64]]

GRID = 200
"""Number of grid points along each side of the plane."""
MAX_POINTS = 1000
MAX_PROBABILITIES = 4_000_000
"""Maximum number of probabilities in memory at a time."""
MARKERS = "os^DvPX<>p"
MAX_NAME, MAX_NAME_IN_PLANE = 24, 16
NAME_WIDTH, NAME_HEIGHT = 0.012, 0.032
"""Width of a column and height of a line of a name, as fractions of the plane."""


def decision_regions(classifier: Classifier, examples: Examples, run: str = "") -> Figure:
    """Draw the plane with some of the examples; up to ten classes have a legend, more are named in the plane.

    The paler a color, the lower the probability of the predicted class.
    """
    inputs, targets = examples.select(examples.spaced_rows(MAX_POINTS))
    points = inputs.double().numpy()
    x, y = _side(points[:, 0]), _side(points[:, 1])
    labels, shares = _predicted(classifier, x, y)
    num_classes = len(classifier.class_names)
    has_legend = num_classes <= len(COLORS)
    palette = np.array([to_rgb(COLORS[color]) for color in _coloring(labels, num_classes)])
    figure = Figure(figsize=(7, 6.4), layout="constrained")
    axes = figure.subplots()
    plane, extent = _faded(labels, shares, palette), (x[0], x[-1], y[0], y[-1])
    axes.imshow(plane, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    if num_classes == 2 and len(np.unique(labels)) == 2:
        axes.contour(x, y, np.where(labels == 1, shares, 1 - shares), levels=[0.5], colors="black", linewidths=1)
    names = readable_names(classifier.class_names, MAX_NAME if has_legend else MAX_NAME_IN_PLANE)
    if has_legend:
        _points_by_class(figure, axes, points, targets.numpy(), palette, names)
    else:
        axes.scatter(points[:, 0], points[:, 1], s=8, color=palette[targets.numpy()], edgecolor="black", linewidth=0.3)
        _name_regions(axes, labels, names)
    features = classifier.transform.feature_names or ["x", "y"]
    axes.set_xlabel(readable(features[0], 60))
    axes.set_ylabel(readable(features[1], 60))
    figure.suptitle(title(run, "decision regions"))
    return figure


def _side(values: np.ndarray) -> np.ndarray:
    """Return the coordinates of the grid along one feature: the range of the points, with a margin."""
    low, high = values.min(), values.max()
    margin = 0.25 * (high - low) or max(abs(low), 1.0) * 1e-3
    return np.linspace(low - margin, high + margin, GRID)


def _predicted(classifier: Classifier, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted class of each grid point and its probability, `(GRID, GRID)` each, rows from the bottom."""
    plane = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
    chunks = plane.split(max(1, MAX_PROBABILITIES // len(classifier.class_names)))
    shares, labels = zip(*(classifier.probabilities(chunk).max(dim=1) for chunk in chunks), strict=True)
    return torch.cat(labels).reshape(GRID, GRID).numpy(), torch.cat(shares).double().reshape(GRID, GRID).numpy()


def _coloring(labels: np.ndarray, num_classes: int) -> list[int]:
    """Choose a color for each class: distinct if there are enough colors, else distinct from neighboring regions."""
    colors = [index % len(COLORS) for index in range(num_classes)]
    if num_classes <= len(COLORS):
        return colors
    pairs = np.concatenate([np.stack([labels[1:], labels[:-1]], -1), np.stack([labels.T[1:], labels.T[:-1]], -1)])
    neighbors = defaultdict(set)
    for one, other in np.unique(pairs.reshape(-1, 2), axis=0).tolist():
        neighbors[one].add(other)
        neighbors[other].add(one)
    for index in sorted(neighbors):
        taken = {colors[other] for other in neighbors[index] if other < index}
        free = [color for color in range(len(COLORS)) if color not in taken]
        colors[index] = colors[index] if colors[index] in free or not free else free[index % len(free)]
    return colors


def _faded(labels: np.ndarray, shares: np.ndarray, palette: np.ndarray) -> Values:
    """Return the colors of the plane for imshow: those of the classes, paler where the probability is lower."""
    chance = 1 / len(palette)
    certainty = ((shares - chance) / (1 - chance)).clip(0, 1)
    strength = 0.12 + 0.34 * certainty[..., None]
    colors: Values = 1 - strength * (1 - palette[labels])
    return colors


def _points_by_class(
    figure: Figure, axes: Axes, points: np.ndarray, targets: np.ndarray, palette: np.ndarray, names: Sequence[str]
) -> None:
    """Draw the points of each class with a color and a marker, and a legend."""
    handles = []
    for index, marker in zip(range(len(names)), MARKERS, strict=False):
        x, y = points[targets == index].T
        style = {"color": palette[index], "marker": marker, "edgecolor": "black", "linewidth": 0.5}
        handles.append(axes.scatter(x, y, s=24, **style))
    widest = max(map(num_columns, names))
    add_legend(figure, handles, names, columns=max(1, min(6, 66 // (widest + 5))), heading="class")


def _name_regions(axes: Axes, labels: np.ndarray, names: Sequence[str]) -> None:
    """Write class names into the plane, for the largest regions first, where they fit without overlap."""
    taken: list[tuple[float, float, float]] = []
    for index in np.bincount(labels.ravel(), minlength=len(names)).argsort(kind="stable")[::-1].tolist():
        rows, columns = np.nonzero(labels == index)
        half = NAME_WIDTH / 2 * num_columns(names[index])
        if len(rows) < half * NAME_HEIGHT * labels.size:  # it would cover twice its region
            continue
        middle = np.hypot(rows - np.median(rows), columns - np.median(columns)).argmin()
        x, y = np.clip(columns[middle] / GRID, half, 1 - half), rows[middle] / GRID
        if all(abs(x - u) > half + other or abs(y - v) > NAME_HEIGHT for u, v, other in taken):
            taken.append((x, y, half))
            text = axes.text(x, y, names[index], fontsize=8, ha="center", va="center", transform=axes.transAxes)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    if len(taken) < len(names):
        axes.set_title(f"{len(taken)} of {len(names):,} classes are named", fontsize=9, color=QUIET)
