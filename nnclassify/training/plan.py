"""How a run is executed: where, in which number type, and by whom its steps are run. Decided here, once.

Every decision is a function of the config, the network, static facts of the machine and whether the compiled step is
kept from an earlier run, never of a stop-watch: the same config on the same machine takes the same steps, bit for
bit, and a compiled step rounds otherwise than an eager one. (A run that resumes continues as it began: see
`ExecutionPlan.as_begun`; its own config.yaml says what was done.)
The constants below are estimates, from runs on 2 cores of an AMD EPYC (AVX-512, bf16) that
were not alone there; they are set so that a wrong estimate leaves the run eager.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import torch
from torch import Tensor, nn

from nnclassify.compile.aot import kept_library
from nnclassify.config.run_config import RunConfig
from nnclassify.data.batches import Batches
from nnclassify.device import Placement
from nnclassify.errors import DeviceError
from nnclassify.losses import LossFunction
from nnclassify.training.functional_state import FunctionalState
from nnclassify.training.precision import training_autocast

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


class Execution(StrEnum):
    """Who runs the steps."""

    EAGER = "eager"
    """PyTorch, operation by operation."""
    COMPILED = "compiled"
    """Machine code, a group of steps per call."""
    CUDA_GRAPH = "cuda_graph"
    """A CUDA graph, a group of steps per replay."""

    @classmethod
    def fast_on(cls, device: torch.device) -> Execution:
        """The one that is not eager: a GPU waits for launches, which a CUDA graph saves without a compiler."""
        return cls.CUDA_GRAPH if device.type == "cuda" else cls.COMPILED


@dataclass(frozen=True)
class ExecutionPlan:
    """How the steps of a run are executed.

    Attributes:
        placement: Device, number type and memory format of network and inputs; with the autocast of training, which
            validation and prediction may not share.
        num_threads: Of the CPU.
        world_size: Processes that compute each batch together.
        group_size: Steps of one call, at most.
        execution: Who runs a call.
        compile: What the config asks for; `on`: an execution that is not available ends the run.
        key: A digest of all that decides what a step computes, beside its tensors: compiled steps are kept under it.
    """

    placement: Placement
    num_threads: int = 1
    world_size: int = 1
    group_size: int = 1
    execution: Execution = Execution.EAGER
    compile: Compile = "auto"
    key: str = ""

    @property
    def setting(self) -> Literal["on", "off"]:
        """The value of `compile` that has steps executed like this."""
        return "off" if self.execution is Execution.EAGER else "on"

    def eager(self) -> ExecutionPlan:
        """The same plan, with eager steps."""
        return replace(self, execution=Execution.EAGER)

    def as_begun(self, *, is_compiled: bool) -> ExecutionPlan:
        """The plan of a run that began with such steps, where the config leaves it open.

        Compiled steps that were kept may have come or gone since.
        """
        if self.compile != "auto":
            return self
        return replace(self, execution=self.execution_of(is_compiled=is_compiled))

    def execution_of(self, *, is_compiled: bool) -> Execution:
        """Who runs steps that are to be compiled or recorded, or not to be."""
        fits = self.world_size == 1 and self.placement.autocast_dtype != torch.float16
        return Execution.fast_on(self.placement.device) if is_compiled and fits else Execution.EAGER

    def description(self) -> dict[str, str | int]:
        """What was decided, in the order of the decisions: `train --verbose` and `result.json` show it."""
        dtype = self.placement.dtype
        return {
            "device": str(self.placement.device),
            "dtype": str(dtype).removeprefix("torch."),
            "autocast": str(self.placement.autocast_dtype or dtype).removeprefix("torch."),
            "memory_format": "channels_last" if self.placement.channels_last else "contiguous",
            "num_threads": self.num_threads,
            "world_size": self.world_size,
            "execution": str(self.execution),
            "group_size": self.group_size,
            "key": self.key,
        }


def plan_execution(
    config: RunConfig,
    batches: Batches,
    model: nn.Module,
    loss_fn: LossFunction,
    state: FunctionalState,
    world_size: int,
) -> ExecutionPlan:
    """Decide how a run is executed; network, optimizers and random state are left as they are.

    Args:
        config: The config.
        batches: The training batches, of which the first few may be tried in bfloat16.
        model: The untrained network, where and as it is trained.
        loss_fn: The loss.
        state: What a step of the first epoch changes.
        world_size: Processes that compute each batch together.

    Raises:
        DeviceError: What the config asks for is not available.
    """
    placement, device, is_alone = batches.placement, batches.placement.device, world_size == 1
    if placement.autocast_dtype == torch.float16 and not is_alone:
        raise DeviceError("precision: float16 needs a single process; use bfloat16 with several")
    workload = workload_of(
        model, batches.transform.input_shape, config.batch_size, config.epochs, len(batches.examples)
    )
    if config.precision == "auto" and is_alone:  # several machines might not decide alike, so they keep float32
        autocast = training_autocast(batches, model, loss_fn, workload.flops)
        placement = replace(placement, autocast_dtype=autocast)
    batch_bytes = config.batch_size * math.prod(batches.transform.input_shape) * placement.dtype.itemsize
    plan = ExecutionPlan(
        placement,
        num_threads=config.threads or num_threads(workload) or torch.get_num_threads(),
        world_size=world_size,
        group_size=group_size(workload, device, batch_bytes) if is_alone else 1,
        compile=config.compile,
    )
    plan = replace(plan, key=_key(plan, config, batches, loss_fn))
    if (optimizer := state.not_functional()) is not None:
        if config.compile == "on":
            why = f"found on, but no rule in optim/update_rules.py says what {optimizer} does; set auto or off"
            raise DeviceError(f"compile: {why}", ("compile",))
        return plan
    kept = config.compile == "auto" and _is_kept(plan, state)
    is_compiled = compiles(config.compile, workload, device, kept=kept)
    return replace(plan, execution=plan.execution_of(is_compiled=is_compiled))


def _key(plan: ExecutionPlan, config: RunConfig, batches: Batches, loss_fn: LossFunction) -> str:
    """All that decides what a step does, beside the tensors that it is given: learning rates are among those."""
    of_step = {"model", "loss", "optimizer", "clip_grad_norm", "batch_size"}
    facts = config.model_dump(mode="json", include=of_step)
    facts["targets"] = list(batches.examples.targets.shape[1:])
    del facts["optimizer"]["lr"]
    weights = None if loss_fn.class_weights is None else loss_fn.class_weights.tolist()
    averaging = type(config.averaging()).__name__
    text = json.dumps([facts, batches.transform.input_shape, weights, averaging, plan.description()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_kept(plan: ExecutionPlan, state: FunctionalState) -> bool:
    """Whether an earlier run has compiled this step, so that it need only be loaded."""
    if Execution.fast_on(plan.placement.device) is not Execution.COMPILED:
        return False
    described = f"{plan.key} {state.described()}"
    return kept_library(described, state.tensors, plan.group_size, plan.num_threads).is_kept()


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


def group_size(workload: Workload, device: torch.device, batch_bytes: int) -> int:
    """Steps that one call takes, at most; on a CPU a power of two, so that data sets of about one size share what is
    compiled.

    Args:
        workload: What a step costs.
        device: Where it runs.
        batch_bytes: Of a prepared batch.
    """
    captured = Execution.fast_on(device) is Execution.CUDA_GRAPH
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
    if Execution.fast_on(device) is Execution.CUDA_GRAPH:
        return workload.flops <= CAPTURED_LARGE_FLOPS and saved > REPAY * CAPTURE_SECONDS
    if workload.flops > LARGE_FLOPS:
        return False
    if kept:
        return saved > REPAY * LOAD_SECONDS
    cost = COMPILE_SECONDS + COMPILE_LAYER_SECONDS * workload.num_layers
    return saved > REPAY * cost and device.type == "cpu" and _has_cpp_compiler()


def _has_cpp_compiler() -> bool:
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
