"""A fast way to take steps, compared with the eager one before it is trusted.

torch's compiler can be wrong without an error, and so can our own decompositions, update rules and CUDA graphs. So the
first steps of every process, on the run's own batches, are taken both ways from the same start:

- One step at a time, outputs, losses, every tensor and the random state must be those of the eager step, but for
  rounding. From the same start there is nothing that could amplify a rounding over many steps.
- A whole group at once must then be the same steps one at a time: bit for bit where it is compiled, and but for
  rounding where it is recorded, since some of CUDA's kernels add in any order.

How far rounding goes is measured: the eager step is taken again from weights and inputs that are off by the rounding
error of one computation. Where a rounding decides (the sign of a gradient that is zero but for rounding, a ReLU or a
maximum between equals), that moves the eager step just as far.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nnclassify.errors import DeviceError
from nnclassify.training.functional_state import FunctionalState

Results = tuple[Tensor, Tensor]
"""Outputs `(N * B, num_outputs)` and losses `(N * B,)`."""
Take = Callable[[Tensor, Tensor, Tensor], Results]
"""Takes steps in place: inputs `(N, B, ...)`, targets `(N, B)`, rates `(N, R)`, the last of which is the average's
decay."""

PROVEN_STEPS = 4
"""Steps that are compared; the second is the first with momentum. Half of them have rates of the proof's own."""
MAX_DRAWS = 32
"""Most perturbed eager steps: where a rounding decides for one weight, half of them go one way."""
MARGIN = 1.5
"""How much farther from the eager step than the farthest perturbed one the fast one may be."""


class Fast(Protocol):
    """A fast way to take up to `group_size` steps.

    Attributes:
        group_size: Steps at once, at most.
        is_exact: Whether steps at once are to the bit the same steps one by one; else they may differ by rounding.
    """

    group_size: int
    is_exact: bool

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """Take N steps, in place."""

    def set_aside(self, reason: str) -> str:
        """Never use it again, in later runs too; returns where that is kept, as the end of a sentence."""


class Proven:
    """A fast way to take steps, which proves itself while it takes the first ones.

    Attributes:
        fast: The fast way.
        eager: The definition; takes one step.
        state: What both change.
        rounding: The unit roundoff of the coarsest arithmetic in a step.
    """

    def __init__(self, fast: Fast, eager: Take, state: FunctionalState, rounding: float) -> None:
        self.fast = fast
        self.eager = eager
        self.state = state
        self.rounding = rounding
        self._left = PROVEN_STEPS
        self._looped: set[bool] = set()  # whether a whole group, and whether a part of one, was compared

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """Take N steps the fast way; the state afterwards is that of the fast way alone.

        Raises:
            DeviceError: It is wrong, or not available; everything is as it was.
        """
        is_whole = len(inputs) == self.fast.group_size
        if self._left == 0 and (is_whole in self._looped or len(inputs) == 1):
            return self.fast.run(inputs, targets, rates)
        start = Snapshot.of(self.state)
        try:
            fault = self._fault(inputs, targets, rates)
        finally:
            start.restore()
        if fault is not None:
            reason = f"with torch {torch.__version__}, the fast step differs from the eager one: {fault}"
            raise DeviceError(f"compile: {reason}{self.fast.set_aside(reason)}")
        self._looped.add(is_whole)
        return self.fast.run(inputs, targets, rates)

    def _fault(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> str | None:
        """What is wrong with the fast way, in words; leaves the state anywhere."""
        start = Snapshot.of(self.state)
        results: list[Results] = []
        for number, one in enumerate(zip(inputs.split(1), targets.split(1), rates.split(1), strict=True), 1):
            if self._left > 0 or number == len(inputs):
                before = Snapshot.of(self.state)
                rates_of_step = _own_rates(rates) if self._left % 2 else one[2]
                if (fault := self._difference(self.eager, *one[:2], rates_of_step)) is not None:
                    return fault
                before.restore()
                self._left = max(0, self._left - 1)
            if len(inputs) > 1:
                results.append(self.fast.run(*one))
        end = Snapshot.of(self.state, *map(torch.cat, zip(*results, strict=True)))
        for _ in range(2 if len(inputs) > 1 else 0):  # a CUDA graph is recorded when a group comes the second time
            start.restore()
            same = end.same_as(Snapshot.of(self.state, *self.fast.run(inputs, targets, rates)))
            start.restore()
            if not same and (self.fast.is_exact or self._difference(self._one_by_one, inputs, targets, rates)):
                return f"{len(inputs)} steps at once are not the same steps one by one"
        return None

    def _one_by_one(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        steps = [self.fast.run(*one) for one in zip(inputs.split(1), targets.split(1), rates.split(1), strict=True)]
        outputs, losses = zip(*steps, strict=True)
        return torch.cat(outputs), torch.cat(losses)

    def _difference(self, take: Take, inputs: Tensor, targets: Tensor, rates: Tensor) -> str | None:
        """How the fast way differs from another by more than rounding, in words."""
        start = Snapshot.of(self.state)
        fast = Snapshot.of(self.state, *self.fast.run(inputs, targets, rates))
        start.restore()
        eager = Snapshot.of(self.state, *take(inputs, targets, rates))
        if not fast.same_random(eager):
            return "it draws different random numbers"
        changes = eager.changes_from(start)
        found = _apart(fast.changes_from(start), changes)  # (T, 2)
        allowed = torch.tensor([_stored(*pair) for pair in zip(eager.values, changes, strict=True)]).double()  # (T,)
        farthest = torch.zeros_like(found)
        size, generator = self._size(inputs, eager.values[-1].dtype), torch.Generator(inputs.device).manual_seed(0)
        for _ in range(MAX_DRAWS):
            wrong = ~(found <= allowed[:, None] + MARGIN * farthest).all(dim=1)  # so that NaN is wrong
            if not wrong.any():
                return None
            start.restore()
            inputs_off = _off(inputs, size, generator)
            for parameter in self.state.parameters():
                parameter.data.copy_(_off(parameter, size, generator))
            moved = Snapshot.of(self.state)
            again = Snapshot.of(self.state, *take(inputs_off, targets, rates))
            farthest = torch.maximum(farthest, _apart(again.changes_from(moved), changes))
        place = int(wrong.int().argmax())
        name = [*self.state.names, "outputs", "losses"][place]
        return f"{name} is off by {found[place, 0] / _norm(changes[place]):.2g} of its change"

    def _size(self, inputs: Tensor, dtype: torch.dtype) -> float:
        """The relative rounding error of one computation.

        That of a sum grows with the root of the number of its terms (Higham and Mary, 2019).
        """
        terms = max(inputs.numel(), *(tensor.numel() for tensor in self.state.tensors))
        return max(self.rounding, torch.finfo(dtype).eps * math.sqrt(terms))


@dataclass(frozen=True)
class Snapshot:
    """Copies of all that a step reads and changes, and of what it returned.

    Attributes:
        places: The step's own tensors.
        values: Their values, then the results.
        random: The states of the random generators.
    """

    places: list[Tensor]
    values: list[Tensor]
    random: list[Tensor]

    @classmethod
    def of(cls, state: FunctionalState, *results: Tensor) -> Snapshot:
        """Everything as it is now."""
        device = state.tensors[0].device
        random = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
        return cls(state.tensors, [tensor.detach().clone() for tensor in (*state.tensors, *results)], random)

    @torch.no_grad()
    def restore(self) -> None:
        """Have everything be as it was."""
        for place, value in zip(self.places, self.values, strict=False):  # results have no place
            place.copy_(value)
        torch.set_rng_state(self.random[0])
        for state in self.random[1:]:
            torch.cuda.set_rng_state(state, self.places[0].device)

    def changes_from(self, start: Snapshot) -> list[Tensor]:
        """What has become of each value; results begin at zero."""
        changed = [value - before for value, before in zip(self.values, start.values, strict=False)]
        return [*changed, *self.values[len(changed) :]]

    def same_random(self, other: Snapshot) -> bool:
        """Whether as many random numbers were drawn."""
        return all(torch.equal(mine, theirs) for mine, theirs in zip(self.random, other.random, strict=True))

    def same_as(self, other: Snapshot) -> bool:
        """Whether both are the same, bit for bit."""
        pairs = zip(self.values, other.values, strict=True)
        return self.same_random(other) and all(
            torch.allclose(mine, theirs, rtol=0, atol=0, equal_nan=True) for mine, theirs in pairs
        )


def _stored(value: Tensor, change: Tensor) -> float:
    """How far apart two ways to compute a value may be without any error before.

    It is rounded when it is stored, and a factor in its change such as 1 - 0.999 has lost half of its digits.
    """
    if not value.is_floating_point() or not bool(change.isfinite().all()):  # what is not finite ends the run anyway
        return math.inf if value.is_floating_point() else 0.0
    eps = torch.finfo(value.dtype).eps
    return eps * (2 * _norm(value) + _norm(change)) + math.sqrt(eps) * _norm(change)


def _apart(changes: list[Tensor], expected: list[Tensor]) -> Tensor:
    """Of each pair of changes, how far one is from the other, and how much longer or shorter it is, `(T, 2)`.

    Where rounding decides on the direction of a change, as in Muon, its length still tells of a lost factor.
    """
    pairs = zip(changes, expected, strict=True)
    return torch.tensor([(_norm(a - b), abs(_norm(a) - _norm(b))) for a, b in pairs], dtype=torch.float64)


def _norm(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values.double()))


def _off(values: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """The values, each off by a random part of up to `size`."""
    share = torch.rand(values.shape, generator=generator, device=values.device, dtype=torch.float64)
    return (values.detach() * (1 + size * (2 * share - 1))).to(values.dtype)


def _own_rates(rates: Tensor) -> Tensor:
    """Rates `(1, R)` that a run has rarely: large, so that nothing is lost in rounding, and all different; the average,
    which some runs move now and then only, moves half of the way."""
    own = 1 / torch.arange(1, rates.shape[1] + 1, dtype=rates.dtype, device=rates.device)
    own[-1] = 0.5
    return own[None]
