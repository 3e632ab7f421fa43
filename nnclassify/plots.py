"""The pictures of a run. Each function draws one figure; `save_plots` draws those that fit a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from nnclassify.datasets import Examples
from nnclassify.errors import SaveError, one_line
from nnclassify.evaluate import Classifier, Evaluation
from nnclassify.history import Row
from nnclassify.storage import write_whole

LOSS, ACCURACY = "#c44e52", "#4c72b0"
CLASS_COLORS = ["#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c", "#ccb974",
                "#64b5cd"]  # fmt: skip
NUM_SAMPLES = 25
NUM_MISTAKES = 5
MAX_ANNOTATED_CLASSES = 20
MAX_POINTS = 1000
GRID = 200
"""Points along each side of the plane on which decision regions are drawn."""


def save_plots(
    folder: Path,
    rows: Sequence[Row],
    best_epoch: int,
    classifier: Classifier,
    examples: Examples | None,
    evaluation: Evaluation | None,
    *,
    redraw: bool = True,
) -> list[Path]:
    """Draw what fits the run into `folder`: curves always; the others from the test split where there is one.

    Args:
        folder: Where.
        rows: The history.
        best_epoch: The epoch of the classifier.
        classifier: The trained net.
        examples: The test split.
        evaluation: Its figures.
        redraw: Whether to draw plots again that are there already.

    Raises:
        SaveError: A file could not be written.
    """
    jobs: dict[str, Callable[[], Figure]] = {"curves": lambda: curves(rows, best_epoch)}
    if examples is not None and evaluation is not None:
        jobs["confusion"] = lambda: confusion(evaluation.confusion, classifier.class_names)
        if classifier.transform.picture is not None:
            jobs["samples"] = lambda: samples(examples, evaluation, classifier.class_names)
            jobs["mistakes"] = lambda: mistakes(examples, evaluation, classifier.class_names)
        if classifier.transform.input_shape == (2,):
            jobs["decision_regions"] = lambda: decision_regions(classifier, examples)
    paths = []
    try:
        folder.mkdir(exist_ok=True)
        for name, draw in jobs.items():
            path = folder / f"{name}.png"
            if redraw or not path.is_file():
                paths.append(save(draw(), path))
    except OSError as cause:
        raise SaveError(f"{folder}: plots not saved ({one_line(cause)}); free space or mend permissions") from cause
    return paths


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, in the format that the file's ending names.

    Raises:
        SaveError: It could not be written.
    """
    FigureCanvasAgg(figure)
    options: dict[str, Any] = {"dpi": 120, "bbox_inches": "tight", "pad_inches": 0.15}
    try:
        write_whole(path, lambda file: figure.savefig(file, format=path.suffix[1:] or "png", **options))
    except ValueError as cause:  # matplotlib's, of a format that it does not know
        raise SaveError(f"{path}: not drawn ({one_line(cause)}); name a .png file") from cause
    return path


def curves(rows: Sequence[Row], best_epoch: int) -> Figure:
    """Loss and accuracy over the epochs, on twin axes; solid: training, dashed: validation."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    twin = axes.twinx()
    epochs = [row.epoch for row in rows]
    marker = "o" if len(rows) == 1 else None
    _curve(axes, epochs, [row.train_loss for row in rows], LOSS, "-", "training loss", marker)
    _curve(twin, epochs, [row.train_accuracy for row in rows], ACCURACY, "-", "training accuracy", marker)
    _curve(axes, epochs, [row.validation_loss for row in rows], LOSS, "--", "validation loss", marker)
    _curve(twin, epochs, [row.validation_accuracy for row in rows], ACCURACY, "--", "validation accuracy", marker)
    if len(rows) > 1:
        axes.axvline(best_epoch, color="#999999", linewidth=1, linestyle=":", label=f"best epoch ({best_epoch})")
    axes.set(xlabel="epoch", ylim=(0, None))
    axes.set_ylabel("loss", color=LOSS)
    twin.set_ylabel("accuracy", color=ACCURACY)
    twin.set_ylim(0, 1.02)
    twin.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [*axes.get_lines(), *twin.get_lines()]
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _curve(
    axes: Axes,
    epochs: Sequence[int],
    values: Sequence[float | None],
    color: str,
    style: str,
    label: str,
    marker: str | None = None,
) -> None:
    if values and values[0] is not None:
        drawn = [np.nan if value is None else value for value in values]
        axes.plot(epochs, drawn, color=color, linestyle=style, label=label, marker=marker)


def confusion(counts: list[list[int]], class_names: Sequence[str]) -> Figure:
    """The confusion matrix, each row coloured by its share; numbers where they can be read."""
    matrix = np.array(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    few = len(class_names) <= MAX_ANNOTATED_CLASSES
    side = min(12.0, 2.5 + 0.5 * len(class_names)) if few else 9.0
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted class", ylabel="true class")
    if few:
        ticks = range(len(class_names))
        axes.set_xticks(ticks, class_names)
        if max(map(len, class_names)) > 3:
            for label in axes.get_xticklabels():
                label.set(rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, class_names)
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1.0))
    bar.set_label("share of the true class")
    return figure


def samples(examples: Examples, evaluation: Evaluation, class_names: Sequence[str]) -> Figure:
    """Pictures from all over the split with their predictions: green is right, red is wrong."""
    count = min(NUM_SAMPLES, len(examples))
    rows = torch.linspace(0, len(examples) - 1, count).long()
    columns = min(5, count)
    figure = Figure(figsize=(1.9 * columns, 2.2 * -(-count // columns)), layout="constrained")
    _pictures(figure, -(-count // columns), columns, examples, rows, evaluation, class_names)
    return figure


def mistakes(examples: Examples, evaluation: Evaluation, class_names: Sequence[str]) -> Figure:
    """The wrong predictions of the highest loss (above) and of the lowest (below); none is shown twice."""
    wrong = _wrong(examples, evaluation)
    if len(wrong) == 0:
        figure = Figure(figsize=(6, 2))
        figure.text(0.5, 0.5, f"no mistake in {len(examples)} pictures", ha="center", va="center", fontsize=14)
        return figure
    ranked = wrong[evaluation.losses[wrong].argsort(descending=True, stable=True)]
    highest = ranked[:NUM_MISTAKES]
    lowest = ranked[NUM_MISTAKES:].flip(0)[:NUM_MISTAKES]
    groups = [("highest", highest), ("lowest", lowest)] if len(lowest) else [("highest", highest)]
    figure = Figure(figsize=(1.9 * NUM_MISTAKES, 2.7 * len(groups)), layout="constrained")
    for part, (which, rows) in zip(np.asarray(figure.subfigures(len(groups), 1)).ravel(), groups, strict=True):
        part.suptitle(f"wrong predictions of the {which} loss ({len(wrong)} of {len(examples)} are wrong)", fontsize=10)
        _pictures(part, 1, NUM_MISTAKES, examples, rows, evaluation, class_names)
    return figure


def _wrong(examples: Examples, evaluation: Evaluation) -> Tensor:
    return (evaluation.probabilities.argmax(1) != examples.all_targets()).nonzero()[:, 0]


def _pictures(
    figure: FigureBase,
    num_rows: int,
    num_columns: int,
    examples: Examples,
    rows: Tensor,
    evaluation: Evaluation,
    class_names: Sequence[str],
) -> None:
    """A grid of pictures, titled with the predicted class, its probability, and the true class where it differs."""
    grid = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for axes in grid:
        axes.set_axis_off()
    inputs, targets = examples.select(rows)
    for axes, picture, target, row in zip(grid, inputs, targets.tolist(), rows.tolist(), strict=False):
        axes.imshow(_displayed(picture), cmap="gray", interpolation="nearest")
        label = int(evaluation.probabilities[row].argmax())
        title = f"{_short(class_names[label])} {float(evaluation.probabilities[row, label]):.0%}"
        title += "" if label == target else f"\nis {_short(class_names[target])}"
        axes.set_title(title, fontsize=9, color="#2a7f3f" if label == target else "#b03030")


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "…"


def _displayed(picture: Tensor) -> np.ndarray:
    """`(C, H, W)` of any number type as what imshow takes, from the darkest value to the brightest."""
    values = picture.float()
    if picture.dtype == torch.uint8:
        values = values / 255
    else:
        low, high = values.min(), values.max()
        values = (values - low) / (high - low).clamp_min(1e-12)
    return (values[0] if len(values) == 1 else values.permute(1, 2, 0)).numpy()


def decision_regions(classifier: Classifier, examples: Examples) -> Figure:
    """The plane of two features, coloured by the predicted class, with the split's points on it."""
    inputs, targets = examples.select(torch.arange(min(MAX_POINTS, len(examples))))
    points = inputs.double()
    low, high = points.amin(0), points.amax(0)
    margin = 0.25 * (high - low).clamp_min(1e-9)
    x = torch.linspace(float(low[0] - margin[0]), float(high[0] + margin[0]), GRID, dtype=torch.float64)
    y = torch.linspace(float(low[1] - margin[1]), float(high[1] + margin[1]), GRID, dtype=torch.float64)
    plane = torch.cartesian_prod(x, y)
    probabilities = classifier.probabilities(plane).reshape(GRID, GRID, -1)
    colors = [CLASS_COLORS[index % len(CLASS_COLORS)] for index in range(len(classifier.class_names))]
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    extent = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    axes.imshow(_blend(probabilities, colors), origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    if len(colors) == 2:
        share = probabilities[..., 1].T.numpy()
        if share.min() < 0.5 < share.max():
            axes.contour(x.numpy(), y.numpy(), share, levels=[0.5], colors="black", linewidths=1)
    for index, name in enumerate(classifier.class_names):
        chosen = points[targets == index]
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=22,
            color=colors[index],
            edgecolor="white",
            linewidth=0.6,
            label=name,
        )
    names = classifier.transform.feature_names or ["x", "y"]
    axes.set(xlabel=names[0], ylabel=names[1])
    figure.legend(loc="outside upper center", ncols=min(6, len(colors)), frameon=False, title="class")
    return figure


def _blend(probabilities: Tensor, colors: Sequence[str]) -> np.ndarray:
    """Each point's colour: the classes' colours mixed by probability, lightened, as `(GRID, GRID, 3)` for imshow."""
    palette = torch.tensor(ListedColormap(colors)(range(len(colors)))[:, :3])
    mixed = probabilities.double() @ palette
    return (1 - 0.45 * (1 - mixed)).clamp(0, 1).transpose(0, 1).numpy()


def compared_curves(histories: Mapping[str, Sequence[Row]]) -> Figure:
    """The curves of several runs over one another: loss at the left, accuracy at the right."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, (name, rows) in enumerate(histories.items()):
        color = CLASS_COLORS[index % len(CLASS_COLORS)]
        epochs = [row.epoch for row in rows]
        marker = "o" if len(rows) == 1 else None
        _curve(left, epochs, [row.train_loss for row in rows], color, "-", name, marker)
        _curve(left, epochs, [row.validation_loss for row in rows], color, "--", "_", marker)
        _curve(right, epochs, [row.train_accuracy for row in rows], color, "-", "_", marker)
        _curve(right, epochs, [row.validation_accuracy for row in rows], color, "--", "_", marker)
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper center", ncols=4, frameon=False, title="solid: training, dashed: validation")
    return figure
