"""R8: SIGTERM, SIGINT and SIGUSR1 at random moments, from the first import to the last picture."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.reliability import runs
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.processes import Child, call, command

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
GRACE_SECONDS = 10.0
"""One batch and one save take far less; the machine is shared."""


def run(scale: float) -> Outcome:
    """500 signals: most to forked processes, every twentieth to an interpreter of its own, to meet its imports."""
    outcome = Outcome("R8", "signals at random moments: exit code, time, and a resume bit for bit")
    rng = random.Random(8)
    with runs.workplace() as folder:
        wanted = {name: runs.whole_run(folder, name) for name in runs.CONFIGS}
        for number in range(max(5, round(500 * scale))):
            config, sent = ["cnn", "mlp"][number // 5 % 2], NUMBERS[number % 5]
            fresh = number % 20 == 0
            code, errors, seconds = _signalled(folder, config, sent, rng, fresh=fresh)
            outcome.count(_problem(folder, config, sent, code, errors, seconds, wanted[config], fresh))
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    outcome.remark = "code 0 where the run was over first; there are no loader workers that could be orphaned"
    return outcome


def _signalled(
    folder: Path, config: str, number: signal.Signals, rng: random.Random, *, fresh: bool
) -> tuple[int, str, float]:
    arguments = ["train", f"{config}.yaml", "--no-plots", "--set", "name=run"]
    if fresh:
        process = subprocess.Popen(
            [sys.executable, "-m", "nnclassify", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(rng.uniform(0.0, 8.0))
        started = time.monotonic()
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
        return process.returncode, errors, time.monotonic() - started
    child = Child(command(*arguments), folder)
    time.sleep(rng.uniform(0.02, 1.2))
    started = time.monotonic()
    child.kill(number)
    ended = child.wait()
    return ended.code, ended.errors, time.monotonic() - started


def _problem(
    folder: Path, config: str, number: signal.Signals, code: int, errors: str, seconds: float, wanted: str, fresh: bool
) -> str | None:
    documented = (0, 128 + number, -number)  # the last, which a shell shows as the second: Python was starting
    if code not in documented or ("Traceback" in errors and not fresh):
        return f"{config} {number.name}: exit code {code}: {errors[-300:]}"
    if seconds > GRACE_SECONDS:
        return f"{config} {number.name}: took {seconds:.1f} s"
    path = folder / "checkpoints" / "run"
    if not (path / "config.yaml").is_file():
        return None  # it had not begun
    resumed = call(folder, "train", "checkpoints/run", "--resume", "--no-plots")
    if resumed.code != 0 or list(path.rglob("*.partial")) or not (path / "result.json").is_file():
        return f"{config} {number.name}: resume: {resumed.code} {resumed.errors[-300:]}"
    return None if runs.state(path) == wanted else f"{config} {number.name}: ended elsewhere"
