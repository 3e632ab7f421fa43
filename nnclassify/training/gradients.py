"""Forward and backward pass of one batch: what every way to train a network, or to try it, begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnclassify.device import Placement
from nnclassify.losses import LossFunction

Gradients = tuple[Tensor, Tensor, list[Tensor]]
"""Outputs `(B, num_outputs)` and losses `(B,)` of a batch, both detached, and one gradient per parameter."""
Objective = Callable[[Tensor, Tensor], Tensor]
"""(losses `(B,)`, targets `(B,)`) to the number `()` that is differentiated."""


def loss_and_gradients(
    forward: Callable[[Tensor], Tensor],
    loss_fn: LossFunction,
    placement: Placement,
    parameters: Sequence[Tensor],
    inputs: Tensor,
    targets: Tensor,
    objective: Objective | None = None,
) -> Gradients:
    """Run a batch forward and backward; the parameters' own `grad` is left alone.

    Args:
        forward: The network.
        loss_fn: The loss.
        placement: Number type, and autocast of the forward pass.
        parameters: What to differentiate with respect to.
        inputs: Prepared, `(B, ...)`.
        targets: `(B,)`.
        objective: What is differentiated; None: the mean loss.
    """
    with placement.autocast():
        outputs = forward(inputs)
    outputs = outputs.to(placement.dtype)
    losses = loss_fn(outputs, targets)
    loss = (objective or loss_fn.mean)(losses, targets)
    # Not loss.backward(): inside a compiled or recorded step there is no parameter whose `grad` could be set.
    gradients = torch.autograd.grad(loss, parameters)
    return outputs.detach(), losses.detach(), list(gradients)


def clipped(gradients: list[Tensor], limit: float | None) -> list[Tensor]:
    """Scaled down together where their norm is over the limit, as torch.nn.utils.clip_grad_norm_ does."""
    if limit is None:
        return gradients
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm()
    scale = (limit / (norm + 1e-6)).clamp(max=1.0)
    return [gradient * scale for gradient in gradients]
