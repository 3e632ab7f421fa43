"""Forward and backward pass of one batch, shared by all forms of the training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnclassify.device import Placement
from nnclassify.losses import LossFunction

Gradients = tuple[Tensor, Tensor, list[Tensor]]
"""Outputs `(B, num_outputs)` and losses `(B,)` of a batch, detached, and one gradient per parameter."""
Objective = Callable[[Tensor, Tensor], Tensor]
"""Function of (losses `(B,)`, targets `(B,)`) that returns the scalar `()` to differentiate."""


def loss_and_gradients(
    forward: Callable[[Tensor], Tensor],
    loss_fn: LossFunction,
    placement: Placement,
    parameters: Sequence[Tensor],
    inputs: Tensor,
    targets: Tensor,
    objective: Objective | None = None,
) -> Gradients:
    """Run a batch forward and backward, without touching the `grad` of the parameters.

    Args:
        forward: The network.
        loss_fn: The loss.
        placement: Number types, including autocast for the forward pass.
        parameters: Tensors to differentiate with respect to.
        inputs: Normalized inputs, `(B, ...)`.
        targets: `(B,)`.
        objective: Scalar to differentiate; the mean loss if None.
    """
    with placement.autocast():
        outputs = forward(inputs)
    outputs = outputs.to(placement.dtype)
    losses = loss_fn(outputs, targets)
    loss = (objective or loss_fn.mean)(losses, targets)
    # Not loss.backward(): a compiled or captured step has no parameters whose `grad` could be set.
    gradients = torch.autograd.grad(loss, parameters)
    return outputs.detach(), losses.detach(), list(gradients)


def clipped(gradients: list[Tensor], limit: float | None) -> list[Tensor]:
    """Scale gradients to a total norm of at most `limit`, as torch.nn.utils.clip_grad_norm_ does."""
    if limit is None:
        return gradients
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm()
    scale = (limit / (norm + 1e-6)).clamp(max=1.0)
    return [gradient * scale for gradient in gradients]
