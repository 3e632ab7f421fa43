"""The gradient of one batch that several processes compute together."""

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
    """What every process knows after a batch; the same in all of them.

    Attributes:
        outputs: Of the whole batch, `(B, num_outputs)`.
        losses: The loss of each example of the whole batch, `(B,)`.
        gradients: Of the mean loss of the whole batch, one a parameter.
        stop_requested: Whether any of them was asked to stop.
    """

    outputs: Tensor
    losses: Tensor
    gradients: list[Tensor]
    stop_requested: bool


class SharedBatch:
    """Splits each batch over the processes and adds up what they find; batch norm adds up its own (`batch_norm`)."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction, dtype: torch.dtype, ranks: Ranks) -> None:
        self.loss_fn = loss_fn
        self.dtype = dtype
        self.ranks = ranks
        self.norms = share_batch_norm(model)

    def run(self, compute: Compute, inputs: Tensor, targets: Tensor, *, stop_requested: bool) -> Shared:
        """Forward and backward of this process's part of a batch `(B, ...)`, then the sum over all parts.

        Args:
            compute: From a part's inputs and targets to its outputs, its losses and the gradients of their sum.
            inputs: The whole batch; only this process's part of it is used.
            targets: Its classes, `(B,)`.
            stop_requested: Whether this process was asked to stop.
        """
        part = self.ranks.shard(len(targets))  # of fewer examples than processes, some have none
        outputs = torch.zeros(len(targets), self.loss_fn.num_outputs, dtype=self.dtype, device=targets.device)
        losses = outputs.new_zeros(len(targets))
        with over_all(self.norms, self.ranks):
            outputs[part], losses[part], gradients = compute(inputs[part], targets[part])
        weights = self.loss_fn.weights(targets)
        weight = len(targets) if weights is None else float(weights.sum())
        stop = losses.new_tensor([float(stop_requested)])
        sums = self.ranks.all_reduce([stop, outputs, losses, *gradients])
        return Shared(sums[1], sums[2], [total / weight for total in sums[3:]], bool(sums[0] > 0))
