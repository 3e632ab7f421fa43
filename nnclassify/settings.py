"""The base of every settings class, and the small types that several of them share.

A settings class is at once the YAML's schema, the source of the error messages, the documentation and the
factory. None of these modules imports torch before something is built, so that a wrong config is reported
in a blink.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

NEW = "new"
"""The validation context of a config that a user has written; the config of a run was accepted when it began."""
CONFLICT = "conflict"
"""The type of the error of options that exclude each other: its context has `conflicts`, (key, text) pairs."""


class Settings(BaseModel):
    """Frozen, strict and closed: no unknown key, no text where a number belongs, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def name_of(self) -> str:
        """The name by which the YAML chooses it, where it is a member of a family."""
        return str(getattr(self, "name", type(self).__name__))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Options that are right alone and would be ignored together: the key to change, and what is wrong."""
        yield from ()

    @model_validator(mode="after")
    def _without_conflicts(self, info: ValidationInfo) -> Self:
        """Only of new configs: a run that ignored an option can still be used."""
        if info.context == NEW and (conflicts := list(self.conflicts())):
            raise PydanticCustomError(CONFLICT, "options that exclude each other", {"conflicts": conflicts})
        return self


def _expand_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ByName = BeforeValidator(_expand_name)
"""Lets a member of a family be written as its name alone: `dataset: iris`."""


def _switch(value: Any) -> Any:
    """YAML 1.1's words for true and false, which many editors and people still write."""
    words = {"on": True, "yes": True, "off": False, "no": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _on_or_off(value: Any) -> Any:
    switched = _switch(value)
    return ("on" if switched else "off") if isinstance(switched, bool) else value


Fraction = Annotated[float, Field(ge=0, lt=1)]
MAX_INT = 2**31 - 1
"""No count in a config comes near it, and torch takes no more than 64 bits."""
MAX_FLOAT = 3e38
"""Float32, in which nets compute, ends a little above."""

Switch = Annotated[bool, BeforeValidator(_switch)]
"""true or false; on, yes, off and no mean the same."""
AutoSwitch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_or_off)]
"""auto, on or off; true and false mean the latter two."""
FilePath = Annotated[str, AfterValidator(os.path.expanduser), Field(max_length=4096)]
"""A file or a folder; `~` is the user's home."""
PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0, le=MAX_FLOAT)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MAX_FLOAT)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def all_different(names: list[str]) -> list[str]:
    """A validator of lists of names."""
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ValueError(f"names that differ ({twice[0]!r} appears twice)")
    return names


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]+)?|mps)$"
_PLAIN = re.compile(r"(?!(?i:yes|no|on|off|true|false|null|y|n)$)[A-Za-z][A-Za-z0-9_.]*")
FINDING_PATTERN = r"^NN[0-9]{3}$"


def yaml_quoted(text: str) -> str:
    """A text in a config, in quotes."""
    return json.dumps(text) if "'" in text or not text.isprintable() else f"'{text}'"


def yaml_list(names: Iterable[str]) -> str:
    """Names as a list in a config: `[a, 'b c']`."""
    return "[" + ", ".join(name if _PLAIN.fullmatch(name) else yaml_quoted(name) for name in names) + "]"


def settings_in(annotation: Any) -> Iterator[type[Settings]]:
    """Every settings class that a field's type can hold."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for inner in get_args(annotation):
        yield from settings_in(inner)


def names_of(member: type[Settings]) -> tuple[str, ...]:
    """The names by which the YAML chooses a class; empty where it is no member of a family."""
    field = member.model_fields.get("name")
    return tuple(name for name in get_args(field.annotation) if isinstance(name, str)) if field is not None else ()


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings and lists by dotted path: `{"model.hidden.0.units": 100}`."""
    if isinstance(value, dict):
        items = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, list) and any(isinstance(child, dict) for child in value):
        items = [(str(index), child) for index, child in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for name, child in items for key, leaf in flat(child, f"{path}.{name}".lstrip(".")).items()}
