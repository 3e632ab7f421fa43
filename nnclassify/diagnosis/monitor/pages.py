"""Pages of the findings made during training."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Page

GLOROT = "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010"
PRECHELT = "Prechelt, Early stopping - but when?, 1998"
BENGIO = "Bengio, Practical recommendations for gradient-based training, 2012 (arXiv:1206.5533)"

NOT_FINITE = Page(
    id="NN601",
    title="a number that is not finite",
    looks_at="The step at which the loss became NaN or infinite, replayed from the last good state to find the first "
    "input, layer, loss or gradient that was not finite.",
    why="After the first NaN, every weight is NaN. The run stops and keeps the last good checkpoint.",
    source="IEEE 754-2019, section 6.2",
    fix="A lower optimizer.lr, clip_grad_norm: 1, or dataset.normalize: standard.",
)
STUCK = Page(
    id="NN602",
    title="the loss does not decrease",
    looks_at="The training loss after a fifth of the run, and at least three epochs: within 1% of the loss of the "
    "first epoch, while the accuracy is within two points of always predicting the most common class.",
    why="The network has learned how frequent each class is, and nothing from the inputs.",
    source=GLOROT,
    fix="Run nnclassify check CONFIG: it looks for the cause.",
)
RISING = Page(
    id="NN603",
    title="the training loss is increasing again",
    looks_at="The training loss of the last three epochs: each higher than the one before, and the last more than 1.5"
    " times the lowest so far.",
    why="The updates overshoot the minimum.",
    source=BENGIO,
    fix="A lower optimizer.lr, or a scheduler that lowers it.",
)
OSCILLATING = Page(
    id="NN604",
    title="the training loss oscillates",
    looks_at="Six consecutive epochs in which the training loss changes direction each time, by more than 20% of its"
    " value.",
    why="The updates are too large: they jump from one side of the minimum to the other.",
    source=BENGIO,
    fix="A lower optimizer.lr, or a larger batch_size.",
)
DEAD_UNITS = Page(
    id="NN605",
    title="most units of a layer are dead",
    looks_at="ReLU layers after an epoch: more than 90% of the units output 0 for 256 training examples.",
    why="A ReLU unit that outputs 0 for every example gets no gradient, and stays at 0.",
    source="Lu et al., Dying ReLU and initialization, 2019 (arXiv:1903.06733)",
    fix="dataset.normalize: standard where inputs are large; another model.init where units are dead from the start; "
    "else a lower optimizer.lr.",
)
SATURATED_UNITS = Page(
    id="NN606",
    title="most outputs of a layer are saturated",
    looks_at="Sigmoid and tanh layers after an epoch: more than 90% of the outputs are within 1% of a limit.",
    why="Where a sigmoid or tanh is flat, it passes back almost no gradient.",
    source=GLOROT,
    fix="dataset.normalize: standard where inputs are large; another model.init where outputs are saturated from the "
    "start; else a lower optimizer.lr.",
)
UPDATES = Page(
    id="NN607",
    title="weights barely change, or change too much",
    looks_at="The relative change of each layer's weights per update since the last measurement: below 1e-7, or above"
    " 1.",
    why="In a healthy run, an update changes the weights by about a thousandth of their norm.",
    source="Karpathy, CS231n notes, Learning: ratio of weights to updates, 2015",
    fix="A higher optimizer.lr if they barely change, a lower one if they change too much.",
)
GRADIENTS = Page(
    id="NN608",
    title="gradients vanish or explode before they reach the first layers",
    looks_at="The ratio of the root mean square gradients of the first and the last layer after an epoch: below 1e-4,"
    " or above 1e4.",
    why="A layer with a ten-thousandth of the gradient of another barely learns while the other does.",
    source=GLOROT,
    fix="model.activation: relu, batch norm, or an init that is scaled to the width of each layer.",
)
ONE_CLASS = Page(
    id="NN609",
    title="the network makes the same prediction for every example",
    looks_at="Predictions for 256 training examples, after a fifth of the run and at least three epochs, or at the "
    "end of the run: all the same, although no class has 99% of the examples.",
    why="The outputs depend on the input too little to change the prediction, or not at all.",
    source="Karpathy, A recipe for training neural networks, 2019",
    fix="Run nnclassify check CONFIG: it looks for the cause.",
)
STILL_FALLING = Page(
    id="NN610",
    title="the run ended while the loss was still decreasing quickly",
    looks_at="The training loss over the last tenth of the run (at least one epoch): it decreased by more than 10%, "
    "while the accuracy rose by more than one point.",
    why="A few more epochs would improve the result.",
    source=PRECHELT,
    fix="More epochs, or a higher optimizer.lr.",
)
GAP = Page(
    id="NN611",
    title="much better on training examples than on validation examples",
    looks_at="Training and validation accuracy after the last epoch: more than 10 points apart, with at least 100 "
    "validation examples.",
    why="The network memorizes the training examples instead of learning what generalizes (overfitting).",
    source="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 5.2",
    fix="More data, augmentation, dropout, weight_decay, or a smaller network.",
)
PAST_BEST = Page(
    id="NN612",
    title="the best epoch came long before the end",
    looks_at="The distance from the best epoch to the last: more than half of the run, and at least ten epochs.",
    why="The epochs after the best one cost time and made the network worse on examples that it was not trained on.",
    source=PRECHELT,
    fix="patience: 10, or fewer epochs. best.pt holds the best epoch.",
)
BELOW_LINEAR = Page(
    id="NN613",
    title="far below a linear model",
    looks_at="The accuracy of a finished run on the validation split (or else the test split, or else the training "
    "split) against a linear discriminant fitted to the training split: lower by more than 10 points and by "
    "more than three standard deviations, in accuracy and in balanced accuracy.",
    why="A network can represent the linear model: if it ends far below it, something keeps it from learning.",
    source="Karpathy, A recipe for training neural networks, 2019: set up dumb baselines",
    fix="Run nnclassify check CONFIG: it looks for the cause.",
)
LIKE_THE_MAJORITY = Page(
    id="NN614",
    title="no better than always predicting the most common class",
    looks_at="The accuracy of a finished run, on the same examples as NN613: no higher than the frequency of the most"
    " common class, while the balanced accuracy is less than a tenth of the way from chance to 1.",
    why="The network has learned how frequent each class is, and nothing from the inputs.",
    source="Karpathy, A recipe for training neural networks, 2019: set up dumb baselines",
    fix="Run nnclassify check CONFIG: it looks for the cause, and tests whether the labels depend on the inputs.",
)
SPLITS_DIFFER = Page(
    id="NN615",
    title="the validation and the test accuracy differ by more than chance",
    looks_at="The accuracy of a finished run on the validation split and on the test split: they differ by more"
    " than 10 points and by more than three standard deviations.",
    why="Two splits of the same kind agree within their sampling error. Here, one of them is of another kind, or shares"
    " examples with the training split, so one of the two figures is not what other data will show.",
    source="Goodfellow, Bengio and Courville, Deep Learning, 2016, section 5.3",
    fix="Run nnclassify audit CONFIG: it compares the splits, and finds copies across them.",
)
