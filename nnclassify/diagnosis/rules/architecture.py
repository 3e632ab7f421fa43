"""Rules about the layers between the input and the last layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnclassify.diagnosis.findings import Certainty, Change, Evidence, Page, Suspicion
from nnclassify.diagnosis.measure import readable_layer
from nnclassify.diagnosis.rules.changes import layers_changed, wider, with_option
from nnclassify.diagnosis.rules.rule import Rule, RuleInputs
from nnclassify.errors import counted
from nnclassify.models.base import DenseModel
from nnclassify.models.cnn import Cnn
from nnclassify.models.layer_settings import ConstantInit

GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010"
SATURATING = ("sigmoid", "tanh")
DEEP = 5
"""Number of layers from which a signal may vanish: shallower networks train from almost any initialization."""


LINEAR = Page(
    id="NN301",
    title="no nonlinearity between inputs and outputs",
    looks_at="No hidden layer, or activation none in all of them; a fault if a hidden layer with ReLU learns much "
    "better.",
    why="Layers without a nonlinearity collapse into one linear model, which cannot separate XOR, circles or spirals.",
    source="Minsky and Papert, Perceptrons, 1969",
    fix="model.hidden: [64], model.activation: relu.",
    example="dataset: xor\nmodel: {name: mlp, hidden: [8], activation: none}\n",
    near_miss="dataset: xor\nmodel: {name: mlp, hidden: [8], activation: tanh}\n",
)


A_LINE = 0.82
"""A linear model that gets further than this toward the result of a nonlinear one is a choice, not a fault."""


def _linear(given: RuleInputs) -> Iterator[Suspicion]:
    if not isinstance(given.config.model, DenseModel) or any(
        layer.activation != "none" for layer in given.hidden_layers
    ):
        return
    layers = counted(len(given.hidden_layers), "hidden layer")
    text = f"{layers} with activation none" if given.hidden_layers else "a linear model: no hidden layer"
    evidence = Evidence(text, 0, 1)
    relu = {**wider(given), **with_option(given, "activation", "relu")} if given.hidden_layers else wider(given)
    path = "model.activation" if given.hidden_layers else "model.hidden"
    yield Suspicion(LINEAR, "likely", path, evidence, (relu,), skill_below=A_LINE)


NARROW = Page(
    id="NN302",
    title="a layer too narrow for the problem",
    looks_at="A layer with fewer than 8 units (16 channels); a fault if a wider one learns much better.",
    why="Information that does not fit through a layer of one or two units is lost to the later layers, and if there "
    "are only a few ReLU units, all of them may die.",
    source="Minsky and Papert, Perceptrons, 1969 (XOR needs two units); Lu et al., 2017 (arXiv:1709.02540)",
    fix="More units: model.hidden: [64].",
    example="dataset: xor\nmodel: {name: mlp, hidden: [1], activation: tanh}\n",
    near_miss="dataset: xor\nmodel: {name: mlp, hidden: [8], activation: tanh}\n",
)
FEW_UNITS, FEW_CHANNELS = 8, 16


def _narrow(given: RuleInputs) -> Iterator[Suspicion]:
    few = [
        layer for layer in given.hidden_layers if layer.units < (FEW_CHANNELS if "blocks" in layer.path else FEW_UNITS)
    ]
    if few:
        least = min(few, key=lambda layer: layer.units)
        text = f"{counted(least.units, 'unit')} in {readable_layer(least.path)}"
        evidence = Evidence(text, least.units, FEW_UNITS)
        certainty: Certainty = "likely" if least.units <= 2 else "possible"
        yield Suspicion(NARROW, certainty, least.path, evidence, (wider(given, 16), wider(given)))


SYMMETRIC = Page(
    id="NN303",
    title="all weights of a layer start at the same value",
    looks_at="init zeros or constant in a layer of two or more units.",
    why="Units that start equal get the same gradient and stay equal: the layer effectively has one unit, or none.",
    source="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 8.4",
    fix="model.init: default.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16], init: zeros}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [], init: zeros}\n",
)


def _symmetric(given: RuleInputs) -> Iterator[Suspicion]:
    alike = [layer for layer in given.hidden_layers if layer.units > 1 and _is_constant(layer.init)]
    if alike:
        evidence = Evidence(f"init {alike[0].init.name} in {counted(len(alike), 'layer')}", len(alike), 0)
        changes = (with_option(given, "init", "default"), with_option(given, "init", "kaiming_uniform"))
        yield Suspicion(SYMMETRIC, "certain", "model.init", evidence, changes)


def _is_constant(init: Any) -> bool:
    return isinstance(init, ConstantInit) or init.name == "zeros"


DROPOUT = Page(
    id="NN304",
    title="dropout leaves too few units",
    looks_at="A dropout above 0.6; a fault if fewer than 2 units of a layer survive on average, or if less dropout "
    "learns better.",
    why="What reaches the output is then mostly noise, which changes from update to update.",
    source="Srivastava et al., Dropout, 2014, section 7.3: keep p x n, the units that survive, constant",
    fix="model.dropout: 0.2, or more units.",
    example="dataset: wine\nmodel: {name: mlp, hidden: [8], dropout: 0.9}\n",
    near_miss="dataset: wine\nmodel: {name: mlp, hidden: [10], dropout: 0.6}\n",
)
STRONG_DROPOUT, FEW_SURVIVORS = 0.6, 2.0


def _dropout(given: RuleInputs) -> Iterator[Suspicion]:
    strong = [layer for layer in given.hidden_layers if layer.dropout > STRONG_DROPOUT]
    if not strong:
        return
    least = min(strong, key=lambda layer: layer.units * (1 - layer.dropout))
    survivors = least.units * (1 - least.dropout)
    text = (
        f"{survivors:.1f} of {least.units} units survive a dropout of {least.dropout:g} in {readable_layer(least.path)}"
    )
    changes = (with_option(given, "dropout", 0.2), with_option(given, "dropout", 0.0))
    certainty: Certainty = "certain" if survivors < FEW_SURVIVORS else "likely"
    yield Suspicion(DROPOUT, certainty, "model.dropout", Evidence(text, survivors, FEW_SURVIVORS), changes)


NORM_OF_ONE = Page(
    id="NN305",
    title="batch norm with batches of one example",
    looks_at="batch_size 1 and a layer with batch norm; with batch_size 2 to 4, a fault if batches of 32 learn much "
    "better.",
    why="The mean of one example is the example itself: its normalized value is always 0, and training differs from "
    "evaluation.",
    source="Wu and He, Group normalization, 2018 (arXiv:1803.08494)",
    fix="batch_size: 32, or batch_norm: false.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16], batch_norm: true}\nbatch_size: 1\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nbatch_size: 1\n",
)
FEW_EXAMPLES = 4
"""Wu and He, figure 1: the error of batch norm grows steeply below batches of 8 or so."""


def _norm_of_one(given: RuleInputs) -> Iterator[Suspicion]:
    size = given.config.batch_size
    if given.has_batch_norm and size <= FEW_EXAMPLES:
        evidence = Evidence(f"batch_size {size} with batch norm", size, 2)
        certainty: Certainty = "certain" if size == 1 else "possible"
        yield Suspicion(NORM_OF_ONE, certainty, "batch_size", evidence, ({"batch_size": 32},))


STATISTICS = Page(
    id="NN311",
    title="running statistics of batch norm that hardly move",
    looks_at="norm.momentum below 0.1, and so low that after all updates of the run more than a tenth of the running "
    "mean and variance is what they started with; a fault if the network learns much better with 0.1.",
    why="Evaluation and predict normalize by the running mean and variance, which start at 0 and 1; momentum is the "
    "weight of a new batch, where TensorFlow's 0.99 is that of the old ones.",
    source="Ioffe and Szegedy, Batch normalization, 2015 (arXiv:1502.03167), section 3.1",
    fix="model.norm.momentum: 0.1, or leave it out.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16], batch_norm: true, norm: {momentum: 0.00001}}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16], batch_norm: true, norm: {momentum: 0.05}}\n"
    "epochs: 100\n",
)
USUAL_MOMENTUM, STILL_INITIAL = 0.1, 0.1
"""torch's momentum; and how much of the initial statistics may be left: n updates leave (1 - momentum)^n of them."""


def _statistics(given: RuleInputs) -> Iterator[Suspicion]:
    model = given.config.model
    if not isinstance(model, DenseModel) or not given.has_batch_norm:
        return
    momentum = model.norm.momentum
    left = (1 - momentum) ** given.total_steps
    if momentum < USUAL_MOMENTUM and left > STILL_INITIAL:
        updates = counted(given.total_steps, "update")
        evidence = Evidence(
            f"norm.momentum {momentum:g} leaves {left:.0%} of the initial mean and variance after {updates}",
            left,
            STILL_INITIAL,
        )
        yield Suspicion(
            STATISTICS, "likely", "model.norm.momentum", evidence, ({"model.norm.momentum": USUAL_MOMENTUM},)
        )


ACTIVATION = Page(
    id="NN309",
    title="an activation function that hinders learning here",
    looks_at="Sigmoid, tanh, exponential, softplus or none in a hidden layer, or a single ReLU unit before the last "
    "layer; a fault if another activation learns much better from the same initialization.",
    why="A sigmoid passes back at most a quarter of the gradient, an exponential explodes, and a single ReLU unit at "
    "0 blocks everything.",
    source=GLOROT,
    fix="model.activation: relu.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16], activation: exponential}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16], activation: gelu}\n",
)


def _activation(given: RuleInputs) -> Iterator[Suspicion]:
    odd = [
        layer for layer in given.hidden_layers if layer.activation in (*SATURATING, "exponential", "softplus", "none")
    ]
    last = given.hidden_layers[-1:]
    if (
        odd
        and len(odd) < len(given.hidden_layers) + 1
        and any(layer.activation != "none" for layer in given.hidden_layers)
    ):
        evidence = Evidence(f"activation {odd[0].activation} in {counted(len(odd), 'layer')}", len(odd), 0)
        change = with_option(given, "activation", "relu")
        yield Suspicion(ACTIVATION, "possible", "model.activation", evidence, (change,))
    elif last and last[0].units == 1 and last[0].activation == "relu":
        evidence = Evidence(f"one ReLU in {readable_layer(last[0].path)} decides everything", 1, 2)
        changes = (with_option(given, "activation", "tanh"), wider(given, 16))
        yield Suspicion(ACTIVATION, "likely", last[0].path, evidence, changes)
    elif (
        given.hidden_layers
        and len(given.hidden_layers) < DEEP
        and all(layer.activation == "relu" for layer in given.hidden_layers)
    ):
        evidence = Evidence("ReLU units may die in the first updates")
        change = with_option(given, "activation", "leaky_relu")
        yield Suspicion(ACTIVATION, "possible", "model.activation", evidence, (change,))


SKIPPING = Page(
    id="NN312",
    title="a stride that skips pixels",
    looks_at="A stride above the kernel size of its convolution; a fault if strides of 1 learn better.",
    why="The pixels between two positions of the kernel are in no output: the network never sees them.",
    source="Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285)",
    fix="A stride of at most the kernel size; pool: max to make images smaller.",
    example="dataset: digits\nmodel: {name: cnn, blocks: [{channels: 16, kernel: 1, stride: 3}]}\n",
    near_miss="dataset: digits\nmodel: {name: cnn, blocks: [{channels: 16, kernel: 2, stride: 2}]}\n",
)


def _skipping(given: RuleInputs) -> Iterator[Suspicion]:
    model = given.config.model
    blocks = model.blocks if isinstance(model, Cnn) else []
    skipping = [index for index, block in enumerate(blocks) if block.stride > block.kernel]
    if skipping:
        block = blocks[skipping[0]]
        text = f"stride {block.stride} with kernel {block.kernel} in {readable_layer(f'model.blocks.{skipping[0]}')}"
        evidence = Evidence(text, block.stride, block.kernel)
        yield Suspicion(SKIPPING, "likely", "model.blocks", evidence, tuple(_without_gaps(given, skipping)))


def _without_gaps(given: RuleInputs, skipping: list[int]) -> Iterator[Change]:
    """Yield changes with which every pixel counts: kernels as large as their strides; kernels of 3 without stride."""
    blocks = layers_changed(given, dict)["model.blocks"]
    for change in (lambda block: {"kernel": block["stride"]}, lambda block: {"kernel": 3, "stride": 1}):
        yield {"model.blocks": [{**one, **(change(one) if at in skipping else {})} for at, one in enumerate(blocks)]}


RULES = (
    Rule(SYMMETRIC, _symmetric),
    Rule(NORM_OF_ONE, _norm_of_one),
    Rule(STATISTICS, _statistics),
    Rule(DROPOUT, _dropout),
    Rule(LINEAR, _linear),
    Rule(NARROW, _narrow),
    Rule(SKIPPING, _skipping),
    Rule(ACTIVATION, _activation),
)
