"""Train a group: one config with several seeds, or on several folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnclassify.cli.printing import note, print_result
from nnclassify.cli.table import table
from nnclassify.errors import CheckpointError, InputError, printable
from nnclassify.evaluation.percent import percent
from nnclassify.process import from_launcher

if TYPE_CHECKING:
    from nnclassify.config.run_config import LoadedConfig
    from nnclassify.runs.group_summary import Summary
    from nnclassify.runs.group_training import TrainRun
    from nnclassify.runs.groups import Group


def resumed_group(
    config: str, overrides: Sequence[str], seeds: str | None, folds: int | None, *, is_run: bool
) -> Group | None:
    """Return the group that `--resume` continues; None: it continues a run.

    A name that both a config and a group have means the group, unless a run of the config is newer.

    Args:
        config: CONFIG, or the name of a run or a group.
        overrides: The overrides.
        seeds: The value of `--seeds`.
        folds: The value of `--folds`.
        is_run: Whether `config` is the name of a run or a group, even if there is such a config.

    Raises:
        CheckpointError: There is no such group.
        InputError: Seeds or folds are asked for, but there is no such config.
    """
    from nnclassify.config.run_config import load_config
    from nnclassify.runs.folder import group_runs, named_group, runs_of
    from nnclassify.runs.groups import fitting_group, read_group, runs_of_group
    from nnclassify.runs.resumable import is_config

    is_of_config, asks = not is_run and is_config(config), seeds is not None or folds is not None
    if not asks and (path := named_group(config)) is not None:
        newest = max((run.started_at() or 0 for run in group_runs(path)), default=0)
        if not is_of_config or all((run.started_at() or 0) < newest for run in runs_of(path.name)):
            return read_group(path)
    if not is_of_config:
        if asks:
            raise InputError(
                f"{config}: no config; --seeds and --folds need one; to continue a group, give only its name"
            )
        return None
    loaded = load_config(config, overrides)
    runs = runs_of_group(loaded, seeds, folds)
    if not runs:
        return None
    group = fitting_group(loaded, runs, keeps_configs=not Path(config).is_file())
    if group is None and asks:
        raise CheckpointError(f"{loaded.name}: no group of these runs to resume; start one without --resume")
    return group


def started_group(loaded: LoadedConfig, seeds: str | None, folds: int | None) -> Group | None:
    """Create the group that a config and the command line ask for; None: they ask for one run.

    Raises:
        InputError: `--seeds` or `--folds` is wrong, or several processes train.
    """
    from nnclassify.runs.groups import new_group, runs_of_group

    runs = runs_of_group(loaded, seeds, folds)
    if not runs:
        return None
    _check_processes(loaded)
    return new_group(loaded, runs)


def _check_processes(loaded: LoadedConfig) -> None:
    if from_launcher("WORLD_SIZE", 1) > 1:
        raise InputError(
            f"{loaded.name}: several seeds or folds, but several processes train one run together; start one run per "
            "seed or fold, with seed=N or dataset.fold=N"
        )


def train_group(group: Group, overrides: Sequence[str], train_run: TrainRun, *, as_json: bool) -> None:
    """Train the runs of a group that have not finished, one after the other, and print a summary.

    A run that fails does not stop the others.

    Args:
        group: The group.
        overrides: The overrides for runs that have begun.
        train_run: Trains a run.
        as_json: Whether to print JSON.

    Raises:
        Interrupted: A signal stopped a run; everything is saved.
        TrainingError: A run has failed; the others are trained.
    """
    from nnclassify.runs.group_training import check_all_trained, train_runs

    _check_processes(group.loaded)
    summary = train_runs(group, overrides, train_run, note)
    print_result(vars(summary), "train-group", lambda: summary_text(summary), as_json=as_json)
    check_all_trained(summary)


def summary_text(summary: Summary) -> str:
    """Return a table of the runs of a group with their accuracies, the means and the standard deviations."""
    from nnclassify.runs.looks import in_words

    splits = [split for split in ("train", "validation", "test") if "accuracy" in summary.mean[split]]
    rows = [
        [run, str(result["best_epoch"]), *(percent(result[split]["accuracy"]) for split in splits)]
        for run, result in summary.runs.items()
    ]
    for name, values in (("mean", summary.mean), ("standard deviation", summary.standard_deviation)):
        if values.get("train"):
            rows.append([name, "", *(percent(values[split]["accuracy"]) for split in splits)])
    lines = [
        f"runs: {printable(summary.group)}",
        table(["run", "best epoch", *(f"{split} accuracy" for split in splits)], rows),
    ]
    over = "folds" if all("fold-" in run for run in summary.runs) else "seeds"
    for split, (low, high) in summary.intervals.items():
        lines.append(f"95% interval of the mean {split} accuracy over the {over}: {percent(low)} to {percent(high)}")
    looks = in_words(max((result.get("test_looks") or 0 for result in summary.runs.values()), default=0))
    return "\n".join([*lines, looks] if looks else lines)
