"""The gradient of one batch that several processes compute together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnclassify.device import Placement
from nnclassify.distributed import Ranks
from nnclassify.losses import LossFunction


@dataclass(frozen=True)
class Shared:
    """What every process knows after a batch; the same in all of them.

    Attributes:
        outputs: Of the whole batch, `(B, num_outputs)`.
        losses: Likewise, `(B,)`.
        gradients: Of the mean loss of the whole batch, one a parameter.
        asked: Whether any of them was asked to stop.
    """

    outputs: Tensor
    losses: Tensor
    gradients: list[Tensor]
    asked: bool


class SharedBatch:
    """Splits each batch over the processes and adds up what they find.

    Batch norm normalises over each process's own part, as with DistributedDataParallel (SyncBatchNorm runs on GPUs
    alone); its running statistics are the mean of the parts'.
    """

    def __init__(self, model: nn.Module, loss_fn: LossFunction, placement: Placement, ranks: Ranks) -> None:
        self.model = model
        self.loss_fn = loss_fn
        self.placement = placement
        self.ranks = ranks

    def run(self, inputs: Tensor, targets: Tensor, parameters: Sequence[nn.Parameter], *, asked: bool) -> Shared:
        """Forward and backward of this process's part of a batch `(B, ...)`, then the sum over all parts.

        Args:
            inputs: The whole batch; only this process's part of it is used.
            targets: Its classes, `(B,)`.
            parameters: What to differentiate by.
            asked: Whether this process was asked to stop.
        """
        part = self.ranks.share(len(targets))
        outputs = torch.zeros(len(targets), self.loss_fn.num_outputs, dtype=self.placement.dtype, device=targets.device)
        losses = outputs.new_zeros(len(targets))
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        if part.start < part.stop:
            outputs[part], losses[part], gradients = self._own(inputs[part], targets[part], parameters)
        weights = self.loss_fn.weights(targets)
        weight = len(targets) if weights is None else float(weights.sum())
        statistics = [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]
        portion = (part.stop - part.start) / len(targets)
        told = [losses.new_tensor([float(asked)]), outputs, losses, *(buffer * portion for buffer in statistics)]
        sums = self.ranks.add([*told, *gradients])
        for buffer, mean in zip(statistics, sums[3 : len(told)], strict=True):
            buffer.copy_(mean)
        return Shared(sums[1], sums[2], [total / weight for total in sums[len(told) :]], bool(sums[0] > 0))

    def _own(
        self, inputs: Tensor, targets: Tensor, parameters: Sequence[nn.Parameter]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        with self.placement.autocasting():
            outputs = self.model(inputs)
        outputs = outputs.to(self.placement.dtype)
        losses = self.loss_fn(outputs, targets)
        return outputs.detach(), losses.detach(), list(torch.autograd.grad(losses.sum(), parameters))
