"""Pages of what is seen while a net trains."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Page

GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010"
PRECHELT = "Prechelt, Early stopping - but when?, 1998"
BENGIO = "Bengio, Practical recommendations for gradient-based training, 2012 (arXiv:1206.5533)"

NOT_FINITE = Page(
    id="NN601",
    title="a number that is not finite",
    looks_at="The step at which the loss became NaN or infinite, retraced from the last good state: the first input, "
    "layer, loss or gradient that was not finite.",
    why="From the first NaN on, every weight is NaN; the run stops, and the last good checkpoint is kept.",
    source="IEEE 754-2019, section 6.2",
    fix="A lower optimizer.lr, clip_grad_norm: 1, or dataset.normalize: standard.",
)
STUCK = Page(
    id="NN602",
    title="the loss stays where it started",
    looks_at="The training loss after a fifth of the run, three epochs or more: within 1 % of the first epoch's, while "
    "the accuracy is within two points of the majority's.",
    why="The net has learned how often each class occurs, and nothing from the inputs.",
    source=GLOROT,
    fix="Run nnclassify check CONFIG: it looks for the cause.",
)
RISING = Page(
    id="NN603",
    title="the training loss rises again",
    looks_at="The training loss of the last three epochs: each higher than the one before, and together over 1.5 times "
    "the lowest so far.",
    why="Updates overshoot the minimum that they were near.",
    source=BENGIO,
    fix="A lower optimizer.lr, or a scheduler that lowers it.",
)
OSCILLATING = Page(
    id="NN604",
    title="the training loss goes up and down",
    looks_at="Six epochs in a row in which the training loss changes direction each time, by more than 20 % of itself.",
    why="The updates are too large: they jump from one side of the minimum to the other.",
    source=BENGIO,
    fix="A lower optimizer.lr, or a larger batch_size.",
)
DEAD_UNITS = Page(
    id="NN605",
    title="most units of a layer are dead",
    looks_at="ReLU layers after an epoch: more than 90 % of the units at 0 for 256 training examples.",
    why="A ReLU that is 0 for every example gets no gradient, and stays at 0.",
    source="Lu et al., Dying ReLU and initialization, 2019 (arXiv:1903.06733)",
    fix="dataset.normalize: standard where inputs are large; another model.init where units are dead from the start; "
    "else a lower optimizer.lr.",
)
SATURATED_UNITS = Page(
    id="NN606",
    title="most outputs of a layer are saturated",
    looks_at="Sigmoid and tanh layers after an epoch: more than 90 % of the outputs within 1 % of an end.",
    why="Where a sigmoid or tanh is flat, it passes on almost no gradient.",
    source=GLOROT,
    fix="dataset.normalize: standard where inputs are large; another model.init where outputs are saturated from the "
    "start; else a lower optimizer.lr.",
)
UPDATES = Page(
    id="NN607",
    title="weights barely change, or jump",
    looks_at="The change of a layer's weights per update since they were last measured, relative to their size: under "
    "1e-7, or over 1.",
    why="In healthy runs an update changes weights by about a thousandth of their size.",
    source="Karpathy, CS231n notes, Learning: ratio of weights to updates, 2015",
    fix="A higher optimizer.lr where they barely change, a lower one where they jump.",
)
GRADIENTS = Page(
    id="NN608",
    title="gradients vanish or explode on their way to the first layers",
    looks_at="The root mean square gradient of the first layer against the last one's after an epoch: under 1e-4, or "
    "over 1e4.",
    why="Layers with a ten-thousandth of the gradient barely learn while the others do.",
    source=GLOROT,
    fix="model.activation: relu, batch norm, or an init that suits the layers' widths.",
)
ONE_CLASS = Page(
    id="NN609",
    title="the net gives the same answer for every example",
    looks_at="Predictions for 256 training examples, after a fifth of the run and three epochs or more, or at its end: "
    "all the same, where no class has 99 % of them.",
    why="The output does not depend on the input: no information gets through the net.",
    source="Karpathy, A recipe for training neural networks, 2019",
    fix="Run nnclassify check CONFIG: it looks for the cause.",
)
STILL_FALLING = Page(
    id="NN610",
    title="the run ended while it was still learning fast",
    looks_at="The training loss over the last tenth of the run (at least one epoch): over 10 % lower than before it, "
    "with the accuracy still rising by more than one point.",
    why="A few more epochs would still improve it.",
    source=PRECHELT,
    fix="More epochs, or a higher optimizer.lr.",
)
GAP = Page(
    id="NN611",
    title="much better on training than on validation examples",
    looks_at="Accuracies after the last epoch: more than 10 points apart, where validation has 100 examples or more.",
    why="The net memorizes examples instead of learning what they have in common (overfitting).",
    source="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 5.2",
    fix="More data or augmentation, dropout, weight_decay, or a smaller net.",
)
PAST_BEST = Page(
    id="NN612",
    title="the best epoch was long before the end",
    looks_at="The last epoch against the best one: more than half of the run, and at least ten epochs, later.",
    why="The epochs after it cost time and made the net worse on examples that it had not seen.",
    source=PRECHELT,
    fix="patience: 10, or fewer epochs; best.pt holds the best epoch.",
)
BELOW_LINEAR = Page(
    id="NN613",
    title="far below a linear model",
    looks_at="The accuracy of a finished run on the test split (without one: on validation, else on training "
    "examples) against a linear discriminant fitted to the training split: more than 10 points and three standard "
    "deviations lower, in the accuracy and in the mean accuracy of the classes.",
    why="A network contains the linear model: if it ends far below, something keeps it from learning.",
    source="Karpathy, A recipe for training neural networks, 2019: set up dumb baselines",
    fix="Run nnclassify check CONFIG: it looks for the cause.",
)
LIKE_THE_MAJORITY = Page(
    id="NN614",
    title="no better than always predicting the most common class",
    looks_at="The accuracy of a finished run against the share of the most common class, on the same examples as "
    "NN613: no higher, and the mean accuracy of the classes within a tenth of the way from chance to right.",
    why="The net has learned how often each class occurs, and nothing from the inputs.",
    source="Karpathy, A recipe for training neural networks, 2019: set up dumb baselines",
    fix="Run nnclassify check CONFIG: it looks for the cause, and says whether the labels follow from the inputs.",
)
PAGES = (
    NOT_FINITE,
    STUCK,
    RISING,
    OSCILLATING,
    DEAD_UNITS,
    SATURATED_UNITS,
    UPDATES,
    GRADIENTS,
    ONE_CLASS,
    STILL_FALLING,
    GAP,
    PAST_BEST,
    BELOW_LINEAR,
    LIKE_THE_MAJORITY,
)
