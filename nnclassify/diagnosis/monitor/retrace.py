"""Find where the first non-finite number came from, by repeating the last steps from a good state."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.diagnosis.measure import module_outputs
from nnclassify.diagnosis.monitor import pages
from nnclassify.schedulers import ScheduleState
from nnclassify.seeds import random_state, set_random_state
from nnclassify.training.step import StepFunction
from nnclassify.training.trainer import Trainer


@dataclass(frozen=True)
class Origin:
    """The first value that was not finite.

    Attributes:
        step: The update, from 1.
        kind: What came first: input, weight, activation, loss or gradient.
        layer: Where; None for the input and the loss.
    """

    step: int
    kind: str
    layer: str | None

    def text(self) -> str:
        """Return the origin in words."""
        return f"step {self.step}: first not finite was the {self.kind}" + (f" of {self.layer}" if self.layer else "")


def state_copy(trainer: Trainer) -> dict[str, Any]:
    """Return a copy of the state of the trainer that later steps do not change."""
    return copy.deepcopy(trainer.state())


def retrace(trainer: Trainer, state: dict[str, Any]) -> Origin | None:
    """Repeat the steps from a good state and check each one; None if everything stays finite.

    The trainer is left at the step that went wrong, the random state as it was.
    """
    random, rows = random_state(), list(trainer.rows)
    trainer.load_state(state, rows[: state["epoch"] - 1])
    step_function, step, first_batch = trainer.step_function.alone(), state["step"], state["batch"]
    try:
        for epoch in range(state["epoch"], len(rows) + 2):
            losses = [row.scheduler_loss for row in rows[: epoch - 1]]
            step_function.begin_epoch(epoch)
            for chunk in trainer.train_batches.epoch(epoch, first_batch, trainer.plan.group_size):
                for inputs, targets in chunk.batches():
                    found = _train_step(trainer, step_function, inputs, targets, trainer.schedule_state(step, losses))
                    step += 1
                    if found is not None:
                        return Origin(step, *found)
            first_batch = 0
    finally:
        set_random_state(random)
    return None


def _train_step(
    trainer: Trainer, step_function: StepFunction, inputs: Tensor, targets: Tensor, schedule_state: ScheduleState
) -> tuple[str, str | None] | None:
    """Take one step of the run, and look at each of its parts.

    Returns:
        What was not finite, and where.
    """
    if not inputs.isfinite().all():
        return "input", None
    state = step_function.functional_state()
    with module_outputs(trainer.model) as seen:
        _, losses, gradients = step_function.gradients(state, inputs, targets)
    names = [name for of_group in state.learned for name in of_group]
    found = _first(trainer.model, seen, losses, dict(zip(names, gradients, strict=True)))
    if found is not None:
        # With a loss scale, such a gradient only lowers the scale, and nothing is updated.
        is_left_out = trainer.step_function.scaled and found[0] == "gradient"
        return None if is_left_out else found
    factor = trainer.recipe.scheduler.factor(schedule_state)
    trainer.set_lr(factor)
    step_function.update(state, gradients, state.rates(factor), trainer.decay(schedule_state.step))
    bad = _not_finite(dict(trainer.model.named_parameters()))
    return None if bad is None else ("weight, after the update,", bad)


def _first(
    model: nn.Module, seen: Mapping[str, Tensor], losses: Tensor, gradients: Mapping[str, Tensor]
) -> tuple[str, str | None] | None:
    """Return the first value that is not finite, in the order of a step: activations, the loss, gradients."""
    if (name := _not_finite(seen)) is not None:
        return "activation", name
    if not losses.isfinite().all():
        return "loss", None
    backward = [name for name, _ in model.named_parameters() if name in gradients][::-1]
    bad = _not_finite({name: gradients[name] for name in backward})
    return None if bad is None else ("gradient", bad)


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    return next((name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()), None)


def finding_for(origin: Origin, lr: float) -> Finding:
    """Return the finding for an origin."""
    if origin.kind == "input":
        return Finding(pages.NOT_FINITE, "fault", Evidence(origin.text(), origin.step), path="dataset")
    change = {"optimizer.lr": float(f"{lr / 10:.3g}")}
    evidence = Evidence(origin.text(), origin.step)
    return Finding(pages.NOT_FINITE, "fault", evidence, path="optimizer.lr", layer=origin.layer, change=change)
