"""How a run is executed: device, number types, threads, and whether its steps are eager, compiled or captured.

Every decision is a function of the config, the network, fixed properties of the machine and whether the compiled step
is cached from an earlier run, never of measured time. So the same config on the same machine takes the same steps bit
for bit, although a compiled step rounds differently from an eager one. (A resumed run continues as it began: see
`ExecutionPlan.as_begun`; its own config.yaml records what was done.)
The constants below are estimates from runs on 2 cores of a shared AMD EPYC (AVX-512, bf16) and on an H100. They are
chosen so that a wrong estimate leaves the run eager.
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
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.compile.aot import kept_library
from nnclassify.config.run_config import RunConfig
from nnclassify.data.batches import Batches
from nnclassify.device import Placement, autocast_of, resolve_placement
from nnclassify.errors import DeviceError
from nnclassify.losses import LossFunction
from nnclassify.process import default_threads, has_lost_threads
from nnclassify.training.functional_state import FunctionalState
from nnclassify.training.precision import training_autocast

Compile = Literal["auto", "on", "off"]

MAX_GROUP = 256
"""Maximum steps per call: enough to make the overhead of a call negligible, few enough to react to signals."""
TINY_FLOPS = 4_000_000
"""Below this many operations (forward), overhead dominates a step: use one thread, and many steps per call."""
LARGE_FLOPS = 1e9
"""Above this many operations, arithmetic dominates, and torch's kernels are as fast: `auto` does not compile."""
OVERHEAD_SECONDS = 40e-6
"""PyTorch's overhead per layer (forward, backward and update), which is the least that compiling saves."""
LAUNCH_SECONDS = 100e-6
"""The same on CUDA, where each layer launches about ten kernels; measured on an H100: 0.1 ms (resnet) to 0.27 ms."""
COMPILE_SECONDS, COMPILE_LAYER_SECONDS = 15.0, 1.0
"""Compilation time: constant part, and part per layer."""
LOAD_SECONDS = 0.02
"""Time to find, load and first call a cached library."""
CAPTURE_SECONDS, CAPTURE_LAYER_SECONDS = 0.06, 0.02
"""Time to verify a step and capture it as a CUDA graph: constant part, and part per layer; measured on an H100."""
REPAY = 2.0
"""Compile if this many times its cost is saved, so that a wrong estimate does no harm."""
GROUP_BYTES = 2**20
"""Maximum size of the inputs of a call."""
CAPTURED_GROUP, CAPTURED_BYTES = 16, 2**24
"""The same limits for a CUDA graph, in which each step has its own kernels."""
CAPTURED_LARGE_FLOPS = 1e12
"""Above this many operations, a step keeps any GPU busy for longer than it takes to launch its kernels. On an H100, a
step of `cifar_fast` (4e12) takes 4.8 ms eagerly and 5.0 ms as a graph."""


class Execution(StrEnum):
    """How steps are executed."""

    EAGER = "eager"
    """PyTorch, operation by operation."""
    COMPILED = "compiled"
    """Machine code, a group of steps per call."""
    CUDA_GRAPH = "cuda_graph"
    """A CUDA graph, a group of steps per replay."""

    @classmethod
    def fast_on(cls, device: torch.device) -> Execution:
        """Return the fast execution for a device: a CUDA graph on a GPU, which saves launches without a compiler;
        else compiled."""
        return cls.CUDA_GRAPH if device.type == "cuda" else cls.COMPILED


class PlanFigures(TypedDict):
    """How a run is executed: see `ExecutionPlan`."""

    device: str
    dtype: str
    autocast: str
    memory_format: str
    num_threads: int
    world_size: int
    execution: str
    group_size: int
    key: str


@dataclass(frozen=True)
class ExecutionPlan:
    """How the steps of a run are executed.

    Attributes:
        placement: Device, number types and memory format of network and inputs. Its autocast type is for training;
            validation and prediction may use another.
        num_threads: Number of CPU threads.
        world_size: Number of processes that share each batch.
        group_size: Maximum number of steps per call.
        execution: How a call is executed.
        compile: The option of the config; with `on`, an execution that is not available ends the run.
        key: Digest of everything that determines what a step computes, except for its tensors; compiled steps are
            cached under it.
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
        """Value of the `compile` option that reproduces this execution."""
        return "off" if self.execution is Execution.EAGER else "on"

    def eager(self) -> ExecutionPlan:
        """Return the same plan with eager steps."""
        return replace(self, execution=Execution.EAGER)

    def as_begun(self, *, is_compiled: bool) -> ExecutionPlan:
        """Return the plan with the execution that the run began with, unless the config sets `compile`.

        Compiled steps in the cache may have been added or deleted since.
        """
        if self.compile != "auto":
            return self
        return replace(self, execution=self.execution_of(is_compiled=is_compiled))

    def execution_of(self, *, is_compiled: bool) -> Execution:
        """Return the execution for steps that should or should not be compiled or captured."""
        fits = self.world_size == 1 and self.placement.autocast_dtype != torch.float16
        return Execution.fast_on(self.placement.device) if is_compiled and fits else Execution.EAGER

    def description(self) -> PlanFigures:
        """Return the decisions in the order in which they are made, for `train --verbose` and `result.json`."""
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


def begin_plan(config: RunConfig) -> ExecutionPlan:
    """Decide what does not depend on the data, such as the number of CPU threads that read them.

    Raises:
        DeviceError: The device is not available, or does not support the number type.
    """
    placement, threads = resolve_placement(config.device, config.precision), config.threads or default_threads()
    if threads > 1 and has_lost_threads():
        raise DeviceError(
            f"threads: found {threads}, but this process was forked from one that used threads of torch, which a fork "
            "does not inherit; remove it, or start the process with multiprocessing's spawn or forkserver"
        )
    return ExecutionPlan(placement, threads, compile=config.compile)


def plan_execution(
    begun: ExecutionPlan,
    config: RunConfig,
    batches: Batches,
    model: nn.Module,
    loss_fn: LossFunction,
    state: FunctionalState,
    world_size: int,
    autocast: str | None = None,
) -> ExecutionPlan:
    """Decide how a run is executed, without changing the network, optimizers, random state or process.

    Args:
        begun: The plan as of `begin_plan`.
        config: The config.
        batches: The training batches; the first few may be tried in bfloat16.
        model: The untrained network, on the device and in the number type that it is trained in.
        loss_fn: The loss.
        state: The tensors that a step of the first epoch changes.
        world_size: Number of processes that share each batch.
        autocast: The number type of `precision: auto` that the run began with; None: decide now.

    Raises:
        DeviceError: What the config asks for is not available.
    """
    placement, device, is_alone = batches.placement, batches.placement.device, world_size == 1
    if placement.autocast_dtype == torch.float16 and not is_alone:
        raise DeviceError("precision: float16 needs a single process; use bfloat16 with several")
    workload = workload_of(
        model, batches.transform.input_shape, config.batch_size, config.epochs, len(batches.examples)
    )
    if config.precision == "auto" and is_alone:  # machines might decide differently, so several processes use float32
        if autocast is None:
            autocast_dtype = training_autocast(batches, model, loss_fn, workload.flops)
        else:
            autocast_dtype = autocast_of(autocast)
        placement = replace(placement, autocast_dtype=autocast_dtype)
    batch_bytes = config.batch_size * math.prod(batches.transform.input_shape) * placement.dtype.itemsize
    plan = replace(
        begun,
        placement=placement,
        num_threads=config.threads or num_threads(workload) or begun.num_threads,
        world_size=world_size,
        group_size=group_size(workload, device, batch_bytes) if is_alone else 1,
    )
    plan = replace(plan, key=_key(plan, config, batches, loss_fn))
    if (optimizer := state.optimizer_without_rule()) is not None:
        if config.compile == "on":
            why = f"found on, but no rule in optim/update_rules.py says what {optimizer} does; set auto or off"
            raise DeviceError(f"compile: {why}", ("compile",))
        return plan
    kept = config.compile == "auto" and _is_kept(plan, state)
    is_compiled = compiles(config.compile, workload, device, kept=kept)
    return replace(plan, execution=plan.execution_of(is_compiled=is_compiled))


def _key(plan: ExecutionPlan, config: RunConfig, batches: Batches, loss_fn: LossFunction) -> str:
    """Return a digest of everything that determines a step, except for its tensors, which include the learning
    rates."""
    of_step = {"model", "loss", "optimizer", "clip_grad_norm", "batch_size"}
    facts = config.model_dump(mode="json", include=of_step)
    facts["targets"] = list(batches.examples.targets.shape[1:])
    if batches.augment is not None and batches.augment.mixes:
        facts["targets"] = ["soft", batches.num_classes]
    del facts["optimizer"]["lr"]
    weights = None if loss_fn.class_weights is None else loss_fn.class_weights.tolist()
    averaging = type(config.averaging()).__name__
    text = json.dumps([facts, batches.transform.input_shape, weights, averaging, plan.description()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_kept(plan: ExecutionPlan, state: FunctionalState) -> bool:
    """Return whether an earlier run has compiled this step, so that it only needs to be loaded."""
    if Execution.fast_on(plan.placement.device) is not Execution.COMPILED:
        return False
    described = f"{plan.key} {state.described()}"
    return kept_library(described, state.tensors, plan.group_size, plan.num_threads).is_kept()


@dataclass(frozen=True)
class Workload:
    """The cost of a step, counted rather than measured.

    Attributes:
        num_layers: Number of modules without submodules.
        flops: Operations of the forward pass of one batch.
        num_steps: Number of optimizer steps in the run.
        whole_batches: Number of complete batches per epoch.
    """

    num_layers: int
    flops: float
    num_steps: int
    whole_batches: int


def workload_of(
    model: nn.Module, input_shape: tuple[int, ...], batch_size: int, epochs: int, examples: int
) -> Workload:
    """Count a network's layers, and its operations from the number of weights and the positions they are applied at.

    Where convolutions shrink an image, the true number is smaller (see `summary`). The decisions of resumed runs depend
    on this one.
    """
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
    """Return the number of CPU threads, or None for torch's choice: a second thread would slow down a tiny step."""
    return 1 if workload.flops < TINY_FLOPS else None


def group_size(workload: Workload, device: torch.device, batch_bytes: int) -> int:
    """Return the maximum number of steps per call; a power of two on a CPU, so that similar datasets share code.

    Args:
        workload: The cost of a step.
        device: The device.
        batch_bytes: Size of the inputs of a batch.
    """
    captured = Execution.fast_on(device) is Execution.CUDA_GRAPH
    if not captured and (workload.flops >= TINY_FLOPS or device.type != "cpu"):
        return 1
    longest, largest = (CAPTURED_GROUP, CAPTURED_BYTES) if captured else (MAX_GROUP, GROUP_BYTES)
    most = max(1, min(longest, workload.whole_batches, largest // max(1, batch_bytes)))
    return most if captured else min(longest, 1 << (most - 1).bit_length())


def compiles(wanted: Compile, workload: Workload, device: torch.device, *, kept: bool) -> bool:
    """Return whether to compile steps, or capture them as a CUDA graph.

    `auto` does so if the overhead saved over the complete run is at least twice the cost of compiling, of loading a
    cached library, or of capturing.
    """
    if wanted != "auto":
        return wanted == "on"
    layers = workload.num_layers
    if Execution.fast_on(device) is Execution.CUDA_GRAPH:
        cost = CAPTURE_SECONDS + CAPTURE_LAYER_SECONDS * layers
        saved = workload.num_steps * layers * LAUNCH_SECONDS
        return workload.flops <= CAPTURED_LARGE_FLOPS and saved > REPAY * cost
    saved = workload.num_steps * layers * OVERHEAD_SECONDS
    if workload.flops > LARGE_FLOPS:
        return False
    if kept:
        return saved > REPAY * LOAD_SECONDS
    cost = COMPILE_SECONDS + COMPILE_LAYER_SECONDS * layers
    return saved > REPAY * cost and device.type == "cpu" and _has_cpp_compiler()


def _has_cpp_compiler() -> bool:
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))
