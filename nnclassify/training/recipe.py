"""The settings of the training loop, apart from network, loss, optimizers and data."""

from __future__ import annotations

from dataclasses import dataclass

from nnclassify.data.transform import Tta
from nnclassify.optim.averaging import Averaging
from nnclassify.schedulers import Scheduler


@dataclass(frozen=True)
class Recipe:
    """The settings of the training loop.

    Attributes:
        epochs: Number of passes over the training examples.
        batch_size: Examples per update; the last batch of an epoch may have fewer.
        scheduler: The scheduler; its factor applies to every learning rate.
        clip_grad_norm: Maximum norm of the gradient; None for no limit.
        averaging: The average of the weights that is evaluated; None to evaluate the weights themselves.
        tta: Test-time augmentation in validation.
        patience: Number of epochs without improvement after which the run stops; None for never.
        select_by: The validation metric that selects the best epoch.
        may_select: Whether there is a validation split to select by; otherwise, the last epoch is the best.
        report_steps: Observers are called at each multiple of this many steps; None to call them after each chunk.
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
