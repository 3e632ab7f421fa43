"""The gradients of a batch that is split over several processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnclassify.distributed.batch_norm import over_all, share_batch_norm
from nnclassify.distributed.ranks import Ranks
from nnclassify.losses import LossFunction

Compute = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, list[Tensor]]]


@dataclass(frozen=True)
class Shared:
    """The results of a batch, identical in all processes.

    Attributes:
        outputs: Outputs for the complete batch, `(B, num_outputs)`.
        losses: The loss of each example of the complete batch, `(B,)`.
        gradients: Gradients of the mean loss of the complete batch, one per parameter.
        stop_requested: Whether any process was asked to stop.
    """

    outputs: Tensor
    losses: Tensor
    gradients: list[Tensor]
    stop_requested: bool


class SharedBatch:
    """Splits each batch over the processes and sums their results; batch norm layers sum their own statistics."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction, dtype: torch.dtype, ranks: Ranks) -> None:
        self.loss_fn = loss_fn
        self.dtype = dtype
        self.ranks = ranks
        self.norms = share_batch_norm(model)

    def run(self, compute: Compute, inputs: Tensor, targets: Tensor, *, stop_requested: bool) -> Shared:
        """Run forward and backward on this process's part of a batch, then sum over all processes.

        Args:
            compute: Function of a part's inputs and targets that returns outputs, losses and the gradients of the
                summed loss.
            inputs: The complete batch, `(B, ...)`; only this process's part is used.
            targets: Targets of the complete batch, `(B,)`.
            stop_requested: Whether this process was asked to stop.
        """
        part = self.ranks.shard(len(targets))  # empty in some processes if there are fewer examples than processes
        outputs = torch.zeros(len(targets), self.loss_fn.num_outputs, dtype=self.dtype, device=targets.device)
        losses = outputs.new_zeros(len(targets))
        with over_all(self.norms, self.ranks):
            outputs[part], losses[part], gradients = compute(inputs[part], targets[part])
        weights = self.loss_fn.weights(targets)
        weight = len(targets) if weights is None else float(weights.sum())
        stop = losses.new_tensor([float(stop_requested)])
        sums = self.ranks.all_reduce([stop, outputs, losses, *gradients])
        return Shared(sums[1], sums[2], [total / weight for total in sums[3:]], bool(sums[0] > 0))
