"""Printing: notes and errors to standard error, JSON results to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import typer

from nnclassify.errors import printable


def print_json(content: Any) -> None:
    """Print one JSON object, in ASCII so that every terminal and script can read it."""
    typer.echo(json.dumps(content, allow_nan=False))


def print_json_list(key: str, items: Iterable[Any]) -> None:
    """Print one JSON object with a list, whose items are taken and printed one at a time."""
    typer.echo(f"{{{json.dumps(key)}: [", nl=False)
    for number, item in enumerate(items):
        typer.echo((", " if number else "") + json.dumps(item, allow_nan=False), nl=False)
    typer.echo("]}")


def note(text: str) -> None:
    """Print a line for the user; with several processes, only the first one prints."""
    if os.environ.get("RANK", "0") == "0":
        say(text)


def say(text: str) -> None:
    """Print a line to standard error, with control characters escaped."""
    print(printable(text), file=sys.stderr)
