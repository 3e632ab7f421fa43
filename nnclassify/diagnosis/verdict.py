"""From what trials proved to what is told: ranked findings, the cause first, its symptoms under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nnclassify.diagnosis.case import Case
from nnclassify.diagnosis.findings import Change, Evidence, Finding, Severity, Suspicion, finding_of
from nnclassify.diagnosis.measure import Snapshot
from nnclassify.diagnosis.pages_outcome import NO_BETTER_THAN_CHANCE, NOT_BY_HEART, NOT_FINITE, WORSE_THAN_PLAIN
from nnclassify.diagnosis.repair import GOOD, POOR, Proof, Repair
from nnclassify.diagnosis.trials import Outcome, completed
from nnclassify.yaml_source import YamlSource

CHANCE_SKILL, PLAIN_SKILL = 0.25, 0.5
BY_HEART = 0.9
MANY_STEPS = 100
"""A trial of fewer updates, of a net that is slow here, has not shown that it does not learn."""
MAX_PROVED = 4
"""More causes than that are alternatives of one cause."""


@dataclass(frozen=True)
class Seen:
    """What was tried of a config, apart from changes.

    Attributes:
        before: The config as written.
        linear: The linear baseline.
        by_heart: The accuracy that the net reaches on one batch that it is shown again and again;
            None: not measured.
    """

    before: Outcome
    linear: Outcome
    by_heart: float | None

    @property
    def is_lost(self) -> bool:
        """Whether not even one batch can be learned by heart."""
        return self.by_heart is not None and self.by_heart < BY_HEART

    @property
    def is_long(self) -> bool:
        """Whether the trial was long enough to tell a net that does not learn from one that is slow here."""
        return self.before.complete or self.before.error is not None or self.before.steps >= MANY_STEPS


def findings_of(source: YamlSource, case: Case, repaired: Repair, seen: Seen, is_explained: bool) -> list[Finding]:
    """All findings, ranked.

    Args:
        source: The YAML.
        case: What was looked at.
        repaired: What the trials proved.
        seen: The config as written, and what it was held against.
        is_explained: Whether the data is at fault already.
    """
    faults = [_certain(source, case, one, repaired, seen.before) for one in repaired.certain]
    faults += [_proved(source, case, proof) for proof in repaired.proofs[:MAX_PROVED]]
    if not faults and not is_explained:
        faults = _unexplained(repaired, seen)
    if faults and repaired.skill_before < GOOD:
        faults[0] = _with_symptoms(faults[0], (*symptoms(seen.before, case), *_not_by_heart(seen)))
    unproved: Severity = "note" if repaired.skill_before >= GOOD else "warning"
    warnings = [
        _finding(source, case, one, unproved, one.evidence, one.changes[0])
        for one in repaired.unproved
        if one.page.id[:3] != "NN4" or (repaired.skill_before < POOR["possible"] and seen.is_long)
    ]
    return faults + warnings


def _finding(
    source: YamlSource, case: Case, suspicion: Suspicion, severity: Severity, evidence: Evidence, change: Change
) -> Finding:
    path = tuple(int(part) if part.isdigit() else part for part in suspicion.path.split("."))
    return finding_of(
        suspicion.page,
        severity,
        evidence,
        path=suspicion.path,
        place=source.where(path),
        layer=suspicion.layer,
        change=completed(source, case.config, change) if change else {},
    )


def _certain(source: YamlSource, case: Case, one: Suspicion, repaired: Repair, before: Outcome) -> Finding:
    evidence = one.evidence
    if one.changes and repaired.after is not None and not repaired.proofs:
        evidence = Evidence(f"{evidence.text}; {side_by_side(before, repaired.after)}", one.evidence.value)
    return _finding(source, case, one, "fault", evidence, one.changes[0] if one.changes else {})


def _proved(source: YamlSource, case: Case, proof: Proof) -> Finding:
    one = proof.suspicion
    text = f"{one.evidence.text}; {side_by_side(proof.before, proof.after)}"
    evidence = Evidence(text, one.evidence.value, one.evidence.threshold)
    return _finding(source, case, one, "fault", evidence, proof.change)


def side_by_side(before: Outcome, after: Outcome) -> str:
    """`before 10.1 %, after 54.3 % in the same 300 steps`."""
    left = f"before {before.accuracy:.1%}" if before.error is None else "before: stopped"
    if before.steps == after.steps or before.error is not None:
        return f"{left}, after {after.accuracy:.1%} in the same {after.steps} steps"
    return f"{left} in {before.steps} steps, after {after.accuracy:.1%} in {after.steps}"


def _not_by_heart(seen: Seen) -> Iterator[str]:
    if seen.is_lost:
        yield f"one batch, shown again and again, is named right in {seen.by_heart:.0%}"


def _unexplained(repaired: Repair, seen: Seen) -> list[Finding]:
    before, linear = seen.before, seen.linear
    text = f"{before.accuracy:.1%} after {before.steps} steps, a linear model {linear.accuracy:.1%}"
    if before.error is not None:
        return [finding_of(NOT_FINITE, "fault", Evidence(before.error))]
    if repaired.skill_before < PLAIN_SKILL and before.complete and seen.is_lost:
        evidence = Evidence(f"one batch: {seen.by_heart:.1%}; {text}", seen.by_heart, BY_HEART)
        return [finding_of(NOT_BY_HEART, "fault", evidence, path="model")]
    if repaired.skill_before < CHANCE_SKILL and (before.complete or (seen.is_long and not _is_falling(before))):
        evidence = Evidence(text, repaired.skill_before, CHANCE_SKILL)
        return [finding_of(NO_BETTER_THAN_CHANCE, "fault", evidence, path="model")]
    if repaired.skill_before < PLAIN_SKILL and before.complete:
        evidence = Evidence(text, repaired.skill_before, PLAIN_SKILL)
        return [finding_of(WORSE_THAN_PLAIN, "fault", evidence, path="model")]
    return []


def _is_falling(outcome: Outcome) -> bool:
    """Whether the loss is still going down at the end of a trial."""
    losses = [point.loss for point in outcome.curve]
    return len(losses) > 3 and losses[-1] < losses[len(losses) // 2] < losses[0] and losses[-1] < 0.98 * losses[0]


def symptoms(outcome: Outcome, case: Case) -> tuple[str, ...]:
    """What else was seen in a trial that went badly."""
    seen = [] if outcome.error is None else [outcome.error]
    if outcome.said > 0.99 and case.facts.majority < 0.99:
        seen.append(f"one class is said of {outcome.said:.0%} of the examples")
    losses = [point.loss for point in outcome.curve]
    if losses and losses[-1] > 1.5 * min(losses):
        seen.append(f"the loss rose again, from {min(losses):.3g} to {losses[-1]:.3g}")
    return tuple(seen) if outcome.end is None else (*seen, *_symptoms_inside(outcome.end, case.prior_loss))


def _symptoms_inside(end: Snapshot, prior_loss: float | None) -> Iterator[str]:
    """What layers and loss look like at the end."""
    if end.dead > 0.5:
        yield f"{end.dead:.0%} of the units of a layer are dead at the end"
    if end.saturated > 0.5:
        yield f"{end.saturated:.0%} of the outputs of a layer are saturated at the end"
    if any(layer.identical and layer.units > 1 for layer in end.layers):
        yield "all units of a layer say the same"
    if end.gradient_ratio < 0.01:
        yield f"the first layer gets {end.gradient_ratio:.1e} of the last one's gradient"
    if prior_loss is not None and abs(end.loss - prior_loss) < 0.02 * prior_loss:
        yield f"the loss is stuck at the prior's, {prior_loss:.3f}"


def _with_symptoms(finding: Finding, seen: tuple[str, ...]) -> Finding:
    return Finding(**{**vars(finding), "symptoms": seen})
