"""What a network makes of its inputs before its last layer: where inputs unlike the training data stand out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.data.transform import Tta

MAX_FEATURES = 256
"""Maximum number of features of an example; more are averaged down."""
NUM_VIEWS: dict[Tta, int] = {"none": 1, "mirror": 2, "mirror_translate": 6}
"""The number of `views` of a batch."""


@contextmanager
def recorded_features(model: nn.Module) -> Iterator[list[Tensor]]:
    """Record the inputs of the last linear layer, `(B, D)` each, while the network computes outputs."""
    recorded: list[Tensor] = []
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        yield recorded
        return
    handle = linear[-1].register_forward_pre_hook(partial(_record, recorded))
    try:
        yield recorded
    finally:
        handle.remove()


def features_of(recorded: list[Tensor], num_examples: int, tta: Tta) -> Tensor | None:
    """Return the features `(N, D)` of the first view of each example, on the CPU.

    They are None if the network has no linear layer, or if that does not get one row per example.
    """
    firsts = recorded[:: NUM_VIEWS[tta]]
    if not firsts or sum(map(len, firsts)) != num_examples or len({len(rows.T) for rows in firsts}) > 1:
        return None
    return torch.cat(firsts).cpu()


def _record(recorded: list[Tensor], layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    flat = inputs[0].detach().float().flatten(start_dim=1)
    recorded.append(flat if flat.shape[1] <= MAX_FEATURES else functional.adaptive_avg_pool1d(flat, MAX_FEATURES))
