"""`summary.json`: the figures of the runs of a group, with their means and standard deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    FiniteFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from nnclassify.errors import CheckpointError, one_line
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.significance import mean_interval
from nnclassify.files.json_files import first_problem, read_json, write_json
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.groups import Group
from nnclassify.runs.manifest import Manifest, read_manifest

SPLITS = ("train", "validation", "test")
Metrics = dict[str, dict[str, float]]
"""Values by split and by metric."""


@dataclass(frozen=True)
class Summary:
    """The figures of the runs of a group.

    Attributes:
        group: The folder of the group.
        runs: What each finished run has in `result.json`, by the name of its folder.
        mean: The mean of each metric that all finished runs have, by split and by name.
        standard_deviation: The standard deviation of each of them; empty for a single finished run.
        intervals: The 95% interval of the mean test accuracy, under `test`; see `mean_interval`. Empty for a single
            finished run, for equal accuracies, and where a run has no readable `manifest.csv`.
        failed: Why runs have failed, by the name of the folder.
    """

    group: str
    runs: dict[str, dict[str, Any]]
    mean: Metrics = field(default_factory=dict)
    standard_deviation: Metrics = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


_FIGURES = TypeAdapter(dict[str, FiniteFloat | None], config=ConfigDict(strict=True))


class _Result(BaseModel):
    """What others take from `result.json`: of each split, at least the accuracy."""

    model_config = ConfigDict(strict=True)

    epochs: PositiveInt
    best_epoch: PositiveInt
    train_seconds: FiniteFloat
    num_examples: dict[str, PositiveInt] = {}
    train: dict[str, Any]
    validation: dict[str, Any] | None
    test: dict[str, Any] | None

    @field_validator("train", "validation", "test")
    @classmethod
    def _has_figures(cls, split: dict[str, Any] | None) -> dict[str, Any] | None:
        figures = {"accuracy": 0.0} if split is None else split
        _FIGURES.validate_python({name: figures[name] for name in METRICS if name in figures})
        if figures.get("accuracy") is None:
            raise ValueError("no accuracy")
        return split


def result_of(folder: RunFolder) -> dict[str, Any] | None:
    """Return what a finished run has recorded; None if it has not finished.

    Raises:
        CheckpointError: The file cannot be read, or is not the result of a run.
    """
    try:
        found: dict[str, Any] = read_json(folder.result)
        _Result.model_validate(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as cause:
        why = first_problem(cause) if isinstance(cause, ValidationError) else one_line(cause)
        raise CheckpointError(f"{folder.result}: cannot be read ({why}); remove it, and resume the run") from cause
    return found


def summarized(group: Group, failed: Mapping[str, str]) -> Summary:
    """Compute the summary of the runs that have finished, and write it.

    Args:
        group: The group.
        failed: Why runs have failed, by the name of the folder.

    Raises:
        CheckpointError: The result of a run cannot be read.
        SaveError: The summary cannot be written.
    """
    results = {run: result for run in group.runs if (result := result_of(group.folder(run))) is not None}
    values = {split: _common([result[split] for result in results.values()]) for split in SPLITS}
    several = len(results) > 1
    summary = Summary(
        str(group.path),
        results,
        {split: {name: fmean(those) for name, those in known.items()} for split, known in values.items()},
        {split: {name: stdev(those) for name, those in known.items()} for split, known in values.items() if several},
        _intervals([group.folder(run) for run in results], values["test"].get("accuracy", [])),
        dict(failed),
    )
    write_json(group.summary, summary)
    return summary


def _common(splits: Sequence[Mapping[str, Any] | None]) -> dict[str, list[float]]:
    """Return the values of the metrics that all runs have on a split."""
    if any(split is None for split in splits):
        return {}
    known = [split for split in splits if split is not None]
    return {
        name: [float(split[name]) for split in known]
        for name in METRICS
        if known and all(split.get(name) is not None for split in known)
    }


def _intervals(folders: Sequence[RunFolder], accuracies: Sequence[float]) -> dict[str, Any]:
    """Return the interval of the mean test accuracy of finished runs, if it is known."""
    if len(set(accuracies)) < 2:
        return {}
    manifests = [read_manifest(folder.manifest) for folder in folders]
    known = [manifest for manifest in manifests if manifest is not None]
    interval = mean_interval(accuracies, _test_share(known)) if len(known) == len(folders) else None
    return {} if interval is None else {"test": interval}


def _test_share(manifests: Sequence[Manifest]) -> float:
    """Return the number of test examples per training example; 0 if all runs have the same test examples."""
    tests = [manifest.part("test") for manifest in manifests]
    if all(test == tests[0] for test in tests):
        return 0.0
    counts = [manifest.splits.count("train") for manifest in manifests]
    return fmean(len(test) / count for test, count in zip(tests, counts, strict=True))
