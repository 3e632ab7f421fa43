"""Skill: where a score lies between chance and the best score that anything reached on the same data."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnclassify.diagnosis.findings import Certainty
from nnclassify.diagnosis.rules.data import HARDLY
from nnclassify.diagnosis.trials.runner import TrialOutcome
from nnclassify.diagnosis.trials.scores import gain_noise

GOOD = 0.9
"""Skill from which a config needs no repair: nine tenths of the way from chance to the best."""
POOR: dict[Certainty, float] = {"certain": 1.0, "likely": math.inf, "possible": 0.75}
"""Skill below which a suspicion of each certainty may be a fault: above it, settings are a matter of taste. A likely
one is a fault wherever the change helps: skill compares with baselines, which may be far from the best possible."""
STUCK = POOR["possible"]
"""Skill below which a seed counts as stuck."""
BEYOND_DOUBT = 3.0
"""A baseline that is better by this many standard deviations is better beyond doubt."""
LEAST_RANGE = 0.05
"""If nothing beats chance, the best is assumed to be this much above it."""


class Skill:
    """Where a score lies between chance and the best so far, on training examples and on held-out ones.

    The skill of a network is the better of the two: what it does not learn on training examples it cannot do on others,
    and a network that only memorizes its examples has no fault that keeps it from learning.
    """

    def __init__(self, chance: float, seen: Sequence[TrialOutcome]) -> None:
        self.chance = chance
        self.best_train = self.best_held_out = self.chance + LEAST_RANGE
        self.is_by_held_out = False
        self.is_beaten = False
        for outcome in seen:
            self.include(outcome)

    def include(self, outcome: TrialOutcome) -> None:
        """Raise the best scores to those of an outcome, if they are higher."""
        self.best_train = max(self.best_train, outcome.train.balanced_accuracy)
        self.best_held_out = max(self.best_held_out, outcome.held_out.balanced_accuracy - outcome.held_out.noise)

    def expect_rare_classes(self, written: TrialOutcome, balanced: Sequence[TrialOutcome]) -> None:
        """Compare with the best of several networks in which every class weighs the same, if the network hardly
        predicts the rare classes on held-out examples, beyond doubt, and that one does; what the network knows by heart
        of them then counts for nothing."""
        could = max(outcome.held_out.balanced_accuracy for outcome in balanced)
        at_most = written.held_out.balanced_accuracy + written.held_out.noise
        if at_most - self.chance < HARDLY * (could - self.chance):
            self.best_held_out = max(self.best_held_out, could)
            self.is_by_held_out = True

    def expect_baselines(self, written: TrialOutcome, baselines: Sequence[TrialOutcome]) -> None:
        """Expect as much of the network as of the baselines, if one of them is better on held-out examples beyond
        doubt. What is a matter of taste in a network that is the best so far may then be what holds it back."""
        scores = [(written.held_out, one.held_out) for one in baselines]
        self.is_beaten = any(
            other.balanced_accuracy - own.balanced_accuracy > BEYOND_DOUBT * gain_noise([own], [other])
            for own, other in scores
        )

    def limit(self, certainty: Certainty) -> float:
        """Return the skill below which a suspicion of some certainty may be a fault; see `POOR`."""
        return max(GOOD, POOR[certainty]) if self.is_beaten else POOR[certainty]

    def of(self, outcome: TrialOutcome) -> float:
        """0: chance; 1: as good as the best. Uncertain scores get the benefit of the doubt."""
        return self._better(outcome.train.balanced_accuracy, outcome.held_out.balanced_accuracy)

    def expected(self, outcome: TrialOutcome) -> float:
        """Return the skill to expect at the end of the run, if the trial was shorter; see `TrialOutcome.expected`."""
        steps = outcome.total_steps
        return self._better(outcome.expected(steps, "train"), outcome.expected(steps, "held_out"))

    def _better(self, train: float, held_out: float) -> float:
        general = (held_out - self.chance) / (self.best_held_out - self.chance)
        return general if self.is_by_held_out else max(general, (train - self.chance) / (self.best_train - self.chance))

    def gain(self, before: float, after: float) -> float:
        """Return the gain in balanced accuracy on held-out examples, as a fraction of that from chance to the best."""
        return (after - before) / (self.best_held_out - self.chance)
