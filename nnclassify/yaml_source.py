"""YAML as data that remembers its lines; limited in size, so that no file can exhaust the machine.

Scalars follow YAML 1.2's core schema: `1e-3` is a number, and `on`, `no` and `yes` are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nnclassify.errors import ConfigError, one_line

MAX_BYTES, MAX_DEPTH, MAX_NODES = 1_000_000, 32, 20_000
"""A config of hundreds of layers stays far below each of these."""
MAX_DIGITS = 100
"""Of a whole number; Python itself refuses to read one of 4,300."""

YamlPath = tuple[str | int, ...]

_INDEX = re.compile(r"[0-9]{1,9}")


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's core schema instead of 1.1's types."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - yaml's own name


_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
for _tag, _pattern, _first in [
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", rf"^(?:{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", list("-+0123456789.")),
]:
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@dataclass
class YamlSource:
    """A YAML mapping and where each of its parts stands.

    Attributes:
        file: What to call it in messages.
        data: The mapping as Python values.
        lines: The line of each path, from 1; or, for an override, the text that set it.
    """

    file: str
    data: dict[str, Any]
    lines: dict[YamlPath, int | str] = field(default_factory=dict)

    def where(self, path: YamlPath) -> str:
        """`file:line`, or the override, of the nearest part of `path` that is there."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line if isinstance(line, str) else f"{self.file}:{line}"
        return self.file

    def overrides(self) -> dict[str, Any]:
        """The values that `override` set, by dotted path."""
        found = {}
        for path, line in self.lines.items():
            if isinstance(line, str):
                node: Any = self.data
                for part in path:
                    node = node[part]
                found[_dotted(path)] = node
        return found

    def override(self, assignment: str) -> None:
        """Apply one `a.b=value`; the value is YAML.

        Raises:
            ConfigError: Not of that form, or the path leads through something that has no parts.
        """
        key, equals, text = assignment.partition("=")
        if not equals or not key or "" in key.split("."):
            raise ConfigError([f"--set {assignment}: expected key=value, such as optimizer.lr=0.1"])
        origin = f"--set {assignment}"
        value = parse_yaml(text, origin) if text.strip() else None
        path: YamlPath = tuple(int(part) if _INDEX.fullmatch(part) else part for part in key.split("."))
        node: Any = self.data
        for depth, part in enumerate(path):
            last = depth == len(path) - 1
            child = value if last else _expanded(_child(node, part))
            if isinstance(node, dict):
                node[str(part)] = child
            elif has_part(node, part):
                node[part] = child
            else:
                raise ConfigError([f"{origin}: {_dotted(path[:depth])} has no part {part!r}"])
            node = child
        self.lines = {known: line for known, line in self.lines.items() if known[: len(path)] != path}
        self.lines[path] = origin


def has_part(node: Any, part: str | int) -> bool:
    """Whether a mapping has that key, or a list that index."""
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and 0 <= part < len(node)


def _child(node: Any, part: str | int) -> Any:
    return node[part] if has_part(node, part) else {}


def _expanded(value: Any) -> Any:
    """`dataset: iris` is `dataset: {name: iris}`, so that an override can add to it."""
    if isinstance(value, str):
        return {"name": value}
    return {} if value is None else value


def _dotted(path: YamlPath) -> str:
    return ".".join(map(str, path)) or "the config"


def yaml_text(value: Any) -> str:
    """A value as one would write it in a config."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def read_yaml(path: Path) -> YamlSource:
    """Read a file that holds one YAML mapping.

    Raises:
        ConfigError: No such file, no YAML, no mapping, a duplicate key, or beyond the limits.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError([f"{path}: more than {MAX_BYTES} bytes; no config needs that"])
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError([f"{path}: cannot be read ({one_line(cause)}); expected a YAML file in UTF-8"]) from cause
    builder = _Builder(str(path))
    data = builder.read(text)
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError([f"{path}: found {found}, expected `key: value` lines with at least dataset and model"])
    return YamlSource(str(path), data, builder.lines)


def parse_yaml(text: str, origin: str) -> Any:
    """One YAML value from an override's text.

    Raises:
        ConfigError: Not YAML.
    """
    return _Builder(origin).read(text)


class _Builder:
    """Builds Python values from YAML, within limits, and notes lines and duplicate keys."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.lines: dict[YamlPath, int | str] = {}
        self.problems: list[str] = []
        self.num_nodes = 0

    def read(self, text: str) -> Any:
        """The value of a YAML text; None of an empty one."""
        try:
            self._check_depth(text)
            node = yaml.compose(text, Loader=_CoreLoader)
        except (yaml.YAMLError, ValueError, OverflowError) as cause:  # the latter two of `"\\UFFFFFFFF"`
            mark = getattr(cause, "problem_mark", None)
            place = f"{self.origin}:{mark.line + 1}" if mark else self.origin
            what = one_line(getattr(cause, "problem", None) or cause)
            raise ConfigError([f"{place}: not YAML ({what}); check indentation, colons and brackets"]) from cause
        value = None if node is None else self._value(node, ())
        if self.problems:
            raise ConfigError(self.problems)
        return value

    def _check_depth(self, text: str) -> None:
        depth = 0
        for event in yaml.parse(text, Loader=_CoreLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ConfigError([f"{self.origin}: nested deeper than {MAX_DEPTH} levels; no config needs that"])

    def _value(self, node: yaml.Node, path: YamlPath) -> Any:
        self.num_nodes += 1
        if self.num_nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise ConfigError([f"{self.origin}: more than {MAX_NODES} values or {MAX_DEPTH} levels, aliases included"])
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: YamlPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(f"{self.origin}:{line}: found a key that is no word; expected `key: value`")
                continue
            if key in values:
                first = self.lines[(*path, key)]
                self.problems.append(
                    f"{self.origin}:{line}: {_dotted((*path, key))}: duplicate key, first on line {first}; remove one"
                )
            self.lines.setdefault((*path, key), line)
            values[key] = self._value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node) -> Any:
        text, kind = str(node.value), node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int" and len(text) > MAX_DIGITS:
            self.problems.append(
                f"{self.origin}:{node.start_mark.line + 1}: a number of {len(text)} digits; no config needs that"
            )
            return 0
        try:
            if kind == "int":
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if kind == "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            kind = "no number"  # `!!int five`
        if kind != "str":
            line = node.start_mark.line + 1
            self.problems.append(f"{self.origin}:{line}: tag {node.tag!r} is not allowed; write a plain value")
        return text
