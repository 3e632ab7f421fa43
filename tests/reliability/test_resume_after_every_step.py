"""Tests that a run that is resumed after any step ends like the run that was not stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from nnclassify.runs import recorders
from nnclassify.runs.checkpoint import Checkpoint, save_checkpoint
from reliability import runs
from reliability.outcome import Outcome
from reliability.processes import Child, command, fresh

EPOCHS, COMPILED_EPOCHS = 28, 5
"""Of seven steps (19 and more of small batches), or two groups: 196 resumes or more for each of seven runs, and 10 for
each of two that are compiled."""
FRESH_EVERY = 25
"""Every so many resumes, one is by the real command."""
COMPILED = ("--set", "compile=on")
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mlp": ("mlp", ()),
    "mlp with average and one-cycle": ("mlp", ("--set", "ema=0.95", "--set", "scheduler=one_cycle")),
    "cnn with augmentation, average, cosine": ("cnn", ()),
    "cnn with muon": ("cnn", ("--set", "optimizer=muon", "--set", "scheduler=linear")),
    "mlp in bfloat16 with augmentation, average, clipping": ("short", ()),
    "mlp in odd batches": ("odd", ()),
    "mlp in float64": ("double", ()),
    "mlp, compiled": ("mlp", COMPILED),
    "mlp in bfloat16, compiled": ("short", COMPILED),
}


def test_resume_after_every_step(scale: float, outcome: Outcome) -> None:
    """Resumes after every step, each in a new process, bit for bit.

    Nine runs; each saved after every step, and resumed from each save in a process of its own.
    """
    for variant, (config, options) in VARIANTS.items():
        epochs = COMPILED_EPOCHS if options == COMPILED else EPOCHS
        with runs.workplace() as folder:
            _variant(folder, variant, config, options, max(1, round(epochs * scale)), outcome)
    outcome.remark = f"every {FRESH_EVERY}th by the real command, the others forked; compiled runs stop at their groups"
    outcome.check()


def _variant(folder: Path, variant: str, config: str, options: tuple[str, ...], epochs: int, outcome: Outcome) -> None:
    common = ("--no-plots", "--set", f"epochs={epochs}", *options)
    start = command("train", f"{config}.yaml", "--set", "name=whole", *common)
    ended = Child(_keeping(folder / "steps", start), folder).wait(300)
    path = folder / "checkpoints" / "whole"
    wanted, resolved = runs.state(path), (path / "config.yaml").read_text()
    resume = ("train", "checkpoints/whole", "--resume", "--no-plots")
    for number, saved in enumerate(sorted((folder / "steps").iterdir())):
        shutil.rmtree(path)
        path.mkdir()
        shutil.copy(saved, path / "last.pt")
        (path / "config.yaml").write_text(resolved.replace("steps: 1", "steps: 1000000"))
        process = fresh(folder, *resume) if number % FRESH_EVERY == 0 else Child(command(*resume), folder)
        ended = process.wait(180)
        same = ended.code == 0 and runs.state(path) == wanted
        outcome.count(None if same else f"{variant}, {saved.name}: {ended.code} {ended.errors[-200:]}")


def _keeping(target: Path, work: Callable[[], None]) -> Callable[[], None]:
    """In the child, keep a copy of each `last.pt`, the last one's apart."""
    target.mkdir()

    def save(path: Path, checkpoint: Checkpoint) -> None:
        save_checkpoint(path, checkpoint)
        if checkpoint.training is not None:
            shutil.copy(path, target / f"{checkpoint.training['step']:05d}.pt")

    def keeping() -> None:
        vars(recorders)["save_checkpoint"] = save
        work()

    return keeping
