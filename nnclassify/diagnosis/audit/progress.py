"""How far an audit is, and how long it will take."""

from __future__ import annotations

import os
import sys
from typing import Any

MICROSECONDS = {"reading": 50, "features": 2000, "duplicates": 1500, "labels": 1000, "table": 150}
"""Time per image, or of a table per row, of each part of an audit, on a core of 2026."""


def expected_seconds(num_examples: int, *, is_images: bool) -> float:
    """Return about how long an audit of so many examples takes."""
    parts = ("reading", "features", "duplicates", "labels") if is_images else ("reading", "table")
    return num_examples * sum(MICROSECONDS[part] for part in parts) / 1e6


class Progress:
    """A bar on a terminal that says which part of an audit runs, and how much of it is done."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, what: str, total: int) -> None:
        """Begin a part of `total` units."""
        from tqdm import tqdm

        self.close()
        is_off = not sys.stderr.isatty() or os.environ.get("TERM") == "dumb"
        self._bar = tqdm(total=total, desc=what, delay=1.0, disable=is_off, leave=False, file=sys.stderr)

    def advance(self, count: int) -> None:
        """Take in that so many units of the part are done."""
        if self._bar is not None:
            self._bar.update(count)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
