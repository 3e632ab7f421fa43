"""The picture of a learning-rate range test."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from nnclassify.diagnosis.experiments import RangeTest
from nnclassify.plots import ACCURACY, LOSS, save


def save_range_test(test: RangeTest, lr: float, path: Path) -> Path:
    """Draw the loss against the rate, with the config's rate and the suggested one.

    Raises:
        SaveError: It could not be written.
    """
    return save(range_test_figure(test, lr), path)


def range_test_figure(test: RangeTest, lr: float) -> Figure:
    """Smoothed training loss over the learning rate, which grows evenly in its logarithm."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color=LOSS, label="training loss, smoothed")
    axes.axvline(lr, color="#999999", linestyle=":", label=f"optimizer.lr ({lr:g})")
    if test.suggested is not None:
        axes.axvline(test.suggested, color=ACCURACY, linestyle="--", label=f"suggested ({test.suggested:g})")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure
