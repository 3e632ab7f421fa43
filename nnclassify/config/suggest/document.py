"""The text of a suggested config: every choice with the reason for it beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnclassify.config.yaml_reader import inline
from nnclassify.errors import printable


@dataclass(frozen=True)
class Entry:
    """One key of the YAML.

    Attributes:
        key: The key.
        value: A value, written on one line; or the entries of a section or a list of mappings, one line each.
        comment: The reason, written behind it.
    """

    key: str
    value: Any
    comment: str = ""


def values_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the values of entries by key, as a YAML file of them would be read."""
    return {entry.key: _value_of(entry.value) for entry in entries}


def _value_of(value: Any) -> Any:
    is_section = isinstance(value, list) and bool(value) and all(isinstance(child, Entry) for child in value)
    return values_of(value) if is_section else value


@dataclass(frozen=True)
class Suggestion:
    """A config for some data.

    Attributes:
        name: The name of its runs.
        found: What the data hold, one line each.
        entries: The keys of the config.
    """

    name: str
    found: list[str]
    entries: list[Entry]

    def yaml(self) -> str:
        """Return the text of the config, with what was found as its header."""
        header = [f"# {printable(line)}" for line in self.found]
        return "\n".join([*header, *_lines(self.entries)]) + "\n"


def _lines(entries: Sequence[Entry], indent: str = "") -> list[str]:
    lines = []
    for entry in entries:
        below: list[str] = []
        children = entry.value if isinstance(entry.value, list) else []
        if children and all(isinstance(child, Entry) for child in children):
            below = _lines(entry.value, f"{indent}  ")
        elif children and all(isinstance(child, dict) for child in children):
            below = [f"{indent}  - {inline(child)}" for child in children]
        value = "" if below else f" {inline(entry.value)}"
        comment = f" # {printable(entry.comment)}" if entry.comment else ""
        lines += [f"{indent}{entry.key}:{value}{comment}", *below]
    return lines
