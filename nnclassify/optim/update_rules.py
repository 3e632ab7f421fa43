"""The update of each optimizer as a function of tensors, which can be compiled.

Options and state stay in `torch.optim`'s classes, so checkpoints do not depend on this; the arithmetic is torch's
functional form. Eager steps use torch's fused kernels where they exist; in a compiled step, the formulas are written
out, and the compiler fuses them.

With gradient g (to which L2 weight decay adds decay * w), learning rate lr and step t, a rule changes the weights w by:

    sgd       m = momentum * m + (1 - dampening) * g;  w -= lr * m, or lr * (g + momentum * m) with Nesterov momentum
              (Sutskever et al., 2013, in torch's form: the learning rate is outside the momentum)
    adam      m = lerp(m, g, 1 - beta1);  v = lerp(v, g^2, 1 - beta2);
              w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)  (Kingma and Ba, 2015)
    adamw     the same, after w *= 1 - lr * decay in place of L2 decay  (Loshchilov and Hutter, 2019)
    rmsprop   v = alpha * v + (1 - alpha) * g^2;  w -= lr * g / (sqrt(v) + eps), with momentum on the quotient
              (Tieleman and Hinton, 2012)
    adagrad   s = s + g^2;  w -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)  (Duchi et al., 2011)
    adadelta  v = rho * v + (1 - rho) * g^2;  d = sqrt(u + eps) / sqrt(v + eps) * g;  u = rho * u + (1 - rho) * d^2;
              w -= lr * d  (Zeiler, 2012)
    muon      see `optim/muon.py`
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim.adadelta import adadelta
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from nnclassify.optim.muon import FilterMuon, update_filters
from nnclassify.optim.rates import Rate, at_rate, fused_at_rate

States = list[list[Tensor]]
"""One list per state (momentum, step, ...), each with one tensor per parameter."""


@dataclass(frozen=True)
class Group:
    """Parameters that share their options.

    Attributes:
        optimizer: The optimizer that holds the state.
        options: Options of the group, except for the learning rate.
        initial_lr: Learning rate before the scheduler's factor is applied.
        parameters: The trainable parameters.
        names: Names of the states that the update reads and writes.
        epochs: Number of epochs after which the group is frozen; None for never.
        first_epoch: First epoch (from 1) in which the group is trained.
    """

    optimizer: optim.Optimizer
    options: dict[str, Any]
    initial_lr: float
    parameters: list[nn.Parameter]
    names: list[str]
    epochs: int | None = None
    first_epoch: int = 1

    def learns_in(self, epoch: int) -> bool:
        """Return whether the parameters are trained in an epoch (from 1)."""
        return self.first_epoch <= epoch and (self.epochs is None or epoch <= self.epochs)

    def states(self) -> States:
        """Return the optimizer's own state tensors, to be updated in place; `load_state_dict` replaces them."""
        return [[self.optimizer.state[parameter][name] for parameter in self.parameters] for name in self.names]

    @property
    def rule(self) -> Rule | None:
        """Return the update as a function of tensors, or None if the optimizer has only its own `step`, which is not
        compiled."""
        return RULES.get(type(self.optimizer))

    @torch.no_grad()
    def update(self, parameters: list[Tensor], gradients: list[Tensor], states: States, lr: Rate) -> None:
        """Update parameters and states in place: the group's own or, with a rule, any others of the same shapes."""
        if self.rule is None:
            self._step(gradients, lr)
        else:
            self.rule.update(self.options, parameters, gradients, dict(zip(self.names, states, strict=True)), lr)

    def _step(self, gradients: list[Tensor], lr: Rate) -> None:
        """Call `optimizer.step()` for this group only: optimizers skip parameters without a gradient."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        for group in self.optimizer.param_groups:
            if group["params"][0] is self.parameters[0]:
                group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad()


@dataclass(frozen=True)
class Rule:
    """The compilable update of an optimizer class.

    Attributes:
        states: Function of a group's options that returns the names of its states.
        update: Function of (options, parameters, gradients, states, learning rate) that updates parameters and states
            in place.
        dtype: Number type of the computation; None for the parameters' own.
    """

    states: Callable[[dict[str, Any]], list[str]]
    update: Callable[[dict[str, Any], list[Tensor], list[Tensor], dict[str, list[Tensor]], Rate], None]
    dtype: torch.dtype | None = None


def groups_of(optimizer: optim.Optimizer) -> list[Group]:
    """Return the groups of an optimizer, with the states that rules use already created, as zeros."""
    groups = []
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
        apart = ("params", "lr", "initial_lr", "epochs", "first_epoch")
        options = {name: value for name, value in group.items() if name not in apart}
        rule = RULES.get(type(optimizer))
        names = [] if rule is None else rule.states(options)
        for parameter in group["params"]:
            for name in names:
                kept = optimizer.state[parameter]
                if name not in kept:
                    kept[name] = _step_count(parameter) if name == "step" else torch.zeros_like(parameter)
                elif kept[name].device != parameter.device:  # torch leaves "step" where it was loaded
                    kept[name] = kept[name].to(parameter.device)
        members = list(group["params"])
        when = (group.get("epochs"), group.get("first_epoch", 1))
        groups.append(Group(optimizer, options, group["initial_lr"], members, names, *when))
    return groups


def load_optimizer(optimizer: optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load the saved state of an optimizer; torch itself compares only the number of parameters.

    Raises:
        ValueError: The state belongs to other parameters or options.
    """
    own = optimizer.state_dict()
    for mine, theirs in zip(own["param_groups"], saved["param_groups"], strict=True):
        needed = {"params", "lr", "initial_lr"}
        if not needed <= theirs.keys() <= mine.keys():
            raise ValueError(f"optimizer options {', '.join(sorted(needed ^ theirs.keys()))}")
        for name in sorted(theirs.keys() - {"lr"}):  # the scheduler sets lr
            if mine[name] != theirs[name] or type(mine[name]) is not type(theirs[name]):
                raise ValueError(f"optimizer option {name}: {theirs[name]!r}, expected {mine[name]!r}")
    expected = _described(own["state"] if type(optimizer) in RULES or not saved["state"] else _first_states(optimizer))
    found = _described(saved["state"])
    if expected != found:
        place = next(place for place in [*expected, *found] if expected.get(place) != found.get(place))
        raise ValueError(f"optimizer state {place}: {found.get(place)}, expected {expected.get(place)}")
    rates = [group["lr"] for group in saved["param_groups"]]
    groups = [{**mine, "lr": lr} for mine, lr in zip(own["param_groups"], rates, strict=True)]
    optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})


def _first_states(optimizer: optim.Optimizer) -> dict[int, dict[str, Any]]:
    """Return the states that an optimizer without a rule has after its first step, which is taken on a copy."""
    rehearsal = copy.deepcopy(optimizer)
    for group in rehearsal.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    with torch.random.fork_rng(devices=[]):
        rehearsal.step()
    states: dict[int, dict[str, Any]] = rehearsal.state_dict()["state"]
    return states


def _described(states: dict[int, dict[str, Any]]) -> dict[tuple[int, str], tuple[tuple[int, ...] | None, object]]:
    """Return shape and number type of every state by parameter and name; for a number, only its type."""
    return {
        (index, name): (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else (None, type(value))
        for index, state in states.items()
        for name, value in state.items()
    }


def _step_count(parameter: Tensor) -> Tensor:
    return torch.zeros((), dtype=torch.float32, device=parameter.device)


def _chosen(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}


def _fused() -> bool:
    return not torch.compiler.is_compiling()


def _sgd(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    momenta: list[Tensor | None] = list(states.get("momentum_buffer", [None] * len(params)))
    chosen = _chosen(options, "weight_decay", "momentum", "dampening", "nesterov")
    update = partial(sgd, params, grads, momenta, foreach=False, fused=_fused(), maximize=False, **chosen)
    fused_at_rate(update, params, lr)


def _adam(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    if not _fused():
        return _adam_written_out(options, params, grads, states, lr)
    update = partial(
        adam,
        *(params, grads, states["exp_avg"], states["exp_avg_sq"], [], states["step"]),
        foreach=False,
        fused=True,
        amsgrad=False,
        beta1=options["betas"][0],
        beta2=options["betas"][1],
        maximize=False,
        **_chosen(options, "weight_decay", "decoupled_weight_decay", "eps"),
    )
    return fused_at_rate(update, params, lr)


def _adam_written_out(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    """Adam for the compiler, which would compute torch's two powers again for every few weights."""
    (beta1, beta2), decay, steps = options["betas"], options["weight_decay"], states["step"]
    for step in steps:
        step += 1
    count = steps[0].to(params[0].dtype)  # kept in float32 whatever the weights' type
    rate = _once(lr / (1 - beta1**count))
    root = _once((1 - beta2**count).sqrt())
    for param, grad, mean, square in zip(params, grads, states["exp_avg"], states["exp_avg_sq"], strict=True):
        if decay and options["decoupled_weight_decay"]:
            param.mul_(1 - lr * decay)
        elif decay:
            grad = grad.add(param, alpha=decay)
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        param.sub_(rate * mean / (square.sqrt() / root + options["eps"]))


def _once(value: Tensor) -> Tensor:
    """Turn a number `()` into a sum: the compiler computes a sum once, and anything else wherever it is used."""
    return torch.stack([value, torch.zeros_like(value)]).sum()


def _rmsprop(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    update = partial(
        rmsprop,
        params,
        grads,
        states["square_avg"],
        [],
        states.get("momentum_buffer", []),
        states["step"],
        foreach=False,
        centered=False,
        **_chosen(options, "weight_decay", "momentum", "alpha", "eps"),
    )
    at_rate(update, params, lr)


def _adagrad(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    if isinstance(lr, Tensor) or params[0].device.type != "cpu":
        _adagrad_written_out(options, params, grads, states, lr)
        return
    adagrad(
        params,
        grads,
        states["sum"],
        states["step"],
        fused=False,
        foreach=False,
        lr=lr,
        maximize=False,
        **_chosen(options, "weight_decay", "lr_decay", "eps"),
    )


def _adagrad_written_out(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    """Adagrad without torch's read of the step number, which would wait for the GPU."""
    for step in states["step"]:
        step += 1
    count = states["step"][0].to(params[0].dtype)  # kept in float32 whatever the weights' type
    rate = _once(lr / (1 + (count - 1) * options["lr_decay"]))
    for param, grad, total in zip(params, grads, states["sum"], strict=True):
        if options["weight_decay"]:
            grad = grad.add(param, alpha=options["weight_decay"])
        total.addcmul_(grad, grad)
        param.sub_(rate * grad / (total.sqrt() + options["eps"]))


def _adadelta(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    update = partial(
        adadelta,
        params,
        grads,
        states["square_avg"],
        states["acc_delta"],
        states["step"],
        foreach=False,
        maximize=False,
        **_chosen(options, "weight_decay", "rho", "eps"),
    )
    at_rate(update, params, lr)


def _muon(
    options: dict[str, Any], params: list[Tensor], grads: list[Tensor], states: dict[str, list[Tensor]], lr: Rate
) -> None:
    update_filters(options, params, grads, states["momentum_buffer"], lr)


def _momentum(options: dict[str, Any]) -> list[str]:
    return ["momentum_buffer"] if options["momentum"] else []


_ADAM = Rule(lambda options: ["step", "exp_avg", "exp_avg_sq"], _adam)
RULES: dict[type[optim.Optimizer], Rule] = {
    optim.SGD: Rule(_momentum, _sgd),
    optim.Adam: _ADAM,
    optim.AdamW: _ADAM,
    optim.RMSprop: Rule(lambda options: ["step", "square_avg", *_momentum(options)], _rmsprop),
    optim.Adagrad: Rule(lambda options: ["step", "sum"], _adagrad),
    optim.Adadelta: Rule(lambda options: ["step", "square_avg", "acc_delta"], _adadelta),
    FilterMuon: Rule(lambda options: ["momentum_buffer"], _muon, torch.bfloat16),
}
"""The optimizers that can be compiled. All others train eagerly, with their own `step`."""
