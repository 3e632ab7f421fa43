"""An audit as text, as JSON and as `audit.csv`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.diagnosis.audit.audit import Audit
from nnclassify.diagnosis.audit.flags import Flag
from nnclassify.diagnosis.findings import FindingFigures
from nnclassify.diagnosis.report import finding_lines
from nnclassify.files.csv_cells import cell

HEADER = ["name", "split", "finding", "score", "given", "suggested", "partner", "partner_split", "detail"]
"""The columns of `audit.csv`: the first seven as the issue of an example, then where its partner is."""


def audit_text(audit: Audit, *, verbose: bool, color: bool) -> str:
    """Return the findings, faults first, with a summary line."""
    counts = [f"{len(part):,} {name}" for name, part in audit.material.contents.parts.items()]
    lines = [f"audited: {', '.join(counts)} examples ({audit.seconds:.1f} s)"]
    for finding in audit.findings:
        lines += finding_lines(finding, verbose=verbose, color=color)
    if not audit.findings:
        lines.append("no findings")
    return "\n".join(lines)


class AuditFigures(TypedDict):
    """What is wrong with the data, also in `audit.json` (without `schema` and `files`)."""

    findings: list[FindingFigures]
    fault: bool
    examples: dict[str, int]
    counts: dict[str, int]
    notes: list[str]
    seconds: float
    files: NotRequired[list[Path]]


def audit_figures(audit: Audit) -> AuditFigures:
    """Return the findings and the number of flags of each kind, for JSON."""
    kinds = [flag.kind for flag in audit.flags]
    return {
        "findings": [finding.figures() for finding in audit.findings],
        "fault": audit.has_fault,
        "examples": {name: len(part) for name, part in audit.material.contents.parts.items()},
        "counts": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "notes": audit.notes,
        "seconds": audit.seconds,
    }


def audit_rows(audit: Audit) -> Iterator[list[str]]:
    """Yield the rows of `audit.csv`, the header first."""
    yield HEADER
    for flag in audit.flags:
        yield _row(audit, flag)


def _row(audit: Audit, flag: Flag) -> list[str]:
    material = audit.material
    name, split = (flag.column, "") if flag.row is None else material.name(flag.row)
    partner, partner_split = ("", "") if flag.partner is None else material.name(flag.partner)
    given = "" if flag.row is None else material.given(flag.row)
    texts = [given, material.class_name(flag.suggested), partner]
    return [cell(name), split, flag.kind, f"{flag.score:.6g}", *map(cell, texts), partner_split, cell(flag.detail)]
