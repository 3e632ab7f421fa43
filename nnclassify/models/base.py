"""What every model shares: the output activation, and the defaults of its layers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from nnclassify.errors import ModelError, one_line
from nnclassify.models.vocabulary import Activation, Hidden, Init, Output, PlainInit
from nnclassify.settings import Probability, Settings

if TYPE_CHECKING:
    from torch import nn


class Model(Settings):
    """The options that every model has."""

    output: Output = "none"
    """What follows the last layer. The loss says what it expects; most want raw outputs."""

    def build(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """The network, from `(N, *input_shape)` to `(N, num_outputs)`, output activation included.

        Raises:
            ModelError: The layers do not fit the input; names the layer and both shapes.
        """
        from collections import OrderedDict

        from torch import nn

        from nnclassify.models.layers import output_activation

        try:
            network = self.network(input_shape, num_outputs)
        except (RuntimeError, MemoryError) as cause:
            raise ModelError(f"model: cannot be built ({one_line(cause)}); make its layers smaller") from cause
        if self.output == "none":
            return network
        last = output_activation(self.output)
        if isinstance(network, nn.Sequential):
            return nn.Sequential(OrderedDict([*network.named_children(), ("output_activation", last)]))
        return nn.Sequential(OrderedDict(network=network, output_activation=last))

    @abstractmethod
    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """The network up to its raw outputs."""


class DenseModel(Model):
    """The options of a model that ends in hidden layers."""

    hidden: list[Hidden] = Field(default_factory=list)
    """The hidden layers: a size, or units with an activation, dropout, batch_norm and init of their own."""
    activation: Activation = "relu"
    """The non-linearity of every layer that names none."""
    dropout: Probability = 0.0
    """The dropout of every hidden layer that names none."""
    init: Init = PlainInit()
    """How the weights of every layer start that names no init."""
