"""The scheduler family: the factor applied to the learning rate at each step.

A schedule is a pure function of the step (and, for plateau, of the losses so far), so it has no state to save and
resumes exactly. The factor is set before every optimizer step.
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
class ScheduleState:
    """The progress of training.

    Attributes:
        step: Number of optimizer steps so far.
        total_steps: Number of optimizer steps in the run.
        steps_per_epoch: Number of optimizer steps per epoch.
        losses: Validation loss of each completed epoch; training loss if there is no validation split.
    """

    step: int
    total_steps: int
    steps_per_epoch: int
    losses: Sequence[float] = field(default=())


class Scheduler(Settings):
    """Options that every scheduler has."""

    warmup: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    """Linear warmup from zero over this many epochs; fractions are allowed."""

    def factor(self, state: ScheduleState) -> float:
        """Return the learning rate factor of the next optimizer step."""
        warmup_steps = round(self.warmup * state.steps_per_epoch)
        if state.step < warmup_steps:
            return (state.step + 1) / warmup_steps
        return self.multiplier(state, (state.step - warmup_steps) / max(1, state.total_steps - warmup_steps))

    def first_drop(self) -> int | None:
        """Return the number of epochs before the first drop, or None if the factor does not drop in steps."""
        return None

    @abstractmethod
    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return the factor after warmup; `progress` increases from 0 to 1 over the rest of the run."""


class EpochScheduler(Scheduler):
    """A scheduler that counts epochs or optimizer steps."""

    unit: Literal["epoch", "step"] = "epoch"
    """Whether the other options count epochs or optimizer steps."""

    def count(self, state: ScheduleState) -> int:
        """Return the number of completed epochs or steps."""
        return state.step if self.unit == "step" else state.step // state.steps_per_epoch


class Constant(Scheduler):
    """A constant learning rate."""

    name: Literal["constant"] = "constant"

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return 1."""
        return 1.0


class Step(EpochScheduler):
    """Multiply the learning rate by gamma every `every` epochs."""

    name: Literal["step"] = "step"
    every: PositiveInt = 10
    """Period of learning rate decay."""
    gamma: Factor = 0.1
    """Multiplicative factor of learning rate decay."""

    def first_drop(self) -> int | None:
        """Return `every`, if it counts epochs."""
        return self.every if self.unit == "epoch" else None

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return gamma^(epochs // every)."""
        return float(self.gamma ** (self.count(state) // self.every))


class MultiStep(EpochScheduler):
    """Multiply the learning rate by gamma at each milestone."""

    name: Literal["multistep"] = "multistep"
    milestones: Annotated[list[PositiveInt], Field(min_length=1)]
    """Epochs after which the learning rate decays, in increasing order."""
    gamma: Factor = 0.1
    """Multiplicative factor of learning rate decay."""

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, milestones: list[int]) -> list[int]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("ascending epochs")
        return milestones

    def first_drop(self) -> int | None:
        """Return the first milestone, if it counts epochs."""
        return self.milestones[0] if self.unit == "epoch" else None

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return gamma^(number of milestones passed)."""
        return float(self.gamma ** sum(milestone <= self.count(state) for milestone in self.milestones))


class Exponential(EpochScheduler):
    """Multiply the learning rate by gamma every epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Factor = 0.95
    """Multiplicative factor of learning rate decay."""

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return gamma^epochs."""
        return float(self.gamma ** self.count(state))


class Cosine(Scheduler):
    """Cosine annealing from the initial learning rate to `end` times it (Loshchilov and Hutter, 2016,
    arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    end: FactorOrZero = 0.0
    """Factor of the learning rate at the end of the run."""

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return end + (1 - end) (1 + cos(pi progress)) / 2."""
        return _cosine(1.0, self.end, progress)


class Linear(Scheduler):
    """Linear decay from the initial learning rate to `end` times it."""

    name: Literal["linear"] = "linear"
    end: FactorOrZero = 0.0
    """Factor of the learning rate at the end of the run."""

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return 1 - (1 - end) progress."""
        return 1.0 - (1.0 - self.end) * progress


class OneCycle(Scheduler):
    """The 1cycle policy: increase to the learning rate, then decay to almost zero (Smith, 2018, arXiv:1803.09820);
    torch's defaults."""

    name: Literal["one_cycle"] = "one_cycle"
    peak: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Fraction of the run spent increasing the learning rate (torch's pct_start)."""
    start: Factor = 0.04
    """Factor of the learning rate at the start of the run."""
    end: FactorOrZero = 4e-6
    """Factor of the learning rate at the end of the run."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """Annealing strategy: cosine or linear."""

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Increase from `start` to 1 at `peak`, then decrease to `end` at the last step."""
        slope = _cosine if self.anneal == "cosine" else _line
        if progress < self.peak:
            return slope(self.start, 1.0, progress / self.peak)
        return slope(1.0, self.end, (progress - self.peak) / (1 - self.peak))


class Plateau(Scheduler):
    """Reduce the learning rate when a loss has stopped improving: the validation loss, or without a validation split
    the training loss."""

    name: Literal["plateau"] = "plateau"
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor by which the learning rate is reduced."""
    patience: PositiveInt = 5
    """Number of epochs without improvement after which the learning rate is reduced."""
    threshold: NonNegativeFloat = 1e-4
    """Relative threshold: how much lower than the best loss, as a fraction of it, counts as an improvement."""
    end: Factor = 1e-4
    """Lower bound of the factor of the learning rate."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield an error if the lower bound is 1."""
        if self.end == 1:
            yield "end", "found 1, so the learning rate never decreases; lower end, or use scheduler: constant"

    def first_drop(self) -> int | None:
        """Return the earliest possible drop: the first epoch has the best loss, and all later ones are worse."""
        return self.patience + 2

    def multiplier(self, state: ScheduleState, progress: float) -> float:
        """Return gamma^(number of reductions so far), from the losses alone."""
        best, waited, factor = math.inf, 0, 1.0
        for loss in state.losses:
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
