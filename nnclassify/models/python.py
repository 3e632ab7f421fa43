"""A network of the user's own, from a Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, Field

from nnclassify.errors import ModelError
from nnclassify.files.user_code import UserCode
from nnclassify.models.base import Model

if TYPE_CHECKING:
    from torch import nn


class PythonModel(UserCode, Model):
    """A network of your own: a class derived from torch.nn.Module, or a function that returns such a network, in a
    Python file. It runs only with `--trust`.

    It is called with `options` as keyword arguments, and with those of these that its signature names: `input_shape`,
    the shape of an example such as (3, 32, 32), and `num_outputs` or `num_classes`, the number of outputs per example:
    the number of classes, or 1 where the loss takes a single output. Its forward maps `(N, *input_shape)` to
    `(N, num_outputs)`.
    """

    name: Literal["python"] = "python"
    class_: str = Field(alias="class", min_length=1, max_length=200)
    """Name of the class, or of the function that returns the network."""

    model_config = ConfigDict(serialize_by_alias=True)
    family: ClassVar[str] = "model"
    is_bounded: ClassVar[bool] = True
    has_outline: ClassVar[bool] = False

    def target(self) -> str:
        """Return the name of the class or function."""
        return self.class_

    def network(self, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
        """Build the network, which maps `(N, *input_shape)` to `(N, num_outputs)`.

        Raises:
            TrustError: User code may not run here.
            ModelError: It cannot be built, is not a torch.nn.Module, has no parameters to learn, or a state that is no
            tensor.
        """
        import torch
        from torch import nn

        network = self.call({"input_shape": input_shape, "num_outputs": num_outputs, "num_classes": num_outputs})
        who = f"model: {self.class_} of {self.file}"
        if not isinstance(network, nn.Module) or isinstance(network, torch.jit.ScriptModule):
            found = f"{who} returned a {type(network).__name__}"
            raise ModelError(f"{found}; expected a torch.nn.Module that is not scripted", ("model",))
        self._materialize(network, input_shape)
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise ModelError(f"{who} has no parameters to learn", ("model",))
        for name, value in network.state_dict().items():
            if not isinstance(value, torch.Tensor):
                found = f"{who} has a state {name!r} of type {type(value).__name__}"
                raise ModelError(f"{found}, which checkpoints cannot hold; keep it in buffers", ("model",))
        return network

    def _materialize(self, network: nn.Module, input_shape: tuple[int, ...]) -> None:
        """Give lazy layers, such as LazyLinear, their shapes by a first forward pass."""
        import torch
        from torch.nn.parameter import is_lazy

        if any(is_lazy(tensor) for tensor in (*network.parameters(), *network.buffers())):
            with torch.no_grad(), self.explained():
                network.eval()(torch.zeros(2, *input_shape))
            network.train()
