"""Tests that each part of a checkpoint is needed: without it, a resumed run ends differently, or is rejected."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch

from nnclassify.config.run_config import load_config
from nnclassify.runs.checkpoint import content_digest, plain
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.trainer import Observer, Trainer
from reliability import runs
from reliability.outcome import Outcome

PARTS = ("model", "averaged", "optimizers", "scaler", "step", "batch", "totals", "best", "best_epoch", "random")
STOP = 17
"""In the third epoch of four: there is a best one by then, and a batch position."""


class _StopAt(Observer):
    def __init__(self, step: int) -> None:
        self.step = step

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        if trainer.step == self.step:
            trainer.request_stop(15)


def test_parts_left_out(scale: float, outcome: Outcome) -> None:
    """Saved parts left out in turn, each noticed.

    One resume for each part, with that part as a new trainer has it.
    """
    with runs.workplace() as folder, contextlib.chdir(folder):
        ended = _trainer_at_its_end()
        whole, same = _state(ended), _resumed(None)
        if ended.best_epoch > 2:
            raise RuntimeError("the best epoch must be over before the stop, or leaving it out shows nothing: new seed")
        outcome.count(None if same == whole else "with every part, the resumed run ended elsewhere")
        for part in PARTS:
            outcome.count(None if _resumed(part) != whole else f"without {part}, the resumed run ended the same")
    outcome.remark = "the loss scale is lowered by an overflow before the stop and raised after it"
    outcome.check()


def _trainer(stop: int) -> Trainer:
    changes = ["optimizer.lr=0.3", "scheduler=constant", "dataset.validation=0.3"]
    trainer = build_trainer(build_components(load_config("cnn.yaml", changes).config), [_StopAt(stop)])
    _scaler(trainer)
    return trainer


def _scaler(trainer: Trainer) -> None:
    """The scaler of float16, which here runs without a GPU: the third update overflows, and is left out."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100, growth_interval=4)
    owner: Any = getattr(trainer, "step_function", trainer)
    owner.scaler = scaler
    if hasattr(owner, "scaled"):
        owner.scaled = True


def _trainer_at_its_end() -> Trainer:
    trainer = _trainer(0)
    trainer.fit()
    return trainer


def _state(trainer: Trainer) -> str:
    state = {key: value for key, value in plain(trainer.state()).items() if key != "epoch_seconds"}
    rows = [(row.epoch, row.train_loss, row.train_accuracy, row.validation_loss, row.lr) for row in trainer.rows]
    return content_digest([state, rows])


def _resumed(left_out: str | None) -> str:
    stopped, path = _trainer(STOP), Path("state.pt")
    stopped.fit()
    torch.save(plain(stopped.state()), path)
    state: dict[str, Any] = torch.load(path, weights_only=True)
    torch.manual_seed(1)
    trainer = _trainer(0)
    if left_out is not None:
        state[left_out] = plain(trainer.state())[left_out]
    try:
        trainer.load_state(state, stopped.rows)
        trainer.fit()
    except (RuntimeError, ValueError, IndexError) as refused:
        return repr(refused)
    return _state(trainer)
