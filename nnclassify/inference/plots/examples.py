"""Plot images of the test split with their predictions: evenly spaced samples, mistakes, and confused classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure, FigureBase
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.errors import counted
from nnclassify.evaluation.confusion import largest_confusions
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.totals import exact
from nnclassify.inference.display_names import readable, readable_names
from nnclassify.inference.displayed_images import displayed
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.failures import ranked_mistakes
from nnclassify.inference.plots.figures import RIGHT, WRONG, title

NUM_SAMPLES = 25
NUM_MISTAKES = 5
NUM_PAIRS = 6
COLUMNS = 5
CELL = 2.4
"""Distance of images in a row, in inches."""
WORDS = 0.75
"""Height of the text above an image, in inches."""
MAX_LISTED = 34
"""Maximum width of an example's name, or of several class names, in a cell, in columns."""
MAX_NAME = 16
"""Maximum width of a class name next to "predicted" and a probability in a cell, in columns."""


def samples(examples: Examples, evaluation: Evaluation, class_names: Sequence[str], run: str = "") -> Figure:
    """Draw evenly spaced images of the split with their predictions."""
    rows = examples.spaced_rows(NUM_SAMPLES)
    count = len(rows)
    columns = min(COLUMNS, count)
    num_rows = -(-count // columns)
    figure = Figure(figsize=(max(CELL * columns, 6), _height(examples) * num_rows + 0.5), layout="constrained")
    figure.suptitle(title(run, f"{count} of {len(examples):,} images"))
    _draw_images(figure, num_rows, columns, examples, rows, evaluation, class_names)
    return figure


def mistakes(examples: Examples, evaluation: Evaluation, class_names: Sequence[str], run: str = "") -> Figure:
    """Draw the wrong predictions with the highest loss (top) and the lowest loss (bottom), each image once."""
    ranked = ranked_mistakes(examples, evaluation)
    heading = title(run, f"{len(ranked):,} of {len(examples):,} predictions are wrong")
    if len(ranked) == 0:
        figure = Figure(figsize=(6, 2))
        figure.text(0.5, 0.5, heading, ha="center", va="center", fontsize=12, wrap=True)
        return figure
    highest = ranked[:NUM_MISTAKES]
    lowest = ranked[NUM_MISTAKES:].flip(0)[:NUM_MISTAKES]
    groups = [(which, rows) for which, rows in (("highest", highest), ("lowest", lowest)) if len(rows)]
    figure = Figure(figsize=(CELL * NUM_MISTAKES, (_height(examples) + 0.4) * len(groups) + 0.5), layout="constrained")
    figure.suptitle(heading)
    for part, (which, rows) in zip(np.asarray(figure.subfigures(len(groups), 1)).ravel(), groups, strict=True):
        part.suptitle(f"wrong predictions with the {which} loss", fontsize=10)
        _draw_images(part, 1, NUM_MISTAKES, examples, rows, evaluation, class_names)
    return figure


def confusions(examples: Examples, evaluation: Evaluation, class_names: Sequence[str], run: str = "") -> Figure:
    """Draw the pairs of classes that are confused most often, each with its mistakes of the highest loss."""
    pairs = largest_confusions(evaluation.confusion, NUM_PAIRS)
    targets, names = examples.all_targets(), readable_names(class_names, MAX_LISTED)
    heading = title(run, "the classes confused most often: true → predicted")
    columns = min(COLUMNS, max(pair.count for pair in pairs))
    size = max(CELL * columns, 6), (_height(examples) + 0.4) * len(pairs) + 0.5
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(heading)
    ranked = ranked_mistakes(examples, evaluation)
    for part, pair in zip(np.asarray(figure.subfigures(len(pairs), 1)).ravel(), pairs, strict=True):
        are_such = (targets[ranked] == pair.target) & (evaluation.predictions[ranked] == pair.predicted)
        support = sum(evaluation.confusion[pair.target])
        part.suptitle(
            f"{names[pair.target]} → {names[pair.predicted]}: {pair.count:,} of {counted(support, 'example')}",
            fontsize=10,
        )
        _draw_images(part, 1, columns, examples, ranked[are_such][:columns], evaluation, class_names)
    return figure


def _height(examples: Examples) -> float:
    """Return the height of an image with its text, in inches, between limits for very tall and very wide images."""
    height, width = examples.inputs.shape[-2:]
    return WORDS + CELL * min(max(height / width, 0.1), 1.5)


def _draw_images(
    figure: FigureBase,
    num_rows: int,
    num_columns: int,
    examples: Examples,
    rows: Tensor,
    evaluation: Evaluation,
    class_names: Sequence[str],
) -> None:
    """Draw a grid of images, titled with its name, the predicted and the true class."""
    names = readable_names(class_names, MAX_NAME)
    grid = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for axes in grid:
        axes.set_axis_off()
    inputs, targets = examples.select(rows)
    describe = describe_one if not evaluation.is_multi_hot else _several_classes
    right = exact(evaluation.predictions[rows], targets).tolist()
    shown = zip(grid, inputs, targets, rows.tolist(), right, examples.names_of(rows), strict=False)
    for axes, image, target, row, is_right, file in shown:
        axes.imshow(displayed(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        predicted, true = describe(evaluation, row, target, names)
        words = f"{readable(file, MAX_LISTED)}\npredicted {predicted}\n" + ("correct" if is_right else f"true {true}")
        axes.set_title(words, fontsize=7.5, color=RIGHT if is_right else WRONG)


def describe_one(evaluation: Evaluation, row: int, target: Tensor, names: Sequence[str]) -> tuple[str, str]:
    """Return the predicted class with its probability, and the true class."""
    label = int(evaluation.predictions[row])
    share = percent(float(evaluation.probabilities[row, label]))
    return f"{names[label]} ({share})", names[int(target)]


def _several_classes(evaluation: Evaluation, row: int, target: Tensor, names: Sequence[str]) -> tuple[str, str]:
    """Return the predicted classes and the true classes of multi-hot predictions and targets."""
    predicted, true = (
        readable(", ".join(names[label] for label in one.nonzero()[:, 0].tolist()) or "no class", MAX_LISTED)
        for one in (evaluation.predictions[row], target)
    )
    return predicted, true
