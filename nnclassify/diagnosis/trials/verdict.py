"""Turn the results of the trials into ranked findings: causes first, each with its symptoms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nnclassify.config.yaml_reader import YamlSource, path_of_key
from nnclassify.diagnosis.findings import Change, Evidence, Finding, Severity, Suspicion
from nnclassify.diagnosis.measure import Snapshot, readable_layer
from nnclassify.diagnosis.outcome_pages import (
    CANNOT_OVERFIT,
    DEPENDS_ON_SEED,
    NO_BETTER_THAN_CHANCE,
    NOT_DECIDED,
    NOT_FINITE,
    WORSE_THAN_PLAIN,
)
from nnclassify.diagnosis.rules.rule import RuleInputs
from nnclassify.diagnosis.trials.repair_result import LongerRun, Proof, Repair
from nnclassify.diagnosis.trials.runner import TrialOutcome, completed, decisive_steps
from nnclassify.diagnosis.trials.skill import GOOD, STUCK, Skill
from nnclassify.evaluation.percent import percent

CHANCE_SKILL, PLAIN_SKILL = 0.25, 0.5
OVERFITS = 0.9
OVERFIT = "trained on a single batch, the network predicts {} of it correctly"
SECONDS_A_MINUTE = 3.0
"""Seconds of a single trial per minute of a check."""
MORE_TIME = 4
"""How many times as much time to propose where it was over before all changes were tried."""
MAX_PROVED = 4
"""More causes than this are alternative explanations of one cause."""


@dataclass(frozen=True)
class TrialEvidence:
    """What was tried of a config, other than changes.

    Attributes:
        written: The trial of the config as written.
        before: The trial that changes are compared with: `written`, or that of its narrower stand-in.
        linear: The linear baseline.
        is_behind: Whether a plain network does better on held-out examples.
        one_batch_accuracy: The accuracy on a single batch after training on only that batch;
            None: not measured.
        minutes: The time limit of the check.
        minutes_needed: The time limit with which a trial would decide.
        is_cut_short: Whether the time was over before all changes were tried.
        stand_in: What the changes were tried on, in words; None: on the network itself.
    """

    written: TrialOutcome
    before: TrialOutcome
    linear: TrialOutcome
    is_behind: bool
    one_batch_accuracy: float | None
    minutes: float = 1.0
    minutes_needed: int = 1
    is_cut_short: bool = False
    stand_in: str | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the network cannot even overfit one batch."""
        return self.one_batch_accuracy is not None and self.one_batch_accuracy < OVERFITS

    @property
    def is_long(self) -> bool:
        """Whether the trial was long enough to distinguish a network that does not learn from one that is slow."""
        before = self.before
        return before.complete or before.error is not None or before.steps >= decisive_steps(before.total_steps)


def minutes_needed(step_seconds: float, total: int) -> int:
    """Return the minutes that a check may need for its trials to decide."""
    return max(2, math.ceil(decisive_steps(total) * step_seconds / SECONDS_A_MINUTE))


def findings_of(
    source: YamlSource, given: RuleInputs, repaired: Repair, trials: TrialEvidence, skill: Skill, is_explained: bool
) -> list[Finding]:
    """Return all findings, ranked.

    Args:
        source: The YAML.
        given: The config, with what the rules measured.
        repaired: The results of the trials.
        trials: The trial of the config as written, and its baselines.
        skill: The scale of the scores.
        is_explained: Whether a fault of the data explains everything.
    """
    faults = [_certain(source, given, one, repaired, trials) for one in repaired.certain]
    if not repaired.depends_on_seed:
        faults += [_proved(source, given, proof, trials) for proof in repaired.proofs[:MAX_PROVED]]
    if repaired.longer is not None:
        faults.append(_extrapolated(source, given, repaired.longer, trials))
    if not faults and not is_explained and not repaired.depends_on_seed:
        faults = _unexplained(repaired, trials)
    if faults and repaired.skill_before < GOOD:
        faults[0] = replace(faults[0], symptoms=(*symptoms(trials.before, given), *_cannot_overfit(trials)))
    is_reported = is_explained or bool(faults)
    verdict = _undecided(trials, skill) or _beaten(repaired, trials, skill)
    rest = [] if is_reported else [*verdict, *_by_seed(source, given, repaired)]
    is_good = max(repaired.skill_before, repaired.skill_after) >= GOOD  # if need be with changes that are not these
    warnings = [
        _finding(source, given, one, "note" if is_good else "warning", one.evidence, one.changes[0])
        for one in repaired.unproved
        if one.page.id[:3] != "NN4" or (repaired.skill_before < STUCK and trials.is_long and not is_good)
    ]
    return [*faults, *rest, *warnings]


def notes_of(source: YamlSource, given: RuleInputs, suspicions: Sequence[Suspicion]) -> list[Finding]:
    """Yield the findings that are notes whatever the network reaches."""
    noted = [one for one in suspicions if one.certainty == "note"]
    return [_finding(source, given, one, "note", one.evidence, one.changes[0] if one.changes else {}) for one in noted]


def _finding(
    source: YamlSource, given: RuleInputs, suspicion: Suspicion, severity: Severity, evidence: Evidence, change: Change
) -> Finding:
    return Finding(
        suspicion.page,
        severity,
        evidence,
        path=suspicion.path,
        place=source.where(path_of_key(suspicion.path)),
        layer=suspicion.layer,
        change=completed(source, given.config, change) if change else {},
    )


def _certain(source: YamlSource, given: RuleInputs, one: Suspicion, repaired: Repair, trials: TrialEvidence) -> Finding:
    evidence = one.evidence
    if one.changes and repaired.after is not None and not repaired.proofs:
        evidence = Evidence(f"{evidence.text}; {side_by_side(trials.before, repaired.after)}", one.evidence.value)
    return _finding(source, given, one, "fault", evidence, one.changes[0] if one.changes else {})


def _proved(source: YamlSource, given: RuleInputs, proof: Proof, trials: TrialEvidence) -> Finding:
    one = proof.suspicion
    text = f"{one.evidence.text}; {side_by_side(proof.before, proof.after)}"
    if proof.seeds > 1:
        text += f", confirmed over {proof.seeds} seeds"
    if trials.stand_in is not None:
        text += f" (tried on {trials.stand_in})"
    evidence = Evidence(text, one.evidence.value, one.evidence.threshold)
    return _finding(source, given, one, "fault", evidence, proof.change)


def _extrapolated(source: YamlSource, given: RuleInputs, longer: LongerRun, trials: TrialEvidence) -> Finding:
    before, one = trials.before, longer.suspicion
    text = (
        f"{one.evidence.text}; accuracy {percent(before.held_out.accuracy)} after {before.steps:,} of "
        f"{before.total_steps:,}; extrapolated, {percent(longer.expected)} at their end and "
        f"{percent(longer.expected_later)} after ten times as many"
    )
    return _finding(source, given, one, "fault", Evidence(text, longer.expected, longer.expected_later), longer.change)


def side_by_side(before: TrialOutcome, after: TrialOutcome) -> str:
    """`accuracy: before 10.1%, after 54.3%, in the same 300 updates`.

    Averaged over the classes, as changes are judged, where a gain in a rare class costs some of a common one.
    """
    is_traded = after.held_out.accuracy < before.held_out.accuracy
    scores = [one.balanced_accuracy if is_traded else one.accuracy for one in (before.held_out, after.held_out)]
    what = "balanced accuracy" if is_traded else "accuracy"
    left, right = map(percent, scores)
    if before.error is not None:
        return f"before, training stops with an error; after, {what} {right} in {after.steps:,} updates"
    if before.steps == after.steps:
        return f"{what}: before {left}, after {right}, in the same {after.steps:,} updates"
    return f"{what}: before {left} in {before.steps:,} updates, after {right} in {after.steps:,}"


def _cannot_overfit(trials: TrialEvidence) -> Iterator[str]:
    if trials.is_lost and trials.one_batch_accuracy is not None:
        yield OVERFIT.format(percent(trials.one_batch_accuracy))


def _by_seed(source: YamlSource, given: RuleInputs, repaired: Repair) -> list[Finding]:
    """Return a note if seeds disagree, with the change that makes all of them learn, if there is one."""
    if not repaired.depends_on_seed:
        return []
    count, after = len(repaired.before.outcomes), repaired.stuck_after
    text = f"{repaired.stuck} of {count} seeds {'gets' if repaired.stuck == 1 else 'get'} stuck"
    if repaired.proofs:
        text += f"; with the change, {after or 'none'} of {count} {'do' if after > 1 else 'does'}"
    change = completed(source, given.config, repaired.change) if repaired.change else {}
    return [Finding(DEPENDS_ON_SEED, "note", Evidence(text, repaired.stuck, count / 2), change=change)]


def _undecided(trials: TrialEvidence, skill: Skill) -> list[Finding]:
    """Return a warning if there was too little time for a verdict: saying nothing would imply that all is well."""
    written = trials.written
    if written.complete or written.error is not None or skill.of(written) >= STUCK:
        return []
    if written.steps >= decisive_steps(written.total_steps) and skill.expected(written) >= GOOD:
        return []
    minutes = max(trials.minutes_needed, math.ceil(trials.minutes) + 1)
    text = f"{written.steps:,} of {written.total_steps:,} updates fit in {60 * trials.minutes:.0f} s"
    text += f" and reach {percent(written.held_out.accuracy)}"
    if trials.stand_in is not None:
        text += f"; {trials.stand_in} reaches {percent(trials.before.held_out.accuracy)} in {trials.before.steps:,}"
    text += f"; `--minutes {minutes}` decides"
    return [Finding(NOT_DECIDED, "warning", Evidence(text, written.steps, written.total_steps))]


def _beaten(repaired: Repair, trials: TrialEvidence, skill: Skill) -> list[Finding]:
    """Return a warning if a baseline is better beyond doubt, though no cause was found."""
    if not skill.is_beaten or not trials.is_long or repaired.skill_before >= GOOD or repaired.depends_on_seed:
        return []
    evidence = Evidence(_compared(trials), repaired.skill_before, GOOD)
    return [Finding(WORSE_THAN_PLAIN, "warning", evidence, path="model")]


def _compared(trials: TrialEvidence) -> str:
    """`accuracy 76.4% after 900 updates, a linear model 97.2%`, and how to try more."""
    before = trials.before
    text = f"accuracy {percent(before.held_out.accuracy)} after {before.steps:,} updates, a linear model "
    text += percent(trials.linear.held_out.accuracy)
    if trials.is_cut_short:
        text += f"; `--minutes {math.ceil(MORE_TIME * trials.minutes)}` tries more changes"
    return text


def _unexplained(repaired: Repair, trials: TrialEvidence) -> list[Finding]:
    before, text = trials.before, _compared(trials)
    if before.error is not None:
        return [Finding(NOT_FINITE, "fault", Evidence(before.error))]
    if trials.stand_in is not None or repaired.is_expected_to_learn or not trials.is_behind:
        return []
    if repaired.skill_before < PLAIN_SKILL and before.complete and trials.is_lost:
        evidence = Evidence(
            f"{OVERFIT.format(percent(trials.one_batch_accuracy or 0.0))}; {text}",
            trials.one_batch_accuracy,
            OVERFITS,
        )
        return [Finding(CANNOT_OVERFIT, "fault", evidence, path="model")]
    if repaired.skill_before < CHANCE_SKILL and trials.is_long and (before.complete or not _is_falling(before)):
        evidence = Evidence(text, repaired.skill_before, CHANCE_SKILL)
        return [Finding(NO_BETTER_THAN_CHANCE, "fault", evidence, path="model")]
    if repaired.skill_before < PLAIN_SKILL and before.complete:
        evidence = Evidence(text, repaired.skill_before, PLAIN_SKILL)
        return [Finding(WORSE_THAN_PLAIN, "fault", evidence, path="model")]
    return []


def _is_falling(outcome: TrialOutcome) -> bool:
    """Return whether the loss is still decreasing at the end of a trial."""
    losses = [point.loss for point in outcome.curve]
    return len(losses) > 3 and losses[-1] < losses[len(losses) // 2] < losses[0] and losses[-1] < 0.98 * losses[0]


def symptoms(outcome: TrialOutcome, given: RuleInputs) -> tuple[str, ...]:
    """Other observations from a trial that went badly."""
    seen = [] if outcome.error is None else [outcome.error]
    if outcome.predicted_majority > 0.99 and given.facts.majority < 0.99:
        seen.append("the network makes the same prediction for every example")
    losses = [point.loss for point in outcome.curve]
    if losses and losses[-1] - min(losses) > 0.5 * abs(min(losses)):
        seen.append(f"the loss increased again, from {min(losses):.3g} to {losses[-1]:.3g}")
    return tuple(seen) if outcome.final is None else (*seen, *_symptoms_inside(outcome.final, given.prior_loss))


def _symptoms_inside(final: Snapshot, prior_loss: float | None) -> Iterator[str]:
    """Observations about the layers and the loss at the end of a trial."""
    dead = max(final.layers, key=lambda layer: layer.dead, default=None)
    if dead is not None and dead.dead > 0.5:
        yield dead.dead_text()
    saturated = max(final.layers, key=lambda layer: layer.saturated, default=None)
    if saturated is not None and saturated.saturated > 0.5:
        yield f"{percent(saturated.saturated)} of the outputs of {readable_layer(saturated.name)} are saturated"
    if any(layer.identical and layer.units > 1 for layer in final.layers):
        yield "all units of a layer are identical"
    if final.gradient_ratio < 0.01:
        yield final.gradient_text()
    if prior_loss is not None and abs(final.loss - prior_loss) < 0.02 * prior_loss:
        yield f"the loss stays at {prior_loss:.3f}, the loss of predicting the class frequencies"
