"""Tests that the trainer and a network written in NumPy reach the same weights from the same start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import trainer_of

Array = np.ndarray[Any, Any]
LR, BATCH_SIZE, EPOCHS = 0.5, 11, 5


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, lambda a: a * (1 - a)),
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(float)),
    "none": (lambda z: z, np.ones_like),
}
"""Each with its derivative, as a function of its output."""


class NumpyNetwork:
    """Linear layers with activations between; forward, backward and SGD by hand."""

    def __init__(self, weights: list[Array], hidden: str, output: str) -> None:
        self.weights = [weight.copy() for weight in weights]  # W_0 (out, in), b_0, W_1, b_1, ...
        self.activations = [hidden] * (len(weights) // 2 - 1) + [output]

    def forward(self, inputs: Array) -> list[Array]:
        """The inputs, and each layer's activations after them."""
        activations = [inputs]
        for index, name in enumerate(self.activations):
            weight, bias = self.weights[2 * index], self.weights[2 * index + 1]
            activations.append(ACTIVATIONS[name][0](activations[-1] @ weight.T + bias))
        return activations

    def step(self, inputs: Array, targets: Array, loss: str) -> None:
        """One update by the mean loss of a batch."""
        activations = self.forward(inputs)
        gradient = loss_gradient(loss, activations[-1], targets) / len(inputs)
        for index in reversed(range(len(self.activations))):
            gradient = gradient * ACTIVATIONS[self.activations[index]][1](activations[index + 1])
            before = gradient @ self.weights[2 * index]
            self.weights[2 * index] -= LR * gradient.T @ activations[index]
            self.weights[2 * index + 1] -= LR * gradient.sum(axis=0)
            gradient = before


def loss_gradient(loss: str, outputs: Array, targets: Array) -> Array:
    """The derivative of each example's loss by the network's outputs."""
    wanted = targets[:, None] if outputs.shape[1] == 1 else np.eye(outputs.shape[1])[targets]
    errors: dict[str, Callable[[], Array]] = {
        "mse": lambda: 2 * (outputs - wanted) / outputs.shape[1],
        "bce": lambda: (outputs - wanted) / (outputs * (1 - outputs)) / outputs.shape[1],
        "bce_with_logits": lambda: (sigmoid(outputs) - wanted) / outputs.shape[1],
        "cross_entropy": lambda: softmax(outputs) - wanted,
    }
    return errors[loss]()


@pytest.mark.parametrize("hidden", ["sigmoid", "relu"])
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(
    ("loss", "output"),
    [("bce", "sigmoid"), ("bce_with_logits", "none"), ("mse", "sigmoid"), ("mse", "none"), ("cross_entropy", "none")],
)
def test_trainer_reaches_the_weights_of_a_hand_written_network(
    loss: str, output: str, num_classes: int, hidden: str
) -> None:
    parts, trainer = trainer_of(
        dataset={"name": "blobs", "num_examples": 109, "num_classes": num_classes, "std": 2.0},
        model={"name": "mlp", "hidden": [5, 4], "activation": hidden, "output": output},
        loss=loss,
        optimizer={"name": "sgd", "lr": LR},
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,  # ten updates an epoch, the last one of ten examples
        shuffle=False,
        precision="float64",
    )
    inputs, targets = (tensor.numpy() for tensor in parts.splits.train.select(parts.splits.train.indices))
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    network = NumpyNetwork([weight.detach().numpy() for weight in parts.model.parameters()], hidden, output)
    for _ in range(EPOCHS):
        for start in range(0, len(inputs), BATCH_SIZE):
            network.step(inputs[start : start + BATCH_SIZE], targets[start : start + BATCH_SIZE], loss)
    trainer.fit()
    assert trainer.step == 50
    for trained, expected in zip(parts.model.parameters(), network.weights, strict=True):
        np.testing.assert_allclose(trained.detach().numpy(), expected, rtol=0, atol=1e-5)
