"""What is wrong with a config, in words: one line a place, with what was found, what is allowed, what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from nnclassify.errors import SYNONYMS, suggestion
from nnclassify.settings import (
    DELIMITER_PATTERN,
    DEVICE_PATTERN,
    FINDING_PATTERN,
    NAME_PATTERN,
    Settings,
    names_of,
    settings_in,
)
from nnclassify.yaml_source import YamlPath, YamlSource, has_part, yaml_text

Loc = tuple[int | str, ...]
"""Where pydantic saw an error: the YAML's path, and the names of the union members that it went through."""


def describe_problems(errors: Iterable[ErrorDetails], source: YamlSource, root: type[Settings]) -> list[str]:
    """One line a place, in the order of the file: alternatives of one value are joined."""
    expected: dict[YamlPath, list[ErrorDetails]] = {}
    for error in errors:
        expected.setdefault(_path(error, source.data), []).append(error)

    def order(path: YamlPath) -> tuple[int, YamlPath]:
        line = source.where(path).rpartition(":")[2]
        return (int(line) if line.isdigit() else 1_000_000, tuple(map(str, path)))

    return [
        f"{source.where(path)}: {'.'.join(map(str, path))}: {_describe(expected[path], root)}"
        for path in sorted(expected, key=order)
    ]


def _path(error: ErrorDetails, data: Any) -> YamlPath:
    """The error's place in the YAML: pydantic's, less the names of union members that it went through."""
    path: list[str | int] = []
    loc = error["loc"]
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if has_part(data, part):
            data = data[part]
        elif not (is_last and error["type"] == "missing"):
            continue
        path.append(part)
    if error["type"] == "union_tag_invalid" and isinstance(data, dict):
        path.append("name")
    return tuple(path)


def _describe(errors: list[ErrorDetails], root: type[Settings]) -> str:
    kind, found = errors[0]["type"], _shown(errors[0].get("input"))
    if kind == "missing":
        return "missing; add it"
    if kind == "union_tag_not_found":
        return f"found {found}, expected a name: one of {_tags(errors[0], root)}"
    if kind == "extra_forbidden":
        loc = errors[0]["loc"]
        return f"unknown key{_nearest_key(loc, root)}; expected one of {', '.join(_allowed_keys(loc, root))}"
    if kind in ("union_tag_invalid", "literal_error"):
        tag = errors[0]["ctx"]["tag"] if kind == "union_tag_invalid" else errors[0].get("input")
        names = re.findall(r"'([^']+)'", _tags(errors[0], root))
        return f"found {_shown(tag)}, expected one of {', '.join(names)}{suggestion(tag, names)}"
    wanted = dict.fromkeys(_wanted(error) for error in errors)
    return f"found {found}, expected {' or '.join(wanted)}"


def _tags(error: ErrorDetails, root: type[Settings]) -> str:
    context = error.get("ctx", {})
    return str(context.get("expected_tags") or context.get("expected") or _union_names(error["loc"], root))


_WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "model_type": "`key: value` pairs",
    "model_attributes_type": "a name or `key: value` pairs",
    "dict_type": "`key: value` pairs",
    "finite_number": "a finite number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text, at least {min_length} characters",
    "string_too_long": "text, at most {max_length} characters",
    "too_short": "at least {min_length} in the list",
    "too_long": "at most {max_length} in the list",
}
"""What to write instead, by pydantic's kind of error."""

_PATTERNS = {
    NAME_PATTERN: "up to 100 letters, digits, dots, dashes or underscores, the first a letter or digit",
    DELIMITER_PATTERN: "one character, no quote and no line break",
    DEVICE_PATTERN: "auto, cpu, cuda, cuda:N or mps",
    FINDING_PATTERN: "a finding, such as NN302",
}


def _wanted(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        return _PATTERNS[context["pattern"]]
    if error["type"] in _WANTED:
        return _WANTED[error["type"]].format(**context)
    message = str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    text = "nothing" if value is None else yaml_text(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _members_at(loc: Loc, root: type[Settings]) -> list[type[Settings]]:
    """The settings classes that may stand at a place that pydantic names."""
    members: list[type[Settings]] = [root]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [member for member in members if part in names_of(member)]
        fields = [member.model_fields[part] for member in members if part in member.model_fields]
        members = tagged or [found for field in fields for found in settings_in(field.annotation)]
    return members


def _allowed_keys(loc: Loc, root: type[Settings]) -> list[str]:
    return list(dict.fromkeys(key for member in _members_at(loc[:-1], root) for key in member.model_fields))


def _nearest_key(loc: Loc, root: type[Settings]) -> str:
    """A hint to the key that was meant: one of the same place, or one that belongs a level deeper."""
    key = str(loc[-1])
    key = SYNONYMS.get(key, key)
    if len(loc) == 1 and key not in root.model_fields:
        for family, field in root.model_fields.items():
            if any(key in member.model_fields for member in settings_in(field.annotation)):
                return f"; did you mean {f'{family}.{key}'!r}?"
    return suggestion(loc[-1], _allowed_keys(loc, root))


def _union_names(loc: Loc, root: type[Settings]) -> str:
    return ", ".join(name for member in _members_at(loc, root) for name in names_of(member))
