"""The base class of settings, and field types that several of them share.

A settings class is the YAML's schema, the source of the error messages, the documentation and the factory in one.
None of these modules imports torch before something is built, so that an invalid config is reported at once.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

NEW = "new"
"""Validation context of a config that a user has written. The config of an existing run was accepted when it began."""
PLACE = "place"
"""Mark of the fields in `Settings.places`."""
CONFLICT = "conflict"
"""Error type of options that exclude each other; its context has `conflicts`, pairs of key and text."""


class Settings(BaseModel):
    """Frozen, strict and closed: unknown keys, strings in place of numbers, and NaN are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def name_of(self) -> str:
        """Return the name that selects this class in the YAML."""
        return str(getattr(self, "name", type(self).__name__))

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield options that are valid by themselves but ignored in combination: the key to change, and what is
        wrong."""
        yield from ()

    def places(self) -> dict[str, str]:
        """Return where data, code and weights are, by dotted key: texts of which only what they lead to matters.

        A run resumes where they have moved; its checkpoint tells whether they lead to the same.
        """
        found: dict[str, str] = {}
        for key, field in type(self).model_fields.items():
            value = getattr(self, key)
            if isinstance(value, Settings):
                found |= {f"{key}.{inner}": place for inner, place in value.places().items()}
            elif isinstance(value, str) and PLACE in [*field.metadata, *_metadata_in(field.annotation)]:
                found[key] = value
        return found

    @model_validator(mode="after")
    def _without_conflicts(self, info: ValidationInfo) -> Self:
        """Check new configs only: a run that ignored an option can still be used."""
        if info.context == NEW and (conflicts := list(self.conflicts())):
            raise PydanticCustomError(CONFLICT, "options that exclude each other", {"conflicts": conflicts})
        return self


def _expand_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ByName = BeforeValidator(_expand_name)
"""Allows a member of a family to be written as its name: `dataset: iris`."""


def _switch(value: Any) -> Any:
    """Convert YAML 1.1's words for true and false, which many editors and people still write."""
    words = {"on": True, "yes": True, "off": False, "no": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _on_or_off(value: Any) -> Any:
    switched = _switch(value)
    return ("on" if switched else "off") if isinstance(switched, bool) else value


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([kmgt]?)(i?)b?", re.IGNORECASE | re.ASCII)


def _num_bytes(value: Any) -> Any:
    """Convert `20 GB` or `1.5 GiB` to a number of bytes."""
    if not isinstance(value, str):
        return value
    if (found := _SIZE.fullmatch(value.strip())) is None:
        raise ValueError("a size such as 20 GB or 500 MB")
    number, unit, is_binary = found.groups()
    return int(float(number) * (_UNITS[unit.lower()] if not is_binary else 1024 ** " kmgt".index(unit.lower() or " ")))


Fraction = Annotated[float, Field(ge=0, lt=1)]
MAX_INT = 2**31 - 1
"""Limit of integers: far above any count in a config, and within the 64 bits of torch."""
MAX_FLOAT = 3e38
"""Limit of numbers, slightly below the largest float32."""

Switch = Annotated[bool, BeforeValidator(_switch)]
"""true or false; on, yes, off and no are accepted too."""
AutoSwitch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_or_off)]
"""auto, on or off; true and false are accepted for on and off."""
FilePath = Annotated[str, AfterValidator(os.path.expanduser), Field(max_length=4096)]
"""A file or folder; `~` is expanded to the home directory."""
PlacePath = Annotated[FilePath, PLACE]
"""A file or folder with something that a run depends on, wherever it is; see `Settings.places`."""
NumBytes = Annotated[int, BeforeValidator(_num_bytes, json_schema_input_type=int | str), Field(ge=0, lt=2**63)]
"""A size in bytes, or with a unit: `20 GB`, `500 MiB`."""
PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0, le=MAX_FLOAT)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MAX_FLOAT)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def all_different(names: list[str]) -> list[str]:
    """Validate that the names in a list are unique."""
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ValueError(f"unique names ({twice[0]!r} appears twice)")
    return names


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]+)?|mps)$"
_PLAIN = re.compile(r"(?!(?i:yes|no|on|off|true|false|null|y|n)$)[A-Za-z][A-Za-z0-9_.]*")
FINDING_PATTERN = r"^NN[0-9]{3}$"


def yaml_quoted(text: str) -> str:
    """Return a text in quotes for a config."""
    return json.dumps(text) if "'" in text or not text.isprintable() else f"'{text}'"


def yaml_list(names: Iterable[str]) -> str:
    """Return names as a list for a config: `[a, 'b c']`."""
    return "[" + ", ".join(name if _PLAIN.fullmatch(name) else yaml_quoted(name) for name in names) + "]"


def _metadata_in(annotation: Any) -> Iterator[Any]:
    """Yield what annotates any of the types that a field can hold."""
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _metadata_in(inner)


def settings_in(annotation: Any) -> Iterator[type[Settings]]:
    """Yield every settings class that a field's type can hold."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for inner in get_args(annotation):
        yield from settings_in(inner)


def names_of(member: type[Settings]) -> tuple[str, ...]:
    """Return the names that select a class in the YAML; empty if it is not a member of a family."""
    field = member.model_fields.get("name")
    return tuple(name for name in get_args(field.annotation) if isinstance(name, str)) if field is not None else ()


def fields_of(settings: type[Settings]) -> dict[str, FieldInfo]:
    """Return the fields of a class by their YAML keys; `class` cannot be a field name in Python."""
    return {field.alias or name: field for name, field in settings.model_fields.items()}


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings and lists by dotted path: `{"model.hidden.0.units": 100}`."""
    if isinstance(value, dict):
        items = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, list) and any(isinstance(child, dict) for child in value):
        items = [(str(index), child) for index, child in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for name, child in items for key, leaf in flat(child, f"{path}.{name}".lstrip(".")).items()}
