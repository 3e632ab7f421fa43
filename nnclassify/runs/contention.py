"""Whether other programs keep a run from its cores, which costs several threads much more than one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnclassify.training.trainer import Observer, Trainer

SECONDS = 10.0
"""How long the waiting is measured each time."""
MUCH = 0.4
"""Share of the time from which it is noted. On 2 cores beside programs that keep 10 cores busy it is 0.8, and an epoch
of digits_cnn takes 29 s in two threads, 1.4 s in one; alone, 0.3 s and 0.4 s."""


@dataclass
class Contention(Observer):
    """Notes once if a run in several CPU threads waits for cores much of the time.

    The threads share the work of every layer and wait for each other, some of them without giving up the core that the
    others need. Only Linux tells how long a thread has waited.
    """

    note: Callable[[str], None]
    _start: tuple[float, float] | None = None

    def run_started(self, trainer: Trainer) -> None:
        """Begin to measure, if there are several threads."""
        if trainer.placement.device.type == "cpu" and trainer.plan.num_threads > 1:
            self._start = _now()

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Note what has been measured, if it is much; if not, measure again."""
        if self._start is None or time.monotonic() - self._start[0] < SECONDS or (now := _now()) is None:
            return
        seconds, waited = (after - before for after, before in zip(now, self._start, strict=True))
        self._start = now if waited < MUCH * seconds else None
        if self._start is None:
            self.note(
                f"other programs use the cores too: the run waited for a core {waited / seconds:.0%} of the time. Its "
                f"{trainer.plan.num_threads} threads then wait for each other, so a step can take many times as long; "
                "to continue in one thread, press Ctrl-C, and repeat the command with --resume --set threads=1"
            )


def _now() -> tuple[float, float] | None:
    """Return the time, and how long this thread has been ready to run without a core; None if the system hides it."""
    try:  # see https://docs.kernel.org/scheduler/sched-stats.html
        waited = int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return time.monotonic(), waited / 1e9
