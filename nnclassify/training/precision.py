"""Decides whether training uses bfloat16: if the machine supports it, the network is large, and its loss agrees.

Only the matrix products and convolutions of training use bfloat16. Weights, updates, validation and prediction stay
in float32 (on CUDA, `device.set_matmul_precision` enables TF32 for their products).
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from nnclassify.data.batches import Batches
from nnclassify.device import Placement
from nnclassify.losses import LossFunction
from nnclassify.training.gradients import loss_and_gradients

LARGE_FLOPS = 1e8
"""Operations of a batch's forward pass above which bfloat16 saves more than the conversion costs."""
MAX_LOSS_ERROR = 0.01
"""Maximum relative difference of a batch's loss: bfloat16 has 8 bits, and a loss averages many roundings."""
MIN_GRADIENT_COSINE = 0.99
"""Minimum cosine similarity of the two gradients of a batch: harmless rounding changes their direction by less."""
CHECKED_BATCHES = 3
"""Number of batches to compare."""


def is_fast(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16 products: AVX-512 BF16, AMX, or CUDA's from Ampere on."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def training_autocast(batches: Batches, model: nn.Module, loss_fn: LossFunction, flops: float) -> torch.dtype | None:
    """Return the autocast type of `precision: auto` in training: bfloat16, or None for float32.

    The result depends on the config and the machine only; network and random state are not changed.

    Args:
        batches: The training batches; the first few of epoch 1 are tried.
        model: The untrained network.
        loss_fn: The loss.
        flops: Operations of the forward pass of a batch.
    """
    placement = batches.placement
    if flops < LARGE_FLOPS or not is_fast(placement.device):
        return None
    first = islice(next(iter(batches.epoch(1))).batches(), CHECKED_BATCHES)
    agree = all(agrees(model, loss_fn, placement, *batch) for batch in first)
    return torch.bfloat16 if agree else None


def agrees(model: nn.Module, loss_fn: LossFunction, placement: Placement, inputs: Tensor, targets: Tensor) -> bool:
    """Return whether loss and gradient of a batch agree in bfloat16 and float32 well enough for training."""
    loss, gradient = _loss_and_gradient(model, loss_fn, placement, inputs, targets)
    short = replace(placement, autocast_dtype=torch.bfloat16)
    short_loss, short_gradient = _loss_and_gradient(model, loss_fn, short, inputs, targets)
    cosine = torch.cosine_similarity(gradient, short_gradient, dim=0)
    return bool((short_loss - loss).abs() <= MAX_LOSS_ERROR * loss.abs()) and bool(cosine >= MIN_GRADIENT_COSINE)


def _loss_and_gradient(
    model: nn.Module, loss_fn: LossFunction, placement: Placement, inputs: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean loss `()` and the gradient as one vector, computed on a copy because batch norm layers have
    state."""
    model = copy.deepcopy(model).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    devices = [placement.device] if placement.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)  # the same dropout masks in both number types
        _, losses, gradients = loss_and_gradients(model, loss_fn, placement, parameters, inputs, targets)
    return loss_fn.mean(losses, targets), torch.cat([gradient.flatten() for gradient in gradients])
