"""Where inputs unlike the training data stand out: the inputs of a network, and those of its last layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.data.transform import Tta

Features = dict[str, Tensor]
"""Features of N examples by where they are from, `inputs` and `last_layer`, `(N, D)` each."""
MAX_FEATURES = 256
"""Maximum number of features from one place; more are averaged down."""
NUM_VIEWS: dict[Tta, int] = {"none": 1, "mirror": 2, "mirror_translate": 6}
"""The number of `views` of a batch."""


@contextmanager
def recorded_features(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Record the normalized inputs of a network and those of its last linear layer, while it computes outputs."""
    places = {"inputs": model}
    if linear := [module for module in model.modules() if isinstance(module, nn.Linear)]:
        places["last_layer"] = linear[-1]
    recorded: dict[str, list[Tensor]] = {name: [] for name in places}
    with ExitStack() as hooks:
        for name, module in places.items():
            hooks.callback(module.register_forward_pre_hook(partial(_record, recorded[name])).remove)
        yield recorded


def features_of(recorded: dict[str, list[Tensor]], num_examples: int, tta: Tta) -> Features:
    """Return the features of the first view of each example, on the CPU.

    A place is left out if it does not get one row of one size per example.
    """
    firsts = {name: batches[:: NUM_VIEWS[tta]] for name, batches in recorded.items()}
    return {
        name: torch.cat(batches).cpu()
        for name, batches in firsts.items()
        if sum(map(len, batches)) == num_examples and len({len(rows.T) for rows in batches}) == 1
    }


def _record(recorded: list[Tensor], module: nn.Module, inputs: tuple[object, ...]) -> None:
    given = inputs[0] if inputs else None  # a user's own network may pass it by name, or something else
    if not isinstance(given, Tensor) or given.ndim < 2:
        return
    values = given.detach().float()
    if values.ndim == 4:  # images (B, C, H, W)
        side = max(1, math.isqrt(MAX_FEATURES // values.shape[1]))
        values = functional.adaptive_avg_pool2d(values, (min(side, values.shape[2]), min(side, values.shape[3])))
    flat = values.flatten(start_dim=1)
    recorded.append(flat if flat.shape[1] <= MAX_FEATURES else functional.adaptive_avg_pool1d(flat, MAX_FEATURES))
