"""YAML as data that remembers its lines; limited in size, so that no file can exhaust the machine.

Scalars follow YAML 1.2's core schema: `1e-3` is a number, `010` is ten, and `on`, `no` and `yes` are text.
A number without a fraction is a whole number, however it is written: `1e3` is 1000.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import BaseResolver, implicit_resolvers

from nnclassify.errors import ConfigError, ConfigPath, dotted, one_line, printable

MAX_BYTES, MAX_DEPTH, MAX_NODES = 300_000, 32, 10_000
"""A config of hundreds of layers stays far below each of these; reading one as large as they allow takes a second."""
MAX_DIGITS = 100
"""Of a whole number; Python itself refuses to read one of 4,300."""
MAX_KEY = 200
"""Characters of a key, and of the key of an override."""
MAX_ORIGIN = MAX_KEY + len("--set ")
"""Characters of an override in a message."""

YamlPath = ConfigPath

_INDEX = re.compile(r"[0-9]{1,9}")
_ORDINAL = re.compile(r"([1-9][0-9]{0,8})(?:st|nd|rd|th)")


class _CoreResolver(BaseResolver):
    """YAML 1.2's core schema, whatever version a `%YAML` directive names."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - ruamel's own name

    def __init__(self, version: Any = None, loader: Any = None) -> None:
        super().__init__(loader)
        self._loader_version = version

    @property
    def processing_version(self) -> tuple[int, int]:
        """What the scanner goes by."""
        return 1, 2


class _BoundedComposer(Composer):
    """Stops at the limits while it reads."""

    warn_double_anchors = False

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.num_nodes = 0
        self.num_levels = 0

    def compose_node(self, parent: Node | None, index: Any) -> Any:
        """As ruamel's own, for every node of the document, aliases included."""
        self.num_nodes += 1
        self.num_levels += 1
        if self.num_nodes > MAX_NODES or self.num_levels > MAX_DEPTH:
            raise _TooMuch(problem_mark=self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.num_levels -= 1
        return node


class _TooMuch(MarkedYAMLError):
    """A document beyond the limits."""


_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
for _tag, _pattern, _first in [
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", rf"^(?:{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", list("-+0123456789.")),
]:
    _CoreResolver.add_implicit_resolver_base(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


class _CautiousResolver(_CoreResolver):
    """For writing: text that YAML 1.1 or 1.2 takes for something else is put in quotes, so that any reader agrees."""


for _, _tag, _regexp, _first in implicit_resolvers:
    _CautiousResolver.add_implicit_resolver_base(_tag, _regexp, _first)


class _Representer(SafeRepresenter):
    """For writing: floats as YAML 1.1 can read them too."""

    def represent_float(self, data: float) -> ScalarNode:
        """`1.0e-05`, which 1.1 takes for text without the `.0`."""
        node = super().represent_float(data)
        if "." not in node.value:
            node.value = node.value.replace("e", ".0e")
        return node


_Representer.add_representer(float, _Representer.represent_float)


def _composed(text: str) -> Node | None:
    """The nodes of a YAML text."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver, yaml.Composer = _CoreResolver, _BoundedComposer
    return cast(Node | None, yaml.compose(text))


class Override(str):
    """`key=value`, with the words in which the user gave it, for messages.

    Attributes:
        origin: Such as `--set epochs=3`, `epochs=3` or `--epochs 3`.
    """

    origin: str

    def __new__(cls, assignment: str, origin: str) -> Self:
        """An override as the user wrote it; long ones are shortened."""
        override = super().__new__(cls, assignment)
        override.origin = printable(origin[:MAX_ORIGIN])
        return override

    @classmethod
    def of(cls, assignment: str) -> Override:
        """The override itself; text without words of the user's stands for `--set`."""
        return assignment if isinstance(assignment, Override) else cls(assignment, f"--set {assignment}")

    def at(self, path: YamlPath) -> Any:
        """The value that it gives the key at `path`, which is its own or lies within it; `UNSET` where it gives none.

        Raises:
            ConfigError: The value is no YAML.
        """
        key, _, text = self.partition("=")
        value = _value(text, self.origin)
        for part in path[len(path_of_key(key)) :]:
            value = _expanded(value)
            if not has_part(value, part):
                return UNSET
            value = value[part]
        return value


UNSET = object()
"""No value, not even null."""


@dataclass
class YamlSource:
    """A YAML mapping and where each of its parts stands.

    Attributes:
        file: What to call it in messages.
        data: The mapping as Python values.
        lines: The line of each path, from 1; or, for an override, the text that set it.
        problems: What is wrong with the YAML itself: duplicate keys, overrides that lead nowhere. A line each.
        unreadable: The paths of values that `problems` speaks of, which are not in `data` as they are written.
    """

    file: str
    data: dict[str, Any]
    lines: dict[YamlPath, int | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unreadable: set[YamlPath] = field(default_factory=set)

    def where(self, path: YamlPath) -> str:
        """`file:line`, or the override, of `path`, else of an override within it, else of what it lies in."""
        if path not in self.lines:
            for known, origin in self.lines.items():
                if isinstance(origin, str) and known[: len(path)] == path:
                    return origin
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
                found[".".join(map(str, path))] = node
        return found

    def override(self, assignment: str) -> None:
        """Apply one `a.b=value`, the value in YAML; what is wrong with it is added to `problems`."""
        origin = Override.of(assignment).origin
        key, equals, text = assignment.partition("=")
        parts = key.split(".")
        if not equals or "" in parts or not _is_text(key):
            self.problems.append(f"{origin}: expected key=value, such as optimizer.lr=0.1")
            return
        if len(key) > MAX_KEY or len(parts) > MAX_DEPTH:
            self.problems.append(f"{origin}: a key of {len(parts)} parts; no config has more than {MAX_DEPTH} levels")
            return
        path = path_of_key(key)
        try:
            value = _value(text, origin)
            self._put(path, value, origin)
        except ConfigError as error:
            self.problems += error.problems
            return
        self.lines = {known: line for known, line in self.lines.items() if known[: len(path)] != path}
        self.lines[path] = origin

    def _put(self, path: YamlPath, value: Any, origin: str) -> None:
        node: Any = self.data
        for depth, part in enumerate(path):
            last = depth == len(path) - 1
            child = value if last else _expanded(_child(node, part))
            if isinstance(node, dict):
                node[str(part)] = child
            elif has_part(node, part):
                node[part] = child
            else:
                entries = f"; it has {len(node)}, and --set counts from 0" if isinstance(node, list) else ""
                raise ConfigError([f"{origin}: {dotted(path[:depth])} has no key {part!r}{entries}"])
            node = child


def path_of_key(key: str) -> YamlPath:
    """The path of a key as people and `--set` write it: `model.blocks.3.kernel`, `model.blocks.4th.kernel`."""
    return tuple(map(_part, key.split(".")))


def _part(text: str) -> str | int:
    """A part of a key: a name, or the place of a list's entry, as `2` from 0 or as `3rd`."""
    if ordinal := _ORDINAL.fullmatch(text):
        return int(ordinal[1]) - 1
    return int(text) if _INDEX.fullmatch(text) else text


def _value(text: str, origin: str) -> Any:
    """The value that a command line gives: YAML, but for a tab, `|` or `>` alone, which YAML takes for no value."""
    if not text:
        return None
    return text if text.isspace() or text in ("|", ">") else parse_yaml(text, origin)


def _is_text(key: str) -> bool:
    """Whether every character is whole: a lone surrogate is a byte that is not UTF-8, and no key has one."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


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


def written(data: Any) -> str:
    """Plain data as the text of a YAML file, its keys in their order."""
    yaml: Any = YAML(typ="safe", pure=True)  # which declares its options as None
    yaml.default_flow_style, yaml.allow_unicode = False, False
    yaml.Resolver, yaml.Representer = _CautiousResolver, _Representer
    yaml.sort_base_mapping_type_on_output = False
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def yaml_text(value: Any) -> str:
    """A value as one would write it in a config."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def read_yaml(path: Path) -> YamlSource:
    """Read a file that holds one YAML mapping.

    Raises:
        ConfigError: No such file, no YAML, no mapping, or beyond the limits.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError([f"{path}: more than {MAX_BYTES} bytes; expected a smaller config"])
        is_utf_16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as Windows' shells write
        text = raw.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError([f"{path}: cannot be read ({one_line(cause)}); expected a YAML file in UTF-8"]) from cause
    builder = _Builder(str(path))
    data = builder.read(text)
    if not isinstance(data, dict):
        found = "nothing" if data is None else _KINDS.get(type(data), "one value")
        raise ConfigError([f"{path}: found {found}, expected `key: value` lines with at least dataset and model"])
    return YamlSource(str(path), data, builder.lines, builder.problems, builder.unreadable)


_KINDS: dict[type, str] = {list: "a list", str: "text alone"}


def parse_yaml(text: str, origin: str) -> Any:
    """One YAML value from an override's text.

    Raises:
        ConfigError: Not YAML.
    """
    builder = _Builder(origin, has_lines=False)
    value = builder.read(text)
    if builder.problems:
        raise ConfigError(builder.problems)
    return value


_SYNTAX_HINTS = {
    "'\\t'": "indent with spaces, not with tabs",
    "another document": "one file holds one config; remove the line `---`",
    "mapping values are not allowed": "check the indentation; a value with `: ` in it needs quotes",
    "cannot start any token": "quote a value that starts with this character",
    "special characters are not allowed": "remove the character that cannot be printed",
    "undefined alias": "a value that starts with `*` needs quotes",
}
"""What to do, by a part of yaml's own words; for all others, see `_Builder.read`."""


class _Builder:
    """Builds Python values from YAML, within limits, and notes lines and duplicate keys."""

    def __init__(self, origin: str, *, has_lines: bool = True) -> None:
        self.origin = origin
        self.has_lines = has_lines
        self.lines: dict[YamlPath, int | str] = {}
        self.problems: list[str] = []
        self.unreadable: set[YamlPath] = set()
        self.num_nodes = 0

    def read(self, text: str) -> Any:
        """The value of a YAML text; None of an empty one.

        Raises:
            ConfigError: Not YAML, or beyond the limits.
        """
        try:
            node = _composed(text)
        except _TooMuch as cause:
            raise self._too_much(cause.problem_mark) from cause
        except (YAMLError, ValueError, OverflowError, AssertionError) as cause:  # of `"\\UFFFFFFFF"` and `%YAML 1.3`
            what = printable(one_line(getattr(cause, "problem", None) or cause))
            hints = (hint for words, hint in _SYNTAX_HINTS.items() if words in what)
            hint = next(hints, "check indentation, colons and brackets")
            raise ConfigError([f"{self._place(text, cause)}: not YAML ({what}); {hint}"]) from cause
        return None if node is None else self._value(node, ())

    def _place(self, text: str, cause: Exception) -> str:
        mark, position = getattr(cause, "problem_mark", None), getattr(cause, "position", None)
        if mark is not None:
            return self._at(mark)
        return self.origin if position is None else self._at_line(text.count("\n", 0, position) + 1)

    def _at(self, mark: StringMark | None) -> str:
        return self.origin if mark is None else self._at_line(mark.line + 1)

    def _at_line(self, line: int) -> str:
        """`file:line`; an override has no lines."""
        return f"{self.origin}:{line}" if self.has_lines else self.origin

    def _too_much(self, mark: StringMark | None) -> ConfigError:
        where = self._at(mark)
        return ConfigError([f"{where}: more than {MAX_NODES} values or {MAX_DEPTH} levels, counting aliases"])

    def _value(self, node: Node, path: YamlPath) -> Any:
        self.num_nodes += 1
        if self.num_nodes > MAX_NODES or len(path) > MAX_DEPTH:  # aliases are whole values here, and can add up
            raise self._too_much(node.start_mark)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: YamlPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            if problem := self._wrong_key(key, path, is_first=key not in values):
                self.problems.append(f"{self._at(key_node.start_mark)}: {problem}")
                if key not in values:
                    continue
            self.lines.setdefault((*path, key), key_node.start_mark.line + 1)
            values[key] = self._value(value_node, (*path, key))
        return values

    def _wrong_key(self, key: str, path: YamlPath, *, is_first: bool) -> str | None:
        if not is_first:
            first = self.lines[(*path, key)]
            return f"{dotted((*path, key))}: duplicate key, first on line {first}; remove one"
        if key == "<<":
            return f"{dotted((*path, key))}: merge keys are not supported; write the keys out"
        if not key or len(key) > MAX_KEY or not _is_text(key):
            return f"found a key that is not a name; expected `key: value` with up to {MAX_KEY} characters"
        return None

    def _scalar(self, node: Node, path: YamlPath) -> Any:
        text, kind = str(node.value), str(node.tag).removeprefix("tag:yaml.org,2002:")
        if kind == "null" and text.lower() in ("", "~", "null"):
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind == "int" and len(text) > MAX_DIGITS:
            return self._unreadable(node, path, f"a number of {len(text)} digits; expected a smaller config")
        try:
            if kind == "int":
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if kind == "float":
                return _whole(float(text.lower().replace(".inf", "inf").replace(".nan", "nan")))
        except ValueError:
            kind = "not a number"  # `!!int five`
        if kind != "str":
            return self._unreadable(
                node, path, f"tag {printable(str(node.tag)[:MAX_KEY])!r} is not allowed; write a plain value"
            )
        return text

    def _unreadable(self, node: Node, path: YamlPath, problem: str) -> None:
        place = f" {dotted(path)}:" if path else ""
        self.problems.append(f"{self._at(node.start_mark)}:{place} {problem}")
        self.unreadable.add(path)


def _whole(value: float) -> float | int:
    """A number without a fraction as a whole one; a float of 2^53 and more has no fraction to lose."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
