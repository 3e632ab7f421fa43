"""Rules about the output activation and the loss, which need only the config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnclassify.diagnosis.findings import Change, Evidence, Page, Suspicion
from nnclassify.diagnosis.rules.rule import Rule, RuleInputs, odd_option

GOODFELLOW = "Goodfellow, Bengio and Courville, Deep Learning, 2016, section 6.2.2"
SOFTMAXES = ("softmax", "log_softmax")
RAW: Change = {"model.output": "none"}
TO_CROSS_ENTROPY: Change = {"loss": "cross_entropy", "model.output": "none"}

DOUBLE_SOFTMAX = Page(
    id="NN201",
    title="softmax before a loss that applies it again",
    looks_at="model.output softmax, with loss cross_entropy or focal.",
    why="The loss applies softmax itself. On probabilities, its gradient is small and it never gets near 0. On "
    "log-probabilities it changes nothing: their softmax gives the same probabilities.",
    source="torch.nn.CrossEntropyLoss: 'the input is expected to contain the unnormalized logits'",
    fix="model.output: none.",
    example="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: softmax}\n",
    near_miss="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: log_softmax}\n",
)

SINGLE_SOFTMAX = Page(
    id="NN202",
    title="softmax over a single output",
    looks_at="model.output softmax or log_softmax, and a network with one output.",
    why="The softmax of a single number is always 1: the network makes the same prediction for every example.",
    source=GOODFELLOW,
    fix="model.output: sigmoid with loss: bce; or loss: cross_entropy, with one output per class.",
    example="dataset: circles\nmodel: {name: mlp, hidden: [16], output: softmax}\nloss: bce\n",
    near_miss="dataset: circles\nmodel: {name: mlp, hidden: [16], output: sigmoid}\nloss: bce\n",
)


def _single_softmax(given: RuleInputs) -> Iterator[Suspicion]:
    output = given.config.model.output
    if given.num_outputs == 1 and output in SOFTMAXES:
        evidence = Evidence(f"{output} over a single output", 1, 2)
        changes = (TO_CROSS_ENTROPY,) if given.num_classes > 2 else ({"model.output": "sigmoid"}, TO_CROSS_ENTROPY)
        yield Suspicion(SINGLE_SOFTMAX, "certain", "model.output", evidence, changes)


ONE_OUTPUT = Page(
    id="NN203",
    title="one output for more than two classes",
    looks_at="loss bce or bce_with_logits with targets: index, and more than two classes.",
    why="One probability can distinguish two classes; class indices above 1 are outside its range.",
    source=GOODFELLOW,
    fix="loss: cross_entropy, with model.output: none.",
    example="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: sigmoid}\nloss: {name: bce, targets: index}\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16], output: sigmoid}\nloss: {name: bce, targets: index}\n",
)


def _one_output(given: RuleInputs) -> Iterator[Suspicion]:
    if given.num_outputs == 1 and given.num_classes > 2 and given.config.loss.name in ("bce", "bce_with_logits"):
        evidence = Evidence(f"1 output for {given.num_classes} classes", 1, given.num_classes)
        yield Suspicion(ONE_OUTPUT, "certain", "loss.targets", evidence, (TO_CROSS_ENTROPY,))


INDEX_AS_NUMBER = Page(
    id="NN204",
    title="class indices with a squared error",
    looks_at="loss mse with targets: index, and more than two classes.",
    why="Class indices are not a scale: predicting 3 instead of 4 costs 1, predicting 9 instead of 4 costs 25, "
    "although both are simply wrong.",
    source="Bishop, Pattern Recognition and Machine Learning, 2006, section 4.1.3",
    fix="loss: cross_entropy, with model.output: none; or loss: {name: mse, targets: one_hot}.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nloss: {name: mse, targets: index}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nloss: mse\n",
)


def _index_as_number(given: RuleInputs) -> Iterator[Suspicion]:
    if given.num_outputs == 1 and given.num_classes > 2 and given.config.loss.name == "mse":
        evidence = Evidence(f"a single output for the class indices 0 to {given.num_classes - 1}", given.num_classes, 2)
        changes: tuple[Change, ...] = (TO_CROSS_ENTROPY, {"loss.targets": "one_hot"})
        yield Suspicion(INDEX_AS_NUMBER, "certain", "loss.targets", evidence, changes)


RELU_OUTPUT = Page(
    id="NN205",
    title="a ReLU right before the loss or its sigmoid",
    looks_at="model.output relu.",
    why="A ReLU is never below 0, so the sigmoid after it is never below 0.5, and an output that is 0 for all "
    "examples gets no gradient: the network ends up predicting one class.",
    source=f"{GOODFELLOW}; Maas, Hannun and Ng, 2013 (rectifiers that die)",
    fix="model.output: none.",
    example="dataset: moons\nmodel: {name: mlp, hidden: [16], output: relu}\nloss: bce_with_logits\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16], activation: relu}\nloss: bce_with_logits\n",
)


def _relu_output(given: RuleInputs) -> Iterator[Suspicion]:
    if given.config.model.output == "relu":
        evidence = Evidence(f"output relu with loss {given.config.loss.name}")
        yield Suspicion(RELU_OUTPUT, "certain", "model.output", evidence, (RAW,))


NLL_OF_PROBABILITIES = Page(
    id="NN206",
    title="nll on probabilities instead of log-probabilities",
    looks_at="loss nll with model.output softmax.",
    why="The loss is then -p instead of -log p: where the network is confidently wrong, its gradient is almost 0.",
    source="torch.nn.NLLLoss: 'the input is expected to contain log-probabilities'",
    fix="model.output: log_softmax.",
    example="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: softmax}\nloss: nll\n",
    near_miss="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: log_softmax}\nloss: nll\n",
)

SQUASHED_LOGITS = Page(
    id="NN207",
    title="an output activation before a loss that expects logits",
    looks_at="model.output sigmoid with cross_entropy or focal; sigmoid, softmax or log_softmax with bce_with_logits;"
    " log_softmax with mse.",
    why="The loss applies the activation itself. On outputs that are already between 0 and 1 it cannot get near 0, "
    "whatever the network learns, and little of its gradient passes through.",
    source="torch.nn.BCEWithLogitsLoss and torch.nn.CrossEntropyLoss: both expect unnormalized logits",
    fix="model.output: none.",
    example="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: sigmoid}\n",
    near_miss="dataset: blobs\nmodel: {name: mlp, hidden: [16], output: sigmoid}\nloss: mse\n",
)
SQUASHING = {
    "cross_entropy": ("sigmoid",),
    "focal": ("sigmoid",),
    "bce_with_logits": ("sigmoid", *SOFTMAXES),
    "mse": ("log_softmax",),
}


def _mismatched(page: Page, outputs: Mapping[str, Sequence[str]], change: Change) -> Rule:
    """Return the rule for output activations that do not go with a loss; `outputs` has them by the name of the loss."""

    def check(given: RuleInputs) -> Iterator[Suspicion]:
        output, loss = given.config.model.output, given.config.loss.name
        is_single = given.num_outputs == 1 and output in SOFTMAXES  # a page of its own
        if output in outputs.get(loss, ()) and not is_single:
            yield Suspicion(page, "certain", "model.output", Evidence(f"output {output} with loss {loss}"), (change,))

    return Rule(page, check)


OUTPUT_DROPOUT = Page(
    id="NN208",
    title="dropout on the outputs",
    looks_at="model.output_dropout above 0; a fault if the network learns better without it.",
    why="It sets the output of the right class to 0 at random, and the loss counts that as a mistake; no later layer "
    "can make up for it, as one does after a hidden layer.",
    source="Srivastava et al., Dropout, 2014, section 4: units of the input and of hidden layers are dropped",
    fix="model.output_dropout: 0, and dropout between hidden layers if the network overfits.",
    example="dataset: digits\nmodel: {name: mlp, hidden: [32], output_dropout: 0.5}\n",
    near_miss="dataset: digits\nmodel: {name: mlp, hidden: [32], dropout: 0.5}\n",
)


def _output_dropout(given: RuleInputs) -> Iterator[Suspicion]:
    dropout = given.config.model.output_dropout
    if dropout > 0:
        yield odd_option(OUTPUT_DROPOUT, "model.output_dropout", dropout, 0, 0.0)


RULES = (
    _mismatched(DOUBLE_SOFTMAX, {"cross_entropy": ("softmax",), "focal": ("softmax",)}, RAW),
    Rule(SINGLE_SOFTMAX, _single_softmax),
    Rule(ONE_OUTPUT, _one_output),
    Rule(INDEX_AS_NUMBER, _index_as_number),
    Rule(RELU_OUTPUT, _relu_output),
    _mismatched(NLL_OF_PROBABILITIES, {"nll": ("softmax",)}, {"model.output": "log_softmax"}),
    _mismatched(SQUASHED_LOGITS, SQUASHING, RAW),
    Rule(OUTPUT_DROPOUT, _output_dropout),
)
