"""Learning rates: numbers in an eager step, tensors in a compiled or recorded step if they change during the run."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Rate = float | Tensor


def fused_at_rate(update: Callable[..., None], params: list[Tensor], lr: Rate) -> None:
    """Call `update(lr=...)`, one of torch's fused kernels, whose change is proportional to the learning rate.

    They read a tensor rate in float32, whatever the number type of the weights, which would lose digits of float64.
    """
    if not isinstance(lr, Tensor) or torch.compiler.is_compiling():  # compiled code has no fused kernels
        update(lr=lr)
    elif any(param.dtype == torch.float64 for param in params):
        at_rate(update, params, lr)
    else:
        update(lr=lr.float())


def at_rate(update: Callable[..., None], params: list[Tensor], lr: Rate) -> None:
    """Call `update(lr=...)`, whose change of the parameters is proportional to the learning rate.

    torch would read the value of a tensor rate and so wait for the GPU. Instead, the update is computed at a rate of
    1, and the parameters are interpolated by the rate. (Compiled code reads the rate on the device, without
    waiting.)
    """
    if not isinstance(lr, Tensor) or torch.compiler.is_compiling():
        update(lr=lr)
        return
    before = [param.clone() for param in params]
    update(lr=1.0)
    for param, start in zip(params, before, strict=True):
        param.copy_(start.lerp(param, lr))
