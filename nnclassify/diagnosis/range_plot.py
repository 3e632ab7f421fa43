"""The plot of a learning-rate range test."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from nnclassify.diagnosis.trials.experiments import RangeTest
from nnclassify.inference.plots.figures import COLORS, QUIET, WRONG, add_legend, make_logarithmic, save


def save_range_test(test: RangeTest, lr: float, path: Path) -> Path:
    """Plot the loss over the learning rate, marking the learning rate of the config and the suggested one.

    Raises:
        SaveError: It could not be written.
    """
    return save(lambda: range_test_figure(test, lr), path)


def range_test_figure(test: RangeTest, lr: float) -> Figure:
    """Smoothed training loss over the learning rate, on a logarithmic axis."""
    figure = Figure(figsize=(7, 4.8), layout="constrained")
    figure.suptitle("learning-rate range test")
    axes = figure.subplots()
    lines = axes.plot(test.rates, test.losses, color=COLORS[0])
    labels = ["training loss, smoothed"]
    lines.append(axes.axvline(lr, color=WRONG, linestyle=":", linewidth=2))
    labels.append(f"optimizer.lr ({lr:g})")
    if test.suggested is not None:
        lines.append(axes.axvline(test.suggested, color=QUIET, linestyle="--", linewidth=2))
        labels.append(f"suggested ({test.suggested:g})")
    rates = [*test.rates, lr, test.suggested or lr]
    axes.set(xlabel="learning rate", ylabel="loss", xlim=(min(rates) / 1.5, max(rates) * 1.5))
    make_logarithmic(axes, "x")
    axes.spines[["top", "right"]].set_visible(False)
    add_legend(figure, lines, labels, columns=3)
    return figure
