"""What a study has found: the best trial, ranges that are too narrow, what matters, and the files that say so."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from nnclassify.config.run_config import search_space
from nnclassify.config.search import SEARCH, Choices, IntRange, LogRange, Parameter, Range
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.config.yaml_writer import inline, written
from nnclassify.diagnosis.fix import edited
from nnclassify.errors import SaveError, counted, one_line, shell_command
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.files.atomic_write import write_text
from nnclassify.files.csv_cells import cell, write_csv
from nnclassify.files.json_files import write_json
from nnclassify.tune.figures import Edge, TrialFigures, TuneFigures
from nnclassify.tune.sampling import VALUES
from nnclassify.tune.study import Study, best_of, outcome_of

EDGE = 0.05
"""A value in this part of a range, at either end, is at its edge."""
EXTENSIONS = (1.0, 0.5, 0.25, 0.1)
"""By how much of its width a range may be extended: the first that the option allows is suggested."""
FACTOR = 100
"""By which factor a logarithmic range is extended at most."""
FEW_TRIALS = 4
"""Completed trials that the importance of parameters needs."""


@dataclass(frozen=True)
class TuneResult:
    """What a study has found so far.

    Attributes:
        study: The study.
        trials: Its trials, oldest first.
        best: The best one; None if none has been completed.
        edges: The best values that lie at the edge of their ranges.
        importance: How much of the differences between trials each parameter explains; empty if that is unknown.
    """

    study: Study
    trials: list[FrozenTrial]
    best: FrozenTrial | None
    edges: list[Edge]
    importance: dict[str, float]

    @classmethod
    def of(cls, study: Study) -> TuneResult:
        """Read the result of a study."""
        trials = study.trials()
        best = best_of(trials, study.direction)
        return cls(study, trials, best, [] if best is None else [*_edges(study, best)], _importance(study, trials))

    def counts(self) -> dict[str, int]:
        """Return the number of trials by what came of them."""
        return {name: sum(trial.state == state for trial in self.trials) for state, name in STATES.items()}

    def figures(self) -> TuneFigures:
        """Return the result for JSON."""
        folder, best = self.study.folder, self.best
        return {
            "study": str(folder.path),
            "select_by": self.study.loaded.config.select_by,
            "counts": self.counts(),
            "best": None if best is None else _figures(best),
            "best_config": None if best is None else str(folder.best),
            "edges": self.edges,
            "importance": self.importance,
            "trials": [_figures(trial) for trial in self.trials],
        }


def _figures(trial: FrozenTrial) -> TrialFigures:
    number, state, values = trial.number + 1, STATES[trial.state], trial.user_attrs[VALUES]
    if (outcome := outcome_of(trial)) is None:
        return {"trial": number, "state": state, "values": values}
    return {
        "trial": number,
        "state": state,
        "value": outcome.value,
        "loss": outcome.loss,
        "epochs": outcome.epochs,
        "seconds": outcome.seconds,
        "error": outcome.error,
        "values": values,
    }


STATES = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
"""What is said of the state of a trial."""


def figure_text(select_by: str, value: float) -> str:
    """Return a validation figure with its name, such as `accuracy 95.8%`."""
    return f"{METRICS[select_by].label} {percent(value) if select_by == 'accuracy' else f'{value:.4f}'}"


def values_text(trial: FrozenTrial) -> str:
    """Return the values of a trial on one line."""
    return "  ".join(f"{key}={inline(value)}" for key, value in trial.user_attrs[VALUES].items())


def write_best(study: Study, best: FrozenTrial) -> None:
    """Write the config of a trial: the text of the config with other values, its comments kept, without `search`.

    Raises:
        SaveError: It could not be written.
    """
    loaded, outcome = study.loaded, outcome_of(best)
    assert outcome is not None and outcome.value is not None
    overrides = {key: value for key, value in loaded.source.overrides().items() if not key.startswith(SEARCH)}
    change = {"name": f"{loaded.name}-tuned"[:100], **overrides, **best.user_attrs[VALUES], SEARCH: None}
    figure = figure_text(loaded.config.select_by, outcome.value)
    header = f"# Trial {best.number + 1} of `nnclassify tune`: validation {figure}. Comments below are of the config.\n"
    write_text(study.folder.best, header + edited(_text_of(loaded.source), change))


def _text_of(source: YamlSource) -> str:
    """Return the text of a config; one that was read from no file is written out."""
    path = Path(source.file)
    try:
        if path.is_file():
            return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as cause:
        raise SaveError(f"{path}: cannot be read again ({one_line(cause)}); put it back") from cause
    return written(source.data)


def _edges(study: Study, best: FrozenTrial) -> Iterator[Edge]:
    for parameter in study.space.parameters:
        domain = parameter.domain
        if parameter.name in best.params and not isinstance(domain, Choices):
            value = float(best.params[parameter.name])
            if (side := _side(domain, value)) is not None:
                searched = domain.model_dump(by_alias=True, exclude_defaults=True)
                yield Edge(parameter.name, value, side, searched, _next_range(study, parameter, domain, side))


def is_log(domain: Range) -> bool:
    """Return whether a range is uniform in its logarithm."""
    return isinstance(domain, LogRange) or (isinstance(domain, IntRange) and domain.log)


def _side(domain: Range, value: float) -> str | None:
    """Return the edge that a value is at, or None."""
    low, high = domain.ends()
    if isinstance(domain, IntRange):
        last = int(high) - int(high - low) % domain.step
        return {int(low): "lower", last: "upper"}.get(int(value))
    if is_log(domain):
        low, high, value = math.log(low), math.log(high), math.log(value)
    place = (value - low) / (high - low)
    return "lower" if place < EDGE else "upper" if place > 1 - EDGE else None


def _next_range(study: Study, parameter: Parameter, domain: Range, side: str) -> dict[str, Any] | None:
    """Return a range that continues beyond an edge, as far as the option allows."""
    for extension in EXTENSIONS:
        low, high = _extended(domain, side, extension)
        kind = next(key for key in ("int", "range", "log") if key in domain.model_dump(by_alias=True))
        found = {**domain.model_dump(by_alias=True, exclude_defaults=True), kind: [low, high]}
        if low < high and [low, high] != [*domain.ends()] and _is_allowed(study, parameter, found):
            return found
    return None


def _extended(domain: Range, side: str, extension: float) -> tuple[float, float]:
    """Move a range, with its other end at its middle, beyond one of its edges."""
    low, high = domain.ends()
    if is_log(domain):
        beyond, middle = min(high / low, FACTOR) ** extension, math.sqrt(low * high)
        ends = (middle, high * beyond) if side == "upper" else (low / beyond, middle)
    else:
        width, middle = high - low, (low + high) / 2
        ends = (middle, high + extension * width) if side == "upper" else (low - extension * width, middle)
    if isinstance(domain, IntRange):
        return round(ends[0]), round(ends[1])
    return float(f"{ends[0]:.2g}"), float(f"{ends[1]:.2g}")


def _is_allowed(study: Study, parameter: Parameter, found: dict[str, Any]) -> bool:
    data = copy.deepcopy(study.loaded.source.data)
    *above, last = parameter.place
    node: Any = data
    for part in above:
        node = node[part]
    node[last] = found
    return not search_space(YamlSource("", data))[1]


def _importance(study: Study, trials: list[FrozenTrial]) -> dict[str, float]:
    """Return how much of the differences between the completed trials each parameter explains, most first."""
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if len(completed) < FEW_TRIALS or len({trial.value for trial in completed}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's evaluators are experimental in some releases
        found = get_param_importances(study.optuna)
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def conclusions(result: TuneResult) -> list[str]:
    """Return what a study has found, a line each."""
    study, best, counts = result.study, result.best, result.counts()
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    lines = [f"study: {study.folder.path} ({counted(len(result.trials), 'trial')}: {told or 'none'})"]
    if best is None:
        return lines
    outcome = outcome_of(best)
    assert outcome is not None and outcome.value is not None
    select_by = study.loaded.config.select_by
    chosen = f"the best of {counts['completed']}, so expect a little less on new examples"
    lines.append(f"best: trial {best.number + 1}: validation {figure_text(select_by, outcome.value)} ({chosen})")
    lines += [f"  {key}: {inline(value)}" for key, value in best.user_attrs[VALUES].items()]
    within = {parameter.name: parameter.within for parameter in study.space.parameters}
    lines += [_edge_text(edge, within[edge.parameter]) for edge in result.edges]
    if len(result.importance) > 1:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in result.importance.items())
        lines.append(f"importance: {shares}")
    return [*lines, f"train it: {shell_command('train', study.folder.best)}"]


def _edge_text(edge: Edge, within: tuple[str, str] | None) -> str:
    found = (
        f"edge: {edge.parameter}: the best value, {edge.value:.4g}, is at the {edge.side} edge of {inline(edge.range)}"
    )
    if edge.next_range is None:
        return f"{found}; the option allows no wider range"
    if within is not None:
        return f"{found}; search next, in the choice {within[1]} of search.{within[0]}: {inline(edge.next_range)}"
    return f"{found}; search next: search.{edge.parameter}='{inline(edge.next_range)}'"


COLUMNS = ("trial", "state", "value", "loss", "epochs", "seconds", "error")


def write_table(result: TuneResult) -> None:
    """Write `trials.csv`: a row per trial, with a column per key that is searched.

    Raises:
        SaveError: It could not be written.
    """
    keys = list(dict.fromkeys(parameter.key for parameter in result.study.space.parameters))
    rows = [[*COLUMNS, *keys]]
    for trial in result.trials:
        figures = _figures(trial)
        known = [figures.get(column) for column in COLUMNS]
        values = [figures["values"].get(key) for key in keys]
        told = [*known, *(None if value is None else inline(value) for value in values)]
        rows.append(["" if value is None else cell(str(value)) for value in told])
    write_csv(result.study.folder.table, rows)


def write_result(result: TuneResult) -> None:
    """Write `result.json` and `trials.csv`.

    Raises:
        SaveError: A file could not be written.
    """
    write_table(result)
    write_json(result.study.folder.result, result.figures())
