"""How to train, apart from what: what the trainer is told beside network, loss, optimizers and data."""

from __future__ import annotations

from dataclasses import dataclass

from nnclassify.data.transform import Tta
from nnclassify.optim.averaging import Averaging
from nnclassify.schedulers import Scheduler


@dataclass(frozen=True)
class Recipe:
    """How to train, apart from what.

    Attributes:
        epochs: Passes over the training examples.
        batch_size: Examples per update; the last batch of an epoch may have fewer.
        scheduler: The factor on every learning rate.
        clip_grad_norm: Largest norm of the gradient; None: any.
        averaging: The average of the weights that is evaluated; None: the weights themselves are.
        tta: Views that outputs are averaged over in validation.
        patience: Epochs without a better validation figure before the run stops; None: never.
        select_by: The metric of validation that decides which epoch is best.
        may_select: Whether there is a split that may choose; without one the last epoch is the best.
        report_steps: Observers are told at each multiple of this many updates; None: after each chunk.
    """

    epochs: int
    batch_size: int
    scheduler: Scheduler
    clip_grad_norm: float | None = None
    averaging: Averaging | None = None
    tta: Tta = "none"
    patience: int | None = None
    select_by: str = "accuracy"
    may_select: bool = True
    report_steps: int | None = None
