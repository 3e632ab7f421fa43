"""Where the first number that is not finite came from: the epoch is trained again from its start, step by step."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nnclassify.diagnosis import pages_training as pages
from nnclassify.diagnosis.findings import Evidence, Finding, finding_of
from nnclassify.diagnosis.measure import watched
from nnclassify.seeds import random_state, set_random_state
from nnclassify.trainer import Trainer


@dataclass(frozen=True)
class Origin:
    """The first thing that was not finite.

    Attributes:
        step: The update, from 1.
        kind: What came first.
        layer: Where; None for the input and the loss.
    """

    step: int
    kind: str
    layer: str | None

    def text(self) -> str:
        """In words."""
        return f"step {self.step}: first the {self.kind}" + (f" of {self.layer}" if self.layer else "")


def retrace(trainer: Trainer, state: dict[str, Any]) -> Origin | None:
    """Train again from a state that was good, and look at every step; None where all stays finite.

    The trainer is left at the step that went wrong, and the random state as it was.
    """
    random = random_state()
    rows = trainer.rows[: state["epoch"] - 1]
    trainer.load_state(state, rows)
    trainer.model.train()
    try:
        for chunk in trainer.train.epoch(trainer.epoch, trainer.batch):
            for inputs, targets in chunk:
                if (origin := _step(trainer, inputs, targets)) is not None:
                    return origin
    finally:
        set_random_state(random)
    return None


def _step(trainer: Trainer, inputs: Tensor, targets: Tensor) -> Origin | None:
    step = trainer.step + 1
    if not inputs.isfinite().all():
        return Origin(step, "input", None)
    if (name := _not_finite(dict(trainer.model.named_parameters()))) is not None:
        return Origin(step, "weight", name)
    with watched(trainer.model) as seen:
        _, losses = trainer.train_step(inputs, targets)
    if (name := _not_finite(seen)) is not None:
        return Origin(step, "activation", name)
    if not losses.isfinite().all():
        return Origin(step, "loss", None)
    gradients = {
        name: parameter.grad
        for name, parameter in reversed(list(trainer.model.named_parameters()))
        if parameter.grad is not None
    }
    if (name := _not_finite(gradients)) is not None and not trainer.scaler.is_enabled():
        return Origin(step, "gradient", name)
    return None


def _not_finite(tensors: dict[str, Tensor]) -> str | None:
    return next((name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()), None)


def kept(state: dict[str, Any]) -> dict[str, Any]:
    """A copy that later steps do not change."""
    return copy.deepcopy(state)


def finding_for(origin: Origin, lr: float) -> Finding:
    """What to tell of it."""
    change = {} if origin.kind == "input" else {"optimizer.lr": float(f"{lr / 10:.3g}")}
    path = "dataset" if origin.kind == "input" else "optimizer.lr"
    evidence = Evidence(origin.text(), origin.step)
    return finding_of(pages.NOT_FINITE, "fault", evidence, path=path, layer=origin.layer, change=change)
