"""The outcomes of one config over several seeds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from nnclassify.diagnosis.trials.runner import TrialOutcome
from nnclassify.diagnosis.trials.scores import Scores, gain_noise


@dataclass(frozen=True)
class SeedOutcomes:
    """One config trained with several seeds: different initial weights and order, the same split."""

    outcomes: tuple[TrialOutcome, ...]

    @property
    def score(self) -> float:
        """The mean score on held-out examples over the seeds."""
        return statistics.mean(outcome.held_out.balanced_accuracy for outcome in self.outcomes)

    @property
    def spread(self) -> float:
        """The standard deviation of the score over the seeds."""
        scores = [outcome.held_out.balanced_accuracy for outcome in self.outcomes]
        return statistics.stdev(scores) if len(scores) > 1 else 0.0

    @property
    def scores(self) -> list[Scores]:
        """The scores on held-out examples, one per seed."""
        return [outcome.held_out for outcome in self.outcomes]

    @property
    def typical(self) -> TrialOutcome:
        """The outcome with the median score."""
        return sorted(self.outcomes, key=lambda outcome: outcome.held_out.balanced_accuracy)[
            (len(self.outcomes) - 1) // 2
        ]


def num_helped(before: SeedOutcomes, after: SeedOutcomes) -> int:
    """Return the number of seeds that improve by more than a standard deviation of their scores."""
    pairs = [(one.held_out, other.held_out) for one, other in zip(before.outcomes, after.outcomes, strict=False)]
    return sum(late.balanced_accuracy - early.balanced_accuracy > gain_noise([early], [late]) for early, late in pairs)


def is_level(outcome: TrialOutcome, changed: TrialOutcome, deviations: float) -> bool:
    """Return whether an outcome is not below that of a change by more than some standard deviations."""
    early, late = outcome.held_out, changed.held_out
    return late.balanced_accuracy - early.balanced_accuracy <= deviations * gain_noise([early], [late])
