"""Measurements of a network on one batch: units, gradients, outputs. None of them changes the network."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnclassify.losses import LossFunction
from nnclassify.models.layers import check_trainable, evaluating, tensors_in

SATURATED = 0.01
"""A sigmoid this close to 0 or 1 (a tanh this close to -1 or 1) passes back at most about 1% (2%) of the gradient."""
IDENTICAL = 1e-6
"""Two units whose outputs differ by less than this fraction of their size count as identical."""


@dataclass(frozen=True)
class LayerState:
    """The units of one activation layer on a batch.

    Attributes:
        name: The name of the layer, such as `hidden_0_activation`.
        units: Number of units, or channels.
        dead: Fraction of units that are zero for every example (ReLU only).
        saturated: Fraction of outputs close to a limit (sigmoid and tanh only).
        identical: Whether all units have the same output for every example.
        spread: Standard deviation over the examples, mean over units, relative to the size of the outputs.
    """

    name: str
    units: int
    dead: float
    saturated: float
    identical: bool
    spread: float

    def dead_text(self) -> str:
        """Return how many units are dead, in words."""
        which = f"all {self.units}" if self.dead == 1 else f"{self.dead * self.units:.0f} of the {self.units}"
        return f"{which} ReLU units of {readable_layer(self.name)} give 0 for every example, so they cannot learn"


def readable_layer(name: str) -> str:
    """Return the layer of a module or of a path in a config, counted from one: `hidden layer 1` for
    `hidden_0_activation` and `model.hidden.0`; other names unchanged."""
    found = re.fullmatch(r"(?:model\.)?(hidden|block)s?[._](\d+)(?:_activation)?", name)
    if found is None:
        return name
    return f"{'hidden layer' if found[1] == 'hidden' else 'block'} {int(found[2]) + 1}"


@contextmanager
def module_outputs(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Return a context that stores the output of every leaf module in the dictionary, under the module's name; of
    several tensors, such as those of an LSTM, the first."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if (first := next(tensors_in(output), None)) is not None:
                seen[name] = first.detach()

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    handles = [module.register_forward_hook(keep(name)) for name, module in leaves]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def layer_states(model: nn.Module, outputs: dict[str, Tensor]) -> list[LayerState]:
    """Return the state of every activation layer, from the outputs that `module_outputs` collected."""
    kinds = nn.ReLU | nn.LeakyReLU | nn.ELU | nn.GELU | nn.SiLU | nn.Tanh | nn.Sigmoid | nn.Softplus
    named = dict(model.named_modules())
    return [
        _layer_state(name, named[name], values)
        for name, values in outputs.items()
        if isinstance(named[name], kinds) and name != "output_activation" and values.ndim > 1
    ]


def _layer_state(name: str, module: nn.Module, values: Tensor) -> LayerState:
    """`values` is `(N, units)`, `(N, channels, H, W)` or the like."""
    values = values.float()
    flat = values.reshape(len(values), -1)
    by_unit = values.transpose(0, 1).reshape(values.shape[1], -1)
    dead = float((by_unit == 0).all(dim=1).float().mean()) if isinstance(module, nn.ReLU) else 0.0
    saturated = 0.0
    if isinstance(module, nn.Sigmoid):
        saturated = float(((values < SATURATED) | (values > 1 - SATURATED)).float().mean())
    elif isinstance(module, nn.Tanh):
        saturated = float((values.abs() > 1 - SATURATED).float().mean())
    size = float(flat.abs().mean())
    apart = float((by_unit - by_unit[:1]).abs().max()) if len(by_unit) > 1 else math.inf
    return LayerState(
        name=name,
        units=values.shape[1],
        dead=dead,
        saturated=saturated,
        identical=apart <= IDENTICAL * max(size, 1e-30),
        spread=float(flat.std(dim=0).mean()) / max(size, 1e-30) if len(flat) > 1 else math.inf,
    )


@dataclass(frozen=True)
class Snapshot:
    """The state of a network on one batch.

    Attributes:
        loss: Mean loss.
        layers: The activation layers, first to last.
        gradients: Norm of the gradient of each layer with weights, first to last, by name, over the root of the
            number of weights.
        output_spread: Standard deviation of the outputs over the examples, relative to their size.
        finite: Whether outputs, loss and gradients are finite.
        predictions: The predicted class of each example, `(N,)`.
        deviation: Standard deviation of the outputs over the examples.
    """

    loss: float
    layers: tuple[LayerState, ...]
    gradients: dict[str, float]
    output_spread: float
    finite: bool
    predictions: Tensor
    deviation: float = 1.0

    @property
    def gradient_ratio(self) -> float:
        """The gradient of the first layer divided by that of the last; 1 if there are fewer than two layers."""
        norms = list(self.gradients.values())
        if len(norms) < 2:
            return 1.0
        return norms[0] / max(norms[-1], 1e-38)

    def gradient_text(self) -> str:
        """Return the gradient ratio, in words."""
        if not self.gradient_ratio:
            return "the first layer gets no gradient"
        return f"the first layer's gradient is {self.gradient_ratio:.1e} times the last one's"

    def output_text(self) -> str:
        """Return how much the outputs vary, in words."""
        if not self.output_spread:
            return "outputs are the same for every example"
        return f"outputs vary between examples by {self.output_spread:.1g} times their size"

    @property
    def dead(self) -> float:
        """The largest fraction of dead units in a layer."""
        return max((layer.dead for layer in self.layers), default=0.0)

    @property
    def saturated(self) -> float:
        """The largest fraction of saturated outputs in a layer."""
        return max((layer.saturated for layer in self.layers), default=0.0)


def snapshot(model: nn.Module, loss_fn: LossFunction, inputs: Tensor, targets: Tensor) -> Snapshot:
    """Run one forward and one backward pass in training mode, without dropout.

    Weights, gradients, buffers, modes and random state are left as they were.
    """
    buffers = [buffer.clone() for buffer in model.buffers()]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = not isinstance(module, nn.Dropout | nn.Dropout2d)
    try:
        with module_outputs(model) as seen:
            outputs = model(inputs)
            check_trainable(outputs)
            loss = loss_fn(outputs, targets).mean()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    finally:
        for module, was_training in modes:
            module.training = was_training
        with torch.no_grad():
            for buffer, kept in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(kept)
    norms = _gradient_norms(model, dict(zip(map(id, parameters), gradients, strict=True)), seen)
    outputs, loss = outputs.detach().float(), loss.detach()
    deviation = float(outputs.std(dim=0).mean()) if len(outputs) > 1 else float(outputs.abs().mean())
    spread = deviation / max(float(outputs.abs().mean()), 1e-30)
    finite = math.isfinite(float(loss)) and bool(outputs.isfinite().all()) and all(map(math.isfinite, norms.values()))
    predictions = loss_fn.predictions(outputs)
    return Snapshot(float(loss), tuple(layer_states(model, seen)), norms, spread, finite, predictions, deviation)


def mixing(model: nn.Module, inputs: Tensor) -> float:
    """Return how much the outputs of an example change, relative to their size, when other examples leave its batch.

    More than rounding only where the network mixes examples up.
    """
    half = -(-len(inputs) // 2)
    with torch.no_grad(), evaluating(model):
        alone, together = model(inputs[:half]).float(), model(inputs)[:half].float()
    moved = float((alone - together).abs().max()) / max(float(together.abs().mean()), 1e-30)
    return moved if math.isfinite(moved) else 0.0


def _gradient_norms(model: nn.Module, gradients: dict[int, Tensor | None], seen: Collection[str]) -> dict[str, float]:
    """Root mean square of each weight matrix's gradient: comparable between layers of different sizes. Layers that the
    forward pass does not use are left out."""
    norms: dict[str, float] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.requires_grad:
            gradient = gradients.get(id(module.weight))
            if gradient is None and name not in seen:
                continue
            norms[name] = 0.0 if gradient is None else float(gradient.float().square().mean().sqrt())
    return norms
