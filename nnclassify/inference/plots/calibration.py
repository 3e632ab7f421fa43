"""Plot how far probabilities can be trusted: the reliability diagram and the risk-coverage curve."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.reliability import NUM_BINS, Reliability, reliability
from nnclassify.evaluation.selective import RiskCoverage
from nnclassify.inference.calibrate import risk_coverage
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.plots.figures import COLORS, FAINT, QUIET, add_grid, title
from nnclassify.losses import LossFunction

MIN_AREA, MAX_AREA = 8, 120
"""The area of the dot of a bin without examples, and what a bin with all of them has in addition, in square points."""
FEW = 5
"""Under this many examples, the dot of a bin is faint: its accuracy is mostly chance."""


def calibration(loss_fn: LossFunction, evaluation: Evaluation, run: str = "") -> Figure:
    """Draw the reliability diagram, before and after calibration; and for one class per example, the risk by coverage.

    Args:
        loss_fn: The loss, with the temperature of the network.
        evaluation: The evaluation on the test split.
        run: The name of the run.
    """
    num_plots = 1 if evaluation.is_multi_hot else 2
    figure = Figure(figsize=(5.2 * num_plots, 5.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, num_plots))
    after = reliability(evaluation.probabilities, evaluation.targets, evaluation.predictions)
    before = None
    if loss_fn.temperature != 1:
        before = reliability(loss_fn.uncalibrated(evaluation.outputs), evaluation.targets, evaluation.predictions)
    _draw_reliability(axes[0], before, after)
    if not evaluation.is_multi_hot:
        _draw_risk(axes[1], risk_coverage(evaluation))
    figure.suptitle(title(run, f"calibration on {evaluation.num_examples:,} test examples"))
    return figure


def _draw_reliability(axes: Axes, before: Reliability | None, after: Reliability) -> None:
    """Draw the accuracy by the confidence; bars show how many examples are in each bin."""
    counts = [count for count, _, _ in after.bins]
    means = np.array([mean for _, mean, _ in after.bins])
    places = (np.ceil(means * NUM_BINS).clip(1) - 0.5) / NUM_BINS
    shares = np.array(counts) / sum(counts)
    axes.bar(places, shares, 0.9 / NUM_BINS, color=FAINT, label="fraction of the examples")
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":", label="confidence = accuracy")
    name = "probabilities" if before is None else "calibrated"
    if before is not None:
        _draw_bins(axes, before, COLORS[1], "before calibration")
    _draw_bins(axes, after, COLORS[0], name)
    axes.set(title="reliability diagram", xlabel="confidence", ylabel="accuracy")
    _finish(axes)


def _draw_bins(axes: Axes, scores: Reliability, color: str, name: str) -> None:
    counts, means, accuracies = zip(*scores.bins, strict=True)
    label = f"{name}: expected calibration error {percent(scores.ece)}"
    colors = [to_rgba(color, 0.3 if count < FEW else 1) for count in counts]
    areas = MIN_AREA + MAX_AREA * np.array(counts) / sum(counts)
    axes.scatter(means, accuracies, areas, color=colors, clip_on=False, zorder=3)
    axes.plot([], [], color=color, marker="o", markersize=4, linestyle="", label=label)


def _draw_risk(axes: Axes, curve: RiskCoverage) -> None:
    """Draw the errors among the most confident answers, by how many are answered."""
    coverages, risks = zip(*curve.points(), strict=True)
    axes.plot(
        [0, *coverages], [risks[0], *risks], drawstyle="steps-pre", color=COLORS[0], label=f"area {curve.area():.4f}"
    )
    axes.axhline(risks[-1], color=QUIET, linestyle=":", label=f"all answered: {percent(risks[-1])} wrong")
    axes.set(title="risk by coverage", xlabel="answered, the most confident first", ylabel="wrong among the answered")
    _finish(axes)
    axes.set_ylim(0, max(0.01, 1.3 * max(risks)))


def _finish(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    add_grid(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=9)
