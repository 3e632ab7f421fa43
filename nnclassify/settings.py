"""The base of every settings class, and the small types that several of them share.

A settings class is at once the YAML's schema, the source of the error messages, the documentation and the
factory. None of these modules imports torch before something is built, so that a wrong config is reported
in a blink.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Frozen, strict and closed: no unknown key, no text where a number belongs, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _expand_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ByName = BeforeValidator(_expand_name)
"""Lets a member of a family be written as its name alone: `dataset: iris`."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
MAX_INT = 2**31 - 1
"""No count in a config comes near it, and torch takes no more than 64 bits."""

PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DELIMITER_PATTERN = r'^[^"\r\n]$'
DEVICE_PATTERN = r"^(auto|cpu|cuda(:\d+)?|mps)$"
FINDING_PATTERN = r"^NN\d{3}$"


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
