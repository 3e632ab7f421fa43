"""Tests of runs that are killed repeatedly, at random moments and around each step of a save."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from nnclassify.errors import CheckpointError
from nnclassify.runs import recorders
from nnclassify.runs.checkpoint import Checkpoint, load_newest, save_checkpoint
from reliability import failpoints, runs
from reliability.outcome import Outcome
from reliability.processes import Child, Ended, call, command

MAX_KILLS = 12
"""Kills of one run: then it may end."""
PLACES = [(name, after) for name in failpoints.CALLS for after in (False, True) if (name, after) != ("write", True)]


def test_killed_runs(scale: float, outcome: Outcome) -> None:
    """Kills at random moments and at failpoints; each followed by a resume.

    Runs that are killed until 500 kills are counted, two of five at failpoints, and 50 runs met five or more.
    """
    rng, often, number = random.Random(1), 0, 0
    whole: dict[str, tuple[str, float]] = {}
    with runs.workplace() as folder:
        while outcome.cases < max(1, round(500 * scale)) or often < max(1, round(50 * scale)):
            config = [*runs.KILLED][number % len(runs.KILLED)]
            if config not in whole:
                runs.warm_up([config])  # what is compiled is in the cache before the time is taken
                whole[config] = runs.timed_run(folder, config)
            wanted, seconds = whole[config]
            often += _one_run(folder, config, f"run{number}", rng, seconds, outcome) >= 5
            _check_end(folder / "checkpoints" / f"run{number}", config, wanted, outcome)
            number += 1
    outcome.remark = f"{number} runs, {often} of them killed five times or more; each ended as the uninterrupted run"
    outcome.check()


def _one_run(folder: Path, config: str, name: str, rng: random.Random, seconds: float, outcome: Outcome) -> int:
    """Kill a run again and again, until it gets to its end; how often."""
    path, acknowledged = folder / "checkpoints" / name, folder / f"{name}.saved"
    for attempt in range(MAX_KILLS):
        arguments = (
            ["train", f"checkpoints/{name}", "--resume", "--no-plots"]
            if (path / "config.yaml").is_file()
            else ["train", f"{config}.yaml", "--no-plots", "--set", f"name={name}"]
        )
        if not (path / "config.yaml").is_file() and path.is_dir():
            shutil.rmtree(path)  # killed between its folder and its config: it never began
        if attempt % 5 < 3:
            child = Child(_acknowledging(acknowledged, command(*arguments)), folder)
            time.sleep(rng.uniform(0.0, 0.6 * seconds))
            child.kill()
            ended = child.wait()
        else:
            place, after = rng.choice(PLACES)
            fault = _armed(place, rng.randint(1, 12), after, command(*arguments))
            ended = Child(_acknowledging(acknowledged, fault), folder).wait()
        if ended.code == 0:
            return attempt
        outcome.count(_problem(path, acknowledged, ended))
    return MAX_KILLS


def _check_end(path: Path, config: str, wanted: str, outcome: Outcome) -> None:
    """The last resume ends as the uninterrupted run, and leaves no stale file."""
    if (path / "config.yaml").is_file():
        final = call(path.parent.parent, "train", str(path), "--resume", "--no-plots")
    else:
        final = call(path.parent.parent, "train", f"{config}.yaml", "--no-plots", "--set", f"name={path.name}")
    stale = [str(file) for file in path.rglob("*.partial")]
    if final.code != 0 or stale:
        outcome.failures.append(f"{path.name}: {final.code} {final.errors[-200:]} stale {stale}")
    elif runs.state(path) != wanted:
        outcome.failures.append(f"{path.name}: {config} ended elsewhere")


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
        vars(recorders)["save_checkpoint"] = save
        work()

    return acknowledging


def _problem(path: Path, log: Path, ended: Ended) -> str | None:
    """Nothing acknowledged is lost, and nothing is corrupt."""
    if ended.code != -9:
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
