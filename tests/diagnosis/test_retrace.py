"""Tests that the retrace after a divergence takes the same steps as the run, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from builders import BLOBS, trainer_of
from torch import Tensor

from nnclassify.diagnosis.monitor.retrace import retrace, state_copy
from nnclassify.errors import TrainingError
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

FIRST_LAYER = "hidden_0_linear.*"
STOPS_LEARNING = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "groups": [{"match": FIRST_LAYER, "epochs": 1}]}


class StopAfter(Observer):
    """Asks to stop after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Ask."""
        if row.epoch == self.epoch:
            trainer.request_stop(15)


@pytest.mark.parametrize(
    "values",
    [
        {"lookahead": {"every": 2}},
        {"optimizer": STOPS_LEARNING},
        {"optimizer": "muon", "clip_grad_norm": 0.1, "ema": 0.9, "scheduler": "cosine"},
        {"scheduler": {"name": "plateau", "patience": 1}, "model": {"name": "mlp", "hidden": [8], "dropout": 0.3}},
        {"loss": {"name": "cross_entropy", "class_weights": "balanced"}, "precision": "bfloat16"},
    ],
)
def test_steps_are_retaken_to_the_bit(values: dict[str, Any]) -> None:
    _, whole = trainer_of(epochs=3, **values)
    whole.fit()
    _, stopped = trainer_of(epochs=3, **values)
    start = state_copy(stopped)
    stopped.observers = [StopAfter(epoch=2)]
    stopped.fit()
    assert retrace(stopped, start) is None  # the rest of the run, and nothing in it is wrong
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(stopped.model.state_dict()[name], weight), name


def test_what_has_stopped_learning_is_no_cause() -> None:
    """The loss breaks where the first layer learns after its epoch; the run breaks at its 7th gradient."""
    values = {"dataset": {**BLOBS, "validation": 0}, "optimizer": STOPS_LEARNING, "epochs": 3}
    _, sound = trainer_of(**values)
    sound.fit()
    _, trainer = trainer_of(**values)
    first, last = (one.model.get_parameter("hidden_0_linear.weight") for one in (trainer, sound))
    start, initial, losses = state_copy(trainer), first.detach().clone(), trainer.loss_fn.losses
    seen_last = 0

    def broken(*given: Any) -> Tensor:
        nonlocal seen_last
        seen_last = 0 if torch.equal(first, initial) else seen_last + torch.equal(first, last)
        loss = losses(*given)
        if seen_last and not torch.equal(first, last):
            return loss * torch.inf
        # The slope of a root at 0 is infinite, its value is not.
        return loss.detach() + (loss - loss.detach()).sqrt() if seen_last == 3 else loss

    object.__setattr__(trainer.loss_fn, "losses", broken)
    with pytest.raises(TrainingError):
        trainer.fit()
    origin = retrace(trainer, start)
    assert origin is not None and (origin.step, origin.kind) == (7, "gradient")
