"""Where a run stopped being finite: in its inputs, its loss, its outputs or its weights, and at which step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Fault:
    """What is not finite.

    Attributes:
        batch: The first batch of the chunk that it shows in, from 0.
        source: `inputs`, `loss`, `outputs` or `weights`.
    """

    batch: int
    source: str

    def text(self, step: int) -> str:
        """One clause that names the step, when the fault shows in the update of number `step`."""
        return {
            "inputs": f"step {step}: an input is NaN or infinite",
            "loss": f"step {step}: the loss is NaN or infinite, the outputs are finite",
            "outputs": f"step {step}: an output is NaN or infinite",
            "weights": f"step {step - 1}: its gradient or its update made the weights NaN or infinite",
        }[self.source]


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every number is finite; synchronizes once."""
    return bool(nn.utils.get_total_norm([tensor.detach() for tensor in tensors]).isfinite())


def find_fault(inputs: Tensor, outputs: Tensor, losses: Tensor, batch_size: int, model: nn.Module) -> Fault | None:
    """The first fault in a chunk; None where there is none.

    Args:
        inputs: `(M, ...)`, the chunk's, of which the first N were trained on.
        outputs: `(N, num_outputs)`, each as its step met it.
        losses: The losses, `(N,)`.
        batch_size: Examples an update.
        model: After the chunk.
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
    # Weights that are NaN spoil every example; an overflow on the way to the outputs spoils some.
    return Fault(batch, "outputs" if outputs[rows].isfinite().any() else "weights")
