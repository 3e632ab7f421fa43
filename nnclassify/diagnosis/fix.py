"""Writes a changed config: the YAML as it stands, comments and order kept, with some values replaced."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from nnclassify.diagnosis.findings import Change
from nnclassify.errors import InputError, SaveError, one_line


def edited(text: str, change: Change) -> str:
    """A YAML text with the values at dotted paths replaced; None takes a key away."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 120
    document = yaml.load(text)
    for path, value in change.items():
        _set(document, [int(part) if part.isdigit() else part for part in path.split(".")], value)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _set(node: Any, path: list[str | int], value: Any) -> None:
    """Replace or add one value; `dataset: iris` becomes `{name: iris}` where an option is set beside it."""
    for part in path[:-1]:
        child = node.get(part) if isinstance(node, dict) else node[part]
        if not isinstance(child, dict | list):
            child = CommentedMap() if child is None else CommentedMap(name=child)
            child.fa.set_flow_style()
            node[part] = child
        node = child
    if value is None and isinstance(node, dict):
        node.pop(path[-1], None)
    else:
        node[path[-1]] = _flow(value)


def _flow(value: Any) -> Any:
    """Mappings and lists on one line, as configs have them."""
    from ruamel.yaml.comments import CommentedSeq

    if isinstance(value, dict):
        mapping = CommentedMap({key: _flow(inner) for key, inner in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_flow(inner) for inner in value)
        sequence.fa.set_flow_style()
        return sequence
    return value


def write_fixed(source: Path, target: Path, change: Change) -> None:
    """Write the changed config.

    Raises:
        InputError: The target is the source, or is there already.
        SaveError: It cannot be written.
    """
    if target.exists():
        raise InputError(f"--fix {target}: is there already; name another file")
    try:
        target.write_text(edited(source.read_text(encoding="utf-8-sig"), change), encoding="utf-8")
    except OSError as cause:
        raise SaveError(f"{target}: not saved ({one_line(cause)}); free space or mend permissions") from cause
