"""The words in which models describe their layers: activations, initializations, hidden layers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nnclassify.settings import MAX_FLOAT, ByName, PositiveFloat, PositiveInt, Probability, Settings, Switch

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus", "exponential", "none"]
Head = Literal["flatten", "average", "max"]
Output = Literal["none", "sigmoid", "softmax", "log_softmax", "relu"]


class PlainInit(Settings):
    """An initialization without options; `default` is torch's own. `bias_init` sets the biases.

    `dirac`: the first channels of a convolution copy its inputs, the others and linear layers start as by `default`.
    """

    name: Literal[
        "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "zeros", "dirac"
    ] = "default"


class NormalInit(Settings):
    """Weights from a normal distribution around zero."""

    name: Literal["normal"] = "normal"
    std: PositiveFloat = 0.01
    """Standard deviation."""


class UniformInit(Settings):
    """Weights from -bound to bound, all alike."""

    name: Literal["uniform"] = "uniform"
    bound: Annotated[float, Field(gt=0, le=MAX_FLOAT / 2)] = 0.05
    """The largest weight."""


class ConstantInit(Settings):
    """Every weight the same."""

    name: Literal["constant"] = "constant"
    value: Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT)] = 0.0
    """The weight."""


class WhiteningInit(Settings):
    """Weights that whiten what the layer is given of the training examples: outputs of variance 1, uncorrelated.

    The eigenvectors of the covariance of the inputs (of a convolution's patches) over the root of their eigenvalues,
    the largest first, then the same with the other sign: so an even number of units, at most two for each input.
    """

    name: Literal["whitening"] = "whitening"
    eps: PositiveFloat = 5e-4
    """Added to the eigenvalues: directions of less variance stay small."""
    frozen: Switch = True
    """The weights stay as they are; biases learn."""


Init = Annotated[
    PlainInit | NormalInit | UniformInit | ConstantInit | WhiteningInit, Field(discriminator="name"), ByName
]


BiasInit = Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT)] | Literal["default"]
"""A number, or torch's own: uniform within one over the root of the layer's number of inputs."""


class Norm(Settings):
    """The options of every batch norm of a model."""

    scale: Switch = True
    """Learn a factor for each channel, beside the shift; else it stays 1."""
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The share of a new batch in the running mean and variance."""
    eps: PositiveFloat = 1e-5
    """Added to the variance."""


def _units_alone(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"units": value}
    if not isinstance(value, dict | Layer):
        raise ValueError("a number of units such as 100, or `key: value` pairs")
    return value


class Layer(Settings):
    """A hidden layer: linear, batch norm, activation, dropout. What is left out, the model says."""

    units: PositiveInt
    """Outputs of the layer."""
    activation: Activation | None = None
    """The non-linearity."""
    dropout: Probability | None = None
    """The share of outputs that is zeroed in training."""
    batch_norm: Switch | None = None
    """Normalize over the batch, before the activation."""
    init: Init | None = None
    """How weights start."""


Hidden = Annotated[Layer, BeforeValidator(_units_alone, json_schema_input_type=PositiveInt | Layer)]
