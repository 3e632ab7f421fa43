"""The rows of the table, each in a process of its own, a few at a time."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from benchmarks.reliability.outcome import Outcome

Run = Callable[[float], Outcome]
"""From the scale to the counts."""


@dataclass
class _Row:
    """A row under way."""

    name: str
    pid: int
    result: IO[bytes]
    started: float = field(default_factory=time.monotonic)

    def outcome(self) -> Outcome:
        """What it counted, once it has ended."""
        self.result.seek(0)
        with self.result:
            content = self.result.read()
        if content:
            outcome: Outcome = pickle.loads(content)
            return outcome
        return Outcome(self.name, "ended without a count", failures=["see its traceback"])


def run_all(wanted: Mapping[str, Run], scale: float, jobs: int) -> Iterator[tuple[Outcome, float]]:
    """Run all rows, `jobs` at a time; each outcome with its seconds, as they end."""
    waiting, running = list(wanted.items()), dict[int, _Row]()
    while waiting or running:
        while waiting and len(running) < jobs:
            row = _start(*waiting.pop(0), scale)
            running[row.pid] = row
        pid, _ = os.wait()
        row = running.pop(pid)
        yield row.outcome(), time.monotonic() - row.started


def _start(name: str, run: Run, scale: float) -> _Row:
    result = tempfile.TemporaryFile()  # noqa: SIM115 - closed in outcome
    pid = os.fork()
    if pid:
        return _Row(name, pid, result)
    try:
        pickle.dump(run(scale), result)
        result.flush()
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(0)
