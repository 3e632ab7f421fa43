"""R11: the same config gives the same weights; another number of threads on resume is said."""

from __future__ import annotations

import shutil

from benchmarks.reliability import runs
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.processes import call


def run(scale: float) -> Outcome:
    """Twenty repeats of both runs, and a resume with another number of threads."""
    outcome = Outcome("R11", "repeats with equal weights; another thread count on resume is said")
    for config in runs.CONFIGS:
        with runs.workplace() as folder:
            wanted = runs.whole_run(folder, config)
            for _ in range(max(1, round(20 * scale))):
                outcome.count(None if runs.whole_run(folder, config) == wanted else f"{config}: other weights")
            call(folder, "train", f"{config}.yaml", "--no-plots", "--set", "name=run", "--set", "threads=1")
            resume = ("train", "checkpoints/run", "--resume", "--no-plots", "--set", "epochs=5", "--set", "threads=2")
            ended = call(folder, *resume)
            said = ended.code == 0 and "threads: 1 when the run was saved, now 2" in ended.errors
            outcome.count(None if said else f"{config}: threads: {ended.errors[-200:]}")
            shutil.rmtree(folder / "checkpoints")
    outcome.remark = "there are no loader workers to vary: batches are prepared in the training process"
    return outcome
