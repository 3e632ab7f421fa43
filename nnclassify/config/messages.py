"""Error messages for configs: one line per place, with what was found, what was expected, and a suggestion."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nnclassify.config.yaml_reader import YamlPath, YamlSource, has_part
from nnclassify.config.yaml_writer import yaml_text
from nnclassify.errors import SYNONYMS, dotted, nearest, printable, some, suggestion
from nnclassify.settings import (
    CONFLICT,
    DEVICE_PATTERN,
    FINDING_PATTERN,
    NAME_PATTERN,
    NEW,
    Settings,
    fields_of,
    names_of,
    settings_in,
)

Loc = tuple[int | str, ...]
"""The location of an error in pydantic: the path in the YAML, with the names of the union members on the way."""

MAX_LISTED = 50
"""Maximum number of problems to report: nobody reads more, and describing one takes a millisecond."""
UNNAMED = ("union_tag_invalid", "union_tag_not_found")
"""Errors of a mapping with an unknown `name`, whose other keys pydantic does not check."""


def errors_in(data: Any, root: type[Settings], *, is_new: bool = True, at: Loc = ()) -> list[ErrorDetails]:
    """Find all errors in the data of a settings class, including those next to a wrong `name`.

    Args:
        data: The data.
        root: The settings class.
        is_new: Whether to also look for options that exclude each other.
        at: Where in the config the data is.
    """
    return _Search(data, root, NEW if is_new else None).errors(data, root, at)


def describe_problems(errors: Iterable[ErrorDetails], source: YamlSource, root: type[Settings]) -> list[str]:
    """Return one line per place, in the order of the file, up to a limit; alternatives for one value are joined."""
    expected: dict[YamlPath, list[ErrorDetails]] = {}
    for error in errors:
        expected.setdefault(path_of(error, source.data), []).append(error)
    outer = {path[:length] for path in expected for length in range(len(path))}  # what has an error further in
    for path, alternatives in [*expected.items()]:
        if path in outer:
            if meant := [error for error in alternatives if error["type"] not in _OTHER_FORMS]:
                expected[path] = meant
            else:
                del expected[path]
    listed = sorted(expected, key=lambda path: (line_of(source.where(path), source.file), tuple(map(str, path))))
    lines = [
        source.message(path, f"{dotted(path)}: {describe(expected[path], path, source.data, root)}")
        for path in listed[:MAX_LISTED]
    ]
    if more := len(listed) - len(lines):
        lines.append(f"{source.where(listed[MAX_LISTED])}: {more} more problems follow; fix those above first")
    return lines


def line_of(where: str, file: str) -> int:
    """Return the line of `file:line`, or a number after all lines for what has none, such as an override."""
    found = re.match(rf"{re.escape(file)}:(\d{{1,9}})(: |$)", where)
    return int(found[1]) if found else 1_000_000_000


def path_of(error: ErrorDetails, data: Any) -> YamlPath:
    """Return the path of an error in the YAML: its location in pydantic, without the names of union members."""
    path: list[str | int] = []
    loc = error["loc"]
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if has_part(data, part):
            data = data[part]
        elif not (is_last and error["type"] in ("missing", CONFLICT)):
            continue
        path.append(part)
    if error["type"] == "union_tag_invalid" and isinstance(data, dict):
        path.append("name")
    return tuple(path)


@dataclass(frozen=True)
class _Search:
    """Finds errors in the parts of a config.

    Attributes:
        whole: The data of the entire config.
        root: The settings class of the config.
        context: The context for pydantic's validation.
    """

    whole: Any
    root: type[Settings]
    context: str | None

    def errors(self, data: Any, settings: type[Settings], at: Loc) -> list[ErrorDetails]:
        """Return the errors in `data`, the part of the config at `at`."""
        try:
            settings.model_validate(data, context=self.context)
        except ValidationError as error:
            found = [placed for details in error.errors(include_url=False) for placed in _placed(details, at)]
            unnamed = [details for details in found if details["type"] in UNNAMED]
            return found + [behind for details in unnamed[:MAX_LISTED] for behind in self._beside_name(details)]
        return []

    def _beside_name(self, error: ErrorDetails) -> list[ErrorDetails]:
        """Return the other errors in a mapping with a wrong name: for the most similar name, else for all members."""
        value, loc = error.get("input"), error["loc"]
        if not isinstance(value, dict):
            return []
        members = {name: member for member in _members_at(loc, self.root) for name in names_of(member)}
        meant = nearest(value["name"], members) if "name" in value else None
        by_member: list[dict[YamlPath, list[ErrorDetails]]] = []
        for name in members if meant is None else [meant]:
            found: dict[YamlPath, list[ErrorDetails]] = {}
            for details in self.errors({**value, "name": name}, members[name], (*loc, name)):
                found.setdefault(path_of(details, self.whole), []).append(details)
            by_member.append(found)
        common = {path for found in by_member for path in found if all(_is_wrong(path, other) for other in by_member)}
        return [
            details
            for path in sorted(common, key=dotted)
            for details in _of_owners([found[path] for found in by_member if path in found], loc)
        ]


def _placed(error: ErrorDetails, at: Loc) -> list[ErrorDetails]:
    """Move an error below `at`; a conflict of options becomes one error per option to change."""
    loc = (*at, *error["loc"])
    if error["type"] != CONFLICT:
        return [_at(error, loc)]
    return [_at(error, (*loc, key), text) for key, text in error["ctx"]["conflicts"]]


def _is_wrong(path: YamlPath, found: Container[YamlPath]) -> bool:
    """Return whether a place, or a parent of it, is among those found."""
    return any(path[:length] in found for length in range(len(path) + 1))


def _of_owners(by_member: Sequence[list[ErrorDetails]], loc: Loc) -> list[ErrorDetails]:
    """Return the errors from the members that have a key; if none has it, an error for an unknown key."""
    everything = [details for found in by_member for details in found]
    owned = [details for details in everything if details["type"] != "extra_forbidden"]
    unknown = everything[0]
    of_all = len(by_member) > 1 and len(unknown["loc"]) == len(loc) + 2  # the member's name, and the key
    return owned or [_at(unknown, (*loc, unknown["loc"][-1])) if of_all else unknown]


def _at(error: ErrorDetails, loc: Loc, message: str | None = None) -> ErrorDetails:
    moved = error.copy()
    moved["loc"] = loc
    moved["msg"] = error["msg"] if message is None else message
    return moved


def describe(errors: list[ErrorDetails], path: YamlPath, data: Any, root: type[Settings]) -> str:
    """Say what is wrong at one place: what was found, what was expected, and a suggestion."""
    kind, loc = errors[0]["type"], errors[0]["loc"]
    if kind == "missing":
        return "missing; add it"
    if kind == CONFLICT:
        return errors[0]["msg"]
    if kind == "union_tag_not_found":
        return f"no name; add `name: ` and one of {', '.join(_names(errors[0], root))}"
    if kind == "extra_forbidden":
        if (number := _cut_number(path, data)) is not None:
            return f"unknown key, part of a number with a decimal comma; use a decimal point: {number}"
        return f"unknown key{_nearest_key(loc, root)}; expected one of {', '.join(_allowed_keys(loc, root))}"
    if kind in ("union_tag_invalid", "literal_error"):
        tag = errors[0].get("input")
        tag = tag["name"] if kind == "union_tag_invalid" and isinstance(tag, dict) else tag
        names = _names(errors[0], root)
        return f"found {shown(tag)}, expected one of {', '.join(names)}{suggestion(tag, names)}"
    found = errors[0].get("input")
    wanted = dict.fromkeys(_wanted(error) + (_keys_of(error, root) if errors[1:] else "") for error in errors)
    hint = _how_to_write(found, {error["type"] for error in errors}, str(path[-1]) if path else "")
    return f"found {shown(found)}, expected {' or '.join(wanted)}{hint}"


def _names(error: ErrorDetails, root: type[Settings]) -> list[str]:
    """Return the allowed values of a literal, or the names of the members of a union."""
    context = error.get("ctx", {})
    quoted = re.findall(r"'([^']+)'", str(context.get("expected_tags") or context.get("expected") or ""))
    return quoted or [name for member in _members_at(error["loc"], root) for name in names_of(member)]


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
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text, at least {min_length} characters",
    "string_too_long": "text, at most {max_length} characters",
    "too_short": "at least {min_length} in the list",
    "too_long": "at most {max_length} in the list",
}
"""What is expected, by pydantic's error type."""

_OTHER_FORMS = {"int_type", "float_type", "bool_type", "string_type", "literal_error", "list_type", "dict_type"}
"""Errors that do not matter for a value in whose parts there are errors too: one of the forms that it may have is a
mapping or list, which it was meant to be."""

_PATTERNS = {
    NAME_PATTERN: "up to 100 letters, digits, dots, dashes or underscores, the first a letter or digit",
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
        limits = {key: f"{limit:.15g}" if isinstance(limit, float) else limit for key, limit in context.items()}
        return _WANTED[error["type"]].format(**limits)
    message = str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return message[:1].lower() + message[1:]


def _keys_of(error: ErrorDetails, root: type[Settings]) -> str:
    """Return the keys of a mapping that is one of several forms of a value."""
    return f" ({some(_allowed_keys((*error['loc'], ''), root))})" if error["type"] == "model_type" else ""


_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = 20
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong = 4, 200, 120
MAX_SHOWN = 60
"""Maximum number of characters of a value in a message."""


def shown(value: Any) -> str:
    """Format a value for a message, shortened if it is long."""
    if value is None:
        return "nothing"
    text = printable(_SHORT.repr(value) if isinstance(value, list | dict | str) else yaml_text(value))
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


_NUMBERS, _SEPARATORS = {"int_type", "float_type", "value_error"}, re.compile(r"\s*[,;xX\u00d7*]\s*|\s+")
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def _how_to_write(found: Any, kinds: set[str], key: str) -> str:
    """Return how to write a value that is right except for its form; empty if that is not certain."""
    right = None
    if isinstance(found, str):
        right = _list_in(found, kinds) or _number_in(found.strip(), kinds)
    elif "string_type" in kinds <= {"string_type", "list_type"} and isinstance(found, int | float):
        right = (f"'{yaml_text(found)}'", " in quotes")
    elif "list_type" in kinds and isinstance(found, int | float) and not isinstance(found, bool):
        right = (f"[{yaml_text(found)}]", "")
    if right is None:
        return ""
    value, remark = right
    return f"; write `{key}: {value}`{remark}" if key.isidentifier() else f"; write `{value}`{remark}"


def _list_in(text: str, kinds: set[str]) -> tuple[str, str] | None:
    """Read '4, 4', '4 4' or '4x4' as a list."""
    numbers = _SEPARATORS.split(text.strip(" ()[]"))
    if "list_type" not in kinds or not all(_PLAIN.fullmatch(number) for number in numbers) or len(numbers) > 100:
        return None
    return (f"[{', '.join(numbers)}]", "") if len(numbers) > 1 or not kinds & _NUMBERS else None


def _number_in(text: str, kinds: set[str]) -> tuple[str, str] | None:
    """Read a number in quotes, with a decimal comma, thousands separators or a percent sign; return it and a remark."""
    if not kinds & _NUMBERS or len(text) > MAX_SHOWN:
        return None
    plain = unicodedata.normalize("NFKC", text.strip("\"'\u201c\u201d\u201e")).replace("\u2212", "-")
    if _PLAIN.fullmatch(plain):
        return plain, " without quotes" if plain in text else ""
    if re.fullmatch(r"\d{1,3}([_, ']\d{3})+", text) and "int_type" in kinds:
        return re.sub(r"\D", "", text), ""
    if re.fullmatch(r"[-+]?\d+,\d+", text) and "int_type" not in kinds:
        return text.replace(",", "."), " with a decimal point"
    if re.fullmatch(r"\d+(\.\d+)?\s*%", text) and "int_type" not in kinds:
        return f"{float(text.rstrip(' %')) / 100:g}", ""
    return None


def _cut_number(path: YamlPath, data: Any) -> str | None:
    """Restore a number split at a decimal comma: in `{lr: 0,1}`, YAML reads `1` as a key without a value."""
    for part in path[:-1]:
        data = data[part]
    key = path[-1]
    if not (isinstance(data, dict) and isinstance(key, str) and key.isdecimal() and data.get(key, "") is None):
        return None
    before = list(data)[list(data).index(key) - 1]
    number = data[before]
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    thousands = f" (or {number}{key}, if the comma separates thousands)" if len(key) == 3 and number else ""
    return f"{before}: {number}.{key}{thousands}"


def _members_at(loc: Loc, root: type[Settings]) -> list[type[Settings]]:
    """Return the settings classes that are allowed at a location."""
    members: list[type[Settings]] = [root]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [member for member in members if part in names_of(member)]
        fields = [fields_of(member)[part] for member in members if part in fields_of(member)]
        # A part that is neither is a name that the user gave, or that of a form of the value.
        members = tagged or [found for field in fields for found in settings_in(field.annotation)] or members
    return members


def _allowed_keys(loc: Loc, root: type[Settings]) -> list[str]:
    return list(dict.fromkeys(key for member in _members_at(loc[:-1], root) for key in fields_of(member)))


def _nearest_key(loc: Loc, root: type[Settings]) -> str:
    """Suggest a key: a similar one at the same level, or one that belongs to another section or to the whole config."""
    key, similar = str(loc[-1]), suggestion(loc[-1], _allowed_keys(loc, root))
    if len(loc) > 1 and key in root.model_fields:
        return f"; did you mean {key!r}, beside {loc[0]!r}?"
    if len(loc) > 1 and similar:
        return similar
    for meant in reversed(SYNONYMS.get(key, (key,))):
        for family, field in root.model_fields.items():
            of_family = (meant in member.model_fields for member in settings_in(field.annotation))
            if meant not in root.model_fields and any(of_family):
                return f"; did you mean {f'{family}.{meant}'!r}?"
    return similar
