"""Printing: notes and errors to standard error, JSON results to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import typer

from nnclassify.errors import printable

SCHEMA_VERSION = 1
"""The version of the objects that are printed; see `json_schemas`."""


def schema_id(name: str) -> str:
    """Return what an object states as its schema."""
    return f"nnclassify/{name}/{SCHEMA_VERSION}"


def print_json(content: Any, schema: str | None = None) -> None:
    """Print one JSON object.

    Args:
        content: The object.
        schema: The name of its schema in `json_schemas.MODELS`, which it then states; None: it has none.
    """
    from nnclassify.files.json_files import json_text  # here, since `--help` needs no pydantic

    stated = content if schema is None else {"schema": schema_id(schema), **content}
    typer.echo(json_text(stated))


def print_result(content: Mapping[str, Any], schema: str, text: Callable[[], str], *, as_json: bool) -> None:
    """Print the result of a command: one JSON object with `--json`, else what `text` returns.

    Args:
        content: The object.
        schema: See `print_json`.
        text: Makes the text.
        as_json: Whether `--json` is given.
    """
    if as_json:
        print_json(content, schema)
    else:
        print(text())


def print_json_list(key: str, items: Iterable[Any], schema: str) -> None:
    """Print one JSON object with a list, whose items are taken and printed one at a time; see `print_json`."""
    from nnclassify.files.json_files import json_text

    typer.echo(f'{{"schema": "{schema_id(schema)}", "{key}": [', nl=False)
    for number, item in enumerate(items):
        typer.echo((", " if number else "") + json_text(item), nl=False)
    typer.echo("]}")


def note(text: str) -> None:
    """Print a line for the user; with several processes, only the first one prints."""
    if os.environ.get("RANK", "0") == "0":
        say(text)


def say(text: str) -> None:
    """Print a line to standard error, with control characters escaped."""
    print(printable(text), file=sys.stderr)
