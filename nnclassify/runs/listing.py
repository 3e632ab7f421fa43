"""Lists the runs in a folder from their small files only: it opens no checkpoint and imports no torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.errors import ConfigError, InputError, one_line, shell_command
from nnclassify.evaluation.metrics import METRICS
from nnclassify.files.atomic_write import previous
from nnclassify.files.paths import content_of, is_folder, unreadable
from nnclassify.runs.folder import RunFolder, is_group, is_study
from nnclassify.training.history import Row, read_rows

State = Literal["finished", "interrupted", "running", "damaged", "checkpoint", "search", "not a run"]


class _Split(BaseModel):
    accuracy: Annotated[float, Field(ge=0, le=1)]


class _Result(BaseModel):
    """The part of `result.json` that is used here."""

    best_epoch: Annotated[int, Field(ge=1)]
    validation: _Split | None = None
    test: _Split | None = None


@dataclass(frozen=True)
class ListedRun:
    """One folder under the root.

    Attributes:
        name: Name of the folder.
        state: `running` if a process holds the folder's lock; `search` for a folder of `tune`; `checkpoint` if it has
            `best.pt` alone, as `NNClassifier.save` writes it; `not a run` if it contains no file of a run.
        problem: Why the run is damaged or cannot be read.
        dataset: Name of the dataset; None if the config cannot be read.
        model: Name of the model; None if the config cannot be read.
        epochs: Number of epochs in the config; None if it cannot be read.
        epochs_done: Number of rows in the history.
        best_epoch: The best epoch so far; None before the first.
        validation_accuracy: Validation accuracy of the best epoch; None without a validation split.
        test_accuracy: Test accuracy of the best epoch; None if the run is not finished or has no test split.
        saved_at: When the run was last saved, in UTC; None if nothing was saved.
    """

    name: str
    state: State
    problem: str | None = None
    dataset: str | None = None
    model: str | None = None
    epochs: int | None = None
    epochs_done: int = 0
    best_epoch: int | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    saved_at: datetime | None = None


def listed(root: Path) -> list[ListedRun]:
    """List every folder under a root as a run, newest last; folders that are not runs come first.

    Folders that are deleted meanwhile are left out.

    A root that is a run itself is listed alone; in place of a group, its runs are listed.

    Raises:
        InputError: The root is not a folder, or cannot be read.
    """
    if not is_folder(root):
        raise InputError(f"{root}: not a folder; expected one with runs in it")
    try:
        folders = [path for entry in sorted(root.iterdir()) if entry.is_dir() for path in _runs_in(entry)]
    except OSError as cause:
        raise unreadable(root, cause) from cause
    found = [(path, _listed(RunFolder(path))) for path in ([root] if _is_run(RunFolder(root)) else folders)]
    present = [run for path, run in found if path.is_dir()]
    return sorted(present, key=lambda run: (0.0 if run.saved_at is None else run.saved_at.timestamp(), run.name))


def _runs_in(path: Path) -> list[Path]:
    if not is_group(path):
        return [path]
    with contextlib.suppress(FileNotFoundError):  # deleted since it was found
        return [entry for entry in sorted(path.iterdir()) if entry.is_dir()]
    return []


def _listed(folder: RunFolder) -> ListedRun:
    try:
        next(folder.path.iterdir(), None)
    except OSError as cause:
        return ListedRun(folder.name, "damaged", f"cannot be opened ({cause.strerror})")
    if is_study(folder.path):
        return ListedRun(folder.name, "search")
    if not _is_run(folder):
        return ListedRun(folder.name, "not a run")
    if [file for file in folder.files() if os.path.lexists(file)] == [folder.best]:
        return ListedRun(folder.name, "checkpoint")
    problems: list[str] = []
    config, rows, result = _config(folder, problems), _rows(folder, problems), _result(folder, problems)
    best = _best(rows, config, result)
    saved_at = folder.started_at()
    return ListedRun(
        folder.name,
        _state(folder, result, problems),
        problem=problems[0] if problems else None,
        dataset=None if config is None else config.dataset.name,
        model=None if config is None else config.model.name,
        epochs=None if config is None else config.epochs,
        epochs_done=len(rows),
        best_epoch=None if best is None else best.epoch,
        validation_accuracy=_validation_accuracy(best, result),
        test_accuracy=None if result is None or result.test is None else result.test.accuracy,
        saved_at=None if saved_at is None else _time(saved_at),
    )


def _validation_accuracy(best: Row | None, result: _Result | None) -> float | None:
    """Return the accuracy at the end of a finished run, where a decision threshold acts; before, that of training."""
    if result is not None and result.validation is not None:
        return result.validation.accuracy
    return None if best is None else best.validation_accuracy


def _time(nanoseconds: int) -> datetime | None:
    """Return a time in UTC; None for one beyond the year 9999, which a file has from a wrong clock."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _is_run(folder: RunFolder) -> bool:
    return any(map(os.path.lexists, [*folder.files(), previous(folder.last), previous(folder.best)]))


def _state(folder: RunFolder, result: _Result | None, problems: Sequence[str]) -> State:
    if folder.is_locked():
        return "running"
    if problems:
        return "damaged"
    return "interrupted" if result is None else "finished"


def _missing(file: Path, folder: RunFolder) -> str:
    return f"{file}: missing; `{shell_command('train', '--resume', folder.name)}` writes it again"


def _config(folder: RunFolder, problems: list[str]) -> RunConfig | None:
    if not os.path.lexists(folder.config):
        problems.append(_missing(folder.config, folder))
        return None
    try:
        return load_config(str(folder.config), of_run=True).config
    except (ConfigError, InputError) as error:
        problems.append(error.lines[0])
        return None


def _rows(folder: RunFolder, problems: list[str]) -> list[Row]:
    """Read the history, empty before the first epoch. An incomplete last row of a killed process is not damage."""
    try:
        return read_rows(folder.history, may_be_cut=True)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as cause:
        problems.append(f"{folder.history}: cannot be read ({one_line(cause)})")
        return []


def _result(folder: RunFolder, problems: list[str]) -> _Result | None:
    """Read the final figures; None if the run is not finished."""
    try:
        result = _Result.model_validate_json(content_of(folder.result))
    except FileNotFoundError:
        return None
    except OSError as cause:
        problems.append(f"{folder.result}: cannot be read ({one_line(cause)})")
        return None
    except ValueError:
        problems.append(f"{folder.result}: not the result of a run")
        return None
    if not any(map(os.path.lexists, (folder.best, previous(folder.best)))):
        problems.append(_missing(folder.best, folder))
    return result


def _best(rows: Sequence[Row], config: RunConfig | None, result: _Result | None) -> Row | None:
    """Return the row of the best epoch: as in the result, otherwise by the metric that the config selects by."""
    if result is not None and result.best_epoch <= len(rows):
        return rows[result.best_epoch - 1]
    metric = "accuracy" if config is None else config.select_by
    sign = 1 if METRICS[metric].higher_is_better else -1
    rated = [(sign * value, row) for row in rows if (value := row.validated(metric)) is not None]
    return max(rated, key=lambda pair: pair[0])[1] if rated else next(iter(rows[-1:]), None)
