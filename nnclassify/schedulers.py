"""The scheduler family: the factor on the learning rate at each step.

A schedule is a pure function of the step (and, for plateau, of the losses so far): nothing to save, and a run
that resumes is where it was. The factor is set before every optimizer step.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from nnclassify.settings import ByName, NonNegativeFloat, PositiveInt, Settings

Factor = Annotated[float, Field(gt=0, le=1)]
FactorOrZero = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Clock:
    """Where training stands.

    Attributes:
        step: Optimizer updates so far, from 0.
        total_steps: Updates in the whole run.
        steps_per_epoch: Updates in an epoch.
        losses: The validation loss of each epoch done (the training loss where there is no validation).
    """

    step: int
    total_steps: int
    steps_per_epoch: int
    losses: Sequence[float] = field(default=())


class Scheduler(Settings):
    """What every scheduler has."""

    warmup: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """Epochs, or a part of one, in which the factor rises evenly from zero."""

    def factor(self, clock: Clock) -> float:
        """The factor on the learning rate for the update that comes next."""
        warmup_steps = round(self.warmup * clock.steps_per_epoch)
        if clock.step < warmup_steps:
            return (clock.step + 1) / warmup_steps
        return self.shape(clock, (clock.step - warmup_steps) / max(1, clock.total_steps - warmup_steps))

    def first_drop(self) -> int | None:
        """The number of epochs after which the factor drops for the first time; None: it has no such steps."""
        return None

    @abstractmethod
    def shape(self, clock: Clock, progress: float) -> float:
        """The factor after warm-up; `progress` runs from 0 towards 1 over what is left of the run."""


class EpochScheduler(Scheduler):
    """A scheduler that counts epochs, or steps where asked."""

    unit: Literal["epoch", "step"] = "epoch"
    """What the numbers count."""

    def count(self, clock: Clock) -> int:
        """Epochs or steps done."""
        return clock.step if self.unit == "step" else clock.step // clock.steps_per_epoch


class Constant(Scheduler):
    """The same learning rate throughout."""

    name: Literal["constant"] = "constant"

    def shape(self, clock: Clock, progress: float) -> float:
        """1."""
        return 1.0


class Step(EpochScheduler):
    """Multiply by gamma every `every` epochs."""

    name: Literal["step"] = "step"
    every: PositiveInt = 10
    """Epochs between two drops."""
    gamma: Factor = 0.1
    """The factor of each drop."""

    def first_drop(self) -> int | None:
        """Where epochs are counted."""
        return self.every if self.unit == "epoch" else None

    def shape(self, clock: Clock, progress: float) -> float:
        """gamma^(epochs // every)."""
        return float(self.gamma ** (self.count(clock) // self.every))


class MultiStep(EpochScheduler):
    """Multiply by gamma after each of these epochs."""

    name: Literal["multistep"] = "multistep"
    milestones: Annotated[list[PositiveInt], Field(min_length=1)]
    """Epochs after which the factor drops, ascending."""
    gamma: Factor = 0.1
    """The factor of each drop."""

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, milestones: list[int]) -> list[int]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("ascending epochs")
        return milestones

    def first_drop(self) -> int | None:
        """Where epochs are counted."""
        return self.milestones[0] if self.unit == "epoch" else None

    def shape(self, clock: Clock, progress: float) -> float:
        """gamma^(milestones passed)."""
        return float(self.gamma ** sum(milestone <= self.count(clock) for milestone in self.milestones))


class Exponential(EpochScheduler):
    """Multiply by gamma every epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Factor = 0.95
    """The factor of each epoch."""

    def shape(self, clock: Clock, progress: float) -> float:
        """gamma^epochs."""
        return float(self.gamma ** self.count(clock))


class Cosine(Scheduler):
    """Half a cosine from 1 to `end` over the run (Loshchilov and Hutter, 2016, arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    end: FactorOrZero = 0.0
    """The factor at the end of the run."""

    def shape(self, clock: Clock, progress: float) -> float:
        """end + (1 - end) (1 + cos(pi progress)) / 2."""
        return _cosine(1.0, self.end, progress)


class Linear(Scheduler):
    """A straight line from 1 to `end` over the run."""

    name: Literal["linear"] = "linear"
    end: FactorOrZero = 0.0
    """The factor at the end of the run."""

    def shape(self, clock: Clock, progress: float) -> float:
        """1 - (1 - end) progress."""
        return 1.0 - (1.0 - self.end) * progress


class OneCycle(Scheduler):
    """Up to 1, then down to almost nothing (Smith, 2018, arXiv:1803.09820); torch's defaults."""

    name: Literal["one_cycle"] = "one_cycle"
    peak: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of the run in which the factor rises."""
    start: Factor = 0.04
    """The factor at the start."""
    end: FactorOrZero = 4e-6
    """The factor at the end."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """The form of both slopes."""

    def shape(self, clock: Clock, progress: float) -> float:
        """From start up to 1 at `peak`, down to `end` at the last step."""
        slope = _cosine if self.anneal == "cosine" else _line
        if progress < self.peak:
            return slope(self.start, 1.0, progress / self.peak)
        return slope(1.0, self.end, (progress - self.peak) / (1 - self.peak))


class Plateau(Scheduler):
    """Multiply by gamma when the loss has not fallen for `patience` epochs (validation's, else training's)."""

    name: Literal["plateau"] = "plateau"
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The factor of each drop."""
    patience: PositiveInt = 5
    """Epochs without a better loss before the factor drops."""
    threshold: NonNegativeFloat = 1e-4
    """How much better, as a share of the best loss, counts as better."""
    end: Factor = 1e-4
    """The factor never drops below this."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """The least factor is the first one."""
        if self.end == 1:
            yield "end", "found 1, so that the learning rate never drops; lower end, or use scheduler: constant"

    def first_drop(self) -> int | None:
        """The first epoch has the best loss, and the next ones are worse."""
        return self.patience + 2

    def shape(self, clock: Clock, progress: float) -> float:
        """gamma^(times that patience ran out), from the losses so far alone."""
        best, waited, factor = math.inf, 0, 1.0
        for loss in clock.losses:
            better = loss < best - self.threshold * abs(best) if math.isfinite(best) else True
            best, waited = (loss, 0) if better else (best, waited + 1)
            if waited > self.patience:
                factor, waited = max(self.end, factor * self.gamma), 0
        return factor


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _line(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


AnyScheduler = Annotated[
    Constant | Step | MultiStep | Exponential | Cosine | Linear | OneCycle | Plateau,
    Field(discriminator="name"),
    ByName,
]
