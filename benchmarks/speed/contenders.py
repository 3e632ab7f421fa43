"""Who is timed. Each is a generator: it trains one epoch a `next` and yields its seconds, then its test accuracy.

All get the same examples, network, loss and optimizer; who needs floats in memory has them made beforehand, untimed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nnclassify.config import RunConfig
from nnclassify.history import Row
from nnclassify.parts import build_parts, build_trainer
from nnclassify.trainer import Trainer, Watcher

Epochs = Iterator[float]


@dataclass(frozen=True)
class Arrays:
    """A job in memory: float32 inputs as the network wants them, class indices, and how to build the network."""

    config: RunConfig
    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor

    @classmethod
    def of(cls, config: RunConfig) -> Arrays:
        """Normalise once."""
        parts = build_parts(config)
        splits = parts.splits
        assert splits.test is not None
        sets = []
        for examples in (splits.train, splits.test):
            raw, targets = examples.select(torch.arange(len(examples)))
            sets += [parts.transform(raw, torch.float32), targets]
        return cls(config, *sets)

    def network(self) -> nn.Module:
        """A fresh network."""
        torch.manual_seed(self.config.seed)
        outputs = self.config.loss.build(self.targets.bincount().tolist()).num_outputs
        return self.config.model.build(tuple(self.inputs.shape[1:]), outputs)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch's own, as its documentation shows it."""
        options = self.config.optimizer
        if options.name == "sgd":
            return torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
        if options.name in ("adam", "adamw"):
            kind = torch.optim.Adam if options.name == "adam" else torch.optim.AdamW
            return kind(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
        raise ValueError(f"no bare loop for optimizer {options.name}")

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


def nnclassify(config: RunConfig, num_epochs: int) -> Epochs:
    """This package, from its trainer; the seconds are those of the history."""
    parts = build_parts(config)
    trainer = build_trainer(parts)
    rows: list[Row] = []

    class Keeper(Watcher):
        def epoch_done(self, trainer: Trainer, row: Row) -> None:
            rows.append(row)
            trainer.stop_signal = 1

    trainer.observers = [Keeper()]
    for _ in range(num_epochs):
        trainer.stop_signal = None
        trainer.fit()
        yield rows[-1].seconds
    from nnclassify.inference import outputs_of

    test = parts.splits.test
    assert test is not None
    outputs = outputs_of(trainer.evaluated_model(), test, parts.transform, parts.placement)
    yield float((parts.loss_fn.predictions(outputs) == test.all_targets()).double().mean())


def bare(config: RunConfig, num_epochs: int) -> Epochs:
    """The minimal eager loop of somebody who knows PyTorch: tensors in memory, shuffled by index."""
    arrays = Arrays.of(config)
    device = "cuda" if torch.cuda.is_available() and config.device.startswith("cuda") else "cpu"
    inputs, targets = arrays.inputs.to(device), arrays.targets.to(device)
    model = arrays.network().to(device)
    optimizer, loss_fn = arrays.optimizer(model), arrays.loss()
    for _ in range(num_epochs):
        model.train()
        started = time.perf_counter()
        order = torch.randperm(len(inputs), device=device)
        for rows in order.split(config.batch_size):
            loss = loss_fn(model(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        float(loss.detach())
        yield time.perf_counter() - started
    yield arrays.accuracy(model.cpu())


def dataloader(config: RunConfig, num_epochs: int) -> Epochs:
    """The tutorial's loop: a DataLoader with one worker a core over a TensorDataset."""
    import os

    from torch.utils.data import DataLoader, TensorDataset

    arrays = Arrays.of(config)
    model = arrays.network()
    optimizer, loss_fn = arrays.optimizer(model), arrays.loss()
    data = TensorDataset(arrays.inputs, arrays.targets)
    loader = DataLoader(data, config.batch_size, shuffle=True, num_workers=os.cpu_count() or 1, persistent_workers=True)
    for _ in range(num_epochs):
        model.train()
        started = time.perf_counter()
        for inputs, targets in loader:
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield time.perf_counter() - started
    yield arrays.accuracy(model)


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


def skorch(config: RunConfig, num_epochs: int) -> Epochs:
    """skorch's NeuralNetClassifier."""
    from skorch import NeuralNetClassifier

    arrays = Arrays.of(config)
    model = arrays.network()
    optimizer = arrays.optimizer(model)
    kind, options = type(optimizer), {key: optimizer.defaults[key] for key in ("lr",)}
    net = NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=kind,
        **{f"optimizer__{key}": value for key, value in options.items()},
        batch_size=config.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        max_epochs=1,
    )
    net.initialize()
    inputs, targets = arrays.inputs.numpy(), arrays.targets.numpy()
    for _ in range(num_epochs):
        started = time.perf_counter()
        net.partial_fit(inputs, targets)
        yield time.perf_counter() - started
    yield arrays.accuracy(net.module_)


def lightning(config: RunConfig, num_epochs: int) -> Epochs:
    """Lightning's Trainer, its logger, bar and checkpoints off, data in memory."""
    import lightning as pl

    arrays = Arrays.of(config)
    model, loss_fn = arrays.network(), arrays.loss()

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            return loss_fn(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return arrays.optimizer(self.net)

    data = torch.utils.data.TensorDataset(arrays.inputs, arrays.targets)
    loader = torch.utils.data.DataLoader(data, config.batch_size, shuffle=True)
    module = Module()
    seconds: list[float] = []

    class Clock(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            self.started = time.perf_counter()

        def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            seconds.append(time.perf_counter() - self.started)

    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[Clock()],
        max_epochs=0,
    )
    for epoch in range(num_epochs):
        trainer.fit_loop.max_epochs = epoch + 1
        trainer.fit(module, loader)
        yield seconds[-1]
    yield arrays.accuracy(model)


def keras_torch(config: RunConfig, num_epochs: int) -> Epochs:
    """Keras 3 on torch."""
    return _keras(config, num_epochs, "torch")


def keras_jax(config: RunConfig, num_epochs: int) -> Epochs:
    """Keras 3 on JAX."""
    return _keras(config, num_epochs, "jax")


def _keras(config: RunConfig, num_epochs: int, backend: str) -> Epochs:
    import os

    os.environ["KERAS_BACKEND"] = backend
    import keras

    arrays = Arrays.of(config)
    inputs, test_inputs = arrays.inputs, arrays.test_inputs
    if inputs.ndim == 4:  # Keras on the CPU wants channels last
        inputs, test_inputs = inputs.permute(0, 2, 3, 1), test_inputs.permute(0, 2, 3, 1)
    layers: list[keras.layers.Layer] = [keras.layers.Input(tuple(inputs.shape[1:]))]
    for layer in arrays.network():
        layers += _keras_layer(keras, layer)
    model = keras.Sequential(layers)
    rate = config.optimizer.lr
    optimizer = keras.optimizers.SGD(rate) if config.optimizer.name == "sgd" else keras.optimizers.AdamW(rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    x, y = np.ascontiguousarray(inputs.numpy()), arrays.targets.numpy()
    for _ in range(num_epochs):
        started = time.perf_counter()
        model.fit(x, y, batch_size=config.batch_size, epochs=1, shuffle=True, verbose=0)
        yield time.perf_counter() - started
    logits = model.predict(np.ascontiguousarray(test_inputs.numpy()), batch_size=1000, verbose=0)
    yield float((np.asarray(logits).argmax(1) == arrays.test_targets.numpy()).mean())


def _keras_layer(keras: object, layer: nn.Module) -> list[object]:
    """The Keras layer of a torch layer."""
    from keras import layers

    makers: dict[type[nn.Module], Callable[[nn.Module], object]] = {
        nn.Flatten: lambda layer: layers.Flatten(),
        nn.Linear: lambda layer: layers.Dense(layer.out_features),
        nn.ReLU: lambda layer: layers.Activation("relu"),
        nn.Dropout: lambda layer: layers.Dropout(layer.p),
        nn.Conv2d: lambda layer: layers.Conv2D(layer.out_channels, layer.kernel_size),
        nn.BatchNorm2d: lambda layer: layers.BatchNormalization(),
        nn.MaxPool2d: lambda layer: layers.MaxPooling2D(2),
        nn.AvgPool2d: lambda layer: layers.AveragePooling2D(2),
    }
    return [makers[type(layer)](layer)]


CONTENDERS: dict[str, Callable[[RunConfig, int], Epochs]] = {
    "nnclassify": nnclassify,
    "bare": bare,
    "numpy": numpy,
    "dataloader": dataloader,
    "lightning": lightning,
    "skorch": skorch,
    "keras-torch": keras_torch,
    "keras-jax": keras_jax,
}
