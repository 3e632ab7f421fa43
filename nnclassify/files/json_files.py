"""Results as JSON: records are objects, paths are texts, and a number that is not finite is an error."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from nnclassify.files.atomic_write import write_text
from nnclassify.files.paths import content_of

Record = TypeVar("Record")


def json_text(content: object, indent: int | None = None) -> str:
    """Return a result as JSON, in ASCII so that every terminal and script can read it.

    Raises:
        ValueError: A number is not finite, which JSON cannot represent.
    """
    return json.dumps(content, indent=indent, allow_nan=False, default=_state)


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as `json.load` would return it: dictionaries, lists, texts and numbers.

    Raises:
        ValueError: A number is not finite.
    """
    read: dict[str, Any] = json.loads(json_text(content))
    return read


def read_json(path: Path) -> Any:
    """Read a JSON file that may be damaged.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not JSON, nested too deeply, or a number in it is not finite.
    """
    try:
        return json.loads(content_of(path), parse_float=_finite, parse_constant=_finite)
    except RecursionError as cause:
        raise ValueError("nested too deeply") from cause


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text}: not a finite number")
    return value


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a dataclass from a JSON file that may be damaged; each value has the type of its field.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, or not such a record.
    """
    return TypeAdapter(kind).validate_python(read_json(path))


def first_problem(error: ValidationError) -> str:
    """Return the first thing that is wrong with what was read: its place and the problem."""
    first = error.errors()[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))


def write_json(path: Path, content: object, indent: int = 2) -> None:
    """Write a result as a JSON file.

    Raises:
        SaveError: The file could not be written.
    """
    write_text(path, json_text(content, indent) + "\n")


def _state(value: object) -> object:
    if is_dataclass(value) or isinstance(value, BaseModel):
        return vars(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__}: not a part of a result")
