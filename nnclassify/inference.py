"""Outputs of a network for a whole split: what validation, evaluation and prediction share."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nnclassify.datasets import Examples
from nnclassify.device import Placement
from nnclassify.transforms import Transform

MAX_BATCH, BATCH_BYTES = 1000, 64 * 2**20
"""Examples at a time: many, but bounded in memory. The training's batch size plays no part in it."""


def outputs_of(model: nn.Module, examples: Examples, transform: Transform, placement: Placement) -> Tensor:
    """Outputs `(N, num_outputs)` on the CPU, in the order of the split; the network is left in training mode
    or out of it, as it was."""
    # The one synchronisation point:
    return torch.cat(list(outputs_by_batch(model, examples, transform, placement))).cpu()


def outputs_by_batch(
    model: nn.Module, examples: Examples, transform: Transform, placement: Placement
) -> Iterator[Tensor]:
    """The same a batch at a time, `(B, num_outputs)` on the device."""
    was_training = model.training
    size = max(1, min(MAX_BATCH, BATCH_BYTES // (4 * math.prod(transform.input_shape))))
    model.eval()
    try:
        for rows in torch.arange(len(examples)).split(size):
            raw, _ = examples.select(rows)
            inputs = placement.arrange(transform(raw.to(placement.device), placement.dtype))
            with torch.no_grad(), placement.autocasting():
                outputs = model(inputs).to(placement.dtype)
            yield outputs
    finally:
        model.train(was_training)
