"""The base of every settings class, and the small types that several of them share.

A settings class is at once the YAML's schema, the source of the error messages, the documentation and the
factory. None of these modules imports torch before something is built, so that a wrong config is reported
in a blink.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Frozen, strict and closed: no unknown key, no text where a number belongs, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _expand_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ByName = BeforeValidator(_expand_name)
"""Lets a member of a family be written as its name alone: `dataset: iris`."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings and lists by dotted path: `{"model.hidden.0.units": 100}`."""
    if isinstance(value, dict):
        items = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, list) and any(isinstance(child, dict) for child in value):
        items = [(str(index), child) for index, child in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for name, child in items for key, leaf in flat(child, f"{path}.{name}".lstrip(".")).items()}
