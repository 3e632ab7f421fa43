"""How a run is executed: what is compiled, in groups of how many steps, with how many threads.

Every decision is a function of the config, the network and static facts of the machine, never of a stop-watch: two
processes that train the same config on the same machine must take the same steps, bit for bit, and a compiled step
rounds otherwise than an eager one. The constants below are estimates, from runs on 2 cores of an AMD EPYC (AVX-512,
bf16) that were not alone there; they are set so that a wrong estimate leaves the run eager.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from nnclassify.step import can_compile

Compile = Literal["auto", "on", "off"]

MAX_GROUP = 8
"""Steps of a compiled group: most of what there is to gain, at a compilation that is still short."""
TINY_FLOPS = 1_000_000
"""A step of fewer operations (forward) gains from groups: more of it is overhead than arithmetic."""
OVERHEAD_SECONDS = 30e-6
"""What PyTorch's dispatcher takes for one layer, forward, backward and update: what compiling saves at least."""
COMPILE_SECONDS, COMPILE_LAYER_SECONDS = 15.0, 1.5
"""A compilation without a cache: once, and for each layer of each step of a group."""
REPAY = 2.0
"""Compile where this many times its cost is saved: then a wrong estimate still loses nothing."""
EAGER_GROUP_EXAMPLES = 4096
"""Examples of an eager group: between groups a signal is heeded."""


@dataclass(frozen=True)
class Plan:
    """How a run is executed.

    Attributes:
        compiled: Whether the training step is compiled.
        group_size: Batches that one call of it takes.
        threads: CPU threads; None: torch's choice.
    """

    compiled: bool
    group_size: int
    threads: int | None = None


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


def plan(wanted: Compile, workload: Workload, device: torch.device) -> Plan:
    """What to compile, and how many steps at a time.

    `auto` compiles where the dispatcher's time that is saved over the whole run is twice what a compilation costs
    without a cache, and a C++ compiler is there.
    """
    group = _group_size(workload) if workload.flops < TINY_FLOPS else 1
    saved = workload.num_steps * workload.num_layers * OVERHEAD_SECONDS
    cost = COMPILE_SECONDS + COMPILE_LAYER_SECONDS * workload.num_layers * group
    repays = saved > REPAY * cost and (device.type == "cuda" or _has_cpp_compiler())
    compiled = wanted == "on" or (wanted == "auto" and repays and can_compile())
    # Waking a second thread takes longer than all the arithmetic of a tiny step.
    return Plan(compiled, group, threads=1 if workload.flops < TINY_FLOPS else None)


def _group_size(workload: Workload) -> int:
    """At most MAX_GROUP, with few batches of an epoch left over: those run eagerly, several times slower."""
    sizes = range(1, min(MAX_GROUP, max(1, workload.whole_batches)) + 1)
    return min(sizes, key=lambda size: 5 * (workload.whole_batches % size) + workload.whole_batches // size)


def _has_cpp_compiler() -> bool:
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
