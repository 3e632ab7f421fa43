"""Printing: notes and errors to standard error, JSON results to standard output."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer

from nnclassify.errors import printable


def print_json(content: Any) -> None:
    """Print one JSON object, in ASCII so that every terminal and script can read it."""
    typer.echo(json.dumps(content, allow_nan=False))


def note(text: str) -> None:
    """Print a line for the user; with several processes, only the first one prints."""
    if os.environ.get("RANK", "0") == "0":
        say(text)


def say(text: str) -> None:
    """Print a line to standard error, with control characters escaped."""
    print(printable(text), file=sys.stderr)
