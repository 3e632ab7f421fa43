"""A study: the trials of one search, in a folder that several processes may share.

`checkpoints/<study>/` contains `study.json`, what is searched; `journal.log`, the trials as Optuna writes them;
`trials/<number>/`, the run folder of each trial; and `best.yaml`, `trials.csv`, `result.json` and plots. The processes
that work on it are in `.processes/`.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from nnclassify.config.run_config import LoadedConfig, RunConfig, load_source, search_space
from nnclassify.config.search import SEARCH, SearchSpace
from nnclassify.config.yaml_reader import Override
from nnclassify.config.yaml_writer import inline
from nnclassify.errors import CheckpointError, InputError, NNClassifyError, one_line
from nnclassify.evaluation.metrics import METRICS
from nnclassify.files.atomic_write import write_text
from nnclassify.files.json_files import read_json
from nnclassify.files.paths import not_created
from nnclassify.runs.folder import STUDY, Place, RunFolder
from nnclassify.runs.resumable import changes
from nnclassify.tune.journal import Journal
from nnclassify.tune.processes import STUDY_LOCK, FolderLock, Worker
from nnclassify.tune.sampling import VALUES, Direction, draw

PROCESS, OUTCOME, DEATHS = "process", "outcome", "deaths"
"""Attributes of a trial: the process that trains it, what came of it, and how often in a row its process has died
without saving anything new, with the time when it last saved."""
FIXED = ("show_test=false", "boosted_baseline=off")
"""What holds for all trials: none looks at the test split, and nothing is computed that nobody reads."""
REPORTS = 30
"""How often a trial reports its validation figure, about: each report is a line of the journal."""
FULL_TRIALS = 5
"""Trials that are trained to their end before one is pruned."""
UNJUDGED = 5
"""The fraction of its epochs, one fifth, that a trial has to itself before it may be pruned."""


@dataclass(frozen=True)
class StudyFolder:
    """`checkpoints/<study>/`."""

    path: Path

    study = Place(STUDY)
    """What is searched."""
    journal = Place("journal.log")
    """The trials, as Optuna writes them."""
    processes = Place(".processes")
    """Folder of the locks, with a file for each process."""
    best = Place("best.yaml")
    """The config with the best values."""
    table = Place("trials.csv")
    """A row per trial."""
    result = Place("result.json")
    """The result, as `tune --json` prints it."""

    def trial(self, number: int) -> RunFolder:
        """Return the run folder of a trial; trials are counted from 1."""
        return RunFolder(self.path / "trials" / str(number + 1))


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        value: The validation figure that trials are compared by; None if the trial failed before the first one.
        loss: The validation loss of the same epoch, which decides between equal figures.
        epochs: The number of epochs that were trained.
        seconds: The training time.
        error: Why the trial failed; None if it did not.
        is_pruned: Whether it was stopped because it was worse than most others.
    """

    value: float | None = None
    loss: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    error: str | None = None
    is_pruned: bool = False

    @property
    def state(self) -> TrialState:
        """The state for Optuna."""
        if self.error is not None:
            return TrialState.FAIL
        return TrialState.PRUNED if self.is_pruned else TrialState.COMPLETE


class Study:
    """A study that this process works on.

    Attributes:
        folder: Its folder.
        loaded: The config, with its `search` section.
        space: What is searched.
        worker: This process.
        optuna: The study as Optuna sees it.
        lock: While it is held, no other process begins or ends a trial.

    Raises:
        CheckpointError: The journal is damaged.
    """

    def __init__(self, folder: StudyFolder, loaded: LoadedConfig, worker: Worker, *, prune: bool) -> None:
        self.folder = folder
        self.loaded = loaded
        self.space: SearchSpace = search_space(loaded.source)[0]
        self.worker = worker
        self.prune = prune
        self.lock = FolderLock(folder.processes, STUDY_LOCK)
        metric = METRICS[loaded.config.select_by]
        self.direction: Direction = "maximize" if metric.higher_is_better else "minimize"
        with self.lock, self._readable():
            self._storage = JournalStorage(Journal(folder.journal, folder.processes))
            self.optuna = optuna.create_study(
                storage=self._storage,
                study_name="tune",
                direction=self.direction,
                pruner=MedianPruner(FULL_TRIALS, n_warmup_steps=self.most_epochs // UNJUDGED),
                load_if_exists=True,
            )
            self._check_trials()
        self._id = self._storage.get_study_id_from_name("tune")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Name the journal in whatever Optuna raises about its lines: it has no error of its own for them."""
        try:
            yield
        except NNClassifyError:
            raise
        except Exception as cause:
            raise CheckpointError(
                f"{self.folder.journal}: damaged ({one_line(cause)}); put it back, or name another study with --study"
            ) from cause

    def _check_trials(self) -> None:
        """Raise a `ValueError` if the journal lacks a trial that has been trained, or its values."""
        trials = self.trials()
        lost = [path for path in self.folder.trial(0).path.parent.glob("*") if int(path.name) > len(trials)]
        lost += [self.folder.trial(trial.number).path for trial in trials if VALUES not in trial.user_attrs]
        if lost:
            raise ValueError(f"{lost[0]} is not in it")

    @property
    def most_epochs(self) -> int:
        """The number of epochs of the longest trial."""
        searched = [int(parameter.samples()[-1]) for parameter in self.space.parameters if parameter.key == "epochs"]
        return max([self.loaded.config.epochs, *searched])

    @property
    def report_epochs(self) -> int:
        """The number of epochs between two reports, the same in all trials, so that they can be compared."""
        return max(1, self.most_epochs // REPORTS)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, oldest first."""
        return self.optuna.get_trials(deepcopy=False)

    def begin(self, num_trials: int) -> FrozenTrial | None:
        """Return the trial that this process trains next, or None: there is none left.

        That is a trial whose process died, or else a new one, until there are `num_trials`.
        """
        with self.lock:
            trials = self.trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and not self.worker.is_alive(trial.user_attrs[PROCESS]):
                    return self._taken_over(trial)
            if len(trials) >= num_trials:
                return None
            new = draw(self.space, trials, self.direction, self.loaded.config.seed)
            if new is None:
                return None
            new.set_user_attr(PROCESS, self.worker.id)
            number = self._storage.get_trial(self._storage.create_new_trial(self._id, new)).number
        return self.trials()[number]

    def _taken_over(self, trial: FrozenTrial) -> FrozenTrial:
        last, identity = self.folder.trial(trial.number).last, self._id_of(trial)
        saved = last.stat().st_mtime_ns if last.is_file() else 0
        deaths, before = trial.user_attrs.get(DEATHS, (0, saved))
        self._storage.set_trial_user_attr(identity, DEATHS, [deaths + 1 if saved == before else 1, saved])
        self._storage.set_trial_user_attr(identity, PROCESS, self.worker.id)
        return self.trials()[trial.number]

    def _id_of(self, trial: FrozenTrial) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)

    def report(self, trial: FrozenTrial, epoch: int, value: float) -> bool:
        """Record the validation figure of a trial after an epoch, and return whether the trial is worth continuing."""
        identity = self._id_of(trial)
        if epoch not in self._storage.get_trial(identity).intermediate_values:  # a resumed trial repeats epochs
            self._storage.set_trial_intermediate_value(identity, epoch, value)
        return not (self.prune and self.optuna.pruner.prune(self.optuna, self._storage.get_trial(identity)))

    def end(self, trial: FrozenTrial, outcome: Outcome) -> bool:
        """Record what came of a trial; False if another process has taken the trial over, which then records it."""
        with self.lock:
            identity = self._id_of(trial)
            now = self._storage.get_trial(identity)
            if now.state != TrialState.RUNNING or now.user_attrs[PROCESS] != self.worker.id:
                return False
            self._storage.set_trial_user_attr(identity, OUTCOME, vars(outcome))
            values = None if outcome.value is None else [outcome.value]
            self._storage.set_trial_state_values(identity, outcome.state, values)
            return True

    def config(self, trial: FrozenTrial) -> LoadedConfig:
        """Return the config of a trial.

        Raises:
            ConfigError: Its values do not fit each other.
        """
        assignments = [*FIXED, *(f"{key}={json.dumps(value)}" for key, value in trial.user_attrs[VALUES].items())]
        source = copy.deepcopy(self.loaded.source)
        source.data.pop(SEARCH, None)
        source.lines = {path: line for path, line in source.lines.items() if path[:1] != (SEARCH,)}
        name = f"trial-{trial.number + 1}"
        return load_source(source, name, [Override(assignment, assignment) for assignment in assignments])


def outcome_of(trial: FrozenTrial) -> Outcome | None:
    """Return what came of a trial; None if it has not ended."""
    return Outcome(**trial.user_attrs[OUTCOME]) if trial.state.is_finished() else None


def best_of(trials: list[FrozenTrial], direction: Direction) -> FrozenTrial | None:
    """Return the best trial: of equal figures the one with the lowest loss, then the first."""
    sign = 1 if direction == "maximize" else -1

    def figures(trial: FrozenTrial) -> tuple[float, float, int]:
        outcome = outcome_of(trial)
        assert outcome is not None and outcome.value is not None and outcome.loss is not None
        return sign * outcome.value, -outcome.loss, -trial.number

    return max((trial for trial in trials if trial.state == TrialState.COMPLETE), key=figures, default=None)


def find_study(loaded: LoadedConfig, name: str | None, root: Path, note: Callable[[str], None]) -> StudyFolder:
    """Return the folder of the study of a config: the one that was begun with the same config, or a new one.

    Args:
        loaded: The config.
        name: The name of the study; None: the name of the run and `-tune`, with a number if another config has it.
        root: The folder of the runs.
        note: Called with why a study of that name is not continued.

    Raises:
        InputError: A study of that name was begun with another config, or the folder cannot be created.
    """
    first = name or f"{loaded.name}-tune"
    for number in itertools.count(1):
        folder = StudyFolder(root / (first if number == 1 else f"{first}-{number}"))
        difference = _difference(folder, loaded)
        if difference is None:
            return folder
        if name is not None:
            raise InputError(f"{folder.path}: {difference}; change it back, or name another study with --study")
        note(f"{folder.path}: not continued: {difference}")
    raise AssertionError("count() does not end")


def _difference(folder: StudyFolder, loaded: LoadedConfig) -> str | None:
    """Begin a study in a folder, unless it is begun; return why it is not that of a config, or None."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        if not folder.study.is_file() and any(path.name != folder.processes.name for path in folder.path.iterdir()):
            return "a folder without a study"
        folder.processes.mkdir(exist_ok=True)
    except OSError as cause:
        raise not_created(folder.path, cause) from cause
    with FolderLock(folder.processes, STUDY_LOCK):
        if not folder.study.is_file():
            write_text(folder.study, json.dumps(_saved(loaded), indent=2) + "\n")
            return None
    try:
        saved = read_json(folder.study)
        before, searched = RunConfig.model_validate(saved["config"]), dict(saved[SEARCH])
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise CheckpointError(
            f"{folder.study}: damaged ({one_line(cause)}); name another study with --study"
        ) from cause
    return next(_changes(before, searched, loaded), None)


def _saved(loaded: LoadedConfig) -> dict[str, Any]:
    config = loaded.config.model_dump(mode="json", exclude_none=True)
    return {"config": config, SEARCH: loaded.source.data[SEARCH]}


def _changes(before: RunConfig, searched: dict[str, Any], loaded: LoadedConfig) -> Iterator[str]:
    """Yield the differences that make the trials of two configs incomparable."""
    now = loaded.source.data[SEARCH]
    for key in dict.fromkeys([*searched, *now]):
        if searched.get(key) != now.get(key):
            was, is_now = ("not searched" if key not in of else inline(of[key]) for of in (searched, now))
            yield f"{SEARCH}.{key}: {was} when the study began, now {is_now}"
    if before.epochs != loaded.config.epochs:
        yield f"epochs: {before.epochs} when the study began, now {loaded.config.epochs}"
    yield from (change.replace("the run began", "the study began") for change in changes(before, loaded.config))
