"""What an audit says of single examples and columns, apart from its findings."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnclassify.diagnosis.findings import Finding


@dataclass(frozen=True)
class Flag:
    """One example, or one column, that something is odd about.

    Attributes:
        kind: What: `duplicate`, `near_duplicate`, `contradiction`, `label_error`, `outlier`, `dark`, `light`, `blank`,
            `blurred`, `odd_size`, `odd_shape`, `reveals_label`, `identifier` or `constant`.
        row: The example, counted over all splits; None: a column.
        score: How odd, as the kind measures it.
        suggested: The class that is more probable.
        partner: The other example, counted over all splits.
        column: The name of the column.
        detail: What was measured, in words.
    """

    kind: str
    row: int | None
    score: float
    suggested: int | None = None
    partner: int | None = None
    column: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Found:
    """What one part of an audit found.

    Attributes:
        findings: The findings, one for each kind of fault.
        flags: The examples and columns, the oddest of a kind first.
        notes: What was not looked for, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
