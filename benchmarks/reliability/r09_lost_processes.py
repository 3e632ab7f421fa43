"""R9: processes of a run are killed, or one is asked to stop; the others end, and a resume goes on bit for bit."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

from benchmarks.reliability import ranks, runs
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.processes import Child, Ended, command
from nnclassify.folders import RunFolder

MAX_SECONDS = 60.0
KINDS = ("kill a process", "kill a process", "ask one to stop")


def run(scale: float) -> Outcome:
    """150 losses, at two and four processes; each is followed by a resume with as many."""
    outcome = Outcome("R9", "processes of a run lost or asked to stop; resumed by as many, bit for bit")
    rng = random.Random(9)
    with runs.workplace() as folder:
        wanted = {size: _whole(folder, size) for size in (2, 4)}
        for number in range(max(3, round(150 * scale))):
            size = 4 if number % 4 == 3 else 2
            outcome.count(_one(folder, size, KINDS[number % 3], rng, wanted[size]))
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    outcome.remark = "workers with torchrun's environment, forked; kills of the agent itself are not among them"
    return outcome


def _start(folder: Path, size: int, *arguments: str) -> list[Child]:
    return ranks.start(size, command("train", *arguments, "--no-plots", "--no-monitor", "--set", "epochs=8"), folder)


def _wait(children: list[Child]) -> list[Ended]:
    return [child.wait(MAX_SECONDS) for child in children]


def _whole(folder: Path, size: int) -> str:
    ended = _wait(_start(folder, size, "cnn.yaml", "--set", "name=run"))
    if any(end.code for end in ended):
        raise RuntimeError(f"the uninterrupted run of {size} failed: {ended}")
    digest = runs.state(folder / "checkpoints" / "run")
    shutil.rmtree(folder / "checkpoints")
    return digest


def _one(folder: Path, size: int, kind: str, rng: random.Random, wanted: str) -> str | None:
    path, who = folder / "checkpoints" / "run", rng.randrange(size)
    children = _start(folder, size, "cnn.yaml", "--set", "name=run")
    time.sleep(rng.uniform(0.5, 5.0))
    children[who].kill(signal.SIGKILL if kind == "kill a process" else signal.SIGTERM)
    started = time.monotonic()
    ended = _wait(children)
    codes, case = [end.code for end in ended], f"{kind} {who} of {size}"
    if time.monotonic() - started > MAX_SECONDS - 1:
        return f"{case}: did not end: {codes}"
    allowed = (0, 3, -9) if kind == "kill a process" else (0, 3, 143)
    if any(code not in allowed for code in codes) or any("Traceback" in end.errors for end in ended):
        return f"{case}: exit codes {codes}: {ended[0].errors[-300:]} {ended[-1].errors[-300:]}"
    if RunFolder(path).started_at() is None:
        return None  # it had not begun
    resumed = _wait(_start(folder, size, "checkpoints/run", "--resume"))
    if any(end.code for end in resumed):
        return f"{case}: resume: {[end.code for end in resumed]} {resumed[0].errors[-300:]}"
    return None if runs.state(path) == wanted else f"{case}: ended elsewhere"
