"""Who is timed. Each is a generator: it trains one epoch a `next` and yields its seconds, then its test accuracy.

All get the same examples, network, loss and optimizer; who needs floats in memory has them made beforehand, untimed.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.config.run_config import RunConfig
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.models.layers import Dropout
from nnclassify.process import configure
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

Epochs = Iterator[float]


@dataclass(frozen=True)
class Arrays:
    """A job in memory: float32 inputs as the network wants them, class indices, and the network at its start."""

    config: RunConfig
    model: nn.Module
    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor

    @classmethod
    def of(cls, config: RunConfig) -> Arrays:
        """Normalize once."""
        components = build_components(config)
        splits = components.splits
        assert splits.test is not None
        sets = []
        for examples in (splits.train, splits.test):
            raw, targets = examples.select(torch.arange(len(examples)))
            sets += [components.transform(raw, torch.float32), targets]
        return cls(config, components.model, *sets)

    def network(self) -> nn.Module:
        """A fresh network."""
        return plain(copy.deepcopy(self.model))

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch's own, as its documentation shows it."""
        options = self.config.optimizer
        if options.name == "sgd":
            decay, momentum = options.weight_decay, options.momentum
            return torch.optim.SGD(model.parameters(), lr=options.lr, momentum=momentum, weight_decay=decay)
        if options.name in ("adam", "adamw"):
            kind = torch.optim.Adam if options.name == "adam" else torch.optim.AdamW
            return kind(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
        return options.build(list(model.named_parameters()))[-1]

    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The mean loss, as one would write it by hand."""
        if self.config.loss.name == "bce":
            return lambda outputs, targets: functional.binary_cross_entropy(outputs[:, 0], targets.float())
        if self.config.loss.name == "mse":
            return lambda outputs, targets: functional.mse_loss(outputs, functional.one_hot(targets, 10).float())
        return functional.cross_entropy

    def accuracy(self, model: nn.Module) -> float:
        """Of the test examples, 0..1."""
        model.eval()
        with torch.no_grad():
            outputs = torch.cat([model(batch) for batch in self.test_inputs.split(1000)])
        predictions = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(1)
        return float((predictions == self.test_targets).double().mean())


def plain(model: nn.Module) -> nn.Module:
    """The network of torch's own layers alone, in its usual memory format and in the order of its config, as others
    would write it."""
    model = model.to(memory_format=torch.contiguous_format)
    layers = list(model.named_children())
    for name, layer in layers:
        if isinstance(layer, Dropout):
            setattr(model, name, nn.Dropout(layer.p))
    for (name, layer), (next_name, next_layer) in pairwise(layers):
        if isinstance(layer, nn.MaxPool2d) and isinstance(next_layer, nn.ReLU):  # as models/cnn.py exchanges them
            setattr(model, name, next_layer)
            setattr(model, next_name, layer)
    return model


def nnclassify(config: RunConfig, num_epochs: int) -> Epochs:
    """This package, from its trainer; the seconds are those of the history."""
    components = build_components(config)
    configure()  # as the command does
    trainer = build_trainer(components)
    trainer.observers = [StopsAfterEachEpoch()]
    for _ in range(num_epochs):
        trainer.stop_signal = None
        trainer.fit()
        yield trainer.rows[-1].seconds
    test = components.splits.test
    assert test is not None
    outputs = outputs_of(trainer.evaluated_model(), test, components.transform, components.placement)
    yield float((components.loss_fn.predictions(outputs) == test.all_targets()).double().mean())


class StopsAfterEachEpoch(Observer):
    """Has the trainer hand back control."""

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Stop."""
        trainer.stop_signal = 1


def auto(config: RunConfig, num_epochs: int) -> Epochs:
    """As anybody runs it, when the step was compiled by an earlier run."""
    return nnclassify(config.model_copy(update={"compile": "auto"}), num_epochs)


def off(config: RunConfig, num_epochs: int) -> Epochs:
    """Without compiled steps."""
    return nnclassify(config.model_copy(update={"compile": "off"}), num_epochs)


def on(config: RunConfig, num_epochs: int) -> Epochs:
    """With compiled steps."""
    return nnclassify(config.model_copy(update={"compile": "on"}), num_epochs)


def bare(config: RunConfig, num_epochs: int) -> Epochs:
    """The minimal eager loop of somebody who knows PyTorch: tensors in memory, shuffled by index."""
    return _loop(config, num_epochs, lambda model: model, nullcontext())


def bare_on_cpu(config: RunConfig, num_epochs: int) -> Epochs:
    """The same on the CPU, wherever the others run."""
    return bare(config.model_copy(update={"device": "cpu"}), num_epochs)


def compiled_loop(config: RunConfig, num_epochs: int) -> Epochs:
    """The same by somebody who also knows torch.compile: the network compiled, in bfloat16 and channels_last."""

    def changed(model: nn.Module) -> nn.Module:
        return cast(nn.Module, torch.compile(model.to(memory_format=torch.channels_last)))

    return _loop(config, num_epochs, changed, torch.autocast(_device(config), dtype=torch.bfloat16))


def _loop(
    config: RunConfig,
    num_epochs: int,
    change: Callable[[nn.Module], nn.Module],
    context: AbstractContextManager[object],
) -> Epochs:
    arrays, device = Arrays.of(config), _device(config)
    torch.set_float32_matmul_precision("highest")  # torch's own choices, which building the components has changed
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False
    model = change(arrays.network().to(device))
    channels_last = any(not weight.is_contiguous() for weight in model.parameters())
    inputs, targets = arrays.inputs.to(device), arrays.targets.to(device)
    if channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    optimizer, loss_fn = arrays.optimizer(model), arrays.loss()
    for _ in range(num_epochs):
        model.train()
        started = time.perf_counter()
        order = torch.randperm(len(inputs), device=device)
        for rows in order.split(config.batch_size):
            with context:
                loss = loss_fn(model(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        float(loss.detach())
        yield time.perf_counter() - started
    yield arrays.accuracy(model.cpu())


def _device(config: RunConfig) -> str:
    return "cuda" if config.device.startswith("cuda") else "cpu"


def numpy(config: RunConfig, num_epochs: int) -> Epochs:
    """Matrices by hand: forward, backward and a plain gradient step."""
    from benchmarks.speed.by_hand import Network

    arrays = Arrays.of(config)
    network = Network(arrays.network(), config)
    inputs, targets = arrays.inputs.flatten(1).numpy(), arrays.targets.numpy()
    rng = np.random.default_rng(0)
    for _ in range(num_epochs):
        started = time.perf_counter()
        order = rng.permutation(len(inputs))
        for start in range(0, len(inputs), config.batch_size):
            rows = order[start : start + config.batch_size]
            network.step(inputs[rows], targets[rows])
        yield time.perf_counter() - started
    yield network.accuracy(arrays.test_inputs.flatten(1).numpy(), arrays.test_targets.numpy())


CONTENDERS: dict[str, Callable[[RunConfig, int], Epochs]] = {
    "bare": bare,
    "bare on the CPU": bare_on_cpu,
    "compiled loop": compiled_loop,
    "compile on": on,
    "auto": auto,
    "off": off,
    "numpy": numpy,
}
