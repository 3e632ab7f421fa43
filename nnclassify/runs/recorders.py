"""What records a run while it trains: its history, its config, its checkpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from nnclassify.config.run_config import CheckpointEvery, RunConfig, load_config
from nnclassify.errors import ConfigError
from nnclassify.files.atomic_write import remove, write_text
from nnclassify.runs.checkpoint import Checkpoint, save_checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.resume import machine_state, missing_best
from nnclassify.training.history import Row, append_row, write_rows, write_table
from nnclassify.training.trainer import Observer, Trainer

SAVE_SECONDS = 2.0
"""Epochs shorter than this share a save: a kill loses this much work at most, and a resume does it again."""


class HistoryWriter(Observer):
    """Keeps `history.jsonl`."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def run_started(self, trainer: Trainer) -> None:
        """A resume may go back behind rows that were written after its checkpoint."""
        write_rows(self.folder.history, trainer.rows)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """One more row."""
        append_row(self.folder.history, row)


class TableWriter(Observer):
    """Keeps `results.csv`: whole at any time, brought up to date as often as the checkpoints."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.saved_at = time.monotonic()

    def run_started(self, trainer: Trainer) -> None:
        """A resume may go back behind rows that were written after its checkpoint."""
        self.save(trainer)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Save when the last save is long enough ago."""
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            self.save(trainer)

    def run_ended(self, trainer: Trainer) -> None:
        """Save what stands."""
        self.save(trainer)

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a finished run again where it is lost, or was not written by an earlier release."""
        if not self.folder.results.is_file():
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write all rows; before the first epoch there is no file.

        Raises:
            SaveError: It could not be written.
        """
        if trainer.rows:
            write_table(self.folder.results, trainer.rows)
        else:
            remove(self.folder.results)
        self.saved_at = time.monotonic()


COMPILED_AT_FIRST = (
    "# The first steps were compiled, the later ones eager: a repeat from this file rounds differently.\n"
)


class ConfigWriter(Observer):
    """Keeps `config.yaml`: the resolved config, and once steps are taken, with `compile` as they are taken.

    So a run that is repeated from it ends in the same bits, whatever `auto` would decide then. No value of `compile`
    repeats a run that was compiled at first and eager later; its file says so.
    """

    def __init__(self, folder: RunFolder, config: RunConfig) -> None:
        self.folder = folder
        self.config = config
        self.comment = ""

    def run_started(self, trainer: Trainer) -> None:
        """As it was given: a compiled step is yet to be proven."""
        with contextlib.suppress(OSError, UnicodeError):
            kept = self.folder.config.read_text(encoding="utf-8")
            self.comment = COMPILED_AT_FIRST if trainer.step > 0 and kept.startswith(COMPILED_AT_FIRST) else ""
        self._write(self.config)

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Write again what has turned out otherwise."""
        setting, comment = trainer.plan.setting, self.comment
        if trainer.step_function.has_compiled and setting == "off":
            comment = COMPILED_AT_FIRST
        if setting != self.config.compile or comment != self.comment:
            self.comment = comment
            self._write(self.config.model_copy(update={"compile": setting}))

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a finished run again where it is damaged or lost."""
        try:
            load_config(str(self.folder.config), of_run=True)
        except ConfigError:
            self._write(self.config.model_copy(update={"compile": trainer.plan.setting}))

    def _write(self, config: RunConfig) -> None:
        self.config = config
        write_text(self.folder.config, self.comment + config.to_yaml())


class Checkpointer(Observer):
    """Keeps `best.pt` and `last.pt`, both of the same moment or best.pt later: so a resume can only redo.

    Attributes:
        folder: Where.
        facts: What every checkpoint of the run says: config, classes, transform.
        every: When to save beside the end of each epoch; None: see `SAVE_SECONDS`.
        best: The best checkpoint so far.
        why_unsaved: Why `best.pt` is to be written; None where it holds the best.
    """

    def __init__(
        self,
        folder: RunFolder,
        facts: dict[str, Any],
        every: CheckpointEvery | None = None,
        best: Checkpoint | None = None,
    ) -> None:
        self.folder = folder
        self.facts = facts
        self.every = every
        self.best = best
        self.why_unsaved = None if best is None else missing_best(folder, best)
        self.saved_at = time.monotonic()
        self._states: list[dict[str, Any]] = []

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Save where `checkpoint_every` says so."""
        if self.every is None:
            return
        steps = self.every.steps
        due = steps is not None and trainer.step // steps > (trainer.step - num_steps) // steps
        if due or (self.every.minutes is not None and self._seconds() >= 60 * self.every.minutes):
            self.save(trainer)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Remember the best; save when asked to, or when the last save is long enough ago."""
        if trainer.is_best:
            weights = _copied(trainer.evaluated_model().state_dict())
            self.best = Checkpoint(**self.facts, model=weights, epoch=len(trainer.rows), history=self._history(trainer))
            self.why_unsaved = f"{self.folder.best}: epoch {self.best.epoch} is better"
        if self.every is not None or self._seconds() >= SAVE_SECONDS:
            self.save(trainer)

    def run_ended(self, trainer: Trainer) -> None:
        """Save what stands."""
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write `best.pt` where there is a better one, then `last.pt`.

        Raises:
            SaveError: A file could not be written.
            TrainingError: A weight is not finite.
        """
        self.save_best()
        best_model, state = None if self.best is None else self.best.model, trainer.state()
        last = Checkpoint(
            **self.facts,
            model=state["model"] if state["averaged"] is None else state["averaged"],
            epoch=len(trainer.rows),
            history=self._history(trainer),
            training={**state, "best_model": best_model, "machine": machine_state(trainer)},
        )
        save_checkpoint(self.folder.last, last)
        self.saved_at = time.monotonic()

    def save_best(self) -> None:
        """Write `best.pt` where there is a better one than on disk.

        Raises:
            SaveError: It could not be written.
        """
        if self.best is not None and self.why_unsaved is not None:
            save_checkpoint(self.folder.best, self.best)
            self.why_unsaved = None

    def _history(self, trainer: Trainer) -> list[dict[str, Any]]:
        """All rows as primitives; each is turned into them once, since tiny nets have thousands of epochs."""
        self._states += [row.state() for row in trainer.rows[len(self._states) :]]
        return list(self._states)

    def _seconds(self) -> float:
        return time.monotonic() - self.saved_at


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().cpu().clone() for name, weight in weights.items()}


class Notes(Observer):
    """Says what the user should know of how the run is executed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def noted(self, trainer: Trainer, text: str) -> None:
        """Pass a note on."""
        self.say(text)
