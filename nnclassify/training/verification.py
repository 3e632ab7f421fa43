"""Compares compiled or captured steps with eager ones before they are trusted.

torch's compiler can be wrong without an error, and so can our own decompositions, update rules and CUDA graphs. So the
first steps of every process, on the run's own batches, are taken both ways from the same start:

- For a single step, outputs, losses, every tensor and the random state must equal those of the eager step, except for
rounding. A single step from the same start cannot amplify rounding errors as many steps can.
- A complete group must then equal the same steps taken one at a time: bit for bit if compiled, and except for rounding
if captured, since some CUDA kernels add in a varying order.

The size of rounding errors is measured: the eager step is repeated with weights, inputs, and the outputs and gradients
of every layer perturbed by the rounding error of one computation. If rounding decides (a ReLU or a maximum between
equal values, the sign of a gradient that is zero up to rounding, such as that of a bias before batch norm), this
changes the eager step by just as much.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from nnclassify.compile.cuda_graph import joined
from nnclassify.errors import DeviceError, one_line
from nnclassify.training.functional_state import FunctionalState

Results = tuple[Tensor, Tensor]
"""Outputs `(N * B, num_outputs)` and losses `(N * B,)`."""
TakeSteps = Callable[[Tensor, Tensor, Tensor], Results]
"""Function that takes steps in place: inputs `(N, B, ...)`, targets `(N, B)`, rates `(N, R)`, of which the last is
the decay of the average."""

VERIFIED_STEPS = 4
"""Number of steps to compare; the second is the first with momentum. Every other one uses `_own_rates`."""
MAX_DRAWS = 32
"""Maximum number of perturbed eager steps: if rounding decides about one weight, half of them differ."""
MARGIN = 1.5
"""Allowed distance of the fast step from the eager one, relative to the farthest perturbed step."""


class FastSteps(Protocol):
    """Fast steps: compiled or captured, up to `group_size` per call.

    Attributes:
        group_size: Maximum number of steps per call.
        is_exact: Whether a group of steps equals single steps bit for bit, rather than except for rounding.
    """

    group_size: int
    is_exact: bool

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """Take N steps in place."""

    def set_aside(self, reason: str) -> str:
        """Prevent its use, in later runs too; return where this is recorded, as the end of a sentence."""


@dataclass
class VerifiedSteps:
    """Fast steps that are compared with eager ones while the first of them are taken.

    Attributes:
        fast: The fast steps.
        eager: The definition; takes one eager step.
        state: The tensors that both change.
        rounding: Machine epsilon of the shortest number type in a step.
        seconds: Time spent on the comparison so far, and on compiling or capturing the steps during it.
    """

    fast: FastSteps
    eager: TakeSteps
    state: FunctionalState
    rounding: float
    seconds: float = field(default=0.0, init=False)
    _left: int = field(default=VERIFIED_STEPS, init=False)
    _looped: set[bool] = field(default_factory=set, init=False)
    """Whether a complete group, and whether a smaller one, has been compared."""

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        """Take N fast steps, which alone determine the resulting state.

        Raises:
            DeviceError: The fast steps are wrong or not available; no tensor was changed.
        """
        is_whole = len(inputs) == self.fast.group_size
        if self._left == 0 and (is_whole in self._looped or len(inputs) == 1):
            return self.fast.run(inputs, targets, rates)
        started, start = time.perf_counter(), Snapshot.of(self.state)
        try:
            fault = self._fault(inputs, targets, rates)
        finally:
            start.restore()
            self.seconds += time.perf_counter() - started
        if fault is not None:
            reason = f"with torch {torch.__version__}, the fast step differs from the eager one: {fault}"
            raise DeviceError(f"compile: {reason}{self.fast.set_aside(reason)}")
        self._looped.add(is_whole)
        return self.fast.run(inputs, targets, rates)

    def _fault(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> str | None:
        """Return what is wrong with the fast steps, or None; leaves the state undefined."""
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
        for _ in range(2 if len(inputs) > 1 else 0):  # a CUDA graph is captured at the second call
            start.restore()
            same = end.same_as(Snapshot.of(self.state, *self.fast.run(inputs, targets, rates)))
            start.restore()
            if not same and (self.fast.is_exact or self._difference(self._one_by_one, inputs, targets, rates)):
                return f"{len(inputs)} steps in one call differ from the same steps one at a time"
        return None

    def _one_by_one(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Results:
        return joined(
            [self.fast.run(*one) for one in zip(inputs.split(1), targets.split(1), rates.split(1), strict=True)]
        )

    def _difference(self, take: TakeSteps, inputs: Tensor, targets: Tensor, rates: Tensor) -> str | None:
        """Return how the fast steps differ from others by more than rounding, or None."""
        start = Snapshot.of(self.state)
        try:
            fast = Snapshot.of(self.state, *self.fast.run(inputs, targets, rates))
        except torch.OutOfMemoryError:  # which says nothing about the step
            raise
        except RuntimeError as cause:  # such as an operation of a user's own network that compiled code cannot call
            return f"it fails ({one_line(cause)})"
        start.restore()
        eager = Snapshot.of(self.state, *take(inputs, targets, rates))
        if not fast.same_random(eager):
            return "it draws different random numbers"
        changes = eager.changes_from(start)
        found = _apart(fast.changes_from(start), changes)  # (T, 2)
        allowed = torch.tensor([_stored(*pair) for pair in zip(eager.values, changes, strict=True)]).double()  # (T,)
        is_vector = torch.tensor([change.numel() == max(change.shape, default=1) for change in changes])
        lengths = torch.tensor([_norm(change) for change in changes], dtype=torch.float64)
        farthest = torch.zeros_like(found)
        size, generator = self._size(inputs, eager.values[-1].dtype), torch.Generator(inputs.device).manual_seed(0)
        for _ in range(MAX_DRAWS):
            within = found <= allowed[:, None] + MARGIN * farthest  # written so that NaN counts as wrong
            within[:, 1] |= is_vector & (farthest[:, 0] >= lengths)  # rounding decides its length as well
            wrong = ~within.all(dim=1)
            if not wrong.any():
                return None
            start.restore()
            inputs_off = _off(inputs, size, generator)
            for parameter in self.state.parameters():
                parameter.data.copy_(_off(parameter, size, generator))
            moved = Snapshot.of(self.state)
            with _layers_off(size, generator):
                again = Snapshot.of(self.state, *take(inputs_off, targets, rates))
            farthest = torch.maximum(farthest, _apart(again.changes_from(moved), changes))
        place = int(wrong.int().argmax())
        name = [*self.state.names, "outputs", "losses"][place]
        return f"{name} is off by {found[place, 0] / _norm(changes[place]):.2g} of its change"

    def _size(self, inputs: Tensor, dtype: torch.dtype) -> float:
        """Return the relative rounding error of one computation.

        The rounding error of a sum grows with the square root of the number of terms (Higham and Mary, 2019).
        """
        terms = max(inputs.numel(), *(tensor.numel() for tensor in self.state.tensors))
        return max(self.rounding, torch.finfo(dtype).eps * math.sqrt(terms))


@dataclass(frozen=True)
class Snapshot:
    """Copies of the tensors that a step reads and changes, and of its results.

    Attributes:
        places: The step's own tensors.
        values: Copies of them, then the results.
        random: States of the random generators.
    """

    places: list[Tensor]
    values: list[Tensor]
    random: list[Tensor]

    @classmethod
    def of(cls, state: FunctionalState, *results: Tensor) -> Snapshot:
        """Copy the current state."""
        device = state.tensors[0].device
        random = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
        return cls(state.tensors, [tensor.detach().clone() for tensor in (*state.tensors, *results)], random)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the copied state."""
        for place, value in zip(self.places, self.values, strict=False):  # results are not restored
            place.copy_(value)
        torch.set_rng_state(self.random[0])
        for state in self.random[1:]:
            torch.cuda.set_rng_state(state, self.places[0].device)

    def changes_from(self, start: Snapshot) -> list[Tensor]:
        """Return the change of each value since `start`; results are returned as they are."""
        changed = [value - before for value, before in zip(self.values, start.values, strict=False)]
        return [*changed, *self.values[len(changed) :]]

    def same_random(self, other: Snapshot) -> bool:
        """Return whether the same number of random values was drawn."""
        return all(torch.equal(mine, theirs) for mine, theirs in zip(self.random, other.random, strict=True))

    def same_as(self, other: Snapshot) -> bool:
        """Return whether both are equal bit for bit."""
        pairs = zip(self.values, other.values, strict=True)
        return self.same_random(other) and all(
            torch.allclose(mine, theirs, rtol=0, atol=0, equal_nan=True) for mine, theirs in pairs
        )


def _stored(value: Tensor, change: Tensor) -> float:
    """Return the distance allowed between two computations of a value because it is stored with limited precision.

    Storing rounds the value, and a factor such as 1 - 0.999 in its change has lost half of its digits.
    """
    if not value.is_floating_point() or not bool(change.isfinite().all()):  # a value that is not finite ends the run
        return math.inf if value.is_floating_point() else 0.0
    eps = torch.finfo(value.dtype).eps
    return eps * (2 * _norm(value) + _norm(change)) + math.sqrt(eps) * _norm(change)


def _apart(changes: list[Tensor], expected: list[Tensor]) -> Tensor:
    """Return for each pair of changes their distance and the difference of their lengths, `(T, 2)`.

    If rounding decides about the direction of a change, as in Muon, its length still reveals a lost factor. Only of a
    vector can rounding decide everything, its length as well.
    """
    pairs = zip(changes, expected, strict=True)
    return torch.tensor([(_norm(a - b), abs(_norm(a) - _norm(b))) for a, b in pairs], dtype=torch.float64)


def _norm(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values.double()))


def _off(values: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Return the values, each perturbed by a random relative error of up to `size`."""
    share = torch.rand(values.shape, generator=generator, device=values.device, dtype=torch.float64)
    return (values.detach() * (1 + size * (2 * share - 1))).to(values.dtype)


class _Off(torch.autograd.Function):
    """Perturbs values in the forward pass, and their gradients in the backward pass."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, size: float, generator: torch.Generator) -> Tensor:
        """Return values that are off."""
        ctx.size, ctx.generator = size, generator
        return _off(values, size, generator)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return a gradient that is off."""
        return _off(gradients[0], ctx.size, ctx.generator), None, None


@contextlib.contextmanager
def _layers_off(size: float, generator: torch.Generator) -> Iterator[None]:
    """Perturb the outputs and the gradients of all layers that are called meanwhile."""

    def perturb(layer: nn.Module, inputs: object, outputs: object) -> Any:
        return _Off.apply(outputs, size, generator) if isinstance(outputs, Tensor) else outputs

    handle = register_module_forward_hook(perturb)
    try:
        yield
    finally:
        handle.remove()


def _own_rates(rates: Tensor) -> Tensor:
    """Return rates `(1, R)` for the comparison: all different, and large, so that nothing is lost in rounding.

    The last one moves the average half of the way; in some runs, it rarely moves.
    """
    own = 1 / torch.arange(1, rates.shape[1] + 1, dtype=rates.dtype, device=rates.device)
    own[-1] = 0.5
    return own[None]
