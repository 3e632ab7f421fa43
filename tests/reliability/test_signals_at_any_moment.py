"""Tests of SIGTERM, SIGINT and SIGUSR1 at random moments, from the first import to the last plot."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

from reliability import runs
from reliability.outcome import Outcome
from reliability.processes import Child, Ended, call, command, fresh

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
GRACE_SECONDS = 10.0
"""One batch and one save take far less; the machine is shared."""


def test_signals_at_any_moment(scale: float, outcome: Outcome) -> None:
    """Signals at random moments: exit code, time, and a resume bit for bit.

    500 signals: most to forked processes, every 21st to an interpreter of its own, to meet its imports.
    """
    rng, number, slowest = random.Random(8), 0, 0.0
    with runs.workplace() as folder:
        whole = {name: runs.timed_run(folder, name) for name in runs.CONFIGS}
        while outcome.cases < max(5, round(500 * scale)):
            config, sent = [*runs.CONFIGS][number // 5 % len(runs.CONFIGS)], NUMBERS[number % 5]
            wanted, seconds = whole[config]
            from_nothing = number % 21 == 0  # so that it meets each of the signals in turn
            moment = rng.uniform(0.0, seconds + 6.0) if from_nothing else rng.uniform(0.01, seconds)
            ended, took = _signalled(folder, config, sent, moment, from_nothing=from_nothing)
            number += 1
            if ended.code != 0:  # else the run was over first
                slowest = max(slowest, took)
                outcome.count(_problem(folder, config, sent, ended, took, wanted, from_nothing))
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    outcome.remark = f"the slowest ended after {slowest:.1f} s; every 21st sent to the real command; no loader workers"
    outcome.check()


def _signalled(
    folder: Path, config: str, number: signal.Signals, moment: float, *, from_nothing: bool
) -> tuple[Ended, float]:
    arguments = ("train", f"{config}.yaml", "--no-plots", "--set", "name=run")
    process = fresh(folder, *arguments) if from_nothing else Child(command(*arguments), folder)
    time.sleep(moment)
    started = time.monotonic()
    process.kill(number)
    ended = process.wait()
    return ended, time.monotonic() - started


def _problem(
    folder: Path, config: str, number: signal.Signals, ended: Ended, seconds: float, wanted: str, from_nothing: bool
) -> str | None:
    case = f"{config} {number.name}"
    documented = (128 + number, -number)  # the latter, which a shell shows as the former: Python was starting
    if ended.code not in documented or ("Traceback" in ended.errors and not from_nothing):
        return f"{case}: exit code {ended.code}: {ended.errors[-300:]}"
    if seconds > GRACE_SECONDS:
        return f"{case}: took {seconds:.1f} s"
    path = folder / "checkpoints" / "run"
    if not (path / "config.yaml").is_file():
        return None  # it had not begun
    resumed = call(folder, "train", "checkpoints/run", "--resume", "--no-plots")
    if resumed.code != 0 or list(path.rglob("*.partial")) or not (path / "result.json").is_file():
        return f"{case}: resume: {resumed.code} {resumed.errors[-300:]}"
    return None if runs.state(path) == wanted else f"{case}: ended elsewhere"
