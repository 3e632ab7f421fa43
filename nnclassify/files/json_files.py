"""Results as JSON: records are objects, paths are texts, and a number that is not finite is an error."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nnclassify.files.atomic_write import write_text


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
