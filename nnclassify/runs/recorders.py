"""What looks on while a net trains: the history, the checkpoints, the progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nnclassify.config.run_config import CheckpointEvery, RunConfig, load_config
from nnclassify.errors import ConfigError, printable
from nnclassify.files.atomic_write import write_text
from nnclassify.runs.checkpoint import Checkpoint, save_checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.resume import machine_state, missing_best
from nnclassify.training.history import Row, append_row, write_rows
from nnclassify.training.trainer import Observer, Trainer

SAVE_SECONDS = 2.0
"""Epochs shorter than this share a save: a kill loses this much work at most, and a resume does it again."""
BAR_SECONDS = 0.25
"""How often the bar is brought up to date."""


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


class ConfigWriter(Observer):
    """Keeps `config.yaml`: the resolved config, and once steps are taken, with `compile` as they are taken.

    So a run that is repeated from it ends in the same bits, whatever `auto` would decide then.
    """

    def __init__(self, folder: RunFolder, config: RunConfig) -> None:
        self.folder = folder
        self.config = config

    def run_started(self, trainer: Trainer) -> None:
        """As it was given: a compiled step is yet to be proven."""
        self._write(self.config)

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Write again what has turned out otherwise."""
        if (setting := trainer.training_step.setting()) != self.config.compile:
            self._write(self.config.model_copy(update={"compile": setting}))

    def restore(self, trainer: Trainer) -> None:
        """Write the file of a finished run again where it is damaged or lost."""
        try:
            load_config(str(self.folder.config), of_run=True)
        except ConfigError:
            self._write(self.config.model_copy(update={"compile": trainer.training_step.setting()}))

    def _write(self, config: RunConfig) -> None:
        self.config = config
        write_text(self.folder.config, config.to_yaml())


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


class ProgressBar(Observer):
    """A tqdm bar on a terminal."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def run_started(self, trainer: Trainer) -> None:
        """Draw it where the run stands."""
        self.bar = tqdm(
            total=trainer.recipe.epochs * len(trainer.train),
            initial=trainer.step,
            unit="step",
            dynamic_ncols=True,
            mininterval=BAR_SECONDS,
            file=sys.stderr,
        )

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Move it."""
        if self.bar is not None:
            self.bar.set_description(f"epoch {trainer.epoch}/{trainer.recipe.epochs}", refresh=False)
            self.bar.update(num_steps)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Say what the epoch reached."""
        if self.bar is not None:
            self.bar.set_postfix_str(_figures(row), refresh=False)

    def note(self, text: str) -> None:
        """Write what the user should know above the bar."""
        tqdm.write(printable(text), file=sys.stderr)

    def run_ended(self, trainer: Trainer) -> None:
        """Leave the last state on the screen."""
        if self.bar is not None:
            self.bar.close()


class Execution(Observer):
    """Says once how the arithmetic is done: where, with how many threads, in which number type, and who runs steps."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def run_started(self, trainer: Trainer) -> None:
        """Say it before the first step."""
        step = trainer.training_step
        dtype = str(step.placement.autocast or step.placement.dtype).removeprefix("torch.")
        layout = ", channels last" if step.placement.channels_last else ""
        device = f"{step.placement.device}, CPU threads: {torch.get_num_threads()}"
        self.say(f"runs on {device}; products in {dtype}{layout}; {step.way()}")


class Notes(Observer):
    """Says what the user should know of how the run is executed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def noted(self, trainer: Trainer, text: str) -> None:
        """Pass a note on."""
        self.say(text)


ALL_LINES, FIRST_LINES, SHARES = 40, 8, 20
"""Runs of up to this many epochs have a line per epoch; longer ones for their first epochs, then evenly spaced ones."""
BURIED = 10
"""Lines under which a warning is no longer seen."""


class EpochLines(Observer):
    """Plain lines where there is no terminal: about 40 at most, however many epochs there are.

    The first epochs of a long run have a line each, then those whose number is a power of four, and twenty spread
    evenly over the run. At its end follow the best epoch and the last, and the warnings that many lines came after.
    """

    def __init__(self) -> None:
        self.num_lines = 0
        self.shown: set[int] = set()
        self.ends: dict[str, tuple[int, str]] = {}
        self.warnings: list[tuple[int, str]] = []

    def note(self, text: str) -> None:
        """Write what the user should know; a warning perhaps once more at the end."""
        self._write(text)
        if text.startswith("warning: "):
            self.warnings.append((self.num_lines, text))

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Write a line where the epoch has one."""
        is_best = trainer.is_best and trainer.recipe.may_select
        best = "  best" if is_best else ""
        line = f"epoch {row.epoch}/{trainer.recipe.epochs}  {_figures(row)}  lr {row.lr:.3g}  {row.seconds:.2f} s{best}"
        self.ends["last"] = (row.epoch, line)
        if is_best:
            self.ends["best"] = self.ends["last"]
        if not self.shown or _has_line(row.epoch, trainer.recipe.epochs):
            self._show(row.epoch, line)

    def run_ended(self, trainer: Trainer) -> None:
        """Write the best and the last epoch where they had no line, and warnings that were buried."""
        for epoch, line in sorted(self.ends.values()):
            if epoch not in self.shown:
                self._show(epoch, line)
        for num_lines, text in self.warnings:
            if self.num_lines - num_lines >= BURIED:
                sys.stderr.write(f"{printable(text)}\n")

    def _show(self, epoch: int, line: str) -> None:
        self.shown.add(epoch)
        self._write(line)

    def _write(self, line: str) -> None:
        self.num_lines += 1
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()


def _has_line(epoch: int, epochs: int) -> bool:
    """Whether an epoch of a run of `epochs` has its own line."""
    is_power_of_four = epoch.bit_count() == 1 and epoch.bit_length() % 2 == 1
    return epochs <= ALL_LINES or epoch <= FIRST_LINES or is_power_of_four or epoch % -(-epochs // SHARES) == 0


def _figures(row: Row) -> str:
    text = f"train {row.train_loss:.4f} {row.train_accuracy:.1%}"
    if row.validation_loss is not None and row.validation_accuracy is not None:
        text += f"  validation {row.validation_loss:.4f} {row.validation_accuracy:.1%}"
    return text
