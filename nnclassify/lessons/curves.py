"""The curves of a lesson, broken beside fixed: as a plot of characters, as an image, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnclassify.evaluation.percent import percent
from nnclassify.inference.report.charts import Chart, Series, line_chart
from nnclassify.lessons.pages import Lesson
from nnclassify.lessons.training import Trained

WIDTH, HEIGHT = 60, 11
"""Size of a plot of characters, without its axes."""
MARKS = "x*o+"
"""The characters of the lines, in order."""
Lines = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Curves:
    """Lines over the epochs of both runs.

    Attributes:
        title: What they show.
        lines: The values of each line, by its name; None after the end of the shorter run.
        is_share: Whether values are fractions.
    """

    title: str
    lines: Lines
    is_share: bool = True

    @property
    def num_epochs(self) -> int:
        """The number of epochs of the longest line."""
        return max(map(len, self.lines.values()))


def curves_of(lesson: Lesson, broken: Trained, fixed: Trained) -> list[Curves]:
    """Return the curves of what the lesson is judged by, of the training accuracy and of the training loss."""
    runs, metric, measure = (broken, fixed), lesson.front.metric.replace("_", " "), lesson.front.measure
    how = {"one_by_one": f"test {metric}, one example at a time", "counted": f"{metric} as the script counts it"}
    judged = Curves(how.get(measure, f"test {metric}"), _lines(runs, "test"))
    if measure == "kept":
        lines = {**_lines(runs, "new", ": new data"), **_lines(runs, "test", ": test")}
        judged = Curves(f"{metric} on test and new data", lines)
    differ = any(line.startswith(("-loss:", "+loss:")) for line in lesson.diff())
    loss = "training loss, of two different losses" if differ else "training loss"
    return [
        judged,
        Curves("training accuracy", _lines(runs, "train")),
        Curves(loss, _lines(runs, "loss"), is_share=False),
    ]


def _lines(runs: tuple[Trained, Trained], figure: str, ending: str = "") -> Lines:
    """Return a figure of each epoch of the broken and of the fixed run; None after the end of the shorter run."""
    length = max(len(run.epochs) for run in runs)
    return {
        f"{name}{ending}": [getattr(epoch, figure) for epoch in run.epochs] + [None] * (length - len(run.epochs))
        for name, run in zip(("broken", "fixed"), runs, strict=True)
    }


def text_plot(curves: Curves) -> str:
    """Draw curves by characters, with percentages on the vertical axis."""
    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark, values in reversed(list(zip(MARKS, curves.lines.values(), strict=False))):
        for column in range(WIDTH):
            value = values[min(len(values) - 1, column * len(values) // WIDTH)]
            if value is not None and math.isfinite(value):
                rows[HEIGHT - 1 - round(min(max(value, 0.0), 1.0) * (HEIGHT - 1))][column] = mark
    labels = {0: "100%", HEIGHT // 2: "50%", HEIGHT - 1: "0%"}
    lines = [f"{labels.get(number, ''):>5} |{''.join(row).rstrip()}" for number, row in enumerate(rows)]
    legend = "   ".join(f"{mark} {name}" for mark, name in zip(MARKS, curves.lines, strict=False))
    last = f"epoch {curves.num_epochs}"
    axis = f"{'':6}+{'-' * WIDTH}\n{'':7}1{last:>{WIDTH - 1}}"
    return "\n".join([f"{'':7}{curves.title}", *lines, axis, f"{'':7}{legend}"])


def progress_bar(share: float, width: int = 30) -> str:
    """Return a fraction as a bar of characters."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return f"|{'#' * filled}{' ' * (width - filled)}| {percent(share)}"


def charts_of(curves: Sequence[Curves]) -> list[Chart]:
    """Return curves as charts for a page."""
    charts = []
    for one in curves:
        series = [Series(name, f"run-{number}", values) for number, (name, values) in enumerate(one.lines.items())]
        epochs = list(range(1, one.num_epochs + 1))
        charts.append(line_chart(one.title, epochs, series, is_share=one.is_share, may_be_log=not one.is_share))
    return [chart for chart in charts if chart is not None]


def save_curves(title: str, curves: Sequence[Curves], path: Path) -> Path:
    """Draw curves side by side into an image.

    Raises:
        InputError: No plot can be drawn in the format of the file.
        SaveError: It could not be written.
    """
    from matplotlib.figure import Figure

    from nnclassify.inference.plots.figures import COLORS, add_curve, add_legend, finish_curves, save

    def draw() -> Figure:
        figure = Figure(figsize=(4 * len(curves), 4.2), layout="constrained")
        figure.suptitle(title)
        axes = list(figure.subplots(1, len(curves)))
        for one, place in zip(curves, axes, strict=True):
            for number, values in enumerate(one.lines.values()):
                add_curve(place, range(1, len(values) + 1), values, color=COLORS[number], linewidth=2)
            place.set_title(one.title)
        shares = [place for one, place in zip(curves, axes, strict=True) if one.is_share]
        finish_curves([place for place in axes if place not in shares], shares)
        names = list(curves[0].lines)
        add_legend(figure, axes[0].get_lines(), names, columns=len(names))
        return figure

    return save(draw, path)
