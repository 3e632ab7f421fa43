"""What a command prints: notes and errors to standard error, results as JSON to standard output."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer

from nnclassify.errors import printable


def print_json(content: Any) -> None:
    """Print one JSON object: in ASCII, so that every terminal and script can read it."""
    typer.echo(json.dumps(content, allow_nan=False))


def note(text: str) -> None:
    """Print a line that the user should see; of several processes, one speaks."""
    if os.environ.get("RANK", "0") == "0":
        say(text)


def say(text: str) -> None:
    """Print a line on standard error, with control characters escaped."""
    print(printable(text), file=sys.stderr)
