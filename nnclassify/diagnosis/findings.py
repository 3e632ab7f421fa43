"""The parts of a diagnosis: pages that explain a cause, suspicions still to be proven, and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

Severity = Literal["fault", "warning", "note"]
Certainty = Literal["certain", "likely", "possible", "note"]
Change = Mapping[str, Any]
"""Dotted YAML paths and their new values; None removes an option."""

SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")
CERTAINTIES: tuple[Certainty, ...] = ("certain", "likely", "possible", "note")


@dataclass(frozen=True)
class Page:
    """The reference page of a rule.

    Attributes:
        id: Such as `NN201`: 1 data, 2 outputs and loss, 3 architecture, 4 optimization, 5 outcome, 6 during training.
        title: The cause in a few words.
        looks_at: What the rule looks at, and its threshold.
        why: Why it matters, in one sentence.
        source: The publication or documentation that says so.
        fix: What to do.
        example: A config that triggers it.
        near_miss: A config that almost triggers it and must not.
    """

    id: str
    title: str
    looks_at: str
    why: str
    source: str
    fix: str
    example: str = ""
    near_miss: str = ""


@dataclass(frozen=True)
class Evidence:
    """A measured number and the threshold it was compared with, also in words."""

    text: str
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Suspicion:
    """A possible cause, found by a rule or a probe.

    Attributes:
        page: The cause.
        certainty: `certain`: a fault by itself; `likely`: a fault where a change helps; `possible`: a fault where a
            change helps much, and not worth a word otherwise; `note`: good to know, whatever the network reaches.
        path: The option to change, dotted; empty: none is to blame.
        evidence: The measurement that suggests it.
        changes: Alternatives to try, the best guess first.
        layer: The layer, if it concerns one.
        skill_below: The skill of the network below which it may be a fault; None: the limit of its certainty.
    """

    page: Page
    certainty: Certainty
    path: str
    evidence: Evidence
    changes: tuple[Change, ...] = ()
    layer: str | None = None
    skill_below: float | None = None


class Place(TypedDict):
    """Where a finding is: the key of the config, the layer, the file and its line."""

    path: str | None
    layer: str | None
    file: str | None
    line: int | None


class FindingFigures(TypedDict):
    """What `check`, `audit` or `train` has found."""

    id: str
    severity: Severity
    title: str
    where: Place
    evidence: Evidence
    why: str
    change: dict[str, Any]
    symptoms: list[str]


@dataclass(frozen=True)
class Finding:
    """One finding of the report.

    Attributes:
        page: The cause.
        severity: `fault`: it keeps the network from learning; `warning`: it may; `note`: good to know.
        evidence: The number and its threshold.
        path: The option, dotted; empty: none.
        place: `file:line` of that option, or the override that set it.
        layer: The layer, if it concerns one.
        change: Dotted YAML paths and their new values; empty: none is known.
        symptoms: Other observations that follow from it.
    """

    page: Page
    severity: Severity
    evidence: Evidence
    path: str = ""
    place: str = ""
    layer: str | None = None
    change: Change = field(default_factory=dict)
    symptoms: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of the page."""
        return self.page.id

    def figures(self) -> FindingFigures:
        """Return the finding for JSON."""
        file, _, line = self.place.rpartition(":")
        has_line = line.isdigit()
        return {
            "id": self.id,
            "severity": self.severity,
            "title": self.page.title,
            "where": {
                "path": self.path or None,
                "layer": self.layer,
                "file": file if has_line else self.place,
                "line": int(line) if has_line else None,
            },
            "evidence": self.evidence,
            "why": self.page.why,
            "change": dict(self.change),
            "symptoms": list(self.symptoms),
        }
