"""The words in which models describe their layers: activations, initialisations, hidden layers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nnclassify.settings import ByName, PositiveFloat, PositiveInt, Probability, Settings

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus", "exponential", "none"]
Output = Literal["none", "sigmoid", "softmax", "log_softmax", "relu"]


class PlainInit(Settings):
    """An initialisation without options; biases start at zero, but for `default`, which is torch's own."""

    name: Literal["default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "zeros"] = (
        "default"
    )


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


Hidden = Annotated[Layer, BeforeValidator(_units_alone, json_schema_input_type=PositiveInt | Layer)]
