"""The optimizer family: how gradients change weights.

`fused` where torch has it: one kernel updates all parameters, which saves most of a tiny net's update.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from nnclassify.settings import ByName, NonNegativeFloat, PositiveFloat, Settings

if TYPE_CHECKING:
    from torch import nn, optim

Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Settings):
    """What every optimizer has."""

    lr: PositiveFloat
    """The learning rate; the scheduler multiplies it."""
    weight_decay: NonNegativeFloat = 0.0
    """How strongly weights are pulled to zero."""

    @abstractmethod
    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """The torch optimizers that together update all parameters; mostly one."""

    def common(self) -> dict[str, Any]:
        """The options that every torch optimizer takes."""
        return {"lr": self.lr, "weight_decay": self.weight_decay}


class Sgd(Optimizer):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    lr: PositiveFloat = 0.01
    """The learning rate; the scheduler multiplies it."""
    momentum: Beta = 0.0
    """The share of the last step that goes on."""
    nesterov: bool = False
    """Look ahead along the momentum first; needs momentum."""

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.SGD."""
        from torch import optim

        nesterov = self.nesterov and self.momentum > 0
        return [optim.SGD(parameters, momentum=self.momentum, nesterov=nesterov, fused=True, **self.common())]


class AdaptiveMoments(Optimizer):
    """The options that Adam and AdamW share."""

    lr: PositiveFloat = 0.001
    """The learning rate; the scheduler multiplies it."""
    beta1: Beta = 0.9
    """Memory of the gradient."""
    beta2: Beta = 0.999
    """Memory of its square."""
    eps: PositiveFloat = 1e-8
    """Keeps the division from zero."""

    def moments(self) -> dict[str, Any]:
        """The options that both torch optimizers take."""
        return {"betas": (self.beta1, self.beta2), "eps": self.eps, "fused": True, **self.common()}


class Adam(AdaptiveMoments):
    """Adam (Kingma and Ba, 2014, arXiv:1412.6980)."""

    name: Literal["adam"] = "adam"

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.Adam."""
        from torch import optim

        return [optim.Adam(parameters, **self.moments())]


class AdamW(AdaptiveMoments):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017, arXiv:1711.05101)."""

    name: Literal["adamw"] = "adamw"
    weight_decay: NonNegativeFloat = 0.01
    """How strongly weights are pulled to zero."""

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.AdamW."""
        from torch import optim

        return [optim.AdamW(parameters, **self.moments())]


class RmsProp(Optimizer):
    """RMSprop (Hinton, lecture 6e, 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    lr: PositiveFloat = 0.001
    """The learning rate; the scheduler multiplies it."""
    alpha: Beta = 0.99
    """Memory of the squared gradient."""
    momentum: Beta = 0.0
    """The share of the last step that goes on."""
    eps: PositiveFloat = 1e-8
    """Keeps the division from zero."""

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.RMSprop."""
        from torch import optim

        return [optim.RMSprop(parameters, alpha=self.alpha, momentum=self.momentum, eps=self.eps, **self.common())]


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011)."""

    name: Literal["adagrad"] = "adagrad"
    lr: PositiveFloat = 0.01
    """The learning rate; the scheduler multiplies it."""
    eps: PositiveFloat = 1e-10
    """Keeps the division from zero."""

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.Adagrad."""
        from torch import optim

        return [optim.Adagrad(parameters, eps=self.eps, **self.common())]


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012, arXiv:1212.5701)."""

    name: Literal["adadelta"] = "adadelta"
    lr: PositiveFloat = 1.0
    """The learning rate; the scheduler multiplies it."""
    rho: Beta = 0.9
    """Memory of the squared gradient."""
    eps: PositiveFloat = 1e-6
    """Keeps the division from zero."""

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.Adadelta."""
        from torch import optim

        return [optim.Adadelta(parameters, rho=self.rho, eps=self.eps, **self.common())]


class Muon(Optimizer):
    """Orthogonalised momentum for matrices (Jordan, 2024, kellerjordan.github.io/posts/muon), AdamW for the rest."""

    name: Literal["muon"] = "muon"
    lr: PositiveFloat = 0.02
    """The learning rate of the matrices; the scheduler multiplies it."""
    momentum: Beta = 0.95
    """The share of the last step that goes on."""
    nesterov: bool = True
    """Look ahead along the momentum first."""
    adamw_lr: PositiveFloat = 0.001
    """The learning rate of biases, norms and convolutions."""

    def build(self, parameters: Sequence[nn.Parameter]) -> list[optim.Optimizer]:
        """torch.optim.Muon, and torch.optim.AdamW where there is something left."""
        from torch import optim

        matrices = [parameter for parameter in parameters if parameter.ndim == 2]
        rest = [parameter for parameter in parameters if parameter.ndim != 2]
        optimizers: list[optim.Optimizer] = []
        if matrices:
            optimizers.append(optim.Muon(matrices, momentum=self.momentum, nesterov=self.nesterov, **self.common()))
        if rest:
            optimizers.append(optim.AdamW(rest, lr=self.adamw_lr, weight_decay=self.weight_decay, fused=True))
        return optimizers


AnyOptimizer = Annotated[Sgd | Adam | AdamW | RmsProp | Adagrad | Adadelta | Muon, Field(discriminator="name"), ByName]
