"""Compare runs: the differences between their configs, and their metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from nnclassify.errors import one_line, some
from nnclassify.evaluation.metrics import METRICS
from nnclassify.files.paths import content_of
from nnclassify.runs.checkpoint import Checkpoint, load_newest
from nnclassify.runs.folder import RunFolder, find_checkpoint
from nnclassify.settings import flat
from nnclassify.training.history import Row, whole_history


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        name: The name of the run.
        differences: The config values that are not the same in all runs, by dotted path.
        parameters: The number of parameters of the network.
        epochs: The number of epochs trained.
        seconds: The training time.
        accuracies: The accuracy on the train, validation and test splits; None if unknown.
        metrics: The known metrics of the validation and test splits, by split and by name.
        rows: The history, one row per epoch.
    """

    name: str
    differences: dict[str, Any]
    parameters: int
    epochs: int
    seconds: float
    accuracies: dict[str, float | None]
    metrics: dict[str, dict[str, float]]
    rows: list[Row]

    def figures(self) -> dict[str, Any]:
        """Return everything except the history, for JSON."""
        return {key: value for key, value in vars(self).items() if key != "rows"}


@dataclass(frozen=True)
class RunGroup:
    """Runs of one config that differ only in their seeds and names.

    Attributes:
        label: The values that distinguish the config from the others in the comparison.
        runs: The runs, at least one.
    """

    label: str
    runs: list[ComparedRun]

    def accuracy(self) -> float:
        """Return the mean accuracy of the runs on the validation split, or on the training split without one."""
        judged = "train" if any(run.accuracies["validation"] is None for run in self.runs) else "validation"
        reached = [run.accuracies[judged] or 0.0 for run in self.runs]
        return sum(reached) / len(reached)


def grouped(runs: Sequence[ComparedRun]) -> list[RunGroup]:
    """Group the runs of a comparison by config, the best config first."""
    groups: dict[str, list[ComparedRun]] = {}
    for run in runs:
        groups.setdefault(repr(_settings(run)), []).append(run)
    return sorted(
        (RunGroup(_label(members), members) for members in groups.values()), key=lambda group: -group.accuracy()
    )


def _settings(run: ComparedRun) -> dict[str, Any]:
    """Return the config values that differ, without seeds and names, by the shortest unambiguous key."""
    keys = {key: key.removesuffix(".name") for key in run.differences if key != "name" and _end(key) != "seed"}
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


class _Split(BaseModel):
    model_config = ConfigDict(extra="allow")

    accuracy: Annotated[float, Field(ge=0, le=1)]

    def metrics(self) -> dict[str, float]:
        """Return the metrics that have a finite value, by name."""
        return {name: value for name, value in dict(self).items() if name in METRICS and _is_finite(value)}


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


class _Result(BaseModel):
    """The part of `result.json` that a comparison needs."""

    epochs: Annotated[int, Field(ge=0)]
    train_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    best_epoch: Annotated[int, Field(ge=1)]
    test: _Split | None = None


def compare(runs: Sequence[str], note: Callable[[str], None] = lambda text: None) -> list[ComparedRun]:
    """Read runs and compare them.

    Args:
        runs: Names of runs, run folders or checkpoint files.
        note: Called with a line for each name that is ambiguous, and for each damaged file.

    Raises:
        CheckpointError: A checkpoint is missing or damaged.
    """
    paths = [find_checkpoint(run, note=note) for run in runs]
    found = [load_newest(path) for path in paths]
    for text in (text for newest in found for text in newest.notes):
        note(text)
    checkpoints = [newest.checkpoint for newest in found]
    configs = [flat(checkpoint.config) for checkpoint in checkpoints]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    differing = [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]
    return [
        _compared(run, path, checkpoint, {key: config.get(key) for key in differing}, note)
        for run, path, checkpoint, config in zip(runs, paths, checkpoints, configs, strict=True)
    ]


def _of_test(checkpoint: Checkpoint, result: _Result | None) -> dict[str, float]:
    """Return the test metrics of a checkpoint; empty if the run's result is for the weights of another epoch."""
    if result is None or result.test is None or result.best_epoch != checkpoint.epoch:
        return {}
    return result.test.metrics()


def _of_validation(best: Row | None, select_by: str) -> dict[str, float]:
    values = {} if best is None else {name: best.validated(name) for name in ("loss", "accuracy", select_by)}
    return {name: value for name, value in values.items() if value is not None and _is_finite(value)}


def _compared(
    run: str, path: Path, checkpoint: Checkpoint, differences: dict[str, Any], note: Callable[[str], None]
) -> ComparedRun:
    known = [Row(**row) for row in checkpoint.history]
    rows = whole_history(RunFolder(path.parent).history, known, note)
    result = _result(path, note)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    weights = [weight for name, weight in checkpoint.model.items() if not name.endswith(buffers)]
    best = known[checkpoint.epoch - 1] if checkpoint.epoch else None
    test = _of_test(checkpoint, result)
    return ComparedRun(
        name=path.parent.name if path.name in ("best.pt", "last.pt") else run,
        differences=differences,
        parameters=sum(weight.numel() for weight in weights),
        epochs=len(rows) if result is None else result.epochs,
        seconds=sum(row.seconds for row in rows) if result is None else result.train_seconds,
        accuracies={
            "train": None if best is None else best.train_accuracy,
            "validation": None if best is None else best.validation_accuracy,
            "test": test.get("accuracy"),
        },
        metrics={"validation": _of_validation(best, checkpoint.config.get("select_by", "accuracy")), "test": test},
        rows=rows,
    )


def _result(checkpoint: Path, note: Callable[[str], None]) -> _Result | None:
    """Read the result of the run that a checkpoint belongs to; None if the run has not finished."""
    path = checkpoint.parent / "result.json"
    try:
        return _Result.model_validate_json(content_of(path))
    except FileNotFoundError:
        return None
    except OSError as cause:
        note(f"{path}: cannot be read ({one_line(cause)}); the run is shown without its metrics")
    except ValueError:
        note(f"{path}: does not contain the metrics of a run; the run is shown without them")
    return None
