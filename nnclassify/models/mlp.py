"""The multilayer perceptron."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nnclassify.models.base import DenseModel

if TYPE_CHECKING:
    from torch import nn


class Mlp(DenseModel):
    """Fully connected layers; pictures are flattened. `hidden: []` is a linear classifier."""

    name: Literal["mlp"] = "mlp"
    batch_norm: bool = False
    """Batch norm in every hidden layer that does not say."""

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """`(N, *input_shape)` to `(N, num_outputs)`."""
        from torch import nn

        from nnclassify.models.layers import Stack

        stack = Stack()
        if len(input_shape) > 1:
            stack.add("flatten", nn.Flatten())
        width = stack.add_hidden(self, math.prod(input_shape), self.batch_norm)
        stack.add_output(self, width, num_outputs)
        return stack.sequential()
