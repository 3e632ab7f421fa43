"""Read YAML with line numbers, and with limits on its size, so that no file can exhaust the machine.

Scalars follow the core schema of YAML 1.2: `1e-3` is a number, `010` is ten, and `on`, `no` and `yes` are text.
A number without a fraction is an integer, however it is written: `1e3` is 1000.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import BaseResolver

from nnclassify.errors import ConfigError, ConfigPath, dotted, one_line, printable
from nnclassify.files.paths import content_of

MAX_BYTES, MAX_DEPTH, MAX_NODES = 300_000, 32, 10_000
"""Limits that a config of hundreds of layers is far below; reading one of this size takes a second."""
MAX_DIGITS = 100
"""Maximum length of an integer; Python itself refuses to read 4,300 digits."""
MAX_KEY = 200
"""Maximum length of a key, also of an override."""
MAX_ORIGIN = MAX_KEY + len("--set ")
"""Maximum length of an override in a message."""

YamlPath = ConfigPath

_INDEX = re.compile(r"[0-9]{1,9}")
_ORDINAL = re.compile(r"([1-9][0-9]{0,8})(?:st|nd|rd|th)")


class CoreResolver(BaseResolver):
    """Resolves scalars by the core schema of YAML 1.2, whatever version a `%YAML` directive names."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - ruamel's own name

    def __init__(self, version: Any = None, loader: Any = None) -> None:
        super().__init__(loader)
        self._loader_version = version

    @property
    def processing_version(self) -> tuple[int, int]:
        """The YAML version for the scanner."""
        return 1, 2


class _BoundedComposer(Composer):
    """Composes nodes, and stops at the limits."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML allows it: an alias means the last anchor before it
        self.num_nodes = 0
        self.num_levels = 0

    def compose_node(self, parent: Node | None, index: Any) -> Any:
        """Compose a node, and count it; called for all nodes of the document, including aliases."""
        self.num_nodes += 1
        self.num_levels += 1
        if self.num_nodes > MAX_NODES or self.num_levels > MAX_DEPTH:
            raise _TooMuch(problem_mark=self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.num_levels -= 1
        return node


class _TooMuch(MarkedYAMLError):
    """The document exceeds the limits."""


_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
for _tag, _pattern, _first in [
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", rf"^(?:{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", list("-+0123456789.")),
]:
    CoreResolver.add_implicit_resolver_base(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _composed(text: str) -> Node | None:
    """Parse a YAML text into nodes."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver, yaml.Composer = CoreResolver, _BoundedComposer
    return cast(Node | None, yaml.compose(text))


class Override(str):
    """`key=value`, and how the user wrote it, for messages.

    Attributes:
        origin: What the user wrote, such as `--set epochs=3`, `epochs=3` or `--epochs 3`.
    """

    origin: str

    def __new__(cls, assignment: str, origin: str) -> Self:
        """Create an override; a long `origin` is shortened."""
        override = super().__new__(cls, assignment)
        override.origin = printable(origin[:MAX_ORIGIN])
        return override

    @classmethod
    def of(cls, assignment: str) -> Override:
        """Return the assignment as an override; plain text counts as a value of `--set`."""
        return assignment if isinstance(assignment, Override) else cls(assignment, f"--set {assignment}")

    def at(self, path: YamlPath) -> Any:
        """Return the value that the override sets at `path`, its own key or one within it; `UNSET` if it sets none.

        Raises:
            ConfigError: The value is not YAML.
        """
        key, _, text = self.partition("=")
        value = _value(text, self.origin)
        for depth in range(len(path_of_key(key)), len(path)):
            value, part = _expanded(value, path[: depth - 1]), path[depth]
            if not has_part(value, part):
                return UNSET
            value = value[part]
        return value


UNSET = object()
"""Returned for a key that is not set, not even to null."""


@dataclass
class YamlSource:
    """A YAML mapping with the line of each of its parts.

    Attributes:
        file: The name of the file in messages.
        data: The mapping as Python values.
        lines: The line of each path, counted from 1; for an override, its text.
        problems: Problems of the YAML itself, one line each: duplicate keys, overrides of keys that do not exist.
        unreadable: The paths of values that could not be read; `problems` describes them.
    """

    file: str
    data: dict[str, Any]
    lines: dict[YamlPath, int | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unreadable: set[YamlPath] = field(default_factory=set)

    def where(self, path: YamlPath) -> str:
        """Return `file:line` or the override that sets `path`, or else a part of it, or else its parent."""
        if path not in self.lines:
            for known, origin in self.lines.items():
                if isinstance(origin, str) and known[: len(path)] == path:
                    return origin
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line if isinstance(line, str) else f"{self.file}:{line}"
        return self.file

    def message(self, path: YamlPath, text: str) -> str:
        """Return `text`, which begins with a key, after the place of `path`; an override names its key by itself."""
        where, (key, _, rest) = self.where(path), text.partition(": ")
        return f"{where}: {rest if where.removeprefix('--set ').startswith(f'{key}=') else text}"

    def overrides(self) -> dict[str, Any]:
        """Return the values that `override` set, by dotted path."""
        found = {}
        for path, line in self.lines.items():
            if isinstance(line, str):
                node: Any = self.data
                for part in path:
                    node = node[part]
                found[".".join(map(str, path))] = node
        return found

    def override(self, assignment: str) -> None:
        """Apply one `a.b=value`, with the value in YAML. Errors are added to `problems`."""
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
            child = value if last else _expanded(node[part] if has_part(node, part) else {}, path[:depth])
            if isinstance(node, dict):
                node[str(part)] = child
            elif has_part(node, part):
                node[part] = child
            else:
                found = f"{dotted(path[:depth])} has no key {part!r}"
                if isinstance(node, list):
                    found = f"{dotted(path[: depth + 1])}: no such entry; the list has {len(node)}, counted as 0 or 1st"
                raise ConfigError([f"{origin}: {found}"])
            node = child


def path_of_key(key: str) -> YamlPath:
    """Parse a key such as `model.blocks.3.kernel` or `model.blocks.4th.kernel`.

    The entries of `search` are keys themselves: `search.optimizer.lr` is its entry `optimizer.lr`.
    """
    section, _, entry = key.partition(".")
    return (section, entry) if section == "search" and entry else tuple(map(_part, key.split(".")))


def _part(text: str) -> str | int:
    """Parse a part of a key: a name, or the index of a list entry, as `2` (from 0) or `3rd`."""
    if ordinal := _ORDINAL.fullmatch(text):
        return int(ordinal[1]) - 1
    return int(text) if _INDEX.fullmatch(text) else text


def _value(text: str, origin: str) -> Any:
    """Parse a value from the command line as YAML; a single tab, `|` or `>`, which YAML reads as nothing, is text."""
    if not text:
        return None
    return text if text.isspace() or text in ("|", ">") else parse_yaml(text, origin)


def _is_text(key: str) -> bool:
    """Return whether a key is free of lone surrogates, which stand for bytes that are not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


def has_part(node: Any, part: str | int) -> bool:
    """Return whether a mapping has a key, or a list an index."""
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and 0 <= part < len(node)


HIDDEN = "hidden"
"""The key of lists in which a number stands for `{units: number}`."""


def _expanded(value: Any, within: YamlPath) -> Any:
    """Expand `dataset: iris` to `dataset: {name: iris}`, and a number in `hidden: [100]` to `{units: 100}`, so that an
    override can add options.

    Args:
        value: The value.
        within: The path of the mapping or list that it is in.
    """
    if isinstance(value, str):
        return {"name": value}
    if within[-1:] == (HIDDEN,) and isinstance(value, int) and not isinstance(value, bool):
        return {"units": value}
    return {} if value is None else value


def read_yaml(path: Path) -> YamlSource:
    """Read a file that contains one YAML mapping.

    Raises:
        ConfigError: The file cannot be read, is not YAML, contains no mapping, or exceeds the limits.
    """
    try:
        raw = content_of(path, MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError([f"{path}: more than {MAX_BYTES} bytes; expected a smaller config"])
        text = decoded(raw)
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError([f"{path}: cannot be read ({one_line(cause)}); expected a YAML file in UTF-8"]) from cause
    return read_text(text, str(path))


def decoded(raw: bytes) -> str:
    """Decode a config: UTF-8, or UTF-16 with a byte-order mark, as Windows shells write it.

    Raises:
        UnicodeDecodeError: It is in another encoding.
    """
    is_utf_16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if is_utf_16 else "utf-8-sig")


def read_text(text: str, file: str) -> YamlSource:
    """Read a text that holds one YAML mapping; `file` is what messages call it.

    Raises:
        ConfigError: No YAML, no mapping, or beyond the limits.
    """
    builder = _Builder(file)
    data = builder.read(text)
    if not isinstance(data, dict):
        found = "nothing" if data is None else _KINDS.get(type(data), "one value")
        raise ConfigError([f"{file}: found {found}, expected `key: value` lines with at least dataset and model"])
    return YamlSource(file, data, builder.lines, builder.problems, builder.unreadable)


_KINDS: dict[type, str] = {list: "a list", str: "text alone"}


def parse_yaml(text: str, origin: str) -> Any:
    """Parse the value of an override as YAML.

    Raises:
        ConfigError: The text is not YAML.
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
"""What to do, by a part of the parser's message; for other messages, see `_Builder.read`."""


_ODD_INDENT = re.compile("^ *[\u00a0\u2000-\u200b\u202f\u3000\ufeff]", re.MULTILINE)
"""An indentation with a space of another kind, such as copied from a web page."""


class _Builder:
    """Builds Python values from YAML within the limits, and records lines and duplicate keys."""

    def __init__(self, origin: str, *, has_lines: bool = True) -> None:
        self.origin = origin
        self.has_lines = has_lines
        self.lines: dict[YamlPath, int | str] = {}
        self.problems: list[str] = []
        self.unreadable: set[YamlPath] = set()
        self.num_nodes = 0

    def read(self, text: str) -> Any:
        """Parse a YAML text; an empty text is None.

        Raises:
            ConfigError: The text is not YAML, or exceeds the limits.
        """
        try:
            node = _composed(text)
        except _TooMuch as cause:
            raise self._too_much(cause.problem_mark) from cause
        except (
            YAMLError,
            ValueError,
            OverflowError,
            AssertionError,
        ) as cause:  # some are raised by `"\\UFFFFFFFF"` and `%YAML 1.3`
            what = printable(one_line(getattr(cause, "problem", None) or cause))
            hints = (hint for words, hint in _SYNTAX_HINTS.items() if words in what)
            hint = next(hints, "check indentation, colons and brackets")
            if odd := _ODD_INDENT.search(text):
                line = text.count("\n", 0, odd.end()) + 1
                hint = f"line {line} begins with a space that is not a plain one; replace it"
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
        """Return `file:line`, or the override, which has no lines."""
        return f"{self.origin}:{line}" if self.has_lines else self.origin

    def _too_much(self, mark: StringMark | None) -> ConfigError:
        where = self._at(mark)
        return ConfigError([f"{where}: more than {MAX_NODES} values or {MAX_DEPTH} levels, counting aliases"])

    def _value(self, node: Node, path: YamlPath) -> Any:
        self.num_nodes += 1
        if self.num_nodes > MAX_NODES or len(path) > MAX_DEPTH:  # aliases are copied here, and can add up
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
    """Convert a float without a fraction to an integer, up to 2^53, where floats stop being exact."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
