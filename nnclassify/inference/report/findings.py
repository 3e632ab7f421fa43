"""What the page about a run says was found: by the monitor, by `check`, and by an audit of the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nnclassify.errors import printable, shell_command, some
from nnclassify.inference.display_names import readable
from nnclassify.inference.report.contents import RunContents, at

MAX_NAME = 60
"""Maximum width of the name of an example or of a class, in columns."""
MAX_FLAGS = 10
"""Examples of each kind that an audit names on the page; audit.csv has all."""


def finding(one: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a finding."""
    change = at(one, "change")
    values = change.items() if isinstance(change, dict) else ()
    symptoms = at(one, "symptoms")
    seen = (
        f"; seen with it: {some([str(text) for text in symptoms])}" if isinstance(symptoms, list) and symptoms else ""
    )
    return {
        "id": printable(str(at(one, "id") or "")),
        "severity": printable(str(at(one, "severity") or "note")),
        "title": printable(str(at(one, "title") or "")),
        "evidence": printable(str(at(one, "evidence", "text") or "") + seen),
        "why": printable(str(at(one, "why") or "")),
        "change": printable(", ".join(f"{key}: {value_text(value)}" for key, value in values)),
    }


def no_findings(run: RunContents) -> str:
    """Return why the monitor has found nothing."""
    if run.folder.diagnosis.is_file():
        return "The monitor that watches training found nothing to warn about."
    return "Nothing is known: the run was not watched (--no-monitor), or has not saved its findings yet."


def checked(run: RunContents) -> str:
    """Return what the findings of `check` do not say."""
    if not run.check:
        return _to_be_made(run, "check", "The config was not checked")
    if at(run.check, "decided") is False:
        return "`nnclassify check` had too little time to decide whether this network learns."
    return "" if run.checked else "`nnclassify check` found nothing that keeps this network from learning."


def audited(run: RunContents) -> dict[str, Any]:
    """Return what is wrong with the data: the findings of an audit, and the first examples of each kind."""
    if run.audit is None:
        return {"text": _to_be_made(run, "audit", "The data was not audited"), "findings": [], "kinds": []}
    by_kind: dict[str, list[dict[str, str]]] = {}
    for flag in run.audit.flags:
        by_kind.setdefault(flag["finding"], []).append(flag)
    kinds = [
        {
            "name": f"{readable(kind.replace('_', ' '), MAX_NAME)} ({len(flags):,})",
            "rows": [{key: readable(text, MAX_NAME) if text else "" for key, text in flag.items()} for flag in shown],
        }
        for kind, flags in by_kind.items()
        if (shown := flags[:MAX_FLAGS])
    ]
    text = "The audit found nothing wrong with the data." if not kinds and not run.audit.findings else ""
    return {"text": text, "findings": [finding(one) for one in run.audit.findings], "kinds": kinds}


def _to_be_made(run: RunContents, command: str, what: str) -> str:
    """Return which command writes into the folder of a run what is missing from its page."""
    line = printable(shell_command(command, run.folder.config, "--out", run.folder.path))
    return f"{what}. Run `{line}`, then make this page again."


def value_text(value: Any) -> str:
    """Return a value of the config as text."""
    return value if isinstance(value, str) else json.dumps(value)
