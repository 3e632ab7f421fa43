"""Who looks on while a net trains: the trainer tells what happens, and knows nothing of who listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nnclassify.history import Row

if TYPE_CHECKING:
    from nnclassify.trainer import Trainer


class Observer(Protocol):
    """What watches training; it must change nothing that training depends on."""

    def run_started(self, trainer: Trainer) -> None:
        """Before the first step, or the first after a resume."""

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """After a few updates."""

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """After an epoch and its validation; `trainer.is_best` says whether it is the best so far."""

    def noted(self, trainer: Trainer, text: str) -> None:
        """Something the user should know, a line: how the run is executed has changed."""

    def run_ended(self, trainer: Trainer) -> None:
        """After the last update, also when a signal or `patience` stopped the run early."""


class Watcher:
    """An observer that does nothing; derive from it to look at some events only."""

    def run_started(self, trainer: Trainer) -> None:
        """Called before the first step; does nothing here."""

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Called after a few updates; does nothing here."""

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Called after an epoch; does nothing here."""

    def noted(self, trainer: Trainer, text: str) -> None:
        """Called with a note; does nothing here."""

    def run_ended(self, trainer: Trainer) -> None:
        """Called after the last update; does nothing here."""
