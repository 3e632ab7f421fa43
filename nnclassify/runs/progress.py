"""The progress of training as a bar: on a terminal as text, in a Jupyter notebook as a widget."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from nnclassify.errors import printable
from nnclassify.evaluation.metrics import METRICS
from nnclassify.evaluation.percent import percent
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

if TYPE_CHECKING:
    from tqdm import tqdm

BAR_SECONDS = 0.25
"""Seconds between two updates of the bar."""


class ProgressBar(Observer):
    """Shows progress as a tqdm bar."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def run_started(self, trainer: Trainer) -> None:
        """Draw the bar at the step where the run starts or continues."""
        self.bar = bar_class()(
            total=trainer.recipe.epochs * len(trainer.train_batches),
            initial=trainer.step,
            unit="step",
            dynamic_ncols=True,
            mininterval=BAR_SECONDS,
            file=sys.stderr,
            disable=sys.stderr is None,  # as in a program without a console
        )

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Advance the bar."""
        if self.bar is not None:
            self.bar.set_description(f"epoch {trainer.epoch}/{trainer.recipe.epochs}", refresh=False)
            self.bar.update(num_steps)

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Show the metrics of the epoch."""
        if self.bar is not None:
            self.bar.set_postfix_str(epoch_figures(row, trainer.recipe.select_by), refresh=False)

    def note(self, text: str) -> None:
        """Print a note above the bar."""
        bar_class().write(printable(text), file=sys.stderr)

    def run_ended(self, trainer: Trainer) -> None:
        """Close the bar, which stays on the screen."""
        if self.bar is not None:
            self.bar.close()


def bar_class() -> type[tqdm[Any]]:
    """Return tqdm's class of bars: widgets in a notebook with ipywidgets, else text."""
    if "ipykernel" not in sys.modules:
        from tqdm import tqdm

        return tqdm
    from tqdm import TqdmWarning

    with warnings.catch_warnings():  # without ipywidgets, the bar is text, which is no reason to warn
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm as tqdm_auto

        return tqdm_auto


def epoch_figures(row: Row, select_by: str) -> str:
    """Return the metrics of an epoch in words."""
    text = f"train {row.train_loss:.4f} {percent(row.train_accuracy)}"
    if row.validation_loss is not None and row.validation_accuracy is not None:
        text += f"  validation {row.validation_loss:.4f} {percent(row.validation_accuracy)}"
    if row.validation_metric is not None:
        text += f" {METRICS[select_by].label} {row.validation_metric:.4f}"
    return text
