"""Summary of what a config builds: layers, operations, memory, and execution plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nnclassify.config.run_config import LoadedConfig, located
from nnclassify.models.layers import tensors_in
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.plan import PlanFigures
from nnclassify.training.trainer import Trainer


@dataclass(frozen=True)
class LayerSummary:
    """One call of a layer in the forward pass.

    Attributes:
        name: Path of the layer in the network, such as `blocks.0.conv`.
        kind: Class of the layer.
        output_shape: Output shape for a batch: `(N, C, H, W)` or `(N, units)`.
        parameters: Number of parameters, counted at the first call.
        multiply_adds: Multiply-adds per example in matrix products and convolutions.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Memory:
    """Memory used in training, in bytes.

    Attributes:
        parameters: Weights, biases and buffers such as running means.
        gradients: Gradients of the trained parameters.
        optimizer: Optimizer state after a step.
        average: Averaged weights; 0 without an average.
        activations: Estimate: the outputs of the layers for one batch. The backward pass keeps most of them, and
            some tensors inside layers.
    """

    parameters: int
    gradients: int
    optimizer: int
    average: int
    activations: int


@dataclass(frozen=True)
class Summary:
    """The network that a config builds, layer by layer, and what it takes to train it.

    Attributes:
        layers: The layers, in the order of the forward pass.
        batch_size: N of the output shapes: the batch size, or the size of the training split if that is smaller.
        parameters: Number of parameters.
        trainable_parameters: Number of trainable parameters.
        multiply_adds: Multiply-adds of the forward pass per example.
        memory: Memory used in training.
        plan: How the run is executed.
    """

    layers: list[LayerSummary]
    batch_size: int
    parameters: int
    trainable_parameters: int
    multiply_adds: int
    memory: Memory
    plan: PlanFigures


def summarize(loaded: LoadedConfig) -> Summary:
    """Build a config as for training, and run one training batch through the network.

    Raises:
        NNClassifyError: As for `build_components` and `build_trainer`.
    """
    with located(loaded.source):
        trainer = build_trainer(build_components(loaded.config))
    chunk = next(iter(trainer.train_batches.epoch(1, 0)))
    batch = next(iter(chunk))[0][: chunk.batch_size]
    plan = trainer.plan.description()
    forward = _Forward(trainer, batch)
    parameters = list(trainer.model.parameters())
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    return Summary(
        layers=forward.layers,
        batch_size=len(batch),
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable_parameters=sum(parameter.numel() for parameter in learning),
        multiply_adds=forward.multiply_adds,
        memory=Memory(
            parameters=_bytes([*parameters, *trainer.model.buffers()]),
            gradients=_bytes(learning),
            optimizer=_optimizer_bytes(trainer, learning),
            average=0 if trainer.averaged is None else _bytes(trainer.averaged.state_dict().values()),
            activations=forward.activation_bytes,
        ),
        plan=plan,
    )


class _Forward:
    """A forward pass in training mode, observed by hooks on every layer."""

    def __init__(self, trainer: Trainer, batch: Tensor) -> None:
        self.layers: list[LayerSummary] = []
        self._batch = batch
        self._counter = FlopCounterMode(display=False)
        self._started: list[int] = []
        self._seen: set[nn.Parameter] = set()
        self._outputs: list[Tensor] = []  # kept alive so that no address is used twice
        with ExitStack() as hooks, torch.no_grad(), trainer.plan.placement.autocast():
            for name, module in _layers(trainer.model):
                hooks.callback(module.register_forward_pre_hook(lambda *_: self._enter()).remove)
                hooks.callback(module.register_forward_hook(lambda m, _, out, n=name: self._leave(n, m, out)).remove)
            with self._counter:
                trainer.model.train()(batch)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds per example."""
        return self._per_example(self._counter.get_total_flops())

    @property
    def activation_bytes(self) -> int:
        """Bytes of the outputs. Shared storage, such as that of views and in-place operations, is counted once."""
        storages = {output.untyped_storage().data_ptr(): output.untyped_storage() for output in self._outputs}
        storages.pop(self._batch.untyped_storage().data_ptr(), None)
        return sum(storage.nbytes() for storage in storages.values())

    def _enter(self) -> None:
        self._started.append(self._counter.get_total_flops())

    def _leave(self, name: str, module: nn.Module, output: Any) -> None:
        flops = self._counter.get_total_flops() - self._started.pop()
        first = next(tensors_in(output), torch.empty(0))
        new = set(module.parameters()) - self._seen
        self._seen |= new
        self._outputs.append(first)
        count, shape = sum(parameter.numel() for parameter in new), tuple(first.shape)
        self.layers.append(LayerSummary(name, type(module).__name__, shape, count, self._per_example(flops)))

    def _per_example(self, flops: int) -> int:
        return flops // 2 // len(self._batch)  # a multiply-add is two operations


def _layers(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules without submodules, and attention, which uses its submodules' weights directly."""
    for name, module in model.named_children():
        if isinstance(module, nn.MultiheadAttention) or next(module.children(), None) is None:
            if not isinstance(module, nn.Identity):
                yield f"{path}{name}", module
        else:
            yield from _layers(module, f"{path}{name}.")


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _optimizer_bytes(trainer: Trainer, learning: Iterable[nn.Parameter]) -> int:
    """Return the size of the optimizer state after a step; the network is not used afterwards."""
    for parameter in learning:
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in trainer.optimizers:
        optimizer.step()
    states = [state for optimizer in trainer.optimizers for state in optimizer.state.values()]
    return _bytes(value for state in states for value in state.values() if isinstance(value, Tensor))
