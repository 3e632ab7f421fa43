"""Tests of a NaN or infinity in an input, a loss, a gradient or a weight at a random step."""

from __future__ import annotations

import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nnclassify.data.batches import Batches
from nnclassify.losses import LossFunction
from nnclassify.runs.checkpoint import load_checkpoint
from nnclassify.training.trainer import Trainer
from reliability import runs
from reliability.outcome import Outcome
from reliability.processes import Child, Ended, command

SOURCES = {"input": "input", "loss": "the loss", "gradient": "gradient", "weights": "weights"}
"""What is spoiled, and the word that the message must hold."""


def test_nonfinite_values(scale: float, outcome: Outcome) -> None:
    """NaN or infinity at a random step: named, and never saved.

    100 steps; each stops with the step and the source, and the last good checkpoint stays.
    """
    rng = random.Random(12)
    with runs.workplace() as folder:
        for number in range(max(4, round(100 * scale))):
            source, step = [*SOURCES][number % 4], rng.randint(2, runs.STEPS)
            value = rng.choice([math.nan, math.inf])
            config = rng.choice([*runs.CONFIGS])
            # The monitor passes batches through the net too, and the faults below count passes.
            work = command("train", f"{config}.yaml", "--no-plots", "--no-monitor", "--set", "name=run")
            ended = Child(_spoiling(source, step, value, work), folder).wait()
            outcome.count(_problem(folder / "checkpoints" / "run", ended, source, step, f"{config}: {value}"))
            shutil.rmtree(folder / "checkpoints")
    outcome.remark = "a spoiled weight is named as of the update before it"
    outcome.check()


def _problem(path: Path, ended: Ended, source: str, step: int, case: str) -> str | None:
    named = re.search(r"step (\d+): (.*)", ended.errors)
    if ended.code != 3 or named is None or "Traceback" in ended.errors:
        return f"{case} into {source} at {step}: exit code {ended.code}: {ended.errors[-300:]}"
    expected = step - 1 if source == "weights" else step
    if int(named[1]) != expected or SOURCES[source] not in named[2]:
        return f"{case} into {source} at {step}: said {named[0]}"
    training = load_checkpoint(path / "last.pt").training or {}
    return None if training["step"] <= step else f"{case} into {source} at {step}: saved step {training['step']}"


def _spoiling(source: str, step: int, value: float, work: Callable[[], None]) -> Callable[[], None]:
    def spoiling() -> None:
        if source == "input":
            _spoil_input(step, value)
        elif source == "loss":
            _spoil_loss(step, value)
        else:
            _spoil_model(source, step, value)
        work()

    return spoiling


def _spoil_input(step: int, value: float) -> None:
    epoch = Batches.epoch

    def spoiled(self: Batches, number: int, *rest: Any) -> Iterator[Any]:
        for chunk in epoch(self, number, *rest):
            row = (step - 1 - (number - 1) * len(self)) * chunk.batch_size
            if 0 <= row < len(chunk.inputs):
                chunk.inputs[row] = value
            yield chunk

    type.__setattr__(Batches, "epoch", spoiled)


def _spoil_loss(step: int, value: float) -> None:
    call, count = LossFunction.__call__, 0

    def spoiled(self: LossFunction, outputs: Tensor, targets: Tensor) -> Tensor:
        nonlocal count
        losses = call(self, outputs, targets)
        if outputs.requires_grad:
            count += 1
            if count == step:
                return losses * value
        return losses

    type.__setattr__(LossFunction, "__call__", spoiled)


def _spoil_model(source: str, step: int, value: float) -> None:
    fit = Trainer.fit

    def spoiled_fit(self: Trainer) -> None:
        weight = next(self.model.parameters())
        count = 0

        def spoil_weight(module: nn.Module, inputs: Any) -> None:
            nonlocal count
            count += module.training
            if count == step and source == "weights":
                weight.data.fill_(value)

        def spoil_gradient(gradient: Tensor) -> Tensor:
            return gradient * value if count == step else gradient

        self.model.register_forward_pre_hook(spoil_weight)
        if source == "gradient":
            weight.register_hook(spoil_gradient)
        fit(self)

    type.__setattr__(Trainer, "fit", spoiled_fit)
