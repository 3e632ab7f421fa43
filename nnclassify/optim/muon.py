"""Muon for matrices and for convolutions, whose filters are the rows of a matrix.

torch.optim.Muon takes matrices alone. Orthogonalising does not ask in which order the columns are, so a convolution
serves as the matrix that lies in memory, whatever its memory format.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, optim

from nnclassify.optim.rates import Rate, at_rate

from torch.optim._muon import DEFAULT_A, DEFAULT_B, DEFAULT_C, EPS, muon  # isort: skip  (torch exports only the class)


class FilterMuon(optim.Optimizer):
    """Orthogonalised momentum (Jordan, 2024, kellerjordan.github.io/posts/muon).

    Args:
        groups: As torch.optim takes them.
        lr: Of groups that name none.
        weight_decay: Likewise.
        momentum: Momentum factor.
        nesterov: Look ahead along the momentum first.
        ns_steps: Newton-Schulz iterations.
        normalized: Bring each matrix to a norm of the root of its rows before its step.
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
    def step(self, closure: Any = None) -> Any:  # torch overloads it: with a closure, its loss
        """One update from the parameters' own gradients; a closure is called first, for its loss."""
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
    """One update of matrices `(R, C)` and convolutions `(R, C, H, W)`, in place."""
    matrices = [_in_memory_order(param, param).view(len(param), -1) for param in params]
    pairs = zip(momenta, params, strict=True)
    buffers = [_in_memory_order(buffer, param).view(len(param), -1) for buffer, param in pairs]
    if options["normalized"]:
        for matrix in matrices:
            matrix.mul_(len(matrix) ** 0.5 / torch.linalg.vector_norm(matrix).clamp(min=EPS))
    update = partial(
        muon,
        matrices,
        [_in_memory_order(grad, param).flatten(1) for grad, param in zip(grads, params, strict=True)],
        buffers,
        foreach=False,
        has_complex=False,
        ns_coefficients=(DEFAULT_A, DEFAULT_B, DEFAULT_C),
        eps=EPS,
        adjust_lr_fn=None,
        **{name: options[name] for name in ("weight_decay", "momentum", "nesterov", "ns_steps")},
    )
    at_rate(update, matrices, lr)


def _in_memory_order(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Dimensions in the order in which the parameter's lie in memory: those of channels_last are (R, H, W, C)."""
    return tensor if parameter.is_contiguous() else tensor.permute(0, 2, 3, 1)
