"""Whether `patience` ends a run before the network is as good as it gets. All other trials train to the end."""

from __future__ import annotations

from dataclasses import replace

from nnclassify.diagnosis.findings import Change, Evidence, Suspicion
from nnclassify.diagnosis.outcome_pages import STOPS_EARLY
from nnclassify.diagnosis.trials.repair import FEW_SEEDS, HELPS, SURE_DEVIATIONS
from nnclassify.diagnosis.trials.repair_result import Proof, Repair
from nnclassify.diagnosis.trials.runner import TrialOutcome, TrialRunner
from nnclassify.diagnosis.trials.scores import gain_noise
from nnclassify.diagnosis.trials.seed_outcomes import SeedOutcomes
from nnclassify.diagnosis.trials.skill import Skill


def without_early_stop(runner: TrialRunner, repaired: Repair, skill: Skill) -> Repair:
    """Return a repair that also removes `patience`, if runs with its changes are much better without it."""
    patience = runner.config.patience
    if patience is None or runner.folds[0].validation is None:
        return repaired
    pairs = _with_and_without(runner, repaired.change)
    if not all(one.complete for pair in pairs for one in pair):
        return repaired
    stopped, whole = (SeedOutcomes(outcomes) for outcomes in zip(*pairs, strict=True))
    gain = whole.score - stopped.score
    is_clear = gain > SURE_DEVIATIONS * gain_noise(stopped.scores, whole.scores)
    if not is_clear or skill.gain(stopped.score, whole.score) < HELPS["likely"]:
        return repaired
    before, after, change = stopped.typical, whole.typical, {"patience": None}
    text = f"patience {patience} ends the run after {before.steps:,} of {before.total_steps:,} updates"
    suspicion = Suspicion(STOPS_EARLY, "likely", "patience", Evidence(text, patience), (change,))
    return replace(
        repaired,
        proofs=[*repaired.proofs, Proof(suspicion, change, before, after, gain, len(pairs))],
        change={**repaired.change, **change},
        after=after,
        skill_after=skill.of(after),
    )


def _with_and_without(runner: TrialRunner, change: Change) -> list[tuple[TrialOutcome, TrialOutcome]]:
    """Train with `patience` and to the end, over a few seeds as long as there is time."""
    stopping = replace(runner, may_stop=True, known={})
    pairs: list[tuple[TrialOutcome, TrialOutcome]] = []
    for seed in range(FEW_SEEDS):
        if pairs and not runner.has_time():
            break
        pairs.append((stopping.run(change, seed), runner.run(change, seed)))
    return pairs
