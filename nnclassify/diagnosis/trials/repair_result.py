"""What a search for a repair returns: the causes that were proven, and the changes that remove them."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnclassify.diagnosis.findings import Change, Suspicion
from nnclassify.diagnosis.rules.architecture import NARROW
from nnclassify.diagnosis.trials.runner import TrialOutcome
from nnclassify.diagnosis.trials.seed_outcomes import SeedOutcomes

MOST, NEARLY_ALL = 0.5, 0.67
"""Removing a fault helps nearly all seeds: a network that learns with every second seed is unlucky, and published
networks are like that. Of a setting that is far from what is common, helping most seeds is enough: with it, learning
takes luck. A wider layer must help every seed: where one seed learns as well as with it, the layer is wide enough."""


@dataclass(frozen=True)
class Proof:
    """A change that was tried for a suspicion, with the outcomes before and after."""

    suspicion: Suspicion
    change: Change
    before: TrialOutcome
    after: TrialOutcome
    gain: float
    seeds: int = 1


@dataclass(frozen=True)
class LongerRun:
    """A longer run, suggested by extrapolating the curve of the trial.

    Attributes:
        suspicion: The suspicion that there are too few updates.
        change: The number of epochs.
        expected: The balanced accuracy to expect at the end of the run.
        expected_later: The balanced accuracy to expect after `MANY_RUNS` times as many updates.
    """

    suspicion: Suspicion
    change: Change
    expected: float
    expected_later: float


@dataclass(frozen=True)
class Repair:
    """The outcome of all trials of a diagnosis.

    Attributes:
        certain: Suspicions that need no proof.
        proofs: The causes that were proven, best first.
        unproved: Likely suspicions whose changes made no difference.
        change: All changes that helped, together; empty if none did or none was needed.
        before: The config as written, over several seeds.
        after: The outcome with the changes; None if there are none.
        skill_before: The median skill of the config as written over its seeds; see `Skill`.
        skill_after: The median skill with the changes.
        helped: The number of seeds that the changes help.
        unhurt: The number of seeds of the config as written that are level with the changes, within uncertainty.
        stuck: The number of seeds of the config as written that get stuck.
        stuck_after: The number of seeds that get stuck with the changes.
        is_clear: Whether the changes gain more than the seeds differ.
        is_expected_to_learn: Whether a truncated trial is on its way to a good score.
        longer: A longer run, if trials are too short to prove it but the curve suggests it; see `LongerRun`.
    """

    before: SeedOutcomes
    certain: list[Suspicion] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    unproved: list[Suspicion] = field(default_factory=list)
    change: dict[str, object] = field(default_factory=dict)
    after: TrialOutcome | None = None
    skill_before: float = 1.0
    skill_after: float = 1.0
    helped: int = 0
    unhurt: int = 0
    stuck: int = 0
    stuck_after: int = 0
    is_clear: bool = True
    is_expected_to_learn: bool = True
    longer: LongerRun | None = None

    @property
    def depends_on_seed(self) -> bool:
        """Whether the only thing to report is that some seeds get stuck: no change helps nearly all of them, or by
        more than they differ."""
        count = len(self.before.outcomes)
        narrow = [proof for proof in self.proofs if proof.suspicion.page.id == NARROW.id]
        is_odd = any(proof.suspicion.certainty == "likely" for proof in self.proofs if proof not in narrow)
        is_wide_enough = self.unhurt > 0 and any(proof.change.items() <= self.change.items() for proof in narrow)
        helps = self.helped > count * (MOST if is_odd else NEARLY_ALL) and not is_wide_enough
        return 0 < self.stuck < count and not (helps and self.proofs and self.is_clear)
