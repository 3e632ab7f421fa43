"""Takes suspected causes away, one at a time, and keeps what helps: a proof and a mended config at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nnclassify.diagnosis.findings import CERTAINTIES, Change, Suspicion
from nnclassify.diagnosis.trials import Bench, Outcome

GOOD = 0.9
"""A skill (see `skill`) from which a config needs no repair: nine tenths of the way from chance to the best seen."""
POOR = {"certain": 1.0, "likely": GOOD, "possible": 0.75}
"""Under which skill a suspicion of each certainty may be a fault: half way up, odd settings are a matter of taste."""
HELPS = {"certain": 0.0, "likely": 0.1, "possible": 0.2}
"""By how much skill a change must help to prove its cause; 0.1 is over three standard deviations of 600 examples."""
PERFECT = 0.98
ROUNDS = 3
SEED_TRIALS = 2
STRETCH = 10.0
"""A truncated trial is repeated with its learning rate times what is missing, up to this: what a run can catch up."""


@dataclass(frozen=True)
class Proof:
    """A change that was tried for a suspicion: what was reached without it, and with it."""

    suspicion: Suspicion
    change: Change
    before: Outcome
    after: Outcome
    gain: float


@dataclass(frozen=True)
class Repair:
    """The outcome of all trials.

    Attributes:
        certain: Suspicions that need no proof.
        proofs: Causes that were proved, the best first.
        unproved: Likely suspicions that made no difference.
        change: All changes together that helped; empty: none did, or none was needed.
        after: What they reach; None where nothing was changed.
        skill_before: Of the config as written; see `skill`.
        skill_after: Of the changed one.
    """

    certain: list[Suspicion] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    unproved: list[Suspicion] = field(default_factory=list)
    change: dict[str, object] = field(default_factory=dict)
    after: Outcome | None = None
    skill_before: float = 1.0
    skill_after: float = 1.0


class Skill:
    """Where a score lies between chance and the best that was seen."""

    def __init__(self, num_classes: int, seen: Sequence[Outcome]) -> None:
        self.chance = 1 / num_classes
        self.best = max([outcome.score for outcome in seen] + [self.chance + 0.05])

    def of(self, outcome: Outcome) -> float:
        """0: chance; 1: as good as the best."""
        return (outcome.score - self.chance) / (self.best - self.chance)

    def see(self, outcome: Outcome) -> None:
        """Raise the best."""
        self.best = max(self.best, outcome.score)


def repair(
    bench: Bench, suspicions: list[Suspicion], before: Outcome, baselines: Sequence[Outcome], num_classes: int
) -> Repair:
    """Try the suspicions on a config that reached `before`, against baselines."""
    skill = Skill(num_classes, [before, *baselines])
    certain = [suspicion for suspicion in suspicions if suspicion.certainty == "certain"]
    open_ones = sorted(
        (suspicion for suspicion in suspicions if suspicion.certainty != "certain" and suspicion.changes),
        key=lambda suspicion: CERTAINTIES.index(suspicion.certainty),
    )
    base: dict[str, object] = {}
    for suspicion in certain:
        base |= suspicion.changes[0] if suspicion.changes else {}
    current = bench.run(base) if base else before
    skill.see(current)
    if not certain:
        current = _worst_seed(bench, open_ones, current, skill)
        current = _stretched(bench, current, skill)
    proofs: list[Proof] = []
    for _ in range(ROUNDS):
        if skill.of(current) >= GOOD or not bench.has_time():
            break
        tried = list(_try_all(bench, base, open_ones, current, skill))
        helped = [proof for proof in tried if _helps(proof, skill, current)]
        if not helped:
            break
        best = max(helped, key=lambda proof: proof.after.score)
        known = {proof.suspicion.page.id for proof in proofs}
        proofs += [proof for proof in _best_of_each(helped, best) if proof.suspicion.page.id not in known]
        base, current = {**base, **best.change}, best.after
        open_ones = [suspicion for suspicion in open_ones if suspicion.page.id != best.suspicion.page.id]
    proved = {proof.suspicion.page.id for proof in proofs}
    return Repair(
        certain=certain,
        proofs=proofs,
        unproved=[one for one in open_ones if one.certainty == "likely" and one.page.id not in proved],
        change=base,
        after=current if base else None,
        skill_before=skill.of(before),
        skill_after=skill.of(current),
    )


def _worst_seed(bench: Bench, open_ones: list[Suspicion], current: Outcome, skill: Skill) -> Outcome:
    """Badly scaled inputs get a net stuck in most seeds: one lucky seed clears no config."""
    is_scaled_badly = any(one.path == "dataset.normalize" for one in open_ones)
    if not is_scaled_badly or skill.of(current) < GOOD or not current.complete:
        return current
    dataset_seed = bench.config.dataset.seed
    data = {"dataset.seed": bench.config.seed if dataset_seed is None else dataset_seed}
    others = [bench.run({**data, "seed": bench.config.seed + number}) for number in range(1, 1 + SEED_TRIALS)]
    worst = min([current, *others], key=lambda outcome: outcome.score)
    return worst if skill.of(worst) < POOR["possible"] else current


def _stretched(bench: Bench, current: Outcome, skill: Skill) -> Outcome:
    """What a run that was cut short may still reach: a higher rate stands for the steps that are missing."""
    config = bench.config
    total = config.epochs * -(-len(bench.splits.train) // config.batch_size)
    missing = total / max(1, current.steps)
    if current.complete or missing < 1.5 or skill.of(current) >= GOOD or current.error is not None:
        return current
    stretched = bench.run({"optimizer.lr": config.optimizer.lr * min(missing, STRETCH)})
    skill.see(stretched)
    return max(current, stretched, key=lambda outcome: outcome.score)


def _try_all(
    bench: Bench, base: Change, suspicions: list[Suspicion], current: Outcome, skill: Skill
) -> Iterator[Proof]:
    """The changes of all suspicions, likely ones first, until one is as good as can be or time is up."""
    best = 0.0
    for suspicion in suspicions:
        if best >= PERFECT and suspicion.certainty == "possible":
            return
        for change in suspicion.changes:
            if not bench.has_time():
                return
            after = bench.run({**base, **change})
            skill.see(after)
            best = max(best, skill.of(after))
            yield Proof(suspicion, change, current, after, after.score - current.score)
            if skill.of(after) >= PERFECT:
                break


def _helps(proof: Proof, skill: Skill, current: Outcome) -> bool:
    before, after = skill.of(current), skill.of(proof.after)
    certainty = proof.suspicion.certainty
    return before < POOR[certainty] and after - before >= HELPS[certainty]


def _best_of_each(helped: list[Proof], best: Proof) -> list[Proof]:
    """The best change of each cause; likely causes first, then what helped most; none that helped half as much only."""
    by_cause: dict[str, Proof] = {}
    for proof in helped:
        kept = by_cause.get(proof.suspicion.page.id)
        if kept is None or proof.gain > kept.gain:
            by_cause[proof.suspicion.page.id] = proof
    strong = [proof for proof in by_cause.values() if proof.gain >= 0.5 * best.gain]
    return sorted(strong, key=lambda proof: (CERTAINTIES.index(proof.suspicion.certainty), -proof.gain))
