"""How a run is executed: what is compiled, how many steps go into one call, with how many threads.

Every decision is a function of the config, the network, static facts of the machine and whether the compiled step is
kept from an earlier run, never of a stop-watch: the same config on the same machine takes the same steps, bit for
bit, and a compiled step rounds otherwise than an eager one. (A run that resumes goes on as it began: see
`Trainer.load_state`; its own config.yaml says what was done.)
The constants below are estimates, from runs on 2 cores of an AMD EPYC (AVX-512, bf16) that
were not alone there; they are set so that a wrong estimate leaves the run eager.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Compile = Literal["auto", "on", "off"]

MAX_GROUP = 256
"""Steps of a call: enough that entering and leaving it costs nothing, few enough that signals are heeded."""
TINY_FLOPS = 4_000_000
"""A step of fewer operations (forward) is more overhead than arithmetic: one thread, and many steps a call."""
LARGE_FLOPS = 1e9
"""A step of more is all arithmetic, and torch's own kernels do that as well: `auto` leaves it to them."""
OVERHEAD_SECONDS = 40e-6
"""What PyTorch's dispatcher takes for one layer, forward, backward and update: what compiling saves at least."""
COMPILE_SECONDS, COMPILE_LAYER_SECONDS = 15.0, 1.0
"""A compilation: once, and for each layer."""
LOAD_SECONDS = 0.02
"""Finding, loading and first calling a library that is there."""
CAPTURE_SECONDS = 0.05
"""Recording a CUDA graph: a guess, since no GPU was at hand."""
REPAY = 2.0
"""Compile where this many times its cost is saved: then a wrong estimate still loses nothing."""
GROUP_BYTES = 2**20
"""Prepared inputs of a call, at most."""
CAPTURED_GROUP, CAPTURED_BYTES = 16, 2**24
"""The same of a CUDA graph, each of whose steps has its own place among the graph's kernels."""
CAPTURED_LARGE_FLOPS = 1e12
"""A step of more keeps any GPU busy for longer than launching its kernels takes."""


@dataclass(frozen=True)
class Workload:
    """What a step of a run costs, counted, not measured.

    Attributes:
        num_layers: Modules that compute something.
        flops: Operations of the forward pass of one batch.
        num_steps: Updates in the whole run.
        whole_batches: Batches of an epoch that are not cut short.
    """

    num_layers: int
    flops: float
    num_steps: int
    whole_batches: int


def workload_of(
    model: nn.Module, input_shape: tuple[int, ...], batch_size: int, epochs: int, examples: int
) -> Workload:
    """Count a network's layers, and its operations from the sizes of weights and the positions they are used at."""
    layers = [module for module in model.modules() if not list(module.children())]
    positions = math.prod(input_shape[1:]) if len(input_shape) == 3 else 1
    flops = 0.0
    for layer in layers:
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor):
            flops += 2.0 * weight.numel() * (positions if weight.ndim == 4 else 1)
    steps = math.ceil(examples / batch_size)
    return Workload(len(layers), flops * batch_size, epochs * steps, examples // batch_size)


def num_threads(workload: Workload) -> int | None:
    """CPU threads; None: torch's choice. Waking a second one takes longer than all the arithmetic of a tiny step."""
    return 1 if workload.flops < TINY_FLOPS else None


def is_captured(device: torch.device) -> bool:
    """Whether whole groups of steps are recorded there, not compiled: a GPU waits for launches."""
    return device.type == "cuda"


def group_size(workload: Workload, device: torch.device, batch_bytes: int) -> int:
    """Steps that one call takes, at most; on a CPU a power of two, so that data sets of about one size share what is
    compiled.

    Args:
        workload: What a step costs.
        device: Where it runs.
        batch_bytes: Of a prepared batch.
    """
    captured = is_captured(device)
    if not captured and (workload.flops >= TINY_FLOPS or device.type != "cpu"):
        return 1
    longest, largest = (CAPTURED_GROUP, CAPTURED_BYTES) if captured else (MAX_GROUP, GROUP_BYTES)
    most = max(1, min(longest, workload.whole_batches, largest // max(1, batch_bytes)))
    return most if captured else min(longest, 1 << (most - 1).bit_length())


def compiles(wanted: Compile, workload: Workload, device: torch.device, *, kept: bool) -> bool:
    """Whether to run steps that are compiled, or recorded as a CUDA graph.

    `auto` does where the dispatcher's time that is saved over the whole run is twice what a compilation costs, or
    what loading costs where it is kept from an earlier run, or what recording costs.
    """
    if wanted != "auto":
        return wanted == "on"
    saved = workload.num_steps * workload.num_layers * OVERHEAD_SECONDS
    if is_captured(device):
        return workload.flops <= CAPTURED_LARGE_FLOPS and saved > REPAY * CAPTURE_SECONDS
    if workload.flops > LARGE_FLOPS:
        return False
    if kept:
        return saved > REPAY * LOAD_SECONDS
    cost = COMPILE_SECONDS + COMPILE_LAYER_SECONDS * workload.num_layers
    return saved > REPAY * cost and device.type == "cpu" and _has_cpp_compiler()


def _has_cpp_compiler() -> bool:
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
