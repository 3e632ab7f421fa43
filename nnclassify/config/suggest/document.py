"""The text of a suggested config: every choice with the reason for it beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnclassify.config.yaml_writer import inline
from nnclassify.errors import ConfigPath, printable

CHOSEN = "as chosen"
"""The comment of a value that the user gave."""


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
    return values_of(value) if _is_section(value) else value


def _is_section(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(child, Entry) for child in value)


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


def with_chosen(entries: Sequence[Entry], data: Mapping[str, Any], paths: Sequence[ConfigPath]) -> list[Entry]:
    """Return entries with the values that a user chose, in place of those that were suggested, or behind them.

    Args:
        entries: The entries of a config or of a section.
        data: Its values, with those that were chosen.
        paths: The paths of the latter.
    """
    within = {str(key): [path[1:] for path in paths if path[0] == key] for key, *_ in paths}
    found = []
    for entry in entries:
        if entry.key not in within:
            found.append(entry)
        elif () in within[entry.key] or not _is_section(entry.value):
            found.append(Entry(entry.key, data[entry.key], CHOSEN))
        else:
            found.append(replace(entry, value=with_chosen(entry.value, data[entry.key], within[entry.key])))
    known = {entry.key for entry in entries}
    return [*found, *(Entry(key, data[key], CHOSEN) for key in within if key not in known)]


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
