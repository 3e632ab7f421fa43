"""A simulated device: its tensors store their values on the CPU, and cannot be mixed with CPU tensors.

Within `Elsewhere`, the device `meta` computes. What forgets to move a tensor to the run's device fails there as it
would on a GPU, which a machine for tests seldom has.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
DEVICE = torch.device("meta")
MOVES = {aten._to_copy.default, aten.copy_.default, aten._copy_from_and_resize.default}
"""What may have both kinds of tensors."""


class Remote(Tensor):
    """A tensor elsewhere; `here` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor, requires_grad: bool = False) -> Remote:
        made: Remote = Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            here.stride(),
            here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
            requires_grad=requires_grad,
        )
        made.here = here
        return made

    __torch_dispatch__: Any = classmethod(
        lambda cls, func, types, args=(), kwargs=None: dispatched(func, args, kwargs or {})
    )


class Elsewhere(TorchDispatchMode):
    """Within it, `meta` is a device that computes; `num_moves` counts the tensors that went or came."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.num_moves = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = dispatched(func, args, kwargs or {})
        if func in MOVES:
            self.num_moves += len({isinstance(tensor, Remote) for tensor in tree_leaves((args, found))}) > 1
        return found


def dispatched(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation, on the CPU; its results are where its inputs are, or where they are asked for."""
    tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
    remote = any(isinstance(tensor, Remote) for tensor in tensors)
    mixed = [tensor for tensor in tensors if not isinstance(tensor, Remote) and tensor.ndim > 0]
    if remote and mixed and func not in MOVES:
        raise RuntimeError(f"{func}: tensors on two devices")
    asked = kwargs.get("device")
    if asked is not None:
        remote = torch.device(asked).type == DEVICE.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    here_args, here_kwargs = tree_map(lambda value: value.here if isinstance(value, Remote) else value, (args, kwargs))
    if func is aten.copy_.default:
        func(*here_args, **here_kwargs)
        return args[0]
    found = func(*here_args, **here_kwargs)
    if not remote:
        return found
    wrapped = tree_map(lambda value: Remote(value) if isinstance(value, Tensor) else value, found)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)
