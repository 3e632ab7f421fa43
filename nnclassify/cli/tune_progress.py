"""The progress of a search: a bar on a terminal, a line per trial elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from optuna.trial import FrozenTrial
from tqdm import tqdm

from nnclassify.errors import counted, printable
from nnclassify.runs.progress import BAR_SECONDS
from nnclassify.training.trainer import Trainer
from nnclassify.tune.result import figure_text, values_text
from nnclassify.tune.search import Progress
from nnclassify.tune.study import Outcome, Study, best_of


class TrialLines(Progress):
    """Writes a line to standard error when a trial has ended.

    Args:
        num_trials: The number of trials that there will be.
    """

    def __init__(self, num_trials: int) -> None:
        self.num_trials = num_trials

    def note(self, text: str) -> None:
        """Print a note."""
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()

    def began(self, study: Study, trial: FrozenTrial, is_resumed: bool) -> None:
        """Tell that a trial continues that was interrupted."""
        if is_resumed:
            self.note(f"trial {trial.number + 1} of {self.num_trials}: continues; it was interrupted")

    def ended(self, study: Study, trial: FrozenTrial, outcome: Outcome) -> None:
        """Tell what came of a trial."""
        self.note(trial_text(study, trial, outcome, self.num_trials))

    def close(self) -> None:
        """End the progress."""


class TrialBar(TrialLines):
    """Shows a bar of trials on a terminal, with the epoch of the current one, and the lines above it."""

    def __init__(self, num_trials: int) -> None:
        super().__init__(num_trials)
        self.bar: tqdm[Any] = tqdm(
            total=num_trials, unit="trial", dynamic_ncols=True, mininterval=BAR_SECONDS, file=sys.stderr
        )

    def note(self, text: str) -> None:
        """Print a note above the bar."""
        tqdm.write(printable(text), file=sys.stderr)

    def began(self, study: Study, trial: FrozenTrial, is_resumed: bool) -> None:
        """Advance the bar to the number of trials that have ended, also those of other processes."""
        super().began(study, trial, is_resumed)
        self._advance(study)

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Show the epoch."""
        self.bar.set_description(f"epoch {trainer.epoch}/{trainer.recipe.epochs}", refresh=False)
        self.bar.update(0)

    def ended(self, study: Study, trial: FrozenTrial, outcome: Outcome) -> None:
        """Tell what came of a trial, and show the best one."""
        super().ended(study, trial, outcome)
        self._advance(study)

    def _advance(self, study: Study) -> None:
        trials = study.trials()
        best = best_of(trials, study.direction)
        if best is not None and best.value is not None:
            self.bar.set_postfix_str(f"best {figure_text(study.loaded.config.select_by, best.value)}", refresh=False)
        self.bar.update(sum(trial.state.is_finished() for trial in trials) - self.bar.n)

    def close(self) -> None:
        """Close the bar, which stays on the screen."""
        self.bar.close()


def trial_text(study: Study, trial: FrozenTrial, outcome: Outcome, num_trials: int) -> str:
    """Return a line about a trial that has ended."""
    known = "" if outcome.value is None else figure_text(study.loaded.config.select_by, outcome.value)
    best = best_of(study.trials(), study.direction)
    mark = "  best so far" if best is not None and best.number == trial.number else ""
    if outcome.error is not None:
        what = f"failed: {outcome.error}"
    elif outcome.is_pruned:
        what = f"pruned after {counted(outcome.epochs, 'epoch')}: {known}"
    else:
        what = known
    return f"trial {trial.number + 1} of {num_trials}: {what}  {values_text(trial)}  {outcome.seconds:.1f} s{mark}"
