"""The plots of a study: its trials in their order, its parameters, and what matters."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from optuna.trial import FrozenTrial, TrialState

from nnclassify.config.search import Choices, Parameter
from nnclassify.errors import counted
from nnclassify.evaluation.metrics import METRICS
from nnclassify.inference.display_names import readable
from nnclassify.inference.plots.figures import COLORS, QUIET, WRONG, add_grid, add_legend, make_logarithmic, save, title
from nnclassify.tune.result import TuneResult, is_log
from nnclassify.tune.study import best_of, outcome_of

MAX_PARAMETERS = 12
"""Parameters that are drawn, the most important first."""


def save_tune_plots(result: TuneResult) -> list[Path]:
    """Draw the plots of a study with a completed trial: `history.png`, `parameters.png`, and `importance.png` if known.

    Raises:
        SaveError: A plot could not be written.
    """
    folder, names = result.study.folder.path, [result.study.loaded.name]
    names += [parameter.name for parameter in result.study.space.parameters]
    plots = {"history.png": history_figure, "parameters.png": parameters_figure}
    if len(result.importance) > 1:
        plots["importance.png"] = importance_figure
    if result.best is None:
        return []
    return [save(partial(draw, result), folder / name, names) for name, draw in plots.items()]


def _label(result: TuneResult, axes: Axes) -> None:
    name = result.study.loaded.config.select_by
    axes.set_ylabel(f"validation {METRICS[name].label}")
    if name == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _points(result: TuneResult, state: TrialState) -> list[tuple[FrozenTrial, float]]:
    found = [(trial, outcome_of(trial)) for trial in result.trials if trial.state == state]
    return [(trial, outcome.value) for trial, outcome in found if outcome is not None and outcome.value is not None]


def history_figure(result: TuneResult) -> Figure:
    """The figure of each trial in their order, and the best so far."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    figure.suptitle(title(result.study.loaded.name, counted(len(result.trials), "trial")))
    axes = figure.subplots()
    done, stopped = (_points(result, state) for state in (TrialState.COMPLETE, TrialState.PRUNED))
    handles: list[Any] = [axes.plot([t.number + 1 for t, _ in done], [v for _, v in done], "o", color=COLORS[0])[0]]
    labels = ["completed"]
    if stopped:
        x, y = [t.number + 1 for t, _ in stopped], [v for _, v in stopped]
        handles += axes.plot(x, y, "x", color=QUIET)
        labels.append("pruned: the best until then")
    failed = [trial.number + 1 for trial in result.trials if trial.state == TrialState.FAIL]
    if failed:
        transform = axes.get_xaxis_transform()
        handles += axes.plot(failed, [0.02] * len(failed), "v", color=WRONG, transform=transform, clip_on=False)
        labels.append("failed")
    best = [best_of(result.trials[: trial.number + 1], result.study.direction) for trial, _ in done]
    reached = [trial.value for trial in best if trial is not None and trial.value is not None]
    handles += axes.step([t.number + 1 for t, _ in done], reached, where="post", color=COLORS[6])
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _label(result, axes)
    add_grid(axes)
    add_legend(figure, handles, [*labels, "best so far"], columns=4)
    return figure


def parameters_figure(result: TuneResult) -> Figure:
    """The figure of each trial over each parameter; the best trial is marked."""
    order = {name: place for place, name in enumerate(result.importance)}
    ranked = sorted(result.study.space.parameters, key=lambda parameter: order.get(parameter.name, len(order)))
    shown = ranked[:MAX_PARAMETERS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(max(6.0, 4.2 * columns), 3.4 * rows + 0.6), layout="constrained")
    figure.suptitle(title(result.study.loaded.name, "trials by value"))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    handles: dict[str, Any] = {}
    for axes, parameter in zip(grid, shown, strict=False):
        handles |= _draw_parameter(result, parameter, axes)
    for axes in grid[::columns]:
        _label(result, axes)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    add_legend(figure, list(handles.values()), list(handles), columns=3)
    return figure


def _draw_parameter(result: TuneResult, parameter: Parameter, axes: Axes) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    groups = [("completed", TrialState.COMPLETE, "o", COLORS[0]), ("pruned", TrialState.PRUNED, "x", QUIET)]
    for label, state, marker, color in groups:
        points = [(t.params[parameter.name], v) for t, v in _points(result, state) if parameter.name in t.params]
        if points:
            handles[label] = axes.plot(
                _places(parameter, [p for p, _ in points]), [v for _, v in points], marker, color=color
            )[0]
    best = result.best
    if best is not None and best.value is not None and parameter.name in best.params:
        (place,) = _places(parameter, [best.params[parameter.name]])
        (handles["best"],) = axes.plot([place], [best.value], "*", color=COLORS[6], markersize=14)
    axes.set_xlabel(readable(parameter.name, 40))
    if isinstance(parameter.domain, Choices):
        names = [readable(name, 18) for name in parameter.domain.values]
        axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 3 else 0)
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif is_log(parameter.domain):
        make_logarithmic(axes, "x")
    add_grid(axes)
    return handles


def _places(parameter: Parameter, values: list[Any]) -> list[float]:
    """Return where values are on the axis; trials with the same choice are next to each other."""
    if not isinstance(parameter.domain, Choices):
        return [float(value) for value in values]
    order = list(parameter.domain.values)
    spread = np.random.default_rng(0).uniform(-0.15, 0.15, len(values))
    return [order.index(value) + float(shift) for value, shift in zip(values, spread, strict=True)]


def importance_figure(result: TuneResult) -> Figure:
    """How much of the differences between trials each parameter explains."""
    shown = list(result.importance.items())[:MAX_PARAMETERS][::-1]
    figure = Figure(figsize=(7.5, 1.3 + 0.42 * len(shown)), layout="constrained")
    figure.suptitle(title(result.study.loaded.name, "importance of what was searched"))
    axes = figure.subplots()
    bars = axes.barh([readable(name, 40) for name, _ in shown], [share for _, share in shown], color=COLORS[0])
    axes.bar_label(bars, labels=[f"{share:.0%}" for _, share in shown], padding=4)
    axes.set_xlim(0, 1.08 * max(share for _, share in shown))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the differences between the trials")
    add_grid(axes, "x")
    return figure
