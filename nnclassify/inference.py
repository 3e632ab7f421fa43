"""Outputs of a network for a whole split: what validation, evaluation and prediction share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nnclassify.datasets import Examples
from nnclassify.device import Placement
from nnclassify.transforms import Transform

MAX_BATCH, BATCH_BYTES = 1000, 64 * 2**20
"""Examples at a time: many, but bounded in memory. The training's batch size plays no part in it."""


@torch.no_grad()
def outputs_of(model: nn.Module, examples: Examples, transform: Transform, placement: Placement) -> Tensor:
    """Outputs `(N, num_outputs)` on the CPU, in the order of the split; the network is left in training mode
    or out of it, as it was."""
    was_training = model.training
    model.eval()
    size = max(1, min(MAX_BATCH, BATCH_BYTES // (4 * math.prod(transform.input_shape))))
    outputs = []
    with placement.autocasting():
        for rows in torch.arange(len(examples)).split(size):
            raw, _ = examples.select(rows)
            inputs = placement.arrange(transform(raw.to(placement.device), placement.dtype))
            outputs.append(model(inputs).to(placement.dtype))
    model.train(was_training)
    return torch.cat(outputs).cpu()  # the one synchronisation point
