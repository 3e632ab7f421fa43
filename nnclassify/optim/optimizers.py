"""The optimizer family.

`fused` is set if torch supports it: one kernel updates all parameters, which saves most of the update time of a tiny
network.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnclassify.errors import ModelError, dotted, some
from nnclassify.models.preprocessing import Body
from nnclassify.settings import ByName, NonNegativeFloat, PositiveFloat, PositiveInt, Settings, Switch

if TYPE_CHECKING:
    from torch import nn, optim

Beta = Annotated[float, Field(ge=0, lt=1)]
Group = dict[str, Any]
"""A parameter group as torch.optim takes it: params, lr, weight_decay; and `epochs` if it is frozen after some."""


class ParameterGroup(Settings):
    """Parameters with their own options. A parameter belongs to the first group whose pattern matches its name."""

    match: Annotated[str, Field(min_length=1, max_length=200)]
    """Pattern of parameter names, where `*` matches any text: `*_norm.bias`, `output_linear.*`."""
    lr_factor: PositiveFloat = 1.0
    """Factor applied to the learning rate of the group."""
    weight_decay: NonNegativeFloat | None = None
    """Weight decay of the group. Default: the optimizer's."""
    epochs: PositiveInt | None = None
    """Number of epochs after which the group is frozen. Default: never."""


class Optimizer(Settings):
    """Options that every optimizer has."""

    usual_lr: ClassVar[tuple[float, float] | None] = None
    """Customary learning rates, from a tenth of the usual one (a third for SGD without momentum and Adagrad) to ten
    times it; None: relative to the default. `check` searches this range for a better learning rate."""
    strong_weight_decay: ClassVar[float] = 0.05
    """Largest unsuspicious weight decay: more drives the weights to zero."""

    lr: PositiveFloat
    """Learning rate, before the scheduler's factor is applied."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay (L2 penalty)."""
    groups: list[ParameterGroup] = Field(default_factory=list)
    """Parameter groups with their own options."""

    def build(self, parameters: Sequence[tuple[str, nn.Parameter]], body: Body | None = None) -> list[optim.Optimizer]:
        """Return the torch optimizers, usually one, that together update all parameters.

        Args:
            parameters: The parameters with their names.
            body: The pretrained parameters, if they learn in another way than the others.

        Raises:
            ModelError: A group matches no parameter, or every parameter is frozen before the end of the run.
        """
        return self.create(self.grouped(parameters, body))

    @abstractmethod
    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return the torch optimizers for these groups."""

    def common(self) -> dict[str, Any]:
        """Return the arguments that every torch optimizer takes."""
        return {"lr": self.lr, "weight_decay": self.weight_decay}

    def decay(self, weight_decay: float, lr: float) -> float:
        """Return torch's `weight_decay` argument for parameters with this learning rate."""
        return weight_decay

    def lr_range(self) -> tuple[float, float]:
        """Return the lowest and the highest customary learning rate for these options."""
        default = type(self).model_fields["lr"].get_default()
        customary = self.lr if default is None else default
        return self.usual_lr or (customary / 10, customary * 10)

    def grouped(self, parameters: Sequence[tuple[str, nn.Parameter]], body: Body | None = None) -> list[Group]:
        """Return the parameter groups: parameters that no group matches first, then the groups in order.

        Each is in two where it has parameters of the body and others; those of the body come after all others.

        Raises:
            ModelError: As for `build`.
        """
        members: list[list[tuple[str, nn.Parameter]]] = [[] for _ in range(len(self.groups) + 1)]
        for name, parameter in parameters:
            fits = (place for place, group in enumerate(self.groups, 1) if fnmatchcase(name, group.match))
            members[next(fits, 0)].append((name, parameter))
        for place, group in enumerate(self.groups, 1):
            if not members[place]:
                names = some([name for name, _ in parameters], 12)
                where = ("optimizer", "groups", place - 1)
                raise ModelError(
                    f"{dotted(where)}: no parameter matches {group.match!r}, apart from those of earlier groups; "
                    f"expected a pattern such as '*.bias' for the names {names}",
                    where,
                )
        pairs = list(zip([ParameterGroup(match="*"), *self.groups], members, strict=True))
        in_body = frozenset() if body is None else body.parameters
        chosen = [self._group(options, [p for name, p in found if name not in in_body]) for options, found in pairs]
        chosen += [self._group(options, [p for name, p in found if name in in_body], body) for options, found in pairs]
        chosen = [group for group in chosen if group["params"]]
        _check_epochs(chosen)
        return chosen

    def _group(self, options: ParameterGroup, members: list[nn.Parameter], body: Body | None = None) -> Group:
        lr = self.lr * options.lr_factor * (1.0 if body is None else body.lr_factor)
        decay = self.weight_decay if options.weight_decay is None else options.weight_decay
        ends = {} if options.epochs is None else {"epochs": options.epochs}
        starts = {} if body is None or body.first_epoch == 1 else {"first_epoch": body.first_epoch}
        return {"params": members, "lr": lr, "weight_decay": self.decay(decay, lr), **ends, **starts}


def _check_epochs(groups: Sequence[Group]) -> None:
    """Reject groups that leave nothing to train in some epoch.

    Raises:
        ModelError: There is such an epoch.
    """
    spans = [(group.get("first_epoch", 1), group.get("epochs", math.inf)) for group in groups]
    ends = [end + 1 for _, end in spans if end < math.inf]
    for epoch in sorted({1, *ends}):
        if not any(first <= epoch <= last for first, last in spans):
            what = "before the end of the run" if epoch > max(first for first, _ in spans) else f"in epoch {epoch}"
            text = f"optimizer.groups: every parameter is frozen {what}; remove `epochs` from a group"
            raise ModelError(text, ("optimizer", "groups"))


class Sgd(Optimizer):
    """Stochastic gradient descent, optionally with momentum."""

    name: Literal["sgd"] = "sgd"
    usual_lr = (0.003, 0.5)
    lr: PositiveFloat = 0.01
    """Learning rate, before the scheduler's factor is applied."""
    momentum: Beta = 0.0
    """Momentum factor."""
    nesterov: Switch = False
    """Use Nesterov momentum; requires momentum above 0."""
    decoupled: Switch = False
    """Decay weights by weight_decay times the scheduler's factor at each step. If false, as in torch, also times the
    learning rate, and so times lr_factor."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield errors for Nesterov without momentum, and for decoupling without weight decay."""
        if self.nesterov and self.momentum == 0:
            yield "nesterov", "found true with momentum 0; set momentum: 0.9, or remove nesterov"
        if self.decoupled and not any([self.weight_decay, *(group.weight_decay for group in self.groups)]):
            yield "decoupled", "found true with weight_decay 0; set weight_decay, or remove decoupled"

    def decay(self, weight_decay: float, lr: float) -> float:
        """Divide by the learning rate if decoupled, since torch multiplies by it."""
        return weight_decay / lr if self.decoupled else weight_decay

    def lr_range(self) -> tuple[float, float]:
        """Scale the range for momentum m, which lengthens the steps by 1 / (1 - m)."""
        low, high = super().lr_range()
        return low * (1 - self.momentum), high * max(0.2, 1 - self.momentum)

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return torch.optim.SGD."""
        from torch import optim

        nesterov = self.nesterov and self.momentum > 0
        return [optim.SGD(list(groups), momentum=self.momentum, nesterov=nesterov, fused=True, **self.common())]


class AdaptiveMoments(Optimizer):
    """Options that Adam and AdamW share."""

    usual_lr = (1e-4, 0.02)
    lr: PositiveFloat = 0.001
    """Learning rate, before the scheduler's factor is applied."""
    beta1: Beta = 0.9
    """Decay rate of the running average of the gradient."""
    beta2: Beta = 0.999
    """Decay rate of the running average of the squared gradient."""
    eps: PositiveFloat = 1e-8
    """Added to the denominator for numerical stability."""

    def moments(self) -> dict[str, Any]:
        """Return the arguments that torch's Adam and AdamW share."""
        return {"betas": (self.beta1, self.beta2), "eps": self.eps, "fused": True, **self.common()}


class Adam(AdaptiveMoments):
    """Adam (Kingma and Ba, 2014, arXiv:1412.6980)."""

    name: Literal["adam"] = "adam"

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return torch.optim.Adam."""
        from torch import optim

        return [optim.Adam(list(groups), **self.moments())]


class AdamW(AdaptiveMoments):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017, arXiv:1711.05101)."""

    name: Literal["adamw"] = "adamw"
    strong_weight_decay = 0.5
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay."""

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return torch.optim.AdamW."""
        from torch import optim

        return [optim.AdamW(list(groups), **self.moments())]


class RmsProp(Optimizer):
    """RMSprop (Hinton, lecture 6e, 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    usual_lr = (1e-4, 0.01)
    lr: PositiveFloat = 0.001
    """Learning rate, before the scheduler's factor is applied."""
    alpha: Beta = 0.99
    """Smoothing constant: decay rate of the running average of the squared gradient."""
    momentum: Beta = 0.0
    """Momentum factor."""
    eps: PositiveFloat = 1e-8
    """Added to the denominator for numerical stability."""

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return torch.optim.RMSprop."""
        from torch import optim

        return [optim.RMSprop(list(groups), alpha=self.alpha, momentum=self.momentum, eps=self.eps, **self.common())]


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011)."""

    name: Literal["adagrad"] = "adagrad"
    usual_lr = (0.003, 0.2)
    lr: PositiveFloat = 0.01
    """Learning rate, before the scheduler's factor is applied."""
    eps: PositiveFloat = 1e-10
    """Added to the denominator for numerical stability."""

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return torch.optim.Adagrad."""
        from torch import optim

        return [optim.Adagrad(list(groups), eps=self.eps, **self.common())]


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012, arXiv:1212.5701)."""

    name: Literal["adadelta"] = "adadelta"
    usual_lr = (0.1, 2.0)
    lr: PositiveFloat = 1.0
    """Learning rate, before the scheduler's factor is applied."""
    rho: Beta = 0.9
    """Decay rate of the running average of the squared gradient."""
    eps: PositiveFloat = 1e-6
    """Added to the denominator for numerical stability."""

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return torch.optim.Adadelta."""
        from torch import optim

        return [optim.Adadelta(list(groups), rho=self.rho, eps=self.eps, **self.common())]


class Muon(Optimizer):
    """Muon: orthogonalized momentum for weight matrices (Jordan, 2024, kellerjordan.github.io/posts/muon), AdamW for
    all other parameters."""

    name: Literal["muon"] = "muon"
    usual_lr = (0.003, 0.1)
    strong_weight_decay = 0.5
    lr: PositiveFloat = 0.02
    """Learning rate of the matrices, before the scheduler's factor is applied."""
    momentum: Beta = 0.95
    """Momentum factor."""
    nesterov: Switch = True
    """Use Nesterov momentum."""
    iterations: Annotated[int, Field(ge=1, le=20)] = 5
    """Number of Newton-Schulz iterations of the orthogonalization."""
    convolutions: Switch = False
    """Also apply Muon to convolutions, each reshaped to a matrix with one row per filter."""
    normalized: Switch = False
    """Scale each matrix to a norm of sqrt(number of rows) before every step, so that its scale is not learned."""
    adamw_lr: PositiveFloat = 0.001
    """Learning rate of the parameters that AdamW updates: biases, normalization layers, and convolutions unless
    `convolutions` is true."""

    def create(self, groups: Sequence[Group]) -> list[optim.Optimizer]:
        """Return FilterMuon, and torch.optim.AdamW for the other parameters, if any."""
        from torch import optim

        from nnclassify.optim.muon import FilterMuon

        kinds = (2, 4) if self.convolutions else (2,)
        matrices = _having(groups, lambda parameter: parameter.ndim in kinds)
        rest = _having(groups, lambda parameter: parameter.ndim not in kinds)
        optimizers: list[optim.Optimizer] = []
        if matrices:
            options = {"momentum": self.momentum, "nesterov": self.nesterov, **self.common()}
            optimizers.append(FilterMuon(matrices, ns_steps=self.iterations, normalized=self.normalized, **options))
        if rest:
            slower = [{**group, "lr": group["lr"] * self.adamw_lr / self.lr} for group in rest]
            optimizers.append(optim.AdamW(slower, fused=True))
        return optimizers


def _having(groups: Sequence[Group], wanted: Callable[[nn.Parameter], bool]) -> list[Group]:
    """Return the groups reduced to the parameters that fulfill a condition, without empty groups."""
    kept = [{**group, "params": [parameter for parameter in group["params"] if wanted(parameter)]} for group in groups]
    return [group for group in kept if group["params"]]


AnyOptimizer = Annotated[Sgd | Adam | AdamW | RmsProp | Adagrad | Adadelta | Muon, Field(discriminator="name"), ByName]
