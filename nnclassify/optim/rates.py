"""Learning rates: numbers to an eager step, tensors where steps are compiled or recorded and the rate still changes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Rate = float | Tensor


def fused_rate(lr: Rate) -> Rate:
    """A rate as CUDA's fused kernels read it: whatever the weights' number type, from a float32."""
    return lr.float() if isinstance(lr, Tensor) else lr


def at_rate(update: Callable[..., None], params: list[Tensor], lr: Rate) -> None:
    """An update of parameters, `update(lr=...)`, that is proportional to its learning rate.

    Of a rate that is a tensor torch would read the value, and wait for the GPU: the update is done at a rate of 1, and
    the parameters then go that part of the way. (The compiler reads it where it is needed, and waits for nothing.)
    """
    if not isinstance(lr, Tensor) or torch.compiler.is_compiling():
        update(lr=lr)
        return
    before = [param.clone() for param in params]
    update(lr=1.0)
    for param, start in zip(params, before, strict=True):
        param.copy_(start.lerp(param, lr))
