"""Logs a run with the trackers of its config: `log: [tensorboard, mlflow]`."""

from __future__ import annotations

import io
import math
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from nnclassify.config.run_config import RunConfig
from nnclassify.errors import InputError, Interrupted, one_line
from nnclassify.files.trackers import Epoch, Log, LoggedRun, Outcome, Tracker
from nnclassify.runs.folder import RunFolder, is_group
from nnclassify.seeds import random_state, set_random_state
from nnclassify.settings import flat
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

SHARED_SECONDS = 2.0
"""Epochs shorter than this are logged together."""


def check_installed(config: RunConfig) -> None:
    """Check that every tracker of a config can be used.

    Raises:
        InputError: A package is not installed.
    """
    for place, tracker in enumerate(config.log or ()):
        if (package := tracker.missing()) is not None:
            text = f"log: {package} is not installed; run: pip install 'nnclassify[{package}]'"
            raise InputError(text, ("log", place))


class Tracking(Observer):
    """Logs a run with each of its trackers, and closes their logs when the context ends.

    A tracker whose tool fails is left out with one line, and training continues. What a tool prints is dropped, since
    standard output belongs to the results, and what it draws at random is put back, so that a run has the same bits
    with and without trackers.
    """

    def __init__(self, folder: RunFolder, config: RunConfig, run_id: str | None, say: Callable[[str], None]) -> None:
        self.trackers: dict[str, Tracker] = {tracker.name_of(): tracker for tracker in config.log or ()}
        self.logs: dict[str, Log] = {}
        self.failed: set[str] = set()
        self.select_by = config.select_by
        self.say = say
        self.waiting: list[Row] = []
        self.logged_at = time.monotonic()
        group = folder.path.parent if is_group(folder.path.parent) else None
        self.run = LoggedRun(
            folder=folder.path,
            id=run_id or folder.path.name,  # an early release gave none
            name=folder.name,
            group=None if group is None else group.name,
            parameters=flat(config.model_dump(mode="json", exclude_none=True, exclude={"log"})),
        )

    def __enter__(self) -> Tracking:
        self._ends = ExitStack()
        if self.trackers:
            self._ends.enter_context(self._threads())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log what waits, and close the logs."""
        self._add_waiting()
        is_stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        outcome: Outcome = "finished" if error is None else "interrupted" if is_stopped else "failed"
        self._each(lambda log: log.close(outcome))
        self.logs = {}
        self._ends.close()

    def run_started(self, trainer: Trainer) -> None:
        """Open the logs, which then have the epochs so far."""
        epochs = [self._epoch(row) for row in trainer.rows] if self.trackers else []
        for name, tracker in self.trackers.items():
            with self._guarded(name):
                log = tracker.open(self.run)
                log.add(epochs)
                self.logs[name] = log

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Log the epoch, if the last were logged long enough ago."""
        self.waiting.append(row)
        if time.monotonic() - self.logged_at >= SHARED_SECONDS:
            self._add_waiting()

    def run_ended(self, trainer: Trainer) -> None:
        """Log the last epochs."""
        self._add_waiting()

    def finish(self, figures: Mapping[str, Any], draw: Callable[[], Sequence[Path]]) -> None:
        """Log the results of the run and its plots.

        Args:
            figures: What `train --json` prints.
            draw: Draws the plots, and returns their files.
        """
        if not self.logs:
            return
        plots: Sequence[Path] = ()
        with self._guarded("plots"):
            plots = draw()
        results = {f"result/{name}": value for name, value in _results(figures).items()}
        self._each(lambda log: log.finish(results, plots, figures["epochs"]))

    def _epoch(self, row: Row) -> Epoch:
        """Return the finite figures of an epoch. `step` would be a reserved word in some tools."""
        state = row.state()
        figures = {
            **{
                f"{split}/{key}": state[f"{split}_{key}"]
                for split in ("train", "validation")
                for key in ("loss", "accuracy")
            },
            f"validation/{self.select_by}": row.validated(self.select_by),
            "steps": row.step,
            **{key: state[key] for key in ("lr", "seconds", "examples_per_second")},
        }
        return Epoch(row.epoch, _finite(figures), [*figures])

    def _add_waiting(self) -> None:
        rows, self.waiting = self.waiting, []
        if rows and self.logs:  # tiny networks have thousands of epochs: none is converted for nobody
            epochs = [self._epoch(row) for row in rows]
            self._each(lambda log: log.add(epochs))
        self.logged_at = time.monotonic()

    def _each(self, act: Callable[[Log], None]) -> None:
        for name, log in list(self.logs.items()):
            with self._guarded(name):
                act(log)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        state = random_state()
        try:
            with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            self._leave_out(name, error)
        finally:
            set_random_state(state)

    def _leave_out(self, name: str, error: BaseException | None) -> None:
        self.logs.pop(name, None)
        if name not in self.failed:
            self.failed.add(name)
            what = f"{type(error).__name__}: {one_line(error)}"
            self.say(f"warning: log: {name}: {what}; training continues without this log")

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Return a context in which what threads of the tools warn of, or fail with, is one line too."""
        shown, failed = warnings.showwarning, threading.excepthook

        def show(message: Warning | str, category: type[Warning], filename: str, *others: Any, **more: Any) -> None:
            if (name := self._tool_of([filename])) is None:
                shown(message, category, filename, *others, **more)
            else:
                self.say(f"warning: log: {name}: {one_line(message)}")

        def fail(given: threading.ExceptHookArgs) -> None:
            name = self._tool_of(frame.filename for frame in traceback.extract_tb(given.exc_traceback))
            if name is None:
                failed(given)
            else:
                self._leave_out(name, given.exc_value)

        warnings.showwarning, threading.excepthook = cast(Any, show), fail
        try:
            yield
        finally:
            warnings.showwarning, threading.excepthook = shown, failed

    def _tool_of(self, files: Iterable[str]) -> str | None:
        """Return the name of the tracker to whose package one of these files of Python belongs."""
        parts = {part for file in files for part in Path(file).parts}
        return next((name for name, tracker in self.trackers.items() if tracker.package in parts), None)


def _results(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers that tell how good a run is, and how long it took."""
    totals = {key: figures[key] for key in ("best_epoch", "epochs", "steps", "train_seconds")}
    splits = {
        f"{split}/{key}": value
        for split in ("train", "validation", "test")
        for key, value in (figures[split] or {}).items()
    }
    return _finite({**totals, **splits})


def _finite(figures: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in figures.items() if isinstance(value, int | float) and math.isfinite(value)}
