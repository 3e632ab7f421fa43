"""A simulated CUDA graph: operations are recorded once with their tensors, and replayed.

As with a real one, numbers that Python passed are part of the recording, results go where they went the first time, and
what reads a tensor's value while recording fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.is_nonzero.default, aten.equal.default}
"""What waits for the GPU to answer."""


class Recorder(TorchDispatchMode):
    """Notes every operation that is done within it."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        """Do it all again, in the same places."""
        with torch.no_grad():
            for func, args, kwargs, places in self.calls:
                for place, value in zip(tree_leaves(places), tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(place, Tensor) and place.data_ptr() != value.data_ptr():  # else it is a view
                        place.detach().copy_(value)


def recorded(
    work: Callable[[], tuple[Tensor, Tensor]], device: torch.device, tensors: list[Tensor]
) -> tuple[Callable[[], None], tuple[Tensor, Tensor]]:
    """What `captured.record` does on CUDA; `tensors` are left as they were, since recording runs nothing there."""
    state, before = torch.get_rng_state(), [tensor.detach().clone() for tensor in tensors]
    try:
        with Recorder() as recorder:
            found = work()
    finally:
        torch.set_rng_state(state)
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
    return recorder.replay, found
