"""How long to train, and in what batches: fitted to the number of examples and to the machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnclassify.config.suggest.document import Entry
from nnclassify.process import num_cores

CORE_FLOPS, GPU_FLOPS = 20e9, 5e12
"""Operations per second that training reaches, as an estimate: of a CPU core, and of a GPU."""
MAX_SECONDS = 300.0
"""Estimated seconds that a suggested run may take: a first result is soon there, and `epochs` is easily raised."""
MIN_EPOCHS, MAX_EPOCHS = 10, 300
IMAGE_STEPS, TABLE_STEPS, SMALL_TABLE_STEPS, WIDE_TABLE_STEPS, LINEAR_STEPS = 1500, 3000, 2000, 700, 2000
"""Updates to aim for: by then, small networks have converged, and on small, wide tables have not yet memorized."""
LINEAR_LR, MAX_LINEAR_LR = 0.1, 10.0
"""Learning rate of a linear model of few classes, and the maximum times the number of features, where larger ones
diverge."""
DISCRIMINANT_LR = 0.01
"""Learning rate of a linear model that starts as the discriminant: it has little left to learn, and larger steps lead
away from what it knows (`benchmarks/own_tables.md`)."""
SURE = 500
"""Validation examples from which on their accuracy tells epochs apart; the log loss does with fewer."""
UNBALANCED = 8
"""Classes are weighted where the most common one has this many times the examples of the rarest one."""


@dataclass(frozen=True)
class Recipe:
    """Batch size and epochs.

    Attributes:
        batch_size: Examples per update.
        epochs: Passes over the training split.
        seconds: The estimated time of the run.
        linear_lr: The learning rate of a linear model, which does not memorize, but takes large steps to converge from
            random weights. None: the recipe is for another model.
    """

    batch_size: int
    epochs: int
    seconds: float
    linear_lr: float | None = None

    @property
    def is_slow(self) -> bool:
        """Whether even the fewest epochs take longer than a suggested run may."""
        return self.seconds > MAX_SECONDS

    def entries(self) -> list[Entry]:
        """Return the keys of the config: how the weights are updated, for how long, and in what batches."""
        minutes = self.seconds / 60
        took = "under a minute" if minutes < 1 else f"about {minutes:.0f} min"
        optimizer: dict[str, Any] = {"name": "adamw", "lr": 0.002, "weight_decay": 0.01}
        if self.linear_lr is not None:
            optimizer = {"name": "sgd", "lr": self.linear_lr, "momentum": 0.9}
        return [
            Entry("optimizer", optimizer),
            Entry("scheduler", "one_cycle"),
            Entry("epochs", self.epochs, f"{took} on this machine, estimated"),
            Entry("batch_size", self.batch_size),
        ]


def recipe_for(num_examples: int, multiply_adds: float, steps: int) -> Recipe:
    """Fit batch size and epochs to a training split and to the machine.

    Args:
        num_examples: Training examples.
        multiply_adds: Multiplications of one example's forward pass; a training step takes three times as many,
            and an addition goes with each.
        steps: Updates to aim for.
    """
    batch_size = next(
        (size for size, limit in ((16, 500), (32, 4_000), (64, 20_000), (128, 50_000)) if num_examples < limit), 256
    )
    wanted = max(MIN_EPOCHS, min(MAX_EPOCHS, -(-steps * batch_size // num_examples)))
    epoch_seconds = 6 * multiply_adds * num_examples / machine_flops()
    affordable = int(MAX_SECONDS / max(epoch_seconds, 1e-9))
    epochs = max(MIN_EPOCHS, min(wanted, affordable))
    return Recipe(batch_size, epochs, epochs * epoch_seconds)


def linear_lr(num_features: int, num_classes: int) -> float:
    """Return the learning rate of a linear model of standardized features.

    K classes that fill a space of d dimensions are about K^(-1/d) apart. The weights that separate neighbors grow with
    the inverse square of their distance, and so do the steps that reach them in as many updates. The constants are the
    best of several on 51 tables.
    """
    num_features = max(1, num_features)
    wanted = LINEAR_LR * math.pow(num_classes, 2 / num_features) / 2
    return round(max(LINEAR_LR, min(wanted, MAX_LINEAR_LR / num_features)), 2)


def machine_flops() -> float:
    """Estimated operations per second of the device that `device: auto` takes."""
    import torch

    return GPU_FLOPS if torch.cuda.is_available() else CORE_FLOPS * num_cores()


def is_unbalanced(class_counts: Sequence[int]) -> bool:
    """Return whether the most common class has many times the examples of the rarest one."""
    return max(class_counts) >= UNBALANCED * max(1, min(class_counts))


def loss_entries(class_counts: Sequence[int], num_validation: float = SURE) -> list[Entry]:
    """Return the loss, weighted by class where the classes are unbalanced, and what to select the best epoch by.

    Args:
        class_counts: The examples of each class.
        num_validation: The validation examples; 0 if nothing is selected.
    """
    if not is_unbalanced(class_counts):
        few = "with few validation examples, the log loss tells epochs apart better than the accuracy"
        by_loss = [Entry("select_by", "log_loss", few)] if 0 < num_validation < SURE else []
        return [Entry("loss", "cross_entropy"), *by_loss]
    by_class = Entry("select_by", "balanced_accuracy", "the mean over classes of the accuracy per class")
    most, fewest = max(class_counts), max(1, min(class_counts))
    ratio = f"the most common class has {most / fewest:.0f} times the examples of the rarest"
    return [
        Entry("loss", {"name": "cross_entropy", "class_weights": "balanced"}, f"{ratio}; all count the same"),
        *([by_class] if num_validation else []),
    ]
