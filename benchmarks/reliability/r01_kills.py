"""R1: runs that are killed again and again, at random moments and around each step of a save."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability import failpoints, runs
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.processes import Child, Ended, call, command
from nnclassify import observers
from nnclassify.checkpoint import Checkpoint, load_newest, save_checkpoint
from nnclassify.errors import CheckpointError

KILLS_A_RUN = 10
PLACES = [(name, after) for name in failpoints.CALLS for after in (False, True) if (name, after) != ("write", True)]


def run(scale: float) -> Outcome:
    """50 runs of ten kills each, six at random moments and four at failpoints."""
    outcome = Outcome("R1", "kills at random moments and at failpoints; each followed by a resume")
    rng = random.Random(1)
    num_runs = max(1, round(50 * scale))
    with runs.workplace() as folder:
        wanted = {name: runs.whole_run(folder, name) for name in runs.CONFIGS}
        for number in range(num_runs):
            _one_run(folder, ["cnn", "mlp"][number % 2], f"run{number}", wanted, rng, outcome)
    outcome.remark = f"{num_runs} runs, {KILLS_A_RUN} kills each; the last resume ends as the uninterrupted run"
    return outcome


def _one_run(
    folder: Path, config: str, name: str, wanted: dict[str, str], rng: random.Random, outcome: Outcome
) -> None:
    path, acknowledged = folder / "checkpoints" / name, folder / f"{name}.saved"
    for kill in range(KILLS_A_RUN):
        resume = path.is_dir()
        arguments = (
            ["train", f"checkpoints/{name}", "--resume", "--no-plots"]
            if resume and (path / "config.yaml").is_file()
            else ["train", f"{config}.yaml", "--no-plots", "--set", f"name={name}"]
        )
        if kill % 5 < 3:
            child = Child(_acknowledging(acknowledged, command(*arguments)), folder)
            time.sleep(rng.uniform(0.0, 0.8))
            child.kill()
            ended = child.wait()
        else:
            place, after = rng.choice(PLACES)
            fault = _armed(place, rng.randint(1, 12), after, command(*arguments))
            ended = Child(_acknowledging(acknowledged, fault), folder).wait()
        outcome.count(_problem(path, acknowledged, ended))
    final = call(folder, "train", f"checkpoints/{name}", "--resume", "--no-plots")
    stale = [str(file) for file in path.rglob("*.partial")]
    if final.code != 0 or stale:
        outcome.failures.append(f"{name}: {final.code} {final.errors[-200:]} stale {stale}")
    elif runs.state(path) != wanted[config]:
        outcome.failures.append(f"{name}: {config} ended elsewhere")


def _armed(place: str, at: int, after: bool, work: Callable[[], None]) -> Callable[[], None]:
    def armed() -> None:
        failpoints.arm(place, failpoints.die, at, after=after)
        work()

    return armed


def _acknowledging(log: Path, work: Callable[[], None]) -> Callable[[], None]:
    """In the child, write down the step of each `last.pt` whose save has returned."""

    def save(path: Path, checkpoint: Checkpoint) -> None:
        save_checkpoint(path, checkpoint)
        if checkpoint.training is not None:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(descriptor, b"%d\n" % checkpoint.training["step"])
            os.close(descriptor)

    def acknowledging() -> None:
        vars(observers)["save_checkpoint"] = save
        work()

    return acknowledging


def _problem(path: Path, log: Path, ended: Ended) -> str | None:
    """Nothing acknowledged is lost, and nothing is corrupt."""
    if ended.code not in (-9, 0):
        return f"{path.name}: ended with {ended.code}: {ended.errors[-200:]}"
    saved = int(log.read_text().split()[-1]) if log.is_file() else 0
    if saved == 0:
        return None
    try:
        found = load_newest(path / "last.pt")
    except CheckpointError as damage:
        return f"{path.name}: {damage}"
    step = (found.checkpoint.training or {})["step"]
    return None if step >= saved and not found.notes else f"{path.name}: step {saved} was saved, {step} was found"
