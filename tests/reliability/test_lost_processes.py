"""Tests of runs that lose a process or the launcher, or are stopped: all processes end, and a resume continues."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnclassify.runs.folder import RunFolder
from reliability import launcher, runs
from reliability.outcome import Outcome
from reliability.processes import Ended, Process

pytestmark = pytest.mark.filterwarnings("default:a forked resume hung")

MAX_SECONDS, MAX_ORPHAN_SECONDS = 60.0, 10.0
KINDS = ("kill a process", "kill a process", "kill the launcher", "ask one to stop")
SIGNALS = {
    "kill a process": signal.SIGKILL,
    "kill the launcher": signal.SIGKILL,
    "ask one to stop": signal.SIGTERM,
}
REAL_EVERY = 10
"""Every so many losses, the launcher is the real command, started from nothing."""


@dataclass(frozen=True)
class Loss:
    """What is done to a run of several processes.

    Attributes:
        kind: One of `KINDS`.
        size: Processes.
        real: Whether torchrun is started from nothing.
        restarts: Whether the launcher may start its workers again.
        moment: Seconds after the start.
    """

    kind: str
    size: int
    real: bool
    restarts: bool
    moment: float


def test_lost_processes(scale: float, outcome: Outcome) -> None:
    """Processes of torchrun lost or asked to stop; all end; resumed by as many, bit for bit.

    200 losses at two and four processes; each is followed by a resume with as many.
    """
    rng, number, num_real, num_restarted = random.Random(9), 0, 0, 0
    with runs.workplace() as folder:
        whole = {size: _whole(folder, size) for size in (2, 4)}
        while outcome.cases < max(4, round(200 * scale)):
            size, kind = 4 if number % 8 >= 4 else 2, KINDS[number % 4]
            real = number % REAL_EVERY == 0
            moment = rng.uniform(0.0, whole[size][1] + (8.0 if real else 0.0))
            loss = Loss(kind, size, real, kind == KINDS[0] and number % 3 == 0, moment)
            problem = _one(folder, loss, rng.randrange(size), whole[size][0])
            number += 1
            if problem != OVER:
                num_real, num_restarted = num_real + real, num_restarted + loss.restarts
                outcome.count(problem)
            for left in ("checkpoints", "logs"):
                shutil.rmtree(folder / left, ignore_errors=True)
    outcome.remark = (
        f"{num_real} by the real torchrun, the others by its agent, forked; {num_restarted} started again by themselves"
    )
    outcome.check()


OVER = "the run was over first"


def _start(folder: Path, size: int, *arguments: str, real: bool = False, restarts: int = 0) -> Process:
    start = launcher.torchrun if real else launcher.agent
    return start(folder, size, "train", *arguments, "--no-plots", "--set", "epochs=8", restarts=restarts)


def _whole(folder: Path, size: int) -> tuple[str, float]:
    started = time.monotonic()
    ended = _start(folder, size, "cnn.yaml", "--set", "name=run").wait(MAX_SECONDS)
    if ended.code:
        raise RuntimeError(f"the uninterrupted run of {size} failed: {ended}")
    digest = runs.state(folder / "checkpoints" / "run")
    shutil.rmtree(folder / "checkpoints")
    return digest, time.monotonic() - started


def _one(folder: Path, loss: Loss, who: int, wanted: str) -> str | None:
    process = _start(folder, loss.size, "cnn.yaml", "--set", "name=run", real=loss.real, restarts=int(loss.restarts))
    time.sleep(loss.moment)
    workers, started = launcher.workers_of(process), time.monotonic()
    candidates = [process.pid] if loss.kind == "kill the launcher" else workers
    lost = candidates[who % len(candidates)] if candidates else 0
    if lost:
        os.kill(lost, SIGNALS[loss.kind])
    if launcher.has_ended(folder, lost):
        process.kill()
    ended = process.wait(MAX_SECONDS)
    seconds = time.monotonic() - started
    if left := launcher.orphans(folder, workers, MAX_ORPHAN_SECONDS):
        return f"{loss}: orphans {left}"
    if launcher.has_ended(folder, lost):
        return OVER
    if ended.code == 0 and not loss.restarts:
        return OVER
    if seconds > MAX_SECONDS - 1:
        return f"{loss}: did not end: {ended.errors[-5000:]}"
    if re.search(r'File ".*/nnclassify/.*", line', ended.errors):
        return f"{loss}: a traceback: {ended.errors[-1500:]}"
    return _resume_problem(folder, loss, wanted)


def _resumed(folder: Path, size: int) -> Ended:
    """Resume by the forked agent; where that hangs, as a fork of a process with threads may, by the real command. Then
    it is told where the workers stood, so that nobody need believe this."""
    forked = _start(folder, size, "checkpoints/run", "--resume")
    ended = forked.wait(MAX_SECONDS)
    if ended.code != -signal.SIGKILL:
        return ended
    with contextlib.suppress(ProcessLookupError):
        os.killpg(forked.pid, signal.SIGKILL)
    warnings.warn(f"a forked resume hung, repeated by torchrun:\n{ended.errors[-40_000:]}", stacklevel=1)
    return _start(folder, size, "checkpoints/run", "--resume", real=True).wait(MAX_SECONDS)


def _resume_problem(folder: Path, loss: Loss, wanted: str) -> str | None:
    path = folder / "checkpoints" / "run"
    if RunFolder(path).started_at() is None:
        return None  # it had not begun
    resumed = _resumed(folder, loss.size)
    if resumed.code or list(path.rglob("*.partial")):
        return f"{loss}: resume: {resumed.code} {resumed.errors[-5000:]}"
    return None if runs.state(path) == wanted else f"{loss}: ended elsewhere"
