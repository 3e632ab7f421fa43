"""Tests of saves in which each disk operation in turn fails with each of six errors."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from nnclassify.errors import CheckpointError
from nnclassify.files.atomic_write import previous
from nnclassify.runs.checkpoint import load_checkpoint
from reliability import failpoints, runs
from reliability.outcome import Outcome
from reliability.processes import Child, Ended, call, command

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EMFILE)
NUM_CALLS = 8
"""The first calls of each kind after a resume: config, history, best.pt, last.pt, twice each and more."""


def test_failing_disk(scale: float, outcome: Outcome) -> None:
    """I/O calls of saves and of the history that fail.

    Resume a run whose disk fails at one call.
    """
    with runs.workplace() as folder:
        call(folder, "train", "mlp.yaml", "--no-plots", "--set", "epochs=2", "--set", "name=run")
        shutil.copytree(folder / "checkpoints" / "run", folder / "good")
        cases = [(name, at, error) for name in failpoints.CALLS for at in range(1, NUM_CALLS + 1) for error in ERRORS]
        for name, at, error in cases[:: max(1, round(1 / scale))]:
            shutil.rmtree(folder / "checkpoints" / "run")
            shutil.copytree(folder / "good", folder / "checkpoints" / "run")
            work = command("train", "checkpoints/run", "--resume", "--no-plots", "--set", "epochs=4")
            ended = Child(_failing(name, at, error, work), folder).wait()
            outcome.count(_problem(folder / "checkpoints" / "run", ended, f"{name} {at} {os.strerror(error)}", error))
    outcome.remark = "a fault that is got around (no link, no clean-up) may end in exit code 0"
    outcome.check()


def _failing(name: str, at: int, error: int, work: Callable[[], None]) -> Callable[[], None]:
    def failing() -> None:
        failpoints.arm(name, failpoints.failing(error), at)
        work()

    return failing


def _problem(path: Path, ended: Ended, case: str, error: int) -> str | None:
    said = [line for line in ended.errors.splitlines() if line.startswith("error: ")]
    try:
        load_checkpoint(path / "last.pt")
        load_checkpoint(path / "best.pt")
    except CheckpointError as damage:
        if not previous(path / "last.pt").is_file():
            return f"{case}: {damage}"
    if "Traceback" in ended.errors or ended.code not in (0, 3):
        return f"{case}: exit code {ended.code}: {ended.errors[-300:]}"
    if ended.code == 0:
        return None if (path / "result.json").is_file() and not said else f"{case}: exit code 0 without a result"
    if len(said) != 1 or os.strerror(error) not in said[0] or "checkpoints/run" not in said[0]:
        return f"{case}: does not name path and cause: {said}"
    return None
