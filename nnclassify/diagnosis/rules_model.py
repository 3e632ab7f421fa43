"""Rules on what lies between the input and the last layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nnclassify.diagnosis.case import Case, Rule
from nnclassify.diagnosis.findings import Certainty, Change, Evidence, Page, Suspicion
from nnclassify.models.base import DenseModel
from nnclassify.models.vocabulary import ConstantInit

GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010"
SATURATING = ("sigmoid", "tanh")


def layers_changed(case: Case, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The lists `model.hidden` and `model.blocks` with every layer rewritten."""
    dumped = case.config.model.model_dump(mode="json", exclude_none=True)
    return {f"model.{key}": [change(layer) for layer in dumped[key]] for key in ("hidden", "blocks") if dumped.get(key)}


def with_option(case: Case, key: str, value: Any) -> Change:
    """Set an option on the model, and take it from each layer that has its own."""

    def without(layer: dict[str, Any]) -> dict[str, Any]:
        return {name: kept for name, kept in layer.items() if name != key}

    own = any(key in layer.model_fields_set for layer in _layers(case))
    return {f"model.{key}": value, **(layers_changed(case, without) if own else {})}


def _layers(case: Case) -> list[Any]:
    model = case.config.model
    return [*getattr(model, "hidden", []), *getattr(model, "blocks", [])]


def with_batch_norm(case: Case) -> Change:
    """Batch norm in every layer."""
    return layers_changed(case, lambda layer: {**layer, "batch_norm": True})


def wider(case: Case, units: int = 64) -> Change:
    """Every layer with fewer units than that, brought to it; a hidden layer where there is none."""
    if not case.stages:
        return {"model.hidden": [units]}

    def widened(layer: dict[str, Any]) -> dict[str, Any]:
        key = "units" if "units" in layer else "channels"
        return {**layer, key: max(layer[key], units)}

    return layers_changed(case, widened)


LINEAR = Page(
    id="NN301",
    title="no non-linearity between the input and the classes",
    looks_at="No hidden layer, or activation none in all of them; a fault where one with a ReLU learns much better.",
    why="Layers without a non-linearity are one line, and a line cannot part XOR, circles or spirals.",
    source="Minsky and Papert, Perceptrons, 1969",
    fix="model.hidden: [64], model.activation: relu.",
    example="dataset: xor\nmodel: {name: mlp, hidden: [8], activation: none}\n",
    near_miss="dataset: xor\nmodel: {name: mlp, hidden: [8], activation: tanh}\n",
)


def _linear(case: Case) -> Iterator[Suspicion]:
    if not isinstance(case.config.model, DenseModel) or any(stage.activation != "none" for stage in case.stages):
        return
    evidence = Evidence("a linear model" if not case.stages else f"{len(case.stages)} layers, activation none", 0, 1)
    relu = {**wider(case), **with_option(case, "activation", "relu")} if case.stages else wider(case)
    path = "model.activation" if case.stages else "model.hidden"
    yield Suspicion(LINEAR, "likely", path, evidence, (relu,))


NARROW = Page(
    id="NN302",
    title="a layer too narrow for the problem",
    looks_at="A layer of fewer units than 8 (16 channels); a fault where a wider one learns much better.",
    why="What a layer of one or two units does not let through, no later layer can bring back; and of few ReLUs, all "
    "may die.",
    source="Minsky and Papert, Perceptrons, 1969 (XOR takes two units); Lu et al., 2017 (arXiv:1709.02540)",
    fix="More units: model.hidden: [64].",
    example="dataset: xor\nmodel: {name: mlp, hidden: [1], activation: tanh}\n",
    near_miss="dataset: xor\nmodel: {name: mlp, hidden: [8], activation: tanh}\n",
)
FEW_UNITS, FEW_CHANNELS = 8, 16


def _narrow(case: Case) -> Iterator[Suspicion]:
    few = [stage for stage in case.stages if stage.units < (FEW_CHANNELS if "blocks" in stage.path else FEW_UNITS)]
    if few:
        least = min(few, key=lambda stage: stage.units)
        evidence = Evidence(f"{least.units} unit(s) in {least.path}", least.units, FEW_UNITS)
        certainty: Certainty = "likely" if least.units <= 2 else "possible"
        yield Suspicion(NARROW, certainty, least.path, evidence, (wider(case, 16), wider(case)))


SYMMETRIC = Page(
    id="NN303",
    title="all weights of a layer start alike",
    looks_at="init zeros or constant on a layer of two units or more.",
    why="Units that start alike get the same gradient and stay alike: the layer is one unit, or none.",
    source="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 8.4",
    fix="model.init: default.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16], init: zeros}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [], init: zeros}\n",
)


def _symmetric(case: Case) -> Iterator[Suspicion]:
    alike = [stage for stage in case.stages if stage.units > 1 and _is_constant(stage.init)]
    if alike:
        evidence = Evidence(f"init {alike[0].init.name} on {len(alike)} layer(s)", len(alike), 0)
        changes = (with_option(case, "init", "default"), with_option(case, "init", "kaiming_uniform"))
        yield Suspicion(SYMMETRIC, "certain", "model.init", evidence, changes)


def _is_constant(init: Any) -> bool:
    return isinstance(init, ConstantInit) or init.name == "zeros"


DROPOUT = Page(
    id="NN304",
    title="dropout leaves too few units",
    looks_at="A layer in which fewer than 5 units survive on average, at a dropout of more than 0.6.",
    why="What reaches the classes is then mostly noise, and differs from update to update.",
    source="Srivastava et al., Dropout, 2014, section 7.3: keep p x n, the units that survive, constant",
    fix="model.dropout: 0.2, or more units.",
    example="dataset: wine\nmodel: {name: mlp, hidden: [8], dropout: 0.9}\n",
    near_miss="dataset: wine\nmodel: {name: mlp, hidden: [256], dropout: 0.9}\n",
)
STRONG_DROPOUT, FEW_SURVIVORS = 0.6, 5.0


def _dropout(case: Case) -> Iterator[Suspicion]:
    strong = [stage for stage in case.stages if stage.dropout > STRONG_DROPOUT]
    if not strong:
        return
    least = min(strong, key=lambda stage: stage.units * (1 - stage.dropout))
    survivors = least.units * (1 - least.dropout)
    text = f"{survivors:.1f} of {least.units} units survive a dropout of {least.dropout:g} in {least.path}"
    changes = (with_option(case, "dropout", 0.2), with_option(case, "dropout", 0.0))
    certainty: Certainty = "certain" if survivors < FEW_SURVIVORS else "likely"
    yield Suspicion(DROPOUT, certainty, "model.dropout", Evidence(text, survivors, FEW_SURVIVORS), changes)


NORM_OF_ONE = Page(
    id="NN305",
    title="batch norm with batches of one",
    looks_at="batch_size 1 and a layer with batch norm.",
    why="One example is its own mean: what is normalised by it is always 0, and training differs from use.",
    source="Wu and He, Group normalization, 2018 (arXiv:1803.08494)",
    fix="batch_size: 32, or batch_norm: false.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16], batch_norm: true}\nbatch_size: 1\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nbatch_size: 1\n",
)


def _norm_of_one(case: Case) -> Iterator[Suspicion]:
    if case.config.batch_size == 1 and any(stage.batch_norm for stage in case.stages):
        evidence = Evidence("batch_size 1 under batch norm", 1, 2)
        yield Suspicion(NORM_OF_ONE, "certain", "batch_size", evidence, ({"batch_size": 32},))


VANISHING = Page(
    id="NN306",
    title="the gradient vanishes before it reaches the first layers",
    looks_at="Three or more sigmoid or tanh layers whose first layer gets less than 1 % of the last one's gradient at "
    "the start, or outputs that hardly depend on the input; a fault where another activation learns better.",
    why="A sigmoid passes on a quarter of the gradient at most: after nine of them, 4 in a million is left.",
    source=GLOROT,
    fix="model.activation: relu, or tanh with init: xavier_uniform, or batch norm.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16, 16, 16, 16, 16, 16, 16, 16, 16], activation: sigmoid}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16, 16, 16], activation: tanh}\n",
)
SMALL_GRADIENT = 0.01
FLAT = 0.003
"""Outputs whose spread over the examples is under this share of their size are the same for every example."""


def _vanishing(case: Case) -> Iterator[Suspicion]:
    if case.start is None or len(case.stages) < 3:
        return
    flat_ends = sum(stage.activation in SATURATING for stage in case.stages)
    ratio = case.start.gradient_ratio
    if flat_ends * 2 < len(case.stages) or (ratio > SMALL_GRADIENT and case.start.output_spread > FLAT):
        return
    text = f"the first layer gets {ratio:.1e} of the last one's gradient"
    changes = (
        with_option(case, "activation", "relu"),
        {**with_option(case, "activation", "relu"), **with_option(case, "init", "kaiming_uniform")},
        with_batch_norm(case),
        {**with_option(case, "activation", "tanh"), **with_option(case, "init", "xavier_uniform")},
    )
    yield Suspicion(VANISHING, "likely", "model.activation", Evidence(text, ratio, SMALL_GRADIENT), changes)


DEAD = Page(
    id="NN307",
    title="ReLU layers that are dead, or say the same of every example",
    looks_at="A ReLU layer with more than 90 % of its units at 0 for a whole batch at the start, or five ReLU layers "
    "or more after which outputs hardly depend on the input; a fault where a change learns better.",
    why="A ReLU that is 0 for every example passes on no gradient, and never wakes up.",
    source="Lu et al., Dying ReLU and initialization, 2019 (arXiv:1903.06733); He et al., 2015 (arXiv:1502.01852)",
    fix="model.init: kaiming_uniform, batch norm, or fewer layers.",
    example="dataset: moons\nmodel:\n  {name: mlp, hidden: ["
    + ", ".join(["8"] * 34)
    + "], activation: relu}\nloss: bce_with_logits\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16, 16, 16], activation: relu}\n",
)
MANY_DEAD, DEEP = 0.9, 5


def _dead(case: Case) -> Iterator[Suspicion]:
    if case.start is None:
        return
    rectifiers = sum(stage.activation in ("relu", "leaky_relu") for stage in case.stages)
    is_flat = rectifiers >= DEEP and min(case.start.output_spread, case.start.gradient_ratio * 10) < 0.1
    if not rectifiers or (case.start.dead <= MANY_DEAD and not is_flat):
        return
    text = f"at the start {case.start.dead:.0%} of a layer is dead, outputs vary by {case.start.output_spread:.1e}"
    changes = (
        with_option(case, "init", "kaiming_uniform"),
        with_batch_norm(case),
        {**with_option(case, "activation", "tanh"), **with_option(case, "init", "xavier_uniform")},
        {"model.hidden": [64, 64]},
    )
    yield Suspicion(DEAD, "likely", "model.hidden", Evidence(text, case.start.dead, MANY_DEAD), changes)


START = Page(
    id="NN308",
    title="weights that start too small or too large",
    looks_at="An init of a fixed width (normal, uniform) whose untrained net gives outputs that do not depend on the "
    "input, a loss over three times the prior's, saturated layers or a first layer with almost no gradient; a fault "
    "where init default learns better.",
    why="Signals shrink or grow by the same factor at every layer, unless weights suit the layer's width.",
    source=f"{GLOROT}; He et al., 2015 (arXiv:1502.01852)",
    fix="model.init: default, or kaiming_uniform for ReLUs.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16, 16], init: {name: normal, std: 10.0}}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16, 16], init: kaiming_normal}\n",
)
HIGH_START, MANY_SATURATED = 3.0, 0.5


def _start(case: Case) -> Iterator[Suspicion]:
    if case.start is None or not isinstance(case.config.model, DenseModel):
        return
    odd = [stage for stage in case.stages if stage.init.name in ("normal", "uniform", "constant")]
    if not odd and case.config.model.init.name not in ("normal", "uniform", "constant"):
        return
    is_high = case.prior_loss is not None and not case.start.loss < HIGH_START * case.prior_loss
    is_flat = case.start.output_spread < 0.1 or case.start.gradient_ratio < SMALL_GRADIENT
    if is_high or is_flat or case.start.saturated > MANY_SATURATED:
        prior = "" if case.prior_loss is None else f" (the prior's: {case.prior_loss:.3g})"
        text = f"loss {case.start.loss:.3g} at the start{prior}, outputs vary by {case.start.output_spread:.1e}"
        changes = (with_option(case, "init", "default"), with_option(case, "init", "kaiming_uniform"))
        yield Suspicion(START, "likely", "model.init", Evidence(text, case.start.loss, case.prior_loss), changes)


ACTIVATION = Page(
    id="NN309",
    title="an activation that hinders learning here",
    looks_at="Sigmoid, tanh, exponential, softplus or none in a hidden layer, or a single ReLU before the last "
    "layer; a fault where another activation learns much better from the same start.",
    why="A sigmoid passes on a quarter of the gradient at most, an exponential explodes, a single ReLU that is 0 "
    "lets nothing through.",
    source=GLOROT,
    fix="model.activation: relu.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16], activation: exponential}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16], activation: gelu}\n",
)


def _activation(case: Case) -> Iterator[Suspicion]:
    odd = [stage for stage in case.stages if stage.activation in (*SATURATING, "exponential", "softplus", "none")]
    last = case.stages[-1:]
    if odd and len(odd) < len(case.stages) + 1 and any(stage.activation != "none" for stage in case.stages):
        evidence = Evidence(f"activation {odd[0].activation} in {len(odd)} layer(s)", len(odd), 0)
        change = with_option(case, "activation", "relu")
        yield Suspicion(ACTIVATION, "possible", "model.activation", evidence, (change,))
    elif last and last[0].units == 1 and last[0].activation == "relu":
        evidence = Evidence(f"one ReLU in {last[0].path} decides everything", 1, 2)
        changes = (with_option(case, "activation", "tanh"), wider(case, 16))
        yield Suspicion(ACTIVATION, "likely", last[0].path, evidence, changes)
    elif case.stages and len(case.stages) < DEEP and all(stage.activation == "relu" for stage in case.stages):
        evidence = Evidence("ReLU units may die in the first updates")
        change = with_option(case, "activation", "leaky_relu")
        yield Suspicion(ACTIVATION, "possible", "model.activation", evidence, (change,))


RULES = (
    Rule(SYMMETRIC, _symmetric),
    Rule(NORM_OF_ONE, _norm_of_one),
    Rule(DROPOUT, _dropout),
    Rule(LINEAR, _linear),
    Rule(NARROW, _narrow),
    Rule(ACTIVATION, _activation),
)
PROBES = (
    Rule(VANISHING, _vanishing),
    Rule(DEAD, _dead),
    Rule(START, _start),
)
