"""Compare runs: the differences between their configs, and their metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from nnclassify.errors import CheckpointError, some
from nnclassify.evaluation.metrics import METRICS, Metric
from nnclassify.evaluation.significance import Interval, mean_interval
from nnclassify.files.user_code import CONTENT
from nnclassify.inference.compared_examples import (
    AgainstFirst,
    ScoredExamples,
    against_first,
    differing_tests,
    scored_examples,
)
from nnclassify.runs.checkpoint import Checkpoint, load_newest
from nnclassify.runs.folder import CHECKPOINTS, RunFolder, find_checkpoint, group_runs, named_group
from nnclassify.runs.group_summary import result_of
from nnclassify.settings import flat
from nnclassify.training.history import Row, whole_history


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        name: The name of the run; as given, if runs in several folders have the same name.
        differences: The config values that are not the same in all runs, by dotted path.
        parameters: The number of parameters of the network.
        epochs: The number of epochs trained.
        seconds: The training time.
        accuracies: The accuracy on the train, validation and test splits; None if unknown.
        select_by: The metric that selects the best epoch.
        metrics: The known metrics of the validation and test splits, by split and by name.
        rows: The history, one row per epoch.
        scored: Whether each test example is predicted correctly, as far as that is known.
        examples: The test examples that this run and the first one predict differently; None for the first run, or if
            that is unknown.
        digests: The digests of its splits, by name.
    """

    name: str
    differences: dict[str, Any]
    parameters: int
    epochs: int
    seconds: float
    accuracies: dict[str, float | None]
    select_by: str
    metrics: dict[str, dict[str, float]]
    rows: list[Row]
    scored: ScoredExamples = field(default_factory=ScoredExamples)
    examples: AgainstFirst | None = None
    digests: dict[str, str] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return everything except the history, each test example and the digests, for JSON."""
        return {key: value for key, value in vars(self).items() if key not in ("rows", "scored", "digests")}


@dataclass(frozen=True)
class RunGroup:
    """Runs of one config that differ only in their seeds, folds and names.

    Attributes:
        label: The values that distinguish the config from the others in the comparison.
        runs: The runs, at least one; of runs with the same seeds and folds, such as copies, the first one.
    """

    label: str
    runs: list[ComparedRun]

    @property
    def name(self) -> str:
        """The run if there is one, else the label."""
        return self.runs[0].name if len(self.runs) == 1 else self.label

    def mean(self, split: str) -> tuple[float, float] | None:
        """Return the mean accuracy on a split over several runs, and its standard deviation; None if one is unknown."""
        known = [accuracy for run in self.runs if (accuracy := run.accuracies[split]) is not None]
        return (fmean(known), stdev(known)) if len(known) == len(self.runs) > 1 else None

    def interval(self) -> Interval | None:
        """Return the 95% interval of the mean test accuracy; None if a test accuracy or its examples are unknown."""
        known = [accuracy for run in self.runs if (accuracy := run.accuracies["test"]) is not None]
        scored = [run.scored for run in self.runs]
        if len(known) < len(self.runs) or not all(one.is_correct and one.num_train for one in scored):
            return None
        is_same = all(one.is_correct.keys() == scored[0].is_correct.keys() for one in scored)
        return mean_interval(known, 0 if is_same else fmean(len(one.is_correct) / one.num_train for one in scored))

    def reached(self, metric: Metric) -> float:
        """Return the mean of a metric over the runs on the validation split; NaN if it is unknown for one of them.

        The accuracy is that on the training split if a run has no validation split.
        """
        known = [run.metrics["validation"].get(metric.name) for run in self.runs]
        if metric is METRICS["accuracy"] and None in known:
            known = [run.accuracies["train"] for run in self.runs]
        return sum(math.nan if value is None else value for value in known) / len(known)


def ranked_by(runs: Sequence[ComparedRun]) -> Metric:
    """Return the metric to rank runs by: the one that selects the best epoch of all of them, or the accuracy."""
    metrics = {run.select_by for run in runs}
    return METRICS[metrics.pop() if len(metrics) == 1 else "accuracy"]


def grouped(runs: Sequence[ComparedRun]) -> list[RunGroup]:
    """Group the runs of a comparison by config, the best config first, those without a known metric last."""
    members: dict[str, list[ComparedRun]] = {}
    for run in runs:
        members.setdefault(repr(_settings(run)), []).append(run)
    metric = ranked_by(runs)
    groups = [RunGroup(_label(group), group) for group in map(_without_repetitions, members.values())]
    sign = -1 if metric.higher_is_better else 1
    return sorted(groups, key=lambda group: (math.isnan(group.reached(metric)), sign * group.reached(metric)))


def _repeated(run: ComparedRun) -> str:
    """Return what repetitions of a run have in common: its data and its config, seeds included, but not its name."""
    return repr((run.digests, {key: value for key, value in run.differences.items() if key != "name"}))


def _without_repetitions(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Leave out repetitions: they say nothing about how much runs vary."""
    return [*{_repeated(run): run for run in reversed(runs)}.values()][::-1]


def repetitions(runs: Sequence[ComparedRun]) -> list[str]:
    """Name the runs that repeat an earlier one, on one line each."""
    first: dict[str, ComparedRun] = {}
    return [
        f"{run.name}: the same data, config and seed as {earlier.name}, so it counts as one run with it"
        for run in runs
        if (earlier := first.setdefault(_repeated(run), run)) is not run
    ]


def _settings(run: ComparedRun) -> dict[str, Any]:
    """Return the config values that differ, without seeds, folds and names, by the shortest unambiguous key."""
    repeated = ("seed", "fold")
    keys = {key: key.removesuffix(".name") for key in run.differences if key != "name" and _end(key) not in repeated}
    ends = Counter(map(_end, keys.values()))
    return {_end(key) if ends[_end(key)] == 1 else key: run.differences[whole] for whole, key in keys.items()}


def _end(key: str) -> str:
    return key.rpartition(".")[2]


MAX_SETTINGS = 60
"""The longest list of settings in a label, in characters; if it is longer, only the runs are named."""


def _label(runs: Sequence[ComparedRun]) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in _settings(runs[0]).items() if value is not None)
    if not settings or len(settings) > MAX_SETTINGS or len(runs) == 1:
        names = some([run.name for run in runs], 1)
        return f"{names}: {settings}" if 0 < len(settings) <= MAX_SETTINGS else names
    return f"{settings} ({len(runs)} runs)"


GROUPED = (
    "the test examples are in groups (dataset.group), but are compared as if they were independent: p-values of "
    "single runs are too small; train both with --folds 5"
)


def compare(
    runs: Sequence[str], note: Callable[[str], None] = lambda text: None, root: Path = CHECKPOINTS
) -> list[ComparedRun]:
    """Read runs and compare them.

    Args:
        runs: Names of runs, of groups of runs, run folders or checkpoint files.
        note: Called with a line for each name that is ambiguous, and for each damaged file.
        root: The folder that contains the runs.

    Raises:
        CheckpointError: A checkpoint is missing or damaged.
    """
    runs = [member for run in runs for member in _members(run, root)]
    paths = [find_checkpoint(run, root, note) for run in runs]
    found = [load_newest(path) for path in paths]
    for text in (text for newest in found for text in newest.notes):
        note(text)
    checkpoints = [newest.checkpoint for newest in found]
    for text in differing_tests([RunFolder(path.parent) for path in paths], checkpoints):
        note(text)
    whole = [flat(checkpoint.config) for checkpoint in checkpoints]
    configs = [{key: value for key, value in config.items() if not CONTENT & {*key.split(".")}} for config in whole]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    differing = [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]
    compared = [
        _compared(run, path, checkpoint, {key: config.get(key) for key in differing}, note)
        for run, path, checkpoint, config in zip(runs, paths, checkpoints, configs, strict=True)
    ]
    named = Counter(run.name for run in compared)
    first, *others = (
        replace(run, name=given) if named[run.name] > 1 else run for run, given in zip(compared, runs, strict=True)
    )
    if any(config.get("dataset.group") and not config.get("dataset.fold") for config in configs):
        note(GROUPED)
    for text in repetitions([first, *others]):
        note(text)
    return [first, *(replace(run, examples=against_first(first.scored, run.scored)) for run in others)]


def _members(run: str, root: Path) -> list[str]:
    """Return the runs of a group that have begun, or the run itself."""
    group = named_group(run, root)
    return [run] if group is None else [str(member.path) for member in group_runs(group)] or [run]


def _metrics(checkpoint: Checkpoint, best: Row | None, result: dict[str, Any] | None) -> dict[str, dict[str, float]]:
    """Return the metrics of a checkpoint by split and by name, from the history and from the run's result.

    The result is left out if it is for the weights of another epoch, as for an older generation or a `last.pt`.
    """
    select_by = checkpoint.config.get("select_by", "accuracy")
    known = {} if best is None else {name: best.validated(name) for name in ("loss", "accuracy", select_by)}
    validation = _finite(known)
    if result is None or result["best_epoch"] != checkpoint.epoch:
        return {"validation": validation, "test": {}}
    found = {split: _finite(result[split] or {}) for split in ("validation", "test")}
    return {**found, "validation": {**validation, **found["validation"]}}  # in which a decision threshold acts


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that have a finite value, by name."""
    known = {name: value for name, value in values.items() if name in METRICS and isinstance(value, float)}
    return {name: value for name, value in known.items() if math.isfinite(value)}


def _compared(
    run: str, path: Path, checkpoint: Checkpoint, differences: dict[str, Any], note: Callable[[str], None]
) -> ComparedRun:
    known = [Row(**row) for row in checkpoint.history]
    rows = whole_history(RunFolder(path.parent).history, known, note)
    result = _result(RunFolder(path.parent), note)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    weights = [weight for name, weight in checkpoint.model.items() if not name.endswith(buffers)]
    best = known[checkpoint.epoch - 1] if checkpoint.epoch else None
    metrics = _metrics(checkpoint, best, result)
    return ComparedRun(
        name=RunFolder(path.parent).name if path.name in ("best.pt", "last.pt") else run,
        differences=differences,
        parameters=sum(weight.numel() for weight in weights),
        epochs=len(rows) if result is None else result["epochs"],
        seconds=sum(row.seconds for row in rows) if result is None else result["train_seconds"],
        accuracies={
            "train": None if best is None else best.train_accuracy,
            "validation": metrics["validation"].get("accuracy"),
            "test": metrics["test"].get("accuracy"),
        },
        select_by=checkpoint.config.get("select_by", "accuracy"),
        metrics=metrics,
        rows=rows,
        scored=scored_examples(path),
        digests=checkpoint.split_digests or {"unknown": str(path)},
    )


def _result(folder: RunFolder, note: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the result of a run; None if it has not finished, or with a note if the file is damaged."""
    try:
        return result_of(folder)
    except CheckpointError as error:
        note(f"{error}; until then, it is shown without its metrics")
        return None
