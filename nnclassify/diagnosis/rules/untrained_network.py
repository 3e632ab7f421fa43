"""Probes: rules about the untrained network on one batch: its loss, layers, gradients and outputs."""

from __future__ import annotations

from collections.abc import Iterator

from nnclassify.diagnosis.findings import Change, Evidence, Page, Suspicion
from nnclassify.diagnosis.rules.architecture import DEEP, GLOROT, SATURATING
from nnclassify.diagnosis.rules.changes import with_batch_norm, with_option, without_biases, without_scale
from nnclassify.diagnosis.rules.rule import Rule, RuleInputs
from nnclassify.evaluation.percent import percent
from nnclassify.models.base import DenseModel

VANISHING = Page(
    id="NN306",
    title="the gradient vanishes before it reaches the first layers",
    looks_at="Three or more sigmoid or tanh layers, where at initialization the first layer gets less than 1% of the"
    " gradient of the last, or outputs hardly depend on the input; a fault if another activation learns "
    "better.",
    why="A sigmoid passes back at most a quarter of the gradient: after nine of them, 4 in a million is left.",
    source=GLOROT,
    fix="model.activation: relu, or tanh with init: xavier_uniform, or batch norm.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16, 16, 16, 16, 16, 16, 16, 16, 16], activation: sigmoid}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16, 16, 16], activation: tanh}\n",
)
SMALL_GRADIENT = 0.01
VERY_DEEP = 10
FLAT = 0.003
"""Outputs whose spread over the examples is below this fraction of their size count as equal for all examples."""


def _vanishing(given: RuleInputs) -> Iterator[Suspicion]:
    if given.start is None or len(given.hidden_layers) < 3:
        return
    flat_ends = sum(layer.activation in SATURATING for layer in given.hidden_layers)
    ratio = given.start.gradient_ratio
    if flat_ends * 2 < len(given.hidden_layers) or (ratio > SMALL_GRADIENT and given.start.output_spread > FLAT):
        return
    text = f"at initialization, {given.start.gradient_text()}"
    changes = [
        with_option(given, "activation", "relu"),
        {**with_option(given, "activation", "relu"), **with_option(given, "init", "kaiming_uniform")},
        with_batch_norm(given),
        {**with_option(given, "activation", "tanh"), **with_option(given, "init", "xavier_uniform")},
    ]
    yield Suspicion(
        VANISHING, "likely", "model.activation", Evidence(text, ratio, SMALL_GRADIENT), _or_plain(given, changes)
    )


def _or_plain(given: RuleInputs, changes: list[Change]) -> tuple[Change, ...]:
    """Return the changes that are not empty and a plain network: tried second, or first if the network is very deep.

    Trials of a very deep network take long, and no init saves a deep network of narrow layers (Lu et al., 2019).
    """
    changes = [change for change in changes if change]
    plain: Change = {**with_option(given, "activation", "relu"), "model.hidden": [64, 64]}
    place = 0 if len(given.hidden_layers) >= VERY_DEEP else 1
    return (*changes[:place], plain, *changes[place:])


DEAD = Page(
    id="NN307",
    title="ReLU layers that are dead, or give the same output for every example",
    looks_at="A ReLU layer with more than 90% of its units at 0 for a whole batch at initialization, or five or more"
    " ReLU layers after which outputs hardly depend on the input; a fault if a change learns better.",
    why="A ReLU unit that outputs 0 for every example gets no gradient, and never recovers.",
    source="Lu et al., Dying ReLU and initialization, 2019 (arXiv:1903.06733); He et al., 2015 (arXiv:1502.01852)",
    fix="model.init: kaiming_uniform, batch norm, fewer layers, or the default bias_init.",
    example="dataset: moons\nmodel:\n  {name: mlp, hidden: ["
    + ", ".join(["8"] * 34)
    + "], activation: relu}\nloss: bce_with_logits\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16, 16, 16], activation: relu}\n",
)
MANY_DEAD = 0.9


def _dead(given: RuleInputs) -> Iterator[Suspicion]:
    if given.start is None:
        return
    rectifiers = sum(layer.activation in ("relu", "leaky_relu") for layer in given.hidden_layers)
    is_flat = rectifiers >= DEEP and min(given.start.output_spread, given.start.gradient_ratio * 10) < 0.1
    if not rectifiers or (given.start.dead <= MANY_DEAD and not is_flat):
        return
    text = (
        f"at initialization, {percent(given.start.dead)} of the units of a layer are dead, and "
        f"{given.start.output_text()}"
    )
    changes = [
        without_biases(given),
        with_option(given, "init", "kaiming_uniform"),
        with_batch_norm(given),
        {**with_option(given, "activation", "tanh"), **with_option(given, "init", "xavier_uniform")},
    ]
    yield Suspicion(
        DEAD, "likely", "model.hidden", Evidence(text, given.start.dead, MANY_DEAD), _or_plain(given, changes)
    )


START = Page(
    id="NN308",
    title="initial weights, biases or outputs that are too small or too large",
    looks_at="An init of a fixed scale (normal, uniform), bias_init, output_bias_init or output_scale whose untrained "
    "network gives outputs that hardly differ between examples (by less than 0.01), a loss above three times that of "
    "the class frequencies, saturated layers, or a first layer with almost no gradient; a fault if the default learns "
    "better.",
    why="Activations shrink or grow by the same factor at every layer, unless the weights are scaled to the width of "
    "the layer.",
    source=f"{GLOROT}; He et al., 2015 (arXiv:1502.01852)",
    fix="model.init: default, or kaiming_uniform for ReLUs; no bias_init and no output_scale.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16, 16], init: {name: normal, std: 10.0}}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16, 16], init: kaiming_normal}\n",
)
HIGH_START, MANY_SATURATED = 3.0, 0.5
FAINT = 0.01
"""Inits that preserve the scale of a signal give outputs that vary by 0.1 to 1 between examples (He et al., 2015)."""


def _start(given: RuleInputs) -> Iterator[Suspicion]:
    if given.start is None:
        return
    has_init, biases, output_scale = _has_fixed_scale(given), without_biases(given), without_scale(given)
    if not has_init and not biases and not output_scale:
        return
    is_high = given.prior_loss is not None and not given.start.loss < HIGH_START * given.prior_loss
    is_flat = given.start.output_spread < 0.1 and has_init and not biases
    is_flat = is_flat or given.start.gradient_ratio < SMALL_GRADIENT or given.start.deviation < FAINT
    if is_high or is_flat or given.start.saturated > MANY_SATURATED:
        prior = "" if given.prior_loss is None else f" ({given.prior_loss:.3g} without any information)"
        text = f"loss {given.start.loss:.3g} at initialization{prior}; {given.start.output_text()}"
        inits = [with_option(given, "init", name) for name in ("default", "kaiming_uniform") if has_init]
        path = next(iter({**biases, **output_scale}), "model.init")
        evidence = Evidence(text, given.start.loss, given.prior_loss)
        yield Suspicion(START, "likely", path, evidence, tuple(filter(None, (output_scale, biases, *inits))))


def _has_fixed_scale(given: RuleInputs) -> bool:
    """Return whether any layer starts with weights whose scale does not follow from the width of the layer."""
    model = given.config.model
    inits = [layer.init for layer in given.hidden_layers] + ([model.init] if isinstance(model, DenseModel) else [])
    return any(init.name in ("normal", "uniform", "constant") for init in inits)


MIXED = Page(
    id="NN310",
    title="an example's outputs depend on the other examples of its batch",
    looks_at="The untrained network in evaluation mode, on a batch and on the first half of it alone: outputs that "
    "differ by more than 0.1% of their size.",
    why="Something operates along the wrong dimension, such as a softmax over the batch: a prediction then depends on"
    " the other examples, and gradients reach the wrong ones.",
    source="Karpathy, A recipe for training neural networks, 2019: use backprop to chart dependencies",
    fix="Correct the code of the network: only batch norm, and only in training, may look across examples.",
)
MOVED = 1e-3
"""Summing float32 products in another order changes them by about 1e-6; a thousand times that is not rounding."""


def _mixed(given: RuleInputs) -> Iterator[Suspicion]:
    if given.mixing > MOVED:
        text = f"outputs move by {percent(given.mixing)} of their size when other examples leave the batch"
        yield Suspicion(MIXED, "certain", "model", Evidence(text, given.mixing, MOVED))


RULES = (
    Rule(VANISHING, _vanishing),
    Rule(DEAD, _dead),
    Rule(START, _start),
    Rule(MIXED, _mixed),
)
