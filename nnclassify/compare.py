"""Runs side by side: what differs in their configs, and what they reached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnclassify.checkpoint import Checkpoint, load_newest
from nnclassify.folders import find_checkpoint
from nnclassify.history import Row
from nnclassify.settings import flat


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        name: The run.
        differences: The config values that are not the same in all runs, by dotted path.
        parameters: Numbers in the network.
        epochs: Trained.
        seconds: Of training.
        accuracies: Of train, validation and test; None where unknown.
        rows: The history.
    """

    name: str
    differences: dict[str, Any]
    parameters: int
    epochs: int
    seconds: float
    accuracies: dict[str, float | None]
    rows: list[Row]

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {key: value for key, value in vars(self).items() if key != "rows"}


def compare(runs: Sequence[str]) -> list[ComparedRun]:
    """Read runs (names, folders or checkpoints) and put them side by side.

    Raises:
        CheckpointError: One is not there, or damaged.
    """
    paths = [find_checkpoint(run) for run in runs]
    checkpoints = [load_newest(path).checkpoint for path in paths]
    configs = [flat(checkpoint.config) for checkpoint in checkpoints]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    differing = [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]
    return [
        _compared(run, path, checkpoint, {key: config.get(key) for key in differing})
        for run, path, checkpoint, config in zip(runs, paths, checkpoints, configs, strict=True)
    ]


def _compared(run: str, path: Path, checkpoint: Checkpoint, differences: dict[str, Any]) -> ComparedRun:
    result = _result(path.parent / "result.json")
    rows = [Row(**row) for row in checkpoint.history]
    trained = rows[: checkpoint.epoch]
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    weights = [weight for name, weight in checkpoint.model.items() if not name.endswith(buffers)]
    best = trained[-1]
    return ComparedRun(
        name=path.parent.name if path.name in ("best.pt", "last.pt") else run,
        differences=differences,
        parameters=sum(weight.numel() for weight in weights),
        epochs=int(result.get("epochs", len(rows))),
        seconds=float(result.get("train_seconds", sum(row.seconds for row in rows))),
        accuracies={
            "train": best.train_accuracy,
            "validation": best.validation_accuracy,
            "test": (result.get("test") or {}).get("accuracy"),
        },
        rows=rows,
    )


def _result(path: Path) -> dict[str, Any]:
    """The run's final figures; empty for a run that has not finished."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}
