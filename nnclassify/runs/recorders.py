"""Observers that record a run while it trains: history, config, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnclassify.config.run_config import CheckpointEvery, LoadedConfig, RunConfig, load_config
from nnclassify.data import Splits
from nnclassify.errors import ConfigError
from nnclassify.files.atomic_write import remove, write_text
from nnclassify.runs.checkpoint import Checkpoint, save_checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.manifest import write_manifest, write_skipped
from nnclassify.runs.provenance import is_own_config, provenance_of, read_provenance, resumed, write_provenance
from nnclassify.runs.resume import machine_state, missing_best
from nnclassify.training.history import Row, append_row, write_rows, write_table
from nnclassify.training.trainer import Observer, Trainer

SAVE_SECONDS = 2.0
"""Epochs shorter than this share a save. A kill loses at most this much work, which resuming repeats."""


@dataclass
class HistoryWriter(Observer):
    """Writes `history.jsonl`."""

    folder: RunFolder

    def run_started(self, trainer: Trainer) -> None:
        """Rewrite the file: a resumed run may go back to before its last rows."""
        write_rows(self.folder.history, trainer.rows)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Append a row."""
        append_row(self.folder.history, row)

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a finished run again if it is missing."""
        if not self.folder.history.is_file():
            write_rows(self.folder.history, trainer.rows)


@dataclass
class TableWriter(Observer):
    """Writes `results.csv`, always as a complete file, and as often as the checkpoints."""

    folder: RunFolder
    saved_at: float = field(default_factory=time.monotonic)

    def run_started(self, trainer: Trainer) -> None:
        """Rewrite the file: a resumed run may go back to before its last rows."""
        self.save(trainer)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Save if the last save was long enough ago."""
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            self.save(trainer)

    def run_ended(self, trainer: Trainer) -> None:
        """Save the current state."""
        self.save(trainer)

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a finished run again if it is missing."""
        if not self.folder.results.is_file():
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write all rows; before the first epoch, there is no file.

        Raises:
            SaveError: The file could not be written.
        """
        if trainer.rows:
            write_table(self.folder.results, trainer.rows)
        else:
            remove(self.folder.results)
        self.saved_at = time.monotonic()


@dataclass
class ManifestWriter(Observer):
    """Writes `manifest.csv` and `skipped.csv` when a run begins or is resumed: its test examples may have changed."""

    folder: RunFolder
    splits: Splits

    def run_started(self, trainer: Trainer) -> None:
        """Write the files."""
        write_manifest(self.folder.manifest, self.splits)
        write_skipped(self.folder.skipped, self.splits.skipped)

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a run that has begun where it is lost, or was not written by an earlier release."""
        if not self.folder.manifest.is_file():
            write_manifest(self.folder.manifest, self.splits)


@dataclass
class ProvenanceWriter(Observer):
    """Writes `provenance.json` when a run begins; a resumed run keeps what it knows about its beginning."""

    folder: RunFolder
    loaded: LoadedConfig
    config: RunConfig

    def run_started(self, trainer: Trainer) -> None:
        """Write the file."""
        instructions = torch.backends.cpu.get_cpu_capability()  # such as AVX512: sums are in another order with others
        now = provenance_of(self.loaded, self.config, {**machine_state(trainer), "instructions": instructions})
        has_own_config = is_own_config(self.folder, self.loaded.source)
        before = read_provenance(self.folder.provenance)
        write_provenance(self.folder.provenance, resumed(before, now, has_own_config=has_own_config))


COMPILED_AT_FIRST = (
    "# The first steps were compiled, the later ones eager: a repeat from this file rounds differently.\n"
)


@dataclass
class ConfigWriter(Observer):
    """Writes `config.yaml`: the resolved config and, after the first steps, the `compile` value that reproduces them.

    So a run that is repeated from this file gives the same result bit for bit, whatever `auto` would decide then. If
    a run was compiled first and eager later, no value of `compile` reproduces it, and a comment in the file says so.
    """

    folder: RunFolder
    config: RunConfig
    comment: str = ""

    def run_started(self, trainer: Trainer) -> None:
        """Write the config as given, since a compiled step has not been compared yet."""
        self._write(self.config, _comment(trainer))

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Rewrite the file if the execution differs from it."""
        if trainer.plan.setting != self.config.compile or _comment(trainer) != self.comment:
            self._write(self.config.model_copy(update={"compile": trainer.plan.setting}), _comment(trainer))

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a finished run again if it is damaged or missing."""
        try:
            load_config(str(self.folder.config), of_run=True)
        except ConfigError:
            self._write(self.config.model_copy(update={"compile": trainer.plan.setting}), _comment(trainer))

    def _write(self, config: RunConfig, comment: str) -> None:
        self.config, self.comment = config, comment
        write_text(self.folder.config, comment + config.to_yaml())


def _comment(trainer: Trainer) -> str:
    return COMPILED_AT_FIRST if trainer.has_compiled and trainer.plan.setting == "off" else ""


class BestKeeper(Observer):
    """Keeps the checkpoint of the best epoch in memory.

    Attributes:
        facts: The entries that all checkpoints of the run share: config, classes, transform.
        best: The best checkpoint so far.
    """

    def __init__(self, facts: dict[str, Any], best: Checkpoint | None = None) -> None:
        self.facts = facts
        self.best = best
        self._states: list[dict[str, Any]] = []

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Remember the checkpoint if it is the best."""
        if trainer.is_best:
            weights = _copied(trainer.evaluated_model().state_dict())
            self.best = Checkpoint(**self.facts, model=weights, epoch=len(trainer.rows), history=self._history(trainer))

    def _history(self, trainer: Trainer) -> list[dict[str, Any]]:
        """Return all rows as primitives. Each row is converted only once, since tiny networks have thousands of
        epochs."""
        self._states += [row.state() for row in trainer.rows[len(self._states) :]]
        return list(self._states)


class Checkpointer(BestKeeper):
    """Writes `best.pt`, then `last.pt`, so that best.pt is never older, and resuming can only repeat work.

    Attributes:
        folder: The run folder.
        every: When to save in addition to the end of each epoch; if None, see `SAVE_SECONDS`.
        why_unsaved: Why `best.pt` must be written; None if it is up to date.
    """

    def __init__(
        self,
        folder: RunFolder,
        facts: dict[str, Any],
        every: CheckpointEvery | None = None,
        best: Checkpoint | None = None,
    ) -> None:
        super().__init__(facts, best)
        self.folder = folder
        self.every = every
        self.why_unsaved = None if best is None else missing_best(folder, best)
        self.saved_at = time.monotonic()

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Save as often as `checkpoint_every` asks for."""
        if self.every is None:
            return
        steps = self.every.steps
        due = steps is not None and trainer.step // steps > (trainer.step - num_steps) // steps
        if due or (self.every.minutes is not None and self._seconds() >= 60 * self.every.minutes):
            self.save(trainer)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Remember the best checkpoint; save if asked to, or if the last save was long enough ago."""
        super().epoch_done(trainer, row)
        if trainer.is_best:
            self.why_unsaved = f"{self.folder.best}: epoch {len(trainer.rows)} is better"
        if self.every is not None or self._seconds() >= SAVE_SECONDS:
            self.save(trainer)

    def run_ended(self, trainer: Trainer) -> None:
        """Save the current state."""
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write `best.pt` if there is a better one, then `last.pt`.

        Raises:
            SaveError: A file could not be written.
            TrainingError: A weight is NaN or infinite.
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
        """Write `best.pt` if the one on disk is not the best.

        Raises:
            SaveError: The file could not be written.
        """
        if self.best is not None and self.why_unsaved is not None:
            save_checkpoint(self.folder.best, self.best)
            self.why_unsaved = None

    def _seconds(self) -> float:
        return time.monotonic() - self.saved_at


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().cpu().clone() for name, weight in weights.items()}


@dataclass
class Notes(Observer):
    """Shows the user changes of the execution."""

    say: Callable[[str], None]

    def noted(self, trainer: Trainer, text: str) -> None:
        """Show a line."""
        self.say(text)
