"""Device, number types and memory format of a network."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nnclassify.errors import DeviceError
from nnclassify.settings import DEVICE_PATTERN

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Placement:
    """Device, number types and memory format of a network and its inputs.

    Attributes:
        device: The device.
        dtype: Number type of weights and inputs: float32 or float64.
        autocast_dtype: Number type of matrix products and convolutions under autocast; None if the same as `dtype`.
        channels_last: Whether images are stored as (N, H, W, C), which is faster for convolutions.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    autocast_dtype: torch.dtype | None = None
    channels_last: bool = False

    def with_memory_format_for(self, model: nn.Module) -> Placement:
        """Return the same placement with the best memory format for a network."""
        return replace(self, channels_last=_suits_channels_last(model, self.device))

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which forward passes use `autocast_dtype`."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def to(self, model: nn.Module) -> nn.Module:
        """Move a network to the device, number type and memory format."""
        model = model.to(self.device, self.dtype)
        return model.to(memory_format=torch.channels_last) if self.channels_last else model

    def to_memory_format(self, inputs: Tensor) -> Tensor:
        """Convert normalized inputs `(N, ...)` to the memory format."""
        return inputs.contiguous(memory_format=torch.channels_last) if self.channels_last else inputs


def resolve_device(wanted: str) -> torch.device:
    """Return the device for a config's `device`. With `auto`: CUDA if available, else MPS, else the CPU.

    Raises:
        DeviceError: The device is not available.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not re.fullmatch(DEVICE_PATTERN, wanted):
        raise DeviceError(f"device: found {wanted!r}, expected auto, cpu, cuda, cuda:N or mps", ("device",))
    kind, _, index = wanted.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise DeviceError(
            f"device: {wanted} is not available (CUDA devices: {found}); use `device: auto` or `device: cpu`",
            ("device",),
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device: mps is not available; use `device: auto` or `device: cpu`", ("device",))
    return torch.device(wanted)


def resolve_placement(device: str, precision: str) -> Placement:
    """Return device and number types for a config's `device` and `precision`.

    The memory format depends on the network: see `with_memory_format_for`.

    Raises:
        DeviceError: The device is not available, or does not support the number type.
    """
    found = resolve_device(device)
    if found.type == "mps" and precision == "float64":
        text = "precision: float64 is not supported on mps; use `precision: float32` or `device: cpu`"
        raise DeviceError(text, ("precision",))
    if found.type == "cpu" and precision == "float16":
        text = "precision: float16 needs a GPU; use `precision: bfloat16` or float32 on the CPU"
        raise DeviceError(text, ("precision",))
    dtype = torch.float64 if precision == "float64" else torch.float32
    return Placement(found, dtype, autocast_of(precision))


def autocast_of(precision: str) -> torch.dtype | None:
    """Return the autocast type of a number type by name; None for one that needs none."""
    return DTYPES[precision] if precision in ("bfloat16", "float16") else None


def _suits_channels_last(model: nn.Module, device: torch.device) -> bool:
    """Return whether to store images as (N, H, W, C): if there are convolutions, and none of them is unsafe.

    On a CPU without AVX-512, oneDNN's kernel for the gradient of a 1x1 convolution with a stride and fewer than 8
    input channels (the number of floats in an AVX2 vector) writes out of bounds in this format, with torch 2.11 to
    2.15 at least. That can crash the process. This few channels do not benefit from the format, so it is not used
    for them on any CPU.
    """
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    overruns = [
        convolution.kernel_size == (1, 1) and convolution.stride != (1, 1) and convolution.in_channels < 8
        for convolution in convolutions
    ]
    return bool(convolutions) and not (device.type == "cpu" and any(overruns))


def set_matmul_precision(device: torch.device, precision: str) -> None:
    """Set the precision of float32 matrix products on CUDA, and select deterministic algorithms.

    `auto` allows TF32, with 10 mantissa bits; `float32` uses all 23.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "auto" else "highest")
        torch.backends.cudnn.allow_tf32 = precision == "auto"
        torch.backends.cudnn.deterministic = True


def fits_on(device: torch.device, num_bytes: int) -> bool:
    """Return whether raw examples of this size should stay on a device for the complete run.

    They should if they fit into a quarter of a GPU's free memory; layers, gradients and batches need the rest.
    """
    return device.type == "cuda" and num_bytes <= torch.cuda.mem_get_info(device)[0] // 4


def chunk_limits(device: torch.device) -> tuple[int, int]:
    """Return the maximum size of a chunk of normalized inputs, in bytes and in examples.

    On a CPU, a chunk fits into about one core's share of the cache. On a GPU, it is large enough that waiting for
    results once per chunk costs nothing, and small enough that the progress bar moves.
    """
    if device.type != "cuda":
        return 8 * 2**20, 4096
    return min(2**30, torch.cuda.get_device_properties(device).total_memory // 32), 2**14
