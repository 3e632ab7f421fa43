"""The base classes of models: output activation and layer defaults."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from nnclassify.errors import ModelError, one_line
from nnclassify.models.layer_settings import (
    Activation,
    BiasInit,
    DiscriminantInit,
    Hidden,
    Init,
    Norm,
    Output,
    PlainInit,
    WhiteningInit,
)
from nnclassify.models.preprocessing import Body, Preprocessing
from nnclassify.process import available_memory
from nnclassify.settings import PositiveFloat, Probability, Settings, Switch

if TYPE_CHECKING:
    from torch import nn

    from nnclassify.models.layers import Sample, Stack


class Model(Settings):
    """Options that every model has."""

    is_bounded: ClassVar[bool] = False
    """Whether the options limit the network's size to what any machine can hold."""
    has_outline: ClassVar[bool] = True
    """Whether the network can be built as shapes alone, on torch's meta device."""

    output: Output = "none"
    """Activation after the last layer. The loss states what it expects; most expect logits (`none`)."""
    output_scale: PositiveFloat = 1.0
    """Factor applied to the outputs of the last layer, before `output`."""
    output_dropout: Probability = 0.0
    """Dropout probability of the outputs during training, before `output`. Usually a mistake, since the loss is
    computed from them: use dropout between layers."""

    def build(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network, from `(N, *input_shape)` to `(N, num_outputs)`, including the output activation.

        Raises:
            ModelError: A layer does not fit its input; the message names the layer and both shapes.
        """
        from collections import OrderedDict

        from torch import nn

        from nnclassify.models.layers import OUTPUTS, Dropout, Scale

        try:
            if not self.is_bounded:
                self._check_size(input_shape, num_outputs)
            network = self.network(input_shape, num_outputs)
        except (RuntimeError, MemoryError) as cause:
            what = f"model: cannot be built ({one_line(cause)}); make its layers smaller"
            raise ModelError(what, ("model",)) from cause
        last: list[tuple[str, nn.Module]] = []
        if self.output_scale != 1:
            last.append(("output_scale", Scale(self.output_scale)))
        if self.output_dropout:
            last.append(("output_dropout", Dropout(self.output_dropout)))
        if self.output != "none":
            last.append(("output_activation", OUTPUTS[self.output]()))
        if not last:
            return network
        layers = network.named_children() if isinstance(network, nn.Sequential) else [("network", network)]
        return nn.Sequential(OrderedDict([*layers, *last]))

    @abstractmethod
    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network without output activation."""

    def _check_size(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        """Count the parameters without allocating them.

        Raises:
            ModelError: They do not fit into memory. The system might grant it anyway, and kill the process later.
        """
        import torch

        with torch.device("meta"):
            shapes = self.network(input_shape, num_outputs)
        count = sum(parameter.numel() for parameter in shapes.parameters())
        needed, available = 2 * 4 * count, available_memory()
        if available is not None and needed > available:
            raise ModelError(
                f"model: {count:.3g} parameters need {needed / 1e9:.3g} GB for weights and gradients, and "
                f"{available / 1e9:.3g} GB of memory are free; make its layers smaller",
                ("model",),
            )

    def completed(self) -> Self:
        """Return the model with the content of files that it names, where a run records that; build nothing.

        Raises:
            ModelError: A file is missing, or is not what a run recorded.
        """
        return self

    def widened(self, factor: int) -> Self | None:
        """Return the model with `factor` times as many units or channels in every layer; None if it has no width."""
        return None

    def preprocessing(self) -> Preprocessing | None:
        """Return how images must be prepared for pretrained weights; None without such weights.

        Raises:
            ModelError: There are no such weights.
        """
        return None

    def fetch_pretrained(self) -> None:
        """Download pretrained weights that are missing. Most models have none.

        Raises:
            ModelError: They are missing and cannot be downloaded.
        """

    def load_pretrained(self, network: nn.Module) -> None:
        """Set, in place, the weights that are pretrained. Most models have none.

        Raises:
            ModelError: They cannot be read, or do not fit.
        """

    def body(self, network: nn.Module) -> Body | None:
        """Return the part of the network that learns in another way than the rest; None if there is none."""
        return None

    def fit(self, network: nn.Module, sample: Sample) -> None:
        """Set, in place, the weights that are initialized from training examples. Most models have none."""


class DenseModel(Model):
    """A model that ends in fully connected hidden layers."""

    hidden: list[Hidden] = Field(default_factory=list)
    """Hidden layers: the number of units of each, or `units` with its own activation, dropout, batch_norm and init."""
    activation: Activation = "relu"
    """Activation function of every layer that does not set its own."""
    dropout: Probability = 0.0
    """Dropout probability of every hidden layer that does not set its own."""
    init: Init = PlainInit()
    """Weight initialization of every layer that does not set its own."""
    bias_init: BiasInit | None = None
    """Initial value of every bias: a number, or `default` for torch's small random values. Default: 0, or torch's
    values where the weights have torch's too (`init: default`)."""
    norm: Norm = Norm()
    """Options of all batch normalization layers."""
    output_bias: Switch = True
    """Add a learnable bias to the last layer."""
    output_bias_init: BiasInit | None = None
    """Initial value of the biases of the last layer. Default: `bias_init`."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield options of layers that this model does not have."""
        if self.dropout and not self.hidden:
            yield "dropout", f"found {self.dropout:g} without a hidden layer; add one, or remove dropout"
        if self.output_bias_init is not None and not self.output_bias:
            yield "output_bias_init", "set, but output_bias is false; remove one of them"
        if self.norm != Norm() and not self.has_batch_norm():
            yield "norm", "found options of batch norm, but no layer has it; set batch_norm: true, or remove norm"
        if any(isinstance(init, DiscriminantInit) for _, init in self.layer_inits()) and not self._is_linear():
            yield "init", "found discriminant, which is for an mlp without hidden layers; remove it, or them"

    def _is_linear(self) -> bool:
        """Return whether the only layer with weights is the output layer, on the inputs themselves."""
        return False

    @abstractmethod
    def has_batch_norm(self) -> bool:
        """Return whether any layer uses batch normalization."""

    def widened(self, factor: int) -> Self | None:
        """Return the model with wider hidden layers; None if it has none."""
        hidden = [layer.model_copy(update={"units": factor * layer.units}) for layer in self.hidden]
        return self.model_copy(update={"hidden": hidden}) if hidden else None

    def layer_inits(self) -> Iterator[tuple[str, Init]]:
        """Yield the name in the network and the initialization of each layer with weights, first to last."""
        for index, layer in enumerate(self.hidden):
            yield f"hidden_{index}_linear", layer.init or self.init
        yield "output_linear", self.init

    def fit(self, network: nn.Module, sample: Sample) -> None:
        """Set the weights of layers with `init: whitening`, first to last, or those of a linear discriminant."""
        for name, init in self.layer_inits():
            if isinstance(init, DiscriminantInit):
                from nnclassify.models.layers import discriminate

                discriminate(network, sample)
            if isinstance(init, WhiteningInit):
                from nnclassify.models.layers import whiten

                whiten(network, name, sample, init.eps)

    def _add_hidden(self, stack: Stack, width: int, normalized: bool) -> int:
        """Append the fully connected layers for `width` inputs, and return the width of the last one."""
        from torch import nn

        from nnclassify.models.layers import ACTIVATIONS, Dropout, batch_norm, initialize

        for index, layer in enumerate(self.hidden):
            name = f"hidden_{index}"
            linear = nn.Linear(width, layer.units)
            initialize(linear, layer.init or self.init, self.bias_init, ("model", "hidden", index))
            stack.add(f"{name}_linear", linear)
            if normalized if layer.batch_norm is None else layer.batch_norm:
                stack.add(f"{name}_norm", batch_norm(nn.BatchNorm1d, layer.units, self.norm))
            stack.add(f"{name}_activation", ACTIVATIONS[layer.activation or self.activation]())
            if dropout := self.dropout if layer.dropout is None else layer.dropout:
                stack.add(f"{name}_dropout", Dropout(dropout))
            width = layer.units
        return width

    def _add_output(self, stack: Stack, width: int, num_outputs: int) -> None:
        """Append the last linear layer."""
        from torch import nn

        from nnclassify.models.layers import initialize

        linear = nn.Linear(width, num_outputs, bias=self.output_bias)
        bias_init = self.bias_init if self.output_bias_init is None else self.output_bias_init
        initialize(linear, self.init, bias_init, ("model", "init"))
        stack.add("output_linear", linear)
