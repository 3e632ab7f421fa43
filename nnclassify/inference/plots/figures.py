"""Shared parts of all plots: colors, titles, axes, legends, saving."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator, PercentFormatter

from nnclassify.errors import InputError, suggestion
from nnclassify.files.atomic_write import write_whole
from nnclassify.inference.display_names import readable
from nnclassify.inference.plots.lettering import lettering

COLORS = ["#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]
"""Ten colors, distinct with any color vision (Petroff, Accessible color sequences, 2021; arXiv:2107.02270)."""
RIGHT, WRONG = "#1f5f9e", "#b03a00"
QUIET, FAINT = "#8c8c8c", "#d0d0d0"
_LARGEST = 1e100
"""Larger values are not drawn: the axis would overflow."""
_OUTLYING = 100
"""If a loss is larger than this many times the median, the axis is logarithmic: the other losses would all be at 0."""


def save(draw: Callable[[], Figure], path: Path, names: Iterable[str] = ()) -> Path:
    """Draw a figure and save it in the format of the file extension.

    Args:
        draw: Makes the figure.
        path: The file.
        names: Texts in the figure that users wrote.

    Raises:
        InputError: No plot can be drawn in that format.
        SaveError: It could not be written.
    """
    ending = format_of(path)
    options: dict[str, Any] = {"dpi": 120, "bbox_inches": "tight", "pad_inches": 0.15}
    with lettering(names):
        figure = draw()
        FigureCanvasAgg(figure)
        write_whole(path, lambda file: figure.savefig(file, format=ending, **options))
    return path


def format_of(path: Path) -> str:
    """Return the format of a file extension; without one, PNG.

    Raises:
        InputError: No plot can be drawn in that format.
    """
    ending, known = path.suffix[1:].lower() or "png", FigureCanvasAgg.get_supported_filetypes()
    if ending not in known:
        raise InputError(f"{path}: cannot draw a .{ending} file{suggestion(ending, known)}; name a .png or .pdf file")
    return ending


def title(run: str, what: str) -> str:
    """Return the title of a figure; `run` may be empty."""
    return f"{readable(run, 60)}: {what}" if run else what


def add_curve(axes: Axes, epochs: Sequence[int], values: Sequence[float | None], **style: Any) -> None:
    """Draw values over epochs, with gaps for missing and nonfinite values; a single value between gaps is a dot."""
    drawn = finite(values)
    known = ~np.isnan([math.nan, *drawn, math.nan])
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    if known.any():
        axes.plot(epochs, drawn, marker="o" if len(alone) else None, markevery=alone.tolist(), **style)


def finite(values: Sequence[float | None]) -> list[float]:
    """Replace values that are None or too large for an axis by NaN."""
    return [math.nan if value is None or not abs(value) < _LARGEST else value for value in values]


def finish_curves(losses: Sequence[Axes], accuracies: Sequence[Axes], others: Sequence[Axes] = ()) -> None:
    """Set the labels and scales of axes with curves; losses share a scale, and so do accuracies."""
    lines = [line for axes in losses for line in axes.get_lines()]
    drawn = np.concatenate([np.empty(0), *(np.asarray(line.get_ydata(), float) for line in lines)])
    positive = drawn[drawn > 0]
    is_wide = len(positive) > 0 and positive.max() > _OUTLYING * np.median(positive)
    top = 1.05 * float(positive.max()) if len(positive) else 1.0
    for axes in losses:
        if is_wide:
            make_logarithmic(axes, "y")
        axes.set_ylim((positive.min() / 1.5, positive.max() * 1.5) if is_wide else (0, top))
    for axes in accuracies:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (*losses, *accuracies, *others):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        add_grid(axes)


def add_grid(axes: Axes, which: Literal["both", "x", "y"] = "both") -> None:
    """Draw the lines of a grid behind what is drawn, and no frame."""
    axes.grid(axis=which, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def make_logarithmic(axes: Axes, which: str) -> None:
    """Make the `x` or `y` axis logarithmic, with plain numbers: formulas are not rendered here."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))


def add_legend(
    figure: Figure, handles: Sequence[Artist], labels: Sequence[str], columns: int, heading: str | None = None
) -> None:
    """Add a legend below the figure."""
    placeholders = ["-"] * len(labels)  # since some versions of matplotlib leave out a label that begins with "_"
    legend = figure.legend(
        handles,
        placeholders,
        loc="outside lower center",
        ncols=columns,
        title=heading,
        frameon=False,
        markerscale=1.4,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
