"""Layer options of the models: activations, initializations, hidden layers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nnclassify.settings import MAX_FLOAT, ByName, PositiveFloat, PositiveInt, Probability, Settings, Switch

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus", "exponential", "none"]
Head = Literal["flatten", "average", "max"]
Output = Literal["none", "sigmoid", "softmax", "log_softmax", "relu"]


class PlainInit(Settings):
    """An initialization without options, named as in torch; `default` is torch's for the layer. Biases: `bias_init`.

    `dirac`: the first channels of a convolution preserve its inputs; its other channels, and linear layers, are
    initialized as by `default`.
    """

    name: Literal[
        "default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "zeros", "dirac"
    ] = "default"


class NormalInit(Settings):
    """Initialize weights from a normal distribution with mean 0."""

    name: Literal["normal"] = "normal"
    std: PositiveFloat = 0.01
    """Standard deviation of the normal distribution."""


class UniformInit(Settings):
    """Initialize weights from a uniform distribution over -bound..bound."""

    name: Literal["uniform"] = "uniform"
    bound: Annotated[float, Field(gt=0, le=MAX_FLOAT / 2)] = 0.05
    """Bound of the uniform distribution."""


class ConstantInit(Settings):
    """Initialize every weight with the same value."""

    name: Literal["constant"] = "constant"
    value: Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT)] = 0.0
    """The initial value."""


class WhiteningInit(Settings):
    """Initialize weights such that outputs on the training examples are whitened: uncorrelated, with variance 1.

    The weights are the eigenvectors of the covariance of the inputs (for a convolution, of its patches), divided by
    the square root of their eigenvalues, largest first, and then the same with opposite sign. The number of units must
    therefore be even, with at most two units per input.
    """

    name: Literal["whitening"] = "whitening"
    eps: PositiveFloat = 5e-4
    """Added to the eigenvalues, so that directions of small variance are not amplified."""
    frozen: Switch = True
    """Freeze the weights; the biases are still trained."""


class DiscriminantInit(Settings):
    """Initialize a linear model (`hidden: []`) with the linear discriminant of the training examples (Fisher, 1936).

    It is the linear baseline. Training improves on it where the classes are not normally distributed with the same
    covariance. Correlated inputs and many classes take random weights many more updates to learn. The loss must take
    one output per class.
    """

    name: Literal["discriminant"] = "discriminant"


Init = Annotated[
    PlainInit | NormalInit | UniformInit | ConstantInit | WhiteningInit | DiscriminantInit,
    Field(discriminator="name"),
    ByName,
]


BiasInit = Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT)] | Literal["default"]
"""A number, or `default` for torch's own: uniform within 1 / sqrt(number of inputs of the layer)."""


class Norm(Settings):
    """Options of all batch normalization layers of a model."""

    scale: Switch = True
    """Learn a scale (gamma) for each channel; if false, it stays 1. The shift (beta) is always learned."""
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Momentum of the running mean and variance: the weight of a new batch."""
    eps: PositiveFloat = 1e-5
    """Added to the variance for numerical stability."""


def _units_alone(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"units": value}
    if not isinstance(value, dict | Layer):
        raise ValueError("a number of units such as 100, or `key: value` pairs")
    return value


class Layer(Settings):
    """A hidden layer: linear, batch normalization, activation, dropout. Options not given are taken from the model."""

    units: PositiveInt
    """Number of units (outputs)."""
    activation: Activation | None = None
    """Activation function."""
    dropout: Probability | None = None
    """Dropout probability."""
    batch_norm: Switch | None = None
    """Apply batch normalization before the activation."""
    init: Init | None = None
    """Weight initialization."""


Hidden = Annotated[Layer, BeforeValidator(_units_alone, json_schema_input_type=PositiveInt | Layer)]
