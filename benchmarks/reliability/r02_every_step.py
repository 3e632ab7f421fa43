"""R2: a resume after every step ends as the run that never stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability import runs
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.processes import Child, call, command
from nnclassify import observers
from nnclassify.checkpoint import Checkpoint, save_checkpoint

EPOCHS = 36
"""Of seven steps: 252 resumes for each of four runs."""
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mlp": ("mlp", ()),
    "mlp with average and one-cycle": ("mlp", ("--set", "ema=0.95", "--set", "scheduler=one_cycle")),
    "cnn with augmentation, average, cosine": ("cnn", ()),
    "cnn with muon": ("cnn", ("--set", "optimizer=muon", "--set", "scheduler=linear")),
}


def run(scale: float) -> Outcome:
    """Four runs; each saved after every step, and resumed from each save in a process of its own."""
    outcome = Outcome("R2", "resumes after every step, each in a new process, bit for bit")
    for variant, (config, options) in VARIANTS.items():
        with runs.workplace() as folder:
            _variant(folder, variant, config, options, max(1, round(EPOCHS * scale)), outcome)
    outcome.remark = "processes are forked from one that has imported torch; there are no loader workers to vary"
    return outcome


def _variant(folder: Path, variant: str, config: str, options: tuple[str, ...], epochs: int, outcome: Outcome) -> None:
    common = ("--no-plots", "--set", f"epochs={epochs}", *options)
    start = command("train", f"{config}.yaml", "--set", "name=whole", *common)
    ended = Child(_keeping(folder / "steps", start), folder).wait(300)
    path = folder / "checkpoints" / "whole"
    wanted, resolved = runs.state(path), (path / "config.yaml").read_text()
    for saved in sorted((folder / "steps").iterdir()):
        shutil.rmtree(path)
        path.mkdir()
        shutil.copy(saved, path / "last.pt")
        (path / "config.yaml").write_text(resolved.replace("steps: 1", "steps: 1000000"))
        ended = call(folder, "train", "checkpoints/whole", "--resume", "--no-plots", seconds=120)
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
        vars(observers)["save_checkpoint"] = save
        work()

    return keeping
