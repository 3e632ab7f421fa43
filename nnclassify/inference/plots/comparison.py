"""Plot the learning curves of several runs, and how their test accuracies differ, with one color per config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnclassify.errors import counted
from nnclassify.inference.compare import ComparedRun, RunGroup, grouped, ranked_by
from nnclassify.inference.differences import Difference
from nnclassify.inference.display_names import num_columns, readable
from nnclassify.inference.plots.figures import COLORS, FAINT, QUIET, add_curve, add_legend, finish_curves, finite, save

MAX_LABEL = 90


def save_compared_curves(runs: Sequence[ComparedRun], path: Path, differences: Sequence[Difference] = ()) -> Path:
    """Draw the learning curves of runs, and the differences between their test accuracies, and save them.

    Raises:
        SaveError: It could not be written.
    """
    return save(lambda: compared_curves(runs, differences), path, [group.label for group in grouped(runs)])


def compared_curves(runs: Sequence[ComparedRun], differences: Sequence[Difference] = ()) -> Figure:
    """Draw loss and accuracy on the training and validation splits, and the metric that all runs selected by.

    One more panel shows the differences between test accuracies, if any were tested. The best configs have colors, the
    others are gray. For a config with several runs, such as several seeds, the line is the mean, and a band spans the
    minimum and the maximum.
    """
    groups, metric = grouped(runs), ranked_by(runs)
    panels = [("train_loss", "training loss"), ("train_accuracy", "training accuracy")]
    if any(row.validation_loss is not None for run in runs for row in run.rows):
        panels += [("validation_loss", "validation loss"), ("validation_accuracy", "validation accuracy")]
    if metric.name not in ("loss", "accuracy"):
        panels.append(("validation_metric", f"validation {metric.label}"))
    labels = [readable(group.label, MAX_LABEL) for group in groups[: len(COLORS)]]
    if others := groups[len(COLORS) :]:
        labels.append(
            f"{counted(len(others), 'config')} of {'lower' if metric.higher_is_better else 'higher'} {metric.label}"
        )
    legend_columns = 2 if len(labels) > 2 and max(map(num_columns, labels)) <= MAX_LABEL // 2 else 1
    tested = [each for each in differences if each.test is not None]
    columns = -(-(len(panels) + bool(tested)) // 2)
    height = 7 + 0.21 * -(-len(labels) // legend_columns)
    figure = Figure(figsize=(max(5.5 * columns, 7.5), height), layout="constrained")
    configs = "one config" if len(groups) == 1 else f"{len(groups)} configs"
    figure.suptitle(f"{len(runs)} runs of {configs}" if len(groups) < len(runs) else f"{len(runs)} runs")
    grid: list[Axes] = [*figure.subplots(2, columns, squeeze=False).T.flatten()]
    drawn = _drawn_panels(grid[: len(panels)], panels, groups)
    unused = grid[len(panels) :]
    if tested:
        _draw_differences(unused.pop(0), tested, groups)
    for axes in unused:
        axes.remove()
    finish_curves(
        *([axes for name, axes in drawn.items() if name.endswith(kind)] for kind in ("loss", "accuracy", "metric"))
    )
    handles = [Line2D([], [], color=color, linewidth=2) for color in [*COLORS[: len(groups)], FAINT][: len(labels)]]
    add_legend(figure, handles, labels, legend_columns)
    return figure


def _drawn_panels(
    grid: Sequence[Axes], panels: Sequence[tuple[str, str]], groups: Sequence[RunGroup]
) -> dict[str, Axes]:
    """Return the curves of each value of a row, with its title, column by column; by the value's name."""
    for (name, title), axes in zip(panels, grid, strict=True):
        axes.set_title(title)
        for index, group in enumerate(groups):
            _draw_group(axes, group, name, COLORS[index] if index < len(COLORS) else FAINT)
    return {name: axes for (name, _), axes in zip(panels, grid, strict=True)}


def _draw_differences(axes: Axes, tested: Sequence[Difference], groups: Sequence[RunGroup]) -> None:
    """Draw by how many points each config is better than the first one on the test examples, with its interval."""
    colors = {group.name: COLORS[index] for index, group in enumerate(groups[: len(COLORS)])}
    axes.axvline(0, color=QUIET, linewidth=0.8)
    for row, each in enumerate(tested):
        points = [100 * share for share in (each.interval[0], each.difference, each.interval[1])]
        color = colors.get(each.other, FAINT)
        axes.plot(points[::2], [row, row], color=color, linewidth=2)
        axes.plot(points[1], row, color=color, marker="o" if each.configs_differ else "|", markersize=8)
    axes.set_title(f"test accuracy: points above {readable(tested[0].first, MAX_LABEL // 3)}")
    axes.set_xlabel("95% intervals; a dot: more than chance and the seed")
    axes.set_ylim(len(tested) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_group(axes: Axes, group: RunGroup, name: str, color: str) -> None:
    """Draw the mean of the runs of a group over the epochs, and the band around it."""
    is_best = color != FAINT
    values = np.full((len(group.runs), max(len(run.rows) for run in group.runs)), np.nan)
    for run, known in zip(group.runs, values, strict=True):
        known[: len(run.rows)] = finite([getattr(row, name) for row in run.rows])
    masked = np.ma.masked_invalid(values)
    epochs = range(1, values.shape[1] + 1)
    style = {"color": color, "linewidth": 1.6 if is_best else 0.8, "zorder": 2.5 if is_best else 2}
    add_curve(axes, epochs, masked.mean(axis=0).filled(np.nan).tolist(), **style)
    if is_best and len(group.runs) > 1:
        low, high = (bound.filled(np.nan) for bound in (masked.min(axis=0), masked.max(axis=0)))
        axes.fill_between(epochs, low, high, color=color, alpha=0.18, linewidth=0)
