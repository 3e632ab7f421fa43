"""What every model shares: the output activation, and the vocabulary of layers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nnclassify.settings import ByName, PositiveFloat, PositiveInt, Probability, Settings

if TYPE_CHECKING:
    from torch import nn

Activation = Literal[
    "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus", "exponential", "none"
]
Output = Literal["none", "sigmoid", "softmax", "log_softmax", "relu"]


class PlainInit(Settings):
    """An initialisation without options; biases start at zero, but for `default`, which is torch's own."""

    name: Literal[
        "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "zeros"
    ] = "default"


class NormalInit(Settings):
    """Weights from a normal distribution around zero."""

    name: Literal["normal"] = "normal"
    std: PositiveFloat = 0.01
    """Standard deviation."""


class UniformInit(Settings):
    """Weights from -bound to bound, all alike."""

    name: Literal["uniform"] = "uniform"
    bound: PositiveFloat = 0.05
    """The largest weight."""


class ConstantInit(Settings):
    """Every weight the same."""

    name: Literal["constant"] = "constant"
    value: float = 0.0
    """The weight."""


Init = Annotated[PlainInit | NormalInit | UniformInit | ConstantInit, Field(discriminator="name"), ByName]


def _units_alone(value: Any) -> Any:
    return {"units": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Layer(Settings):
    """A hidden layer: linear, batch norm, activation, dropout. What is left out, the model says."""

    units: PositiveInt
    """Outputs of the layer."""
    activation: Activation | None = None
    """The non-linearity."""
    dropout: Probability | None = None
    """The share of outputs that is zeroed in training."""
    batch_norm: bool | None = None
    """Normalise over the batch, before the activation."""
    init: Init | None = None
    """How weights start."""


Hidden = Annotated[Layer, BeforeValidator(_units_alone)]


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

        network = self.network(input_shape, num_outputs)
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

