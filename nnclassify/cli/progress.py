"""The progress of training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from nnclassify.errors import printable
from nnclassify.runs.progress import BAR_SECONDS, epoch_figures
from nnclassify.runs.progress import ProgressBar as ProgressBar
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer


class PredictionBar:
    """Shows how many inputs have been classified, if that takes longer than a moment.

    Args:
        num_inputs: The number of inputs that the user named; each may turn out to hold several.
    """

    def __init__(self, num_inputs: int) -> None:
        self.bar: tqdm[Any] = tqdm(
            total=num_inputs, unit="input", dynamic_ncols=True, mininterval=BAR_SECONDS, delay=1, file=sys.stderr
        )

    def found(self, count: int) -> None:
        """Take in that an input holds `count` examples."""
        if self.bar.total is not None:
            self.bar.total += count - 1

    def advance(self) -> None:
        """Advance by one input; more than are expected, such as the rows of a table, have no known total."""
        if self.bar.total is not None and self.bar.n >= self.bar.total:
            self.bar.total = None
        self.bar.update()

    def note(self, text: str) -> None:
        """Print a note above the bar."""
        tqdm.write(printable(text), file=sys.stderr)

    def close(self) -> None:
        """Close the bar, which stays on the screen."""
        self.bar.close()


ALL_LINES, FIRST_LINES, SHARES = 40, 8, 20
"""Runs of up to ALL_LINES epochs have a line per epoch; longer ones have FIRST_LINES, then SHARES evenly spaced."""
BURIED = 10
"""The number of later lines after which a warning is repeated at the end."""


class EpochLines(Observer):
    """Shows progress as plain lines, about 40 at most, where there is no terminal.

    A long run has a line for each of its first epochs, for epochs that are a power of four, and for twenty evenly
    spaced ones. At the end, the best and the last epoch follow, and the warnings that scrolled away.
    """

    def __init__(self) -> None:
        self.num_lines = 0
        self.shown: set[int] = set()
        self.ends: dict[str, tuple[int, str]] = {}
        self.warnings: list[tuple[int, str]] = []

    def note(self, text: str) -> None:
        """Print a note; a warning may be repeated at the end."""
        self._write(text)
        if text.startswith("warning: "):
            self.warnings.append((self.num_lines, text))

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Print the line of the epoch, if it has one."""
        is_best = trainer.is_best and trainer.recipe.may_select
        best = "  best" if is_best else ""
        done, figures = f"epoch {row.epoch}/{trainer.recipe.epochs}", epoch_figures(row, trainer.recipe.select_by)
        line = f"{done}  {figures}  lr {row.lr:.3g}  {row.seconds:.2f} s{best}"
        self.ends["last"] = (row.epoch, line)
        if is_best:
            self.ends["best"] = self.ends["last"]
        if not self.shown or _has_line(row.epoch, trainer.recipe.epochs):
            self._show(row.epoch, line)

    def run_ended(self, trainer: Trainer) -> None:
        """Print the best and the last epoch unless they were printed before, and repeat warnings that scrolled away."""
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
    """Return whether an epoch of a run of `epochs` has its own line."""
    is_power_of_four = epoch.bit_count() == 1 and epoch.bit_length() % 2 == 1
    return epochs <= ALL_LINES or epoch <= FIRST_LINES or is_power_of_four or epoch % -(-epochs // SHARES) == 0
