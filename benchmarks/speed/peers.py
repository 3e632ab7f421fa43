"""Other tools at the same work. They ship no types, so they are reached by name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.speed.contenders import Arrays, Epochs
from nnclassify.config.run_config import RunConfig


def dataloader(config: RunConfig, num_epochs: int) -> Epochs:
    """The tutorial's loop: a DataLoader with one worker a core over a TensorDataset."""
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


def skorch(config: RunConfig, num_epochs: int) -> Epochs:
    """skorch's NeuralNetClassifier."""
    library: Any = import_module("skorch")
    arrays = Arrays.of(config)
    model = arrays.network()
    net = library.NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=type(arrays.optimizer(model)),
        optimizer__lr=config.optimizer.lr,
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
    library: Any = import_module("lightning")
    arrays = Arrays.of(config)
    model, loss_fn = arrays.network(), arrays.loss()
    seconds: list[float] = []

    def training_step(module: Any, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        return loss_fn(module.net(batch[0]), batch[1])

    def begin(clock: Any, trainer: Any, module: Any) -> None:
        clock.started = time.perf_counter()

    def end(clock: Any, trainer: Any, module: Any) -> None:
        seconds.append(time.perf_counter() - clock.started)

    methods = {"training_step": training_step, "configure_optimizers": lambda module: arrays.optimizer(module.net)}
    module = type("Module", (library.LightningModule,), methods)()
    module.net = model
    clock = type("Clock", (library.Callback,), {"on_train_epoch_start": begin, "on_train_epoch_end": end})()
    data = TensorDataset(arrays.inputs, arrays.targets)
    loader = DataLoader(data, config.batch_size, shuffle=True)
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False)
    trainer = library.Trainer(accelerator="cpu", callbacks=[clock], max_epochs=0, **quiet)
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
    os.environ["KERAS_BACKEND"] = backend
    keras: Any = import_module("keras")
    arrays = Arrays.of(config)
    inputs, test_inputs = arrays.inputs, arrays.test_inputs
    if inputs.ndim == 4:  # Keras on the CPU wants channels last
        inputs, test_inputs = inputs.permute(0, 2, 3, 1), test_inputs.permute(0, 2, 3, 1)
    layers = [keras.layers.Input(tuple(inputs.shape[1:]))]
    layers += [_keras_layer(keras.layers, layer) for layer in arrays.network().children()]
    model = keras.Sequential(layers)
    rate = config.optimizer.lr
    kinds = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
    optimizer = kinds.get(config.optimizer.name, keras.optimizers.AdamW)(rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    x, y = np.ascontiguousarray(inputs.numpy()), arrays.targets.numpy()
    for _ in range(num_epochs):
        started = time.perf_counter()
        model.fit(x, y, batch_size=config.batch_size, epochs=1, shuffle=True, verbose=0)
        yield time.perf_counter() - started
    logits = model.predict(np.ascontiguousarray(test_inputs.numpy()), batch_size=1000, verbose=0)
    yield float((np.asarray(logits).argmax(1) == arrays.test_targets.numpy()).mean())


def _keras_layer(layers: Any, layer: nn.Module) -> Any:
    """The Keras layer of a torch layer."""
    if isinstance(layer, nn.Linear):
        return layers.Dense(layer.out_features)
    if isinstance(layer, nn.Conv2d):
        return layers.Conv2D(layer.out_channels, layer.kernel_size)
    if isinstance(layer, nn.Dropout):
        return layers.Dropout(layer.p)
    makers: dict[type[nn.Module], Callable[[], Any]] = {
        nn.Flatten: lambda: layers.Flatten(),
        nn.ReLU: lambda: layers.Activation("relu"),
        nn.BatchNorm2d: lambda: layers.BatchNormalization(),
        nn.MaxPool2d: lambda: layers.MaxPooling2D(2),
        nn.AvgPool2d: lambda: layers.AveragePooling2D(2),
    }
    return makers[type(layer)]()


PEERS: dict[str, Callable[[RunConfig, int], Epochs]] = {
    "DataLoader": dataloader,
    "Lightning": lightning,
    "skorch": skorch,
    "Keras (torch)": keras_torch,
    "Keras (JAX)": keras_jax,
}
"""Installed by the extra `bench`, but for DataLoader, which is torch's own."""
