"""The multilayer perceptron."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from nnclassify.models.base import DenseModel
from nnclassify.settings import Switch

if TYPE_CHECKING:
    from torch import nn


class Mlp(DenseModel):
    """Multilayer perceptron: fully connected layers. Images are flattened. `hidden: []` is a linear classifier."""

    name: Literal["mlp"] = "mlp"
    batch_norm: Switch = False
    """Apply batch normalization in every hidden layer that does not set its own."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors, also for batch normalization without a hidden layer."""
        yield from super().conflicts()
        if self.batch_norm and not self.hidden:
            yield "batch_norm", "found true without a hidden layer to normalize; add hidden layers, or remove it"

    def has_batch_norm(self) -> bool:
        """Return whether any layer uses batch normalization."""
        return any(self.batch_norm if layer.batch_norm is None else layer.batch_norm for layer in self.hidden)

    def _is_linear(self) -> bool:
        return not self.hidden

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network, `(N, *input_shape)` to `(N, num_outputs)`."""
        from torch import nn

        from nnclassify.models.layers import Stack

        stack = Stack()
        if len(input_shape) > 1:
            stack.add("flatten", nn.Flatten())
        width = self._add_hidden(stack, math.prod(input_shape), self.batch_norm)
        self._add_output(stack, width, num_outputs)
        return stack.sequential()
