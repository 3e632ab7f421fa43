"""Tests that one, two and four processes reach the same losses on the same global batches."""

from __future__ import annotations

from pathlib import Path

import torch

from nnclassify.runs.checkpoint import load_checkpoint
from reliability import ranks, runs
from reliability.outcome import Outcome
from reliability.processes import command

TOLERANCE = 1e-9
MAKE_EXACT = ("precision=float64", "model.dropout=0", "compile=off", "epochs=8", "batch_size=15")
"""Dropout differs with the number of processes; the order of a sum does too, which float64 keeps below 1e-9.
Of 108 examples the last batch has three: fewer than four processes."""


def test_agreeing_processes(scale: float, outcome: Outcome) -> None:
    """Epochs whose losses agree to 1e-9 for one, two and four processes.

    64 steps of nets with and without batch norm, with weighted classes; losses and weights compared.
    """
    largest = 0.0
    with runs.workplace() as folder:
        for config in ("mlp", "cnn"):
            found = {size: _trained(folder, config, size) for size in (1, 2, 4)}
            for size in (2, 4):
                for epoch, (one, several) in enumerate(zip(found[1][0], found[size][0], strict=True)):
                    largest = max(largest, abs(one - several))
                    same = abs(one - several) < TOLERANCE
                    outcome.count(None if same else f"{config}, {size} processes, {epoch}: {several} instead of {one}")
                gap = max(float((a - b).abs().max()) for a, b in zip(found[1][1], found[size][1], strict=True))
                outcome.count(None if gap < TOLERANCE else f"{config}, {size} processes: weights differ by {gap:.1e}")
    outcome.remark = f"64 steps in 8 epochs, with and without batch norm; the largest gap of a loss is {largest:.0e}"
    outcome.check()


def _trained(folder: Path, config: str, size: int) -> tuple[list[float], list[torch.Tensor]]:
    name = f"{config}{size}"
    changes = [part for change in (*MAKE_EXACT, f"name={name}") for part in ("--set", change)]
    work = command("train", f"{config}.yaml", "--no-plots", *changes)
    for child in ranks.start(size, work, folder):
        ended = child.wait(120)
        if ended.code != 0:
            raise RuntimeError(f"{size} processes: {ended.code} {ended.errors[-500:]}")
    last = load_checkpoint(folder / "checkpoints" / name / "last.pt")
    losses = [row[key] for row in last.history for key in ("train_loss", "validation_loss")]
    return losses, list(last.model.values())
