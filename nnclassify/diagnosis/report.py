"""A diagnosis as text for the terminal: causes first, each with its symptoms, in at most a dozen lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.data.duplicates import Duplicate
from nnclassify.diagnosis.check import Diagnosis
from nnclassify.diagnosis.findings import Change, Finding, FindingFigures
from nnclassify.diagnosis.trials.verdict import side_by_side
from nnclassify.errors import printable, some
from nnclassify.evaluation.percent import percent

MAX_LINES, MAX_SYMPTOMS, MAX_NAMES = 12, 3, 3
COLORS = {"fault": "\x1b[1;31m", "warning": "\x1b[33m", "note": "\x1b[36m"}
RESET = "\x1b[0m"


def diagnosis_text(diagnosis: Diagnosis, *, verbose: bool, color: bool) -> str:
    """Return the accuracies in one line, then the findings; at most 12 lines unless `verbose`."""
    lines = [_summary(diagnosis)]
    lines += _duplicates_line(diagnosis)
    if verbose:
        lines += _rates_line(diagnosis)
    groups = [finding_lines(finding, verbose=verbose, color=color) for finding in diagnosis.findings]
    for index, group in enumerate(groups):
        if not verbose and len(lines) + len(group) > MAX_LINES - 1:
            lines.append(f"and {len(groups) - index} more: --verbose shows them")
            break
        lines += group
    if not groups:
        lines.append("no finding")
    return "\n".join(lines)


def _summary(diagnosis: Diagnosis) -> str:
    before, linear = diagnosis.before, diagnosis.linear
    if before is None or linear is None:
        return f"not trained ({diagnosis.seconds:.1f} s)"
    reached = percent(before.held_out.accuracy) if before.error is None else "stopped with an error"
    total = "" if before.complete or not before.total_steps else f" of {before.total_steps:,}"
    judged = "on examples kept out of training" if diagnosis.has_held_out else "on training examples"
    line, majority = percent(linear.held_out.accuracy), percent(diagnosis.majority)
    most = "classes" if diagnosis.is_multi_hot else "class"
    return (
        f"accuracy: this network {reached}, a linear model {line}, always the most common {most} {majority} "
        f"({judged}; {before.steps:,}{total} updates; {diagnosis.seconds:.1f} s)"
    )


def _duplicates_line(diagnosis: Diagnosis) -> list[str]:
    """Return a line on examples that are in two splits, with the first names; none if there are none."""
    found = diagnosis.duplicates
    if not found:
        return []
    are = "1 example is" if len(found) == 1 else f"{len(found):,} examples are"
    hint = "" if len(found) <= MAX_NAMES else " (--json names all)"
    return [printable(f"{are} also in an earlier split: {some(found, MAX_NAMES)}{hint}")]


def _rates_line(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.rates is None:
        return ["learning-rate range test: not run, this network is too slow"]
    if diagnosis.rates.suggested is None:
        return ["learning-rate range test: no learning rate reduced the loss"]
    return [f"learning-rate range test: suggested learning rate {diagnosis.rates.suggested:g}"]


def finding_lines(finding: Finding, *, verbose: bool, color: bool) -> list[str]:
    """Severity, id and title; the place and the measurement; the change."""
    place = f"{finding.place}: " if finding.place else ""
    lines = [f" {finding.id} {finding.page.title}", f"  {place}{finding.evidence.text}"]
    if finding.change:
        lines.append(f"  change {change_text(finding.change)}")
    if finding.symptoms:
        more = len(finding.symptoms) - MAX_SYMPTOMS
        shown = finding.symptoms if verbose or more <= 0 else (*finding.symptoms[:MAX_SYMPTOMS], f"and {more} more")
        lines.append(f"  seen with it: {'; '.join(shown)}")
    if verbose:
        lines.append(f"  why: {finding.page.why}")
    mark = f"{COLORS[finding.severity]}{finding.severity}{RESET}" if color else finding.severity
    first, *others = map(printable, lines)  # before the color, which is an escape itself
    return [mark + first, *others]


def change_text(change: Change) -> str:
    """`a.b: value, c: value`."""
    return ", ".join(
        f"{path}: {value if isinstance(value, str) else json.dumps(value)}" for path, value in change.items()
    )


def findings_text(findings: Sequence[Finding], *, color: bool) -> str:
    """Return the short diagnosis printed at the end of a run."""
    lines = [line for finding in findings[:4] for line in finding_lines(finding, verbose=False, color=color)]
    return "\n".join(lines[:MAX_LINES])


def fix_text(diagnosis: Diagnosis, target: Path) -> str:
    """Return the change that `--fix` wrote, and the accuracies before and after it."""
    repair = diagnosis.repair
    if repair is None or repair.after is None:
        return "no change: " + ("none that was tried helps" if diagnosis.has_fault else "none is needed")
    return f"{target}: {change_text(repair.change)}\n{side_by_side(repair.before.typical, repair.after)}"


class DiagnosisFigures(TypedDict):
    """Why a network does not learn."""

    findings: list[FindingFigures]
    fault: bool
    decided: bool
    accuracy: float | None
    linear: float | None
    suggested_lr: float | None
    majority: float
    duplicates: list[Duplicate]
    steps: int
    seeds: int
    stuck: int
    seconds: float
    lr_range: str | None
    fixed: str | None
    change: dict[str, Any]
    after: float | None


def figures(diagnosis: Diagnosis, fix: Path | None = None, lr_range: Path | None = None) -> DiagnosisFigures:
    """Return the diagnosis for JSON. A requested file that was not written is null."""
    before, linear, repair = diagnosis.before, diagnosis.linear, diagnosis.repair
    return {
        "findings": [finding.figures() for finding in diagnosis.findings],
        "fault": diagnosis.has_fault,
        "decided": diagnosis.is_decided,
        "accuracy": None if before is None or before.error is not None else before.held_out.accuracy,
        "linear": None if linear is None else linear.held_out.accuracy,
        "suggested_lr": None if diagnosis.rates is None else diagnosis.rates.suggested,
        "majority": diagnosis.majority,
        "duplicates": [*diagnosis.duplicates],
        "steps": 0 if before is None else before.steps,
        "seeds": 0 if repair is None else len(repair.before.outcomes),
        "stuck": 0 if repair is None else repair.stuck,
        "seconds": diagnosis.seconds,
        "lr_range": str(lr_range) if lr_range is not None and diagnosis.rates is not None else None,
        "fixed": str(fix) if fix is not None and diagnosis.change else None,
        "change": diagnosis.change,
        "after": None if repair is None or repair.after is None else repair.after.held_out.accuracy,
    }
