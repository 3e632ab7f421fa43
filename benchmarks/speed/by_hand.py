"""A multilayer perceptron in NumPy alone, with a plain gradient step."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from nnclassify.config.run_config import RunConfig

Values = np.ndarray[Any, np.dtype[np.float32]]


class Network:
    """The linear layers of a torch network, with ReLU or sigmoid between them."""

    def __init__(self, model: nn.Module, config: RunConfig) -> None:
        linears = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        self.weights: list[Values] = [layer.weight.detach().numpy().T.copy() for layer in linears]
        self.biases: list[Values] = [layer.bias.detach().numpy().copy() for layer in linears]
        self.sigmoid = any(isinstance(layer, nn.Sigmoid) for layer in list(model.modules())[2:-1])
        self.loss = config.loss.name
        self.lr = np.float32(config.optimizer.lr)

    def forward(self, inputs: Values) -> list[Values]:
        """Every layer's outputs, the inputs first."""
        values = [inputs]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums = values[-1] @ weight + bias
            if layer == len(self.weights) - 1:
                values.append(self._output(sums))
            else:
                values.append(_sigmoid(sums) if self.sigmoid else np.maximum(sums, 0))
        return values

    def _output(self, sums: Values) -> Values:
        if self.loss == "cross_entropy":
            powers = np.exp(sums - sums.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        return _sigmoid(sums)

    def step(self, inputs: Values, targets: np.ndarray) -> None:
        """One update."""
        values = self.forward(inputs)
        outputs = values[-1]
        wanted = targets[:, None] if outputs.shape[1] == 1 else np.eye(outputs.shape[1], dtype=np.float32)[targets]
        slope = (outputs - wanted) / np.float32(len(inputs))
        if self.loss == "mse":
            slope = slope * 2 / outputs.shape[1] * outputs * (1 - outputs)
        for layer in reversed(range(len(self.weights))):
            below = values[layer]
            weight_slope, bias_slope = below.T @ slope, slope.sum(axis=0)
            if layer:
                slope = (slope @ self.weights[layer].T) * (below * (1 - below) if self.sigmoid else below > 0)
            self.weights[layer] -= self.lr * weight_slope
            self.biases[layer] -= self.lr * bias_slope

    def accuracy(self, inputs: Values, targets: np.ndarray) -> float:
        """0..1."""
        outputs = self.forward(inputs)[-1]
        predictions = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        return float((predictions == targets).mean())


def _sigmoid(sums: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-sums)), np.float32)
