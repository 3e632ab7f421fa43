"""The search: train trials until there are enough, whatever happens to each of them.

A trial is a run in a folder of its own, so one that was interrupted continues from its last checkpoint, bit for bit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from nnclassify.config.run_config import LoadedConfig, located
from nnclassify.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DeviceError,
    Interrupted,
    ModelError,
    SaveError,
    TrainingError,
    TrustError,
    counted,
    is_out_of_memory,
    one_line,
)
from nnclassify.files.atomic_write import previous, remove
from nnclassify.files.python_source import described
from nnclassify.run import RunResult, train
from nnclassify.runs.folder import RunFolder
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer
from nnclassify.tune.processes import Worker
from nnclassify.tune.result import write_best
from nnclassify.tune.study import DEATHS, Outcome, Study, best_of, find_study

MAX_DEATHS = 3
"""How often in a row the process of a trial may die without saving anything new, before the trial has failed."""


class Progress(Observer):
    """Watches a search, and the training of each trial."""

    def began(self, study: Study, trial: FrozenTrial, is_resumed: bool) -> None:
        """Take in that a trial begins, or that one continues that was interrupted."""

    def ended(self, study: Study, trial: FrozenTrial, outcome: Outcome) -> None:
        """Take in what came of a trial."""


class _Pruned(Exception):
    """The trial is worse than most others."""


class _Reporter(Observer):
    """Reports the best validation figure so far, and stops a trial that is worse than most others.

    Attributes:
        outcome: What the trial has come to.
    """

    def __init__(self, study: Study, trial: FrozenTrial) -> None:
        self.study = study
        self.trial = trial
        self.outcome = Outcome()

    def run_started(self, trainer: Trainer) -> None:
        """Take in what a resumed trial has reached."""
        self._take_in(trainer)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Report the figure."""
        self._take_in(trainer)
        if row.epoch % self.study.report_epochs or trainer.finished or self.outcome.value is None:
            return
        if not self.study.report(self.trial, row.epoch, self.outcome.value):
            raise _Pruned

    def _take_in(self, trainer: Trainer) -> None:
        self.outcome = outcome_of_rows(trainer.rows, trainer.best_epoch, trainer.recipe.select_by)


def outcome_of_rows(rows: Sequence[Row], best_epoch: int, metric: str) -> Outcome:
    """Return what a history comes to."""
    best = rows[best_epoch - 1] if best_epoch else None
    return Outcome(
        value=None if best is None else best.validated(metric),
        loss=None if best is None else best.validation_loss,
        epochs=len(rows),
        seconds=sum(row.seconds for row in rows),
    )


def search(
    loaded: LoadedConfig,
    num_trials: int,
    root: Path,
    progress: Progress,
    *,
    name: str | None = None,
    prune: bool = True,
    note: Callable[[str], None] = lambda text: None,
) -> Study:
    """Train trials of a config until its study has `num_trials`, together with the other processes that do so.

    Args:
        loaded: The config, with a `search` section.
        num_trials: The number of trials in the study, those of earlier starts and other processes included.
        root: The folder of the runs.
        progress: Watches the search.
        name: The name of the study; see `find_study`.
        prune: Whether to stop trials that are worse than most others.
        note: Called with each note about the config and the data, one line.

    Raises:
        ConfigError: The config searches nothing, or has no validation split.
        DataError: The data cannot be read.
        Interrupted: A signal stopped a trial; everything is saved.
        SaveError: A file cannot be written.
    """
    check_searchable(loaded)
    with located(loaded.source):
        splits = loaded.config.completed().dataset.build(loaded.config.seed)
    for text in (*loaded.notes, *splits.notes):
        note(text)
    if splits.validation is None:
        raise DataError("tune compares trials on a validation split, but there is none; set dataset.validation: 0.2")
    del splits
    folder = find_study(loaded, name, root, note)
    with Worker(folder.processes) as worker:
        study = Study(folder, loaded, worker, prune=prune)
        best = _tidy(study, study.trials())
        while (trial := study.begin(num_trials)) is not None:
            is_resumed = folder.trial(trial.number).started_at() is not None
            progress.began(study, trial, is_resumed)
            outcome = (
                _outcome(study, trial, progress) if (error := _why_given_up(trial)) is None else Outcome(error=error)
            )
            if study.end(trial, outcome):
                progress.ended(study, trial, outcome)
                best = _tidy(study, [trial, *best])
        _tidy(study, study.trials())
        _note_end(study.trials(), num_trials, note)
        return study


def _why_given_up(trial: FrozenTrial) -> str | None:
    """Return why a trial is not continued, if its processes have died again and again; None if it is."""
    deaths, _ = trial.user_attrs.get(DEATHS, (0, 0))
    if deaths < MAX_DEATHS:
        return None
    return f"its process was killed {deaths} times at the same place; it may need more memory than there is"


def _note_end(trials: Sequence[FrozenTrial], num_trials: int, note: Callable[[str], None]) -> None:
    if len(trials) < num_trials:
        note(f"all combinations of values have been tried: there are {len(trials)}")
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    if running:
        note(f"{counted(running, 'trial')} still in training by other processes; start again to see the results")


def check_searchable(loaded: LoadedConfig) -> None:
    """Check that a config searches something, and that there is a split to compare trials on.

    Raises:
        ConfigError: It does not, or there is none.
    """
    problems, at = [], ("dataset", "validation")
    if loaded.config.search is None:
        example = "`search: {optimizer.lr: {log: [1e-4, 1]}}`, or search.optimizer.lr='{log: [1e-4, 1]}'"
        problems.append(f"{loaded.source.file}: nothing to search; add {example} on the command line")
    if (validation := loaded.config.dataset.validation) in (0, "test"):
        why = "choosing by the test split would spend it" if validation == "test" else "trials are compared on it"
        found = validation if validation == "test" else 0
        text = f"dataset.validation: found {found}, but {why}; add dataset.validation=0.2"
        problems.append(loaded.source.message(at, text))
    if problems:
        raise ConfigError(problems)


def _outcome(study: Study, trial: FrozenTrial, progress: Progress) -> Outcome:
    """Train a trial, or continue it, and return what came of it, also if it failed.

    Raises:
        Interrupted, SaveError: The trial can be continued.
    """
    reporter = _Reporter(study, trial)
    try:
        result = _trained(study, trial, [progress, reporter])
    except _Pruned:
        return replace(reporter.outcome, is_pruned=True)
    except SaveError as error:  # which names the run, and how to resume it alone
        raise error.__cause__ if isinstance(error.__cause__, SaveError) else error from None
    except (TrustError, Interrupted):
        raise
    except (ConfigError, DataError, DeviceError, ModelError, TrainingError) as error:
        return replace(reporter.outcome, error=str(error).splitlines()[0])
    except Exception as error:
        reason = f"out of memory ({one_line(error)})" if is_out_of_memory(error) else described(error)
        if reason is None:
            raise
        return replace(reporter.outcome, error=reason)
    return outcome_of_rows(result.rows, result.best_epoch, study.loaded.config.select_by)


def _trained(study: Study, trial: FrozenTrial, observers: Sequence[Observer]) -> RunResult:
    loaded, folder = study.config(trial), study.folder.trial(trial.number)
    folder.path.mkdir(parents=True, exist_ok=True)
    begun = folder if folder.started_at() is not None else None
    try:
        return _run(loaded, begun, folder, observers)
    except CheckpointError:  # neither generation of last.pt can be read: the trial starts again from the beginning
        if begun is None:
            raise
        shutil.rmtree(folder.path)
        folder.path.mkdir()
        return _run(loaded, None, folder, observers)


def _run(loaded: LoadedConfig, resume: RunFolder | None, into: RunFolder, observers: Sequence[Observer]) -> RunResult:
    return train(loaded, resume=resume, into=into, observers=observers, with_monitor=False, with_report=False)


def _tidy(study: Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Write the config of the best trial so far, remove the checkpoints of others, and return the best trial, if any.

    Args:
        study: The study.
        trials: The trials that may have checkpoints.
    """
    with study.lock:
        known = study.trials()
        best = best_of(known, study.direction)
        if best is not None:
            write_best(study, best)
        for trial in trials:
            if known[trial.number].state.is_finished():
                is_best = best is not None and trial.number == best.number
                _remove_large_files(study.folder.trial(trial.number), is_best=is_best)
        return [] if best is None else [best]


def _remove_large_files(folder: RunFolder, *, is_best: bool) -> None:
    large = [folder.last, previous(folder.last), previous(folder.best)]
    if not is_best:
        large += [folder.best, folder.predictions, folder.manifest, folder.skipped]
    for path in large:
        remove(path)
