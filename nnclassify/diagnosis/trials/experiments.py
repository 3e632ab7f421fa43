"""Two short experiments: a learning-rate range test, and whether the network can overfit one batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor, nn

from nnclassify.data.batches import Batches, prepared
from nnclassify.diagnosis.trials.runner import step_seconds
from nnclassify.evaluation.totals import exact
from nnclassify.training.build import Components, build_trainer

EXPERIMENT_SECONDS = 2.0
"""Target time of an experiment. Its number of steps follows from the cost of a step, not from a clock."""
RANGE_STEPS, BATCH_STEPS, MIN_STEPS = 120, 300, 40
"""Steps of the experiments. If fewer than the minimum would fit, the network is too slow for them."""
SMOOTHING = 0.9
"""Weight of the earlier losses in the moving average that is plotted: the loss of a single batch is mostly noise."""
RISEN = 4.0
"""The range test ends when the loss exceeds its minimum by this factor."""
FALLS, FIRST = 0.98, 0.1
"""If the loss never falls below the first fraction of its least in the first tenth, at rates that are far too low to
change anything, no learning rate is suggested: single batches differ by more than a poor rate gains."""
SAFETY = 0.1
"""Where the loss is lowest it is about to increase; a tenth of that learning rate is safe (Howard and Gugger, fastai,
2020)."""
BATCH = 32


@dataclass(frozen=True)
class RangeTest:
    """A learning-rate range test: one run whose learning rate grows exponentially.

    Smith, Cyclical learning rates for training neural networks, 2017 (arXiv:1506.01186), section 3.3.

    Attributes:
        rates: The learning rate of each update.
        losses: The smoothed training loss at each learning rate.
        suggested: A learning rate to train with; None if no learning rate reduced the loss.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float | None


def range_test(components: Components, low: float, high: float) -> RangeTest | None:
    """Train freshly built components from learning rate `low` toward `high` until the loss increases.

    None if the network is too slow for it.
    """
    num_steps = _steps_within(components, RANGE_STEPS)
    if num_steps < MIN_STEPS:
        return None
    trainer = build_trainer(_eager(components))
    grid = torch.logspace(math.log10(low), math.log10(high), num_steps, dtype=torch.float64).tolist()
    rates: list[float] = []
    losses: list[float] = []
    smoothed = 0.0
    batches = _forever(trainer.train_batches)
    for number, (rate, (inputs, targets)) in enumerate(zip(grid, batches, strict=False), start=1):
        _, batch_losses = trainer.step_function.run(inputs, targets, [rate / components.config.optimizer.lr], [0.0])
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * float(batch_losses.mean())
        loss = smoothed / (1 - SMOOTHING**number)
        if not math.isfinite(loss) or (losses and loss > RISEN * min(losses)):
            break
        rates.append(rate)
        losses.append(loss)
    return RangeTest(tuple(rates), tuple(losses), suggested_rate(rates, losses))


def suggested_rate(rates: list[float], losses: list[float]) -> float | None:
    """Return a tenth of the learning rate at which the loss is lowest, rounded to two digits."""
    if not losses or min(losses) > FALLS * min(losses[: math.ceil(FIRST * len(losses))]):
        return None
    return float(f"{SAFETY * rates[losses.index(min(losses))]:.2g}")


def overfit_one_batch(components: Components) -> float | None:
    """Return the accuracy that freshly built components reach on a single batch, without dropout.

    None: too slow here. A network that cannot do it has a broken part or settings that keep it from learning anything
    (Karpathy, A recipe for training neural networks, 2019: "overfit one batch").
    """
    train = components.splits.train
    rows = train.spaced_rows(BATCH)
    components = _eager(replace(components, config=components.config.model_copy(update={"batch_size": len(rows)})))
    for module in components.model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    num_steps = _steps_within(components, BATCH_STEPS)
    if num_steps < MIN_STEPS:
        return None
    trainer = build_trainer(components)
    inputs, targets = prepared(train, rows, components.transform, components.placement)
    outputs = torch.zeros(0)
    for _ in range(num_steps):
        outputs, _ = trainer.step_function.run(inputs, targets, [1.0], [0.0])
    return float(exact(components.loss_fn.predictions(outputs), targets).double().mean())


def _eager(components: Components) -> Components:
    return replace(components, config=components.config.model_copy(update={"compile": "off"}))


def _steps_within(components: Components, most: int) -> int:
    return min(most, int(EXPERIMENT_SECONDS / step_seconds(components)))


def _forever(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches, epoch after epoch, without end."""
    for epoch in count(1):
        for chunk in batches.epoch(epoch):
            yield from chunk.batches()
