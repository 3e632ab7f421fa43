"""Forward and backward pass of one batch, shared by all forms of the training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnclassify.device import Placement
from nnclassify.losses import LossFunction
from nnclassify.models.layers import check_trainable

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
    check_trainable(outputs)
    outputs = outputs.to(placement.dtype)
    losses = loss_fn(outputs, targets)
    loss = (objective or loss_fn.mean)(losses, targets)
    # Not loss.backward(): a compiled or captured step has no parameters whose `grad` could be set.
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    # A user's own network may have parameters that its forward pass does not use, always or in this step.
    gradients = [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]
    return outputs.detach(), losses.detach(), gradients


def clipped(gradients: list[Tensor], limit: float | None) -> list[Tensor]:
    """Scale gradients to a total norm of at most `limit`, as torch.nn.utils.clip_grad_norm_ does."""
    if limit is None:
        return gradients
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm()
    scale = (limit / (norm + 1e-6)).clamp(max=1.0)
    return [gradient * scale for gradient in gradients]
