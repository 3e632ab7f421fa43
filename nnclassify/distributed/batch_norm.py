"""Batch normalization over a batch that is split over several processes, with the statistics of the complete batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnclassify.distributed.ranks import Ranks
from nnclassify.errors import ModelError


class _Sum(torch.autograd.Function):
    """The sum over the processes. Its gradient is summed too, since the loss of each process depends on all parts."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, ranks: Ranks) -> Tensor:
        """Sum a tensor of any shape."""
        ctx.ranks = ranks
        return ranks.all_reduce([part])[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the summed gradient, of the same shape, and None for the ranks."""
        return ctx.ranks.all_reduce([gradient.contiguous()])[0], None


class SharedBatchNorm(nn.SyncBatchNorm):
    """SyncBatchNorm for every device; torch's own supports GPUs only.

    Mean and variance are those of the batch over all processes. Inside `over_all`, every process must take part in
    every forward and backward pass, with an empty batch if it has no examples.

    Attributes:
        ranks: The processes that share a batch.
    """

    ranks = Ranks()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Normalize this process's part `(N, C, ...)` of the batch."""
        if not self.training:
            return self._act(super().forward(input))
        values = input.to(torch.promote_types(input.dtype, torch.float32))  # statistics are never in a shorter type
        dims = [dim for dim in range(values.ndim) if dim != 1]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        sums = _add(torch.cat([values.sum(dims), values.new_tensor([values.numel() / values.shape[1]])]), self.ranks)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centered = values - mean.reshape(shape)
        variance = _add(centered.square().sum(dims), self.ranks) / count
        if self.track_running_stats:
            self._remember(mean.detach(), variance.detach() * count / (count - 1))
        normal = centered * (variance + self.eps).rsqrt().reshape(shape)
        if self.weight is not None and self.bias is not None:
            normal = normal * self.weight.reshape(shape) + self.bias.reshape(shape)
        return self._act(normal.to(input.dtype))

    def _act(self, outputs: Tensor) -> Tensor:
        """Apply what timm's batch norms have within them: dropout and an activation."""
        for child in self.children():
            outputs = child(outputs)
        return outputs

    @torch.no_grad()
    def _remember(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(unbiased_variance, share)


_add: Callable[[Tensor, Ranks], Tensor] = _Sum.apply


def share_batch_norm(model: nn.Module) -> list[SharedBatchNorm]:
    """Replace every batch norm layer of a network, keeping weights and statistics; return the new layers.

    Raises:
        ModelError: A layer derived from batch norm has a forward of its own. One with modules of its own is assumed to
            apply them to normalized values, as timm's do.
    """
    found = []
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            if type(child).forward is not nn.BatchNorm2d.forward and not list(child.children()):
                raise ModelError(
                    f"model: {type(child).__name__} {name} has its own forward, so its statistics cannot be shared by "
                    "several processes; train in one process, or use torch.nn's batch norm"
                )
            shared = SharedBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            for own in (
                child.named_parameters(recurse=False),
                child.named_buffers(recurse=False),
                child.named_children(),
            ):
                for kind, value in own:
                    setattr(shared, kind, value)
            setattr(model, name, shared)
            found.append(shared)
        else:
            found += share_batch_norm(child)
    return found


@contextlib.contextmanager
def over_all(norms: Sequence[SharedBatchNorm], ranks: Ranks) -> Iterator[None]:
    """Return a context in which batch statistics cover all processes; outside, they cover this process only."""
    for norm in norms:
        norm.ranks = ranks
    try:
        yield
    finally:
        for norm in norms:
            norm.ranks = Ranks()
