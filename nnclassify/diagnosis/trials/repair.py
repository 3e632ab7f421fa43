"""Search for a repair: remove suspected causes, one at a time and together, and keep the changes that help.

A change that is kept is both a proof of its cause and a fixed config. In pseudocode, where `skill` is the score between
chance (0) and the best that was reached on the same data (1):

    written = train the config as written, over 1 to 5 seeds     # more if seeds disagree, or a wider layer helps
    base    = the changes of suspicions that are certain         # faults by themselves
    seed    = the first seed that is stuck                       # the search runs on one seed
    current = train(base, seed)

    repeat up to ROUNDS times, while skill(current) is poor or a likely change is untried, and there is time:
        tried = train(base + change, seed) for each change of each suspicion, likely ones first
        keep those with skill(tried) >= skill(current) + HELPS and a gain above its noise
        for the best TRIES of them, by gain:
            if confirmed: take it, and with it the proofs of causes that help nearly as much
                if it only makes up for a likely cause, as rates do: try it against removing that cause, with and
                without it, and take the better
        if none was confirmed:
            for each group of suspicions to try together:
                train(base + the changes of the group); if that helps, drop changes that are not needed
                if confirmed: take it
        if nothing was taken: stop
        base, seed    = base + the change, the seed that does worst with it
        current       = train(base, seed)

    confirmed(change): over several seeds, base + change gains more than the seeds differ, or helps each of them, and
                       more than the few examples on which the networks disagree leave uncertain; or no seed is stuck
                       any more; and where training examples judge, it also helps on examples held out by halves

Once a fault is proven, a further change has less to prove: it must gain `REFINES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nnclassify.diagnosis.findings import CERTAINTIES, Certainty, Change, Suspicion
from nnclassify.diagnosis.rules.architecture import NARROW
from nnclassify.diagnosis.rules.optimization import HIGH_LR, LOW_LR, SHORT
from nnclassify.diagnosis.trials.repair_result import LongerRun, Proof, Repair
from nnclassify.diagnosis.trials.runner import TrialOutcome, TrialRunner, decisive_steps
from nnclassify.diagnosis.trials.scores import gain_noise
from nnclassify.diagnosis.trials.seed_outcomes import SeedOutcomes, is_level, num_helped
from nnclassify.diagnosis.trials.skill import GOOD, STUCK, Skill

HELPS: dict[Certainty, float] = {"certain": 0.0, "likely": 0.05, "possible": 0.2}
"""Minimum gain in skill for a change to prove its cause."""
NEEDED = 0.1
"""Minimum loss in skill without one of several changes for it to be kept."""
PROMISING_DEVIATIONS, DEVIATIONS, SURE_DEVIATIONS = 1.0, 2.0, 3.0
"""The gain must also exceed this many standard deviations, which are estimated from few examples: the first number
applies with one seed, for a change to be repeated over seeds, and once a fault is proven; the second over the seeds;
the third over the seeds of a network that is not stuck, since the best of several changes looks good by chance."""
REFINES, ENOUGH = 0.05, 0.97
"""Once a fault is proven: the minimum gain in skill for a further change to be kept, and the skill that needs none."""
PERFECT = 0.98
COSTLY = 0.9
"""Ten times the updates make up for much: a change without them is preferred if it gains nearly as much."""
COMPENSATES = (HIGH_LR.id, LOW_LR.id, SHORT.id)
"""Pages whose changes make up for other causes without removing them."""
ROUNDS, TRIES = 4, 3
"""Maximum number of changes to combine, and of candidates per round that are repeated over seeds."""
FEW_SEEDS, MANY_SEEDS = 3, 5
CHEAP_SECONDS, DEAR_SECONDS = 0.7, 1.5
"""A trial cheaper than the first is repeated over seeds even if nothing is suspected; one cheaper than the second is
repeated over many seeds if a few disagree."""
MANY_RUNS = 10
"""If a run is too slow to be tried to its end, its curve is extrapolated to this many times its updates."""
STRETCH = 10.0
"""A truncated trial is repeated with its learning rate multiplied by total / completed steps, up to this factor, to
estimate what the full run can reach."""


@dataclass(frozen=True)
class _KeptChange:
    """A change to keep, and what it proves; `is_clear`: it gains more than the seeds differ."""

    change: Change
    after: TrialOutcome
    proofs: list[Proof]
    is_clear: bool


def repair(
    runner: TrialRunner,
    suspicions: list[Suspicion],
    together: Sequence[Sequence[Suspicion]],
    skill: Skill,
) -> Repair:
    """Try the suspicions on a config, one at a time and then in the given groups."""
    return _Search(runner, suspicions, together, skill).repaired()


class _Search:
    """One search for a repair: `base` is the change so far, `current` its outcome."""

    def __init__(
        self, runner: TrialRunner, suspicions: list[Suspicion], together: Sequence[Sequence[Suspicion]], skill: Skill
    ) -> None:
        self.runner = runner
        self.skill = skill
        self.certain = [suspicion for suspicion in suspicions if suspicion.certainty == "certain"]
        self.two_fold = runner.two_fold()
        self.open = sorted(
            (suspicion for suspicion in suspicions if suspicion.certainty != "certain" and suspicion.changes),
            key=lambda suspicion: CERTAINTIES.index(suspicion.certainty),
        )
        self.together = together
        self.proofs: list[Proof] = []
        self.is_clear = True
        self.base: dict[str, object] = {}
        for suspicion in self.certain:
            self.base |= suspicion.changes[0] if suspicion.changes else {}

    def repaired(self) -> Repair:
        """Run the search; see the pseudocode at the top of this module."""
        self.written = written = self._repeated({}, has_doubts=any(one.certainty == "likely" for one in self.open))
        self.seed = self._worst(written)
        self.current = self._run(self.base)
        self.reference = {} if self.base else self._stretched()
        for _ in range(ROUNDS):
            if not self._is_poor(self.current):
                break
            step = self._one_change() or self._several_changes()
            if step is None:
                break
            self._take(step)
        if any(proof.suspicion.page.id == NARROW.id for proof in self.proofs):  # it may just be unlucky three times
            written = self._over_seeds({}, MANY_SEEDS)
        return self._result(written)

    def _result(self, written: SeedOutcomes) -> Repair:
        after = self._over_seeds(self.base, len(written.outcomes)) if self.base else None
        proved = {proof.suspicion.page.id for proof in self.proofs}
        longer = None if self.base else self._longer(written.typical)
        return Repair(
            before=written,
            certain=self.certain,
            proofs=self.proofs,
            unproved=[one for one in self.open if one.certainty == "likely" and one.page.id not in proved],
            change=self.base if longer is None else dict(longer.change),
            longer=longer,
            after=None if after is None else after.typical,
            skill_before=self.skill.of(written.typical),
            skill_after=self.skill.of((after or written).typical),
            helped=0 if after is None else num_helped(written, after),
            unhurt=0
            if after is None
            else sum(is_level(outcome, after.typical, DEVIATIONS) for outcome in written.outcomes),
            stuck=self._stuck(written),
            stuck_after=0 if after is None else self._stuck(after),
            is_clear=self.is_clear,
            is_expected_to_learn=self.skill.expected(written.typical) >= GOOD,
        )

    # The config as written

    def _repeated(self, change: Change, *, has_doubts: bool) -> SeedOutcomes:
        """Return a few seeds, unless the first one is good beyond doubt; many if a few of them disagree."""
        first = self._run(change, 0)
        is_clear = self.skill.of(first) >= GOOD and not (has_doubts and first.complete)
        if is_clear and self.runner.cost > CHEAP_SECONDS:
            return SeedOutcomes((first,))
        few = self._over_seeds(change, FEW_SEEDS)
        is_open = 0 < self._stuck(few) < len(few.outcomes)
        return self._over_seeds(change, MANY_SEEDS) if is_open and self.runner.cost <= DEAR_SECONDS else few

    def _over_seeds(self, change: Change, count: int) -> SeedOutcomes:
        """Return as many seeds as the time allows, but at least one."""
        outcomes: list[TrialOutcome] = []
        for seed in range(count):
            if outcomes and not self.runner.is_known(change, seed) and not self.runner.has_time():
                break
            outcomes.append(self._run(change, seed))
        return SeedOutcomes(tuple(outcomes))

    def _stuck(self, repeats: SeedOutcomes) -> int:
        return sum(self.skill.expected(outcome) < STUCK for outcome in repeats.outcomes)

    def _worst(self, repeats: SeedOutcomes) -> int:
        """Return the seed to search with: the first that is stuck, otherwise the first."""
        stuck = [seed for seed, outcome in enumerate(repeats.outcomes) if self.skill.expected(outcome) < STUCK]
        return stuck[0] if stuck else 0

    def _stretched(self) -> dict[str, object]:
        """Estimate what a truncated run may still reach: a higher learning rate stands in for the missing steps."""
        current, config = self.current, self.runner.config
        missing = current.total_steps / max(1, current.steps)
        if current.complete or missing < 1.5 or self.skill.of(current) >= GOOD or current.error is not None:
            return {}
        change: dict[str, object] = {"optimizer.lr": config.optimizer.lr * min(missing, STRETCH)}
        stretched = self._run(change)
        if stretched.held_out.balanced_accuracy <= current.held_out.balanced_accuracy:
            return {}
        self.current = stretched
        return change

    def _longer(self, written: TrialOutcome) -> LongerRun | None:
        """Return a longer run, if the full run is too slow to try, would end badly, and would do well if it were
        longer."""
        short = [one for one in self.open if one.page.id == SHORT.id and "epochs" in one.changes[-1]]
        if not short or written.complete or written.steps < decisive_steps(written.total_steps):
            return None
        now, later = (written.expected(runs * written.total_steps, "held_out") for runs in (1, MANY_RUNS))
        is_poor = self.skill.expected(written) < STUCK and self.skill.gain(now, later) >= HELPS["possible"]
        change: Change = {"epochs": self.runner.config.epochs * MANY_RUNS}
        return (
            LongerRun(short[0], change, now, later)
            if is_poor and later - now > DEVIATIONS * written.held_out.noise
            else None
        )

    # Changes to it

    def _run(self, change: Change, seed: int | None = None) -> TrialOutcome:
        outcome = self.runner.run(change, self.seed if seed is None else seed)
        self.skill.include(outcome)
        return outcome

    def _is_poor(self, outcome: TrialOutcome) -> bool:
        return self.skill.expected(outcome) < self._enough() and self.runner.has_time()

    def _enough(self) -> float:
        """Return the skill that needs no further change.

        A network that is better than every baseline can still be far from what it reaches without an option that nobody
        else sets like this, so likely changes are tried in any case, but for those of rates, of which many are about as
        good. A trial that is cut short does not count: the network may only be slower with the option.
        """
        if self._is_proved():
            return ENOUGH
        return max(GOOD, *map(self._limit, self.open)) if self.current.complete and self.open else GOOD

    def _is_proved(self) -> bool:
        """Return whether a fault is proven. A further change then proves no other fault, and needs less evidence."""
        return bool(self.certain or self.proofs)

    def _one_change(self) -> _KeptChange | None:
        """Return the best change of a single cause; it also proves other causes whose changes help nearly as much."""
        helped = [
            proof
            for proof in self._tried()
            if self._helps(proof.suspicion.certainty, self._limit(proof.suspicion), proof.after)
        ]
        ranked = sorted(helped, key=lambda proof: -proof.gain * (COSTLY if proof.suspicion.page.id == SHORT.id else 1))
        for number, best in enumerate(ranked[:TRIES]):
            confirmed = self._confirmed(best.suspicion.certainty, best.change)
            if confirmed is not None:
                proofs = [
                    replace(proof, seeds=confirmed.seeds) if proof.change == best.change else proof
                    for proof in _best_of_each(ranked[number:])
                ]
                kept = _KeptChange(best.change, best.after, proofs, confirmed.is_clear)
                return self._undoing(best.suspicion, kept) if best.suspicion.page.id in COMPENSATES else kept
        return None

    def _undoing(self, compensation: Suspicion, kept: _KeptChange) -> _KeptChange:
        """Return a change that also, or instead, removes a cause that was measured, if that is no worse.

        Other rates and more updates make up for much: a rate that is high enough moves weights that start too large,
        and leaves them large. Of changes that are equally good, the smallest is chosen.
        """
        proved = {proof.suspicion.page.id for proof in kept.proofs}
        for cause in (one for one in self.open if one.certainty == "likely" and one.page.id not in COMPENSATES):
            change = self._better_with(cause, compensation, kept.change, is_proved=cause.page.id in proved)
            if change is not None:
                after = self._run({**self.base, **change})
                gain = after.held_out.balanced_accuracy - self.current.held_out.balanced_accuracy
                parts = [(cause, cause.changes[0]), (compensation, _without(change, cause.changes[0]))]
                seeds = max(proof.seeds for proof in kept.proofs)
                proofs = [Proof(one, part, self.current, after, gain, seeds) for one, part in parts if part]
                named = {proof.suspicion.page.id for proof in proofs}
                others = [one for one in kept.proofs if one.suspicion.page.id not in named]
                others = [one for one in others if not _contradict(one.change, change)]
                return _KeptChange(change, after, [*proofs, *others], kept.is_clear)
        return kept

    def _better_with(
        self, cause: Suspicion, compensation: Suspicion, change: Change, *, is_proved: bool
    ) -> Change | None:
        """Return the change that removes a cause, alone or together with a compensation; None if it is worse.

        A cause that is not proved yet must gain more than noise beside a compensation that is not odd itself.
        """
        removal, judge = cause.changes[0], self.two_fold or self.runner
        options = [removal, *({**other, **removal} for other in compensation.changes if not set(other) & set(removal))]
        options.sort(key=lambda option: (len(option), self._is_odd(option)))
        tried = [(option, judge.run({**self.base, **option}, self.seed)) for option in options if judge.has_time()]
        if not tried:
            return None
        top = max((outcome for _, outcome in tried), key=lambda outcome: outcome.held_out.balanced_accuracy)
        option = next(option for option, outcome in tried if is_level(outcome, top, PROMISING_DEVIATIONS))
        pairs = [
            (judge.run({**self.base, **change}, seed), judge.run({**self.base, **option}, seed))
            for seed in range(FEW_SEEDS)
            if judge.has_time() or seed == 0
        ]
        before, after = (SeedOutcomes(outcomes) for outcomes in zip(*pairs, strict=True))
        noise = gain_noise(before.scores, after.scores)
        is_preferred = is_proved or self._is_odd(change)
        return option if after.score - before.score > (-noise if is_preferred else noise) else None

    def _is_odd(self, change: Change) -> bool:
        """Return whether a change sets a learning rate that is not common for the optimizer."""
        low, high = self.runner.config.optimizer.lr_range()
        return not low <= change.get("optimizer.lr", low) <= high

    def _tried(self) -> Iterator[Proof]:
        """Try the changes of all suspicions, likely ones first, until one is nearly perfect or time is up."""
        perfect: set[str] = set()
        for suspicion, change in self._in_order():
            if not self.runner.may_search() or (perfect and suspicion.certainty == "possible"):
                return
            if suspicion.page.id not in perfect and self._is_worth_a_trial(suspicion):
                after = self._run({**self.base, **change})
                gain = after.held_out.balanced_accuracy - self.current.held_out.balanced_accuracy
                yield Proof(suspicion, change, self.current, after, gain)
                if self.skill.of(after) >= PERFECT:
                    perfect.add(suspicion.page.id)

    def _limit(self, suspicion: Suspicion) -> float:
        """Return the skill below which a suspicion may be a fault, or a further change an improvement."""
        if self._is_proved():
            return ENOUGH
        is_rate = suspicion.certainty == "likely" and suspicion.page.id in COMPENSATES
        return GOOD if is_rate else suspicion.skill_below or self.skill.limit(suspicion.certainty)

    def _is_worth_a_trial(self, suspicion: Suspicion) -> bool:
        """Return whether its cause could be a fault of a network that learns well."""
        return self.skill.expected(self.current) < max(GOOD, self._limit(suspicion))

    def _in_order(self) -> list[tuple[Suspicion, Change]]:
        """Return the changes to try: the first of each likely suspicion, their second, ...; then all possible ones."""
        pairs = [(place, one, change) for one in self.open for place, change in enumerate(one.changes)]
        pairs.sort(key=lambda pair: (CERTAINTIES.index(pair[1].certainty), pair[1].certainty == "likely" and pair[0]))
        return [(one, change) for _, one, change in pairs]

    def _several_changes(self) -> _KeptChange | None:
        """Changes of several causes at once, reduced to those that are needed."""
        if self.skill.expected(self.current) >= GOOD and not self._is_proved():
            return None
        for suspicions in self.together:
            if not self.runner.may_search():
                return None
            parts = list(suspicions)
            after = self._run({**self.base, **_union(parts)})
            if not self._helps("possible", ENOUGH if self._is_proved() else self.skill.limit("possible"), after):
                continue
            parts, after = self._needed(parts, after)
            confirmed = self._confirmed("possible", _union(parts))
            if confirmed is not None:
                gain = after.held_out.balanced_accuracy - self.current.held_out.balanced_accuracy
                change = _union(parts)
                causes = {part.page.id: part for part in reversed(parts)}
                proofs = [Proof(one, change, self.current, after, gain, confirmed.seeds) for one in causes.values()]
                return _KeptChange(change, after, proofs, confirmed.is_clear)
        return None

    def _needed(self, parts: list[Suspicion], after: TrialOutcome) -> tuple[list[Suspicion], TrialOutcome]:
        """Drop the changes that make no difference."""
        for part in list(parts):
            fewer = [other for other in parts if other is not part]
            if not fewer or not self.runner.has_time():
                break
            without = self._run({**self.base, **_union(fewer)})
            if self.skill.of(without) >= self.skill.of(after) - NEEDED:
                parts, after = fewer, without
        return parts, after

    def _helps(self, certainty: Certainty, limit: float, after: TrialOutcome) -> bool:
        before = self.current
        is_large = self._is_large(certainty, SeedOutcomes((before,)), SeedOutcomes((after,)), PROMISING_DEVIATIONS)
        return self.skill.expected(before) < limit and is_large

    def _is_large(self, certainty: Certainty, before: SeedOutcomes, after: SeedOutcomes, deviations: float) -> bool:
        least = REFINES if self._is_proved() else HELPS[certainty]
        is_certain = after.score - before.score > deviations * gain_noise(before.scores, after.scores)
        return self.skill.gain(before.score, after.score) >= least and is_certain

    def _deviations(self) -> float:
        """By how many standard deviations a gain over seeds must exceed zero."""
        if self._is_proved():
            return PROMISING_DEVIATIONS
        return DEVIATIONS if self.skill.expected(self.current) < STUCK else SURE_DEVIATIONS

    def _confirmed(self, certainty: Certainty, change: Change) -> _Confirmed | None:
        """Repeat a change over seeds: it must gain more than they differ, or at least leave none stuck."""
        before = self._over_seeds(self.base or self.reference, max(FEW_SEEDS, len(self.written.outcomes)))
        after = self._over_seeds({**self.base, **change}, len(before.outcomes))
        before = SeedOutcomes(before.outcomes[: len(after.outcomes)])
        is_large = self._is_large(certainty, before, after, self._deviations())
        spread = max(before.spread, after.spread)
        is_beyond_luck = after.score - before.score > spread or num_helped(before, after) == len(after.outcomes)
        is_clear = is_large and (self._is_proved() or is_beyond_luck)
        is_robust = self._stuck(after) == 0 < self._stuck(before)
        if not (is_clear or is_robust) or not self._generalizes(change):
            return None
        return _Confirmed(len(after.outcomes), is_clear)

    def _generalizes(self, change: Change) -> bool:
        """Return whether a change also helps on held-out examples, where trials are judged on training examples.

        Trials on one half of the examples, judged on the other half, decide this over seeds. If the network is good on
        that half without the change, they cannot show a gain; then the change must not make it worse.
        """
        if self.two_fold is None:
            return True
        pairs: list[tuple[TrialOutcome, TrialOutcome]] = []
        for seed in range(FEW_SEEDS):
            if pairs and not self.runner.has_time():
                break
            pairs.append((self.two_fold.run(self.base, seed), self.two_fold.run({**self.base, **change}, seed)))
        before, after = (SeedOutcomes(outcomes) for outcomes in zip(*pairs, strict=True))
        is_good = self.skill.gain(self.skill.chance, before.score) >= GOOD
        noise = gain_noise(before.scores, after.scores)
        return after.score - before.score > (-noise if is_good else noise)

    def _take(self, step: _KeptChange) -> None:
        taken = {proof.suspicion.page.id: proof for proof in step.proofs if proof.change == step.change}
        kept = [proof for proof in self.proofs if not _contradict(proof.change, step.change)]
        self.proofs = [_continued(proof, taken.get(proof.suspicion.page.id)) for proof in kept]
        known = {proof.suspicion.page.id for proof in self.proofs}
        self.proofs += [proof for proof in step.proofs if proof.suspicion.page.id not in known]
        self.is_clear = self.is_clear and step.is_clear
        self.base |= step.change
        outcomes = self._over_seeds(self.base, max(FEW_SEEDS, len(self.written.outcomes))).outcomes
        skills = [self.skill.expected(outcome) for outcome in outcomes]
        self.seed = skills.index(min(skills))  # what helps the one that is furthest from the best helps the others
        self.current = outcomes[self.seed]
        self.open = [one for one in map(self._rest_of, self.open) if one.changes]

    def _rest_of(self, suspicion: Suspicion) -> Suspicion:
        """Return a suspicion with only those changes that set options that have not been set yet."""
        rest = tuple(change for change in suspicion.changes if not set(change) & set(self.base))
        return replace(suspicion, changes=rest)


class _Confirmed(NamedTuple):
    """The number of seeds, and whether the gain is larger than their differences."""

    seeds: int
    is_clear: bool


def _continued(proof: Proof, later: Proof | None) -> Proof:
    """Return the proof of a cause that a further change removed too, from before the first to after the last."""
    if later is None:
        return proof
    return replace(later, change={**proof.change, **later.change}, before=proof.before, gain=proof.gain + later.gain)


def _contradict(change: Change, later: Change) -> bool:
    """Return whether a later change sets an option of an earlier one to another value: both cannot be right."""
    return any(later[path] != change[path] for path in change.keys() & later.keys())


def _without(change: Change, part: Change) -> Change:
    return {path: value for path, value in change.items() if path not in part}


def _union(parts: Sequence[Suspicion]) -> dict[str, object]:
    """Return the first change of each suspicion; if two set the same option, the first one wins."""
    union: dict[str, object] = {}
    for part in parts:
        union = {**part.changes[0], **union}
    return union


def _best_of_each(ranked: list[Proof]) -> list[Proof]:
    """Return the best change of each cause, likely causes first, then by gain; changes with less than half of the best
    gain are dropped."""
    by_cause: dict[str, Proof] = {}
    for proof in ranked:
        by_cause.setdefault(proof.suspicion.page.id, proof)
    strong = [proof for proof in by_cause.values() if proof.gain >= 0.5 * ranked[0].gain]
    return sorted(strong, key=lambda proof: (CERTAINTIES.index(proof.suspicion.certainty), -proof.gain))
