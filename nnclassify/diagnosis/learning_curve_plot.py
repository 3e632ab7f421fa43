"""The plot of a learning curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from nnclassify.diagnosis.learning_curve import LearningCurve
from nnclassify.inference.plots.figures import COLORS, WRONG, add_legend, make_logarithmic, save, title


def save_learning_curve(curve: LearningCurve, path: Path) -> Path:
    """Plot a learning curve.

    Raises:
        SaveError: It could not be written.
    """
    return save(lambda: learning_curve_figure(curve), path, [curve.name])


def learning_curve_figure(curve: LearningCurve) -> Figure:
    """Error over the number of training examples, both logarithmic: runs, power law, and what twice the data gives."""
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    figure.suptitle(title(curve.name, f"errors on {curve.num_judged:,} {curve.split} examples"))
    axes = figure.subplots()
    sizes = np.array([run.num_examples for run in curve.runs])
    errors = np.array([1 - run.accuracy for run in curve.runs])
    along = np.geomspace(sizes.min(), 2 * sizes.max(), 60)
    law = [curve.law.curve(size) for size in along]
    band = axes.fill_between(
        along, [at.low for at in law], [at.high for at in law], color=COLORS[0], alpha=0.2, linewidth=0
    )
    (line,) = axes.plot(along, [at.median for at in law], color=COLORS[0])
    (points,) = axes.plot(sizes, errors, "o", color=COLORS[6], markersize=4.5)
    expected = curve.with_twice_the_data
    margins = [[expected.median - expected.low], [expected.high - expected.median]]
    twice = axes.errorbar([2 * sizes.max()], [expected.median], yerr=margins, fmt="D", color=WRONG, capsize=4)
    axes.set(xlabel="training examples", ylabel="error")
    for which in ("x", "y"):
        make_logarithmic(axes, which)
    axes.set_xticks(sorted({*sizes.tolist(), 2 * int(sizes.max())}), minor=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for formatted in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        formatted(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    labels = ["runs", "power law", "95% interval of the power law", "a run with twice the data, 95% interval"]
    add_legend(figure, [points, line, band, twice.lines[0]], labels, columns=2)
    return figure
