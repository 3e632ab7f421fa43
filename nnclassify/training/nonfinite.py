"""Finds the first NaN or infinity of a run: its step, and whether it is in the inputs, loss, outputs or weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Fault:
    """A value that is NaN or infinite.

    Attributes:
        batch: The first batch of the chunk in which it appears, from 0.
        source: `inputs`, `loss`, `outputs` or `weights`.
    """

    batch: int
    source: str

    def text(self, step: int) -> str:
        """Describe the fault in one clause; `step` is the number of the step in which it appears."""
        return {
            "inputs": f"step {step}: an input is NaN or infinite",
            "loss": f"step {step}: the loss is NaN or infinite, the outputs are finite",
            "outputs": f"step {step}: an output is NaN or infinite",
            "weights": f"step {step - 1}: its gradient or its update made the weights NaN or infinite",
        }[self.source]


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether every value is finite; synchronizes once."""
    return bool(nn.utils.get_total_norm([tensor.detach() for tensor in tensors]).isfinite())


def find_fault(inputs: Tensor, outputs: Tensor, losses: Tensor, batch_size: int, model: nn.Module) -> Fault | None:
    """Return the first fault in a chunk, or None.

    Args:
        inputs: Inputs of the chunk, `(M, ...)`; the first N examples were trained on.
        outputs: Outputs `(N, num_outputs)`, each computed before the update of its step.
        losses: The losses, `(N,)`.
        batch_size: Examples per update.
        model: The network after the chunk.
    """
    bad = (~losses.isfinite()).nonzero()
    if len(bad) == 0:
        num_batches = -(-len(losses) // batch_size)
        return None if all_finite(model.parameters()) else Fault(num_batches, "weights")
    batch = int(bad[0]) // batch_size
    rows = slice(batch * batch_size, (batch + 1) * batch_size)
    if not inputs[rows].isfinite().all():
        return Fault(batch, "inputs")
    if outputs[rows].isfinite().all():
        return Fault(batch, "loss")
    # NaN weights affect every example; an overflow in the forward pass affects some.
    return Fault(batch, "outputs" if outputs[rows].isfinite().any() else "weights")
