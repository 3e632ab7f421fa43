"""Muon for matrices and for convolutions, reshaped to one row per filter.

torch.optim.Muon accepts matrices only. Orthogonalization does not depend on the order of the columns, so a
convolution is used as the matrix in memory, whatever its memory format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, optim

from nnclassify.optim.rates import Rate, at_rate

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b and c of the quintic polynomial a x + b x^3 + c x^5 that moves singular values close to 1 (Jordan, 2024)."""
EPS = 1e-7
"""Lower bound of the norm that a matrix is divided by."""


class FilterMuon(optim.Optimizer):
    """Orthogonalized momentum (Jordan, 2024, kellerjordan.github.io/posts/muon).

    Args:
        groups: Parameter groups as in torch.optim.
        lr: Learning rate of groups that do not set their own.
        weight_decay: Weight decay of groups that do not set their own.
        momentum: Momentum factor.
        nesterov: Use Nesterov momentum.
        ns_steps: Number of Newton-Schulz iterations.
        normalized: Scale each matrix to a norm of sqrt(number of rows) before its update.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        lr: float,
        weight_decay: float,
        momentum: float,
        nesterov: bool,
        ns_steps: int,
        normalized: bool,
    ) -> None:
        options = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
            "normalized": normalized,
        }
        super().__init__(list(groups), options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # torch overloads it: returns the loss of the closure, if there is one
        """Update the parameters from their gradients, after calling the closure, if there is one, for the loss."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in params:
                self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
            momenta = [self.state[parameter]["momentum_buffer"] for parameter in params]
            update_filters(group, params, [parameter.grad for parameter in params], momenta, group["lr"])
        return loss


def update_filters(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], momenta: list[Tensor], lr: Rate
) -> None:
    """Update matrices `(R, C)` and convolutions `(R, C, H, W)` in place."""
    matrices = [_in_memory_order(param, param).view(len(param), -1) for param in params]
    pairs = zip(momenta, params, strict=True)
    buffers = [_in_memory_order(buffer, param).view(len(param), -1) for buffer, param in pairs]
    if options["normalized"]:
        for matrix in matrices:
            matrix.mul_(len(matrix) ** 0.5 / torch.linalg.vector_norm(matrix).clamp(min=EPS))
    gradients = [_in_memory_order(grad, param).flatten(1) for grad, param in zip(grads, params, strict=True)]

    def update(lr: float) -> None:
        for matrix, gradient, buffer in zip(matrices, gradients, buffers, strict=True):
            _update_matrix(options, matrix, gradient, buffer, lr)

    at_rate(update, matrices, lr)


def _update_matrix(options: dict[str, Any], matrix: Tensor, gradient: Tensor, buffer: Tensor, lr: float) -> None:
    """Update a matrix `(R, C)` with the operations of torch.optim.Muon in the same order, for identical results.

    buffer   <- momentum buffer + (1 - momentum) gradient
    matrix   <- (1 - lr weight_decay) matrix - lr sqrt(max(1, R / C)) orthogonalized(buffer)

    In a compiled step, `lr` is a tensor `()`.
    """
    momentum = options["momentum"]
    buffer.lerp_(gradient, 1 - momentum)
    direction = gradient.lerp(buffer, momentum) if options["nesterov"] else buffer
    direction = _orthogonalized(direction, options["ns_steps"])
    rows, columns = matrix.shape
    step_size = lr * math.sqrt(max(1, rows / columns))
    matrix.mul_(1 - lr * options["weight_decay"])
    matrix.add_(direction, alpha=-step_size)


def _orthogonalized(matrix: Tensor, num_steps: int) -> Tensor:
    """Map U S V^T `(R, C)` to approximately U V^T: Newton-Schulz iterations in bfloat16 on the side with fewer rows."""
    a, b, c = NS_COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16()
    x = x.T if is_tall else x  # (r, c), r <= c
    x.div_(x.norm().clamp(min=EPS))  # now all singular values are at most 1
    for _ in range(num_steps):
        gram = x @ x.T  # (r, r)
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # a x + (b gram + c gram^2) x
    return x.T if is_tall else x


def _in_memory_order(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Permute dimensions to the parameter's order in memory: with channels_last, (R, H, W, C)."""
    return tensor if parameter.is_contiguous() else tensor.permute(0, 2, 3, 1)
