"""The tensors that an update reads and changes: weights, their average, optimizer states; and the network over them.

A step written in terms of these, rather than of modules and optimizers, can run on the network's own tensors, or be
traced with others and compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import cast

import torch
from torch import Tensor, nn, optim

from nnclassify.models.layers import BATCH_NORMS
from nnclassify.optim.averaging import Averaging, Weights
from nnclassify.optim.rates import Rate
from nnclassify.optim.update_rules import Group, States, groups_of


@dataclass(frozen=True)
class FunctionalState:
    """A network and its optimizers as tensors.

    Attributes:
        forward: The network in training mode: inputs `(B, ...)` to outputs `(B, num_outputs)`.
        groups: The parameter groups that are trained in this epoch, with their update rules.
        learned: The names of each group's parameters.
        weights: The network's parameters and buffers.
        averages: The averaged parameters and buffers; None without an average.
        states: The optimizer states of each group.
        frozen_norms: The batch norm layers of a body that does not learn yet: their statistics stay as they are.
    """

    forward: Callable[[Tensor], Tensor]
    groups: list[Group]
    learned: list[list[str]]
    weights: Weights
    averages: Weights | None
    states: list[States]
    frozen_norms: list[nn.Module] = field(default_factory=list)

    @classmethod
    def of(
        cls, model: nn.Module, averaged: nn.Module | None, optimizers: Sequence[optim.Optimizer], epoch: int
    ) -> FunctionalState:
        """Return a network's own tensors. Call it again after an optimizer's `load_state_dict`, which replaces its
        tensors."""
        every = [group for optimizer in optimizers for group in groups_of(optimizer)]
        groups = [group for group in every if group.learns_in(epoch)]
        names = {parameter: name for name, parameter in model.named_parameters()}
        return cls(
            forward=model,
            groups=groups,
            learned=[[names[parameter] for parameter in group.parameters] for group in groups],
            weights=Weights.of(model),
            averages=None if averaged is None else Weights.of(averaged),
            states=[group.states() for group in groups],
            frozen_norms=_norms_of(model, [group for group in every if epoch < group.first_epoch]),
        )

    def same_as(self, other: FunctionalState) -> bool:
        """Return whether both consist of the same tensor objects and train the same parameters."""
        if self.learned != other.learned or len(self.tensors) != len(other.tensors):
            return False
        return all(mine is theirs for mine, theirs in zip(self.tensors, other.tensors, strict=True))

    def described(self) -> str:
        """Return a text that identifies the trained parameters and their updates, except for the learning rates."""
        facts = zip(self.groups, self.learned, strict=True)
        return repr([(type(group.optimizer).__name__, sorted(group.options.items()), names) for group, names in facts])

    def optimizer_without_rule(self) -> str | None:
        """Return an optimizer that has no functional update, which requires eager steps, or None if all have one."""
        return next((type(group.optimizer).__name__ for group in self.groups if group.rule is None), None)

    def parameters(self) -> list[Tensor]:
        """Return the trained parameters, group by group."""
        return [self.weights.parameters[name] for names in self.learned for name in names]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """Every tensor once, in a fixed order."""
        states = [tensor for group in self.states for state in group for tensor in state]
        averages = [] if self.averages is None else self.averages.all().values()
        return [*self.weights.all().values(), *averages, *states]

    @cached_property
    def names(self) -> list[str]:
        """Names of `tensors`, for messages."""
        weights = list(self.weights.all())
        averages = [] if self.averages is None else [f"the average of {name}" for name in self.averages.all()]
        groups = zip(self.groups, self.learned, strict=True)
        states = [f"{state} of {name}" for group, names in groups for state in group.names for name in names]
        return [*weights, *averages, *states]

    def over(self, model: nn.Module, tensors: Sequence[Tensor]) -> FunctionalState:
        """Return the same state over other tensors, given in the order of `tensors`."""
        given = iter(tensors)

        def alike(weights: Weights) -> Weights:
            taken = ({name: next(given) for name in names} for names in (weights.parameters, weights.buffers))
            return Weights(*taken)

        weights = alike(self.weights)
        averages = None if self.averages is None else alike(self.averages)
        states = [[[next(given) for _ in state] for state in group] for group in self.states]
        forward = cast(Callable[[Tensor], Tensor], partial(torch.func.functional_call, model, weights.all()))
        return replace(self, forward=forward, weights=weights, averages=averages, states=states)

    def rates(self, factor: float) -> list[float]:
        """Return the learning rate of each group at a scheduler's factor."""
        return [group.initial_lr * factor for group in self.groups]

    def update(self, gradients: Sequence[Tensor], rates: Sequence[Rate]) -> None:
        """Update parameters and states in place, each group with its own learning rate."""
        left: Iterator[Tensor] = iter(gradients)
        for group, names, states, rate in zip(self.groups, self.learned, self.states, rates, strict=True):
            parameters = [self.weights.parameters[name] for name in names]
            group.update(parameters, [_laid_out_as(parameter, next(left)) for parameter in parameters], states, rate)

    def average(self, averaging: Averaging | None, decay: Rate) -> None:
        """Update the average of the weights in place, if there is one."""
        if averaging is not None and self.averages is not None:
            averaging.update(self.averages, self.weights, decay)


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient in the memory layout of its parameter: torch's fused optimizers take it for granted.

    A sum over processes, for one, is laid out row by row, and the weights of convolutions are channels last.
    """
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def _norms_of(model: nn.Module, groups: Sequence[Group]) -> list[nn.Module]:
    """Return the batch norm layers whose parameters are all in some groups."""
    found = {id(parameter) for group in groups for parameter in group.parameters}
    norms = [module for module in model.modules() if isinstance(module, BATCH_NORMS)]
    return [norm for norm in norms if {id(parameter) for parameter in norm.parameters()} & found]
