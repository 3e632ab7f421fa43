"""Pages of the findings from data and trials: unreadable data, meaningless labels, runs that end badly."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Page

MISSING_VALUE = Page(
    id="NN101",
    title="a value that is missing or not a number",
    looks_at="Empty cells, NaN and infinity in inputs and labels.",
    why="A single NaN reaches every weight in one update, and the network outputs NaN from then on.",
    source="IEEE 754-2019, section 6.2: operations on a NaN give a NaN",
    fix="Fill the value in, or remove the row.",
)
LABELS = Page(
    id="NN102",
    title="labels that are not class indices",
    looks_at="Labels that are negative, too large for the number of classes, or fractional, and class indices that no"
    " example has.",
    why="Labels index the outputs, starting from 0: a label that is shifted or divided points to the wrong output.",
    source="torch.nn.CrossEntropyLoss: 'class indices in the range [0, C)'",
    fix="Number the classes 0..K-1, as integers and without gaps.",
)
UNREADABLE = Page(
    id="NN103",
    title="data that cannot be read",
    looks_at="Files that are missing, damaged, of the wrong format, or that do not match each other.",
    why="Nothing can be learned from what cannot be read.",
    source="the error itself",
    fix="See the message.",
)
UNRELATED = Page(
    id="NN117",
    title="the labels do not depend on the inputs",
    looks_at="Nearest neighbors within the training split, and on held-out examples a plain network, a linear model "
    "and the network itself: all within three standard deviations of chance, in balanced accuracy.",
    why="If no method beats chance, the labels were probably shuffled, shifted, or read from the wrong column.",
    source="Zhang et al., Understanding deep learning requires rethinking generalization, 2016 (arXiv:1611.03530)",
    fix="Look at some examples next to their labels.",
)
SHIFTED = Page(
    id="NN118",
    title="the labels are shifted relative to the inputs",
    looks_at="As NN117, but nearest neighbors predict the classes once all labels of the file are shifted by up to 10 "
    "rows.",
    why="Each example has the label of another row of the file.",
    source="Northcutt, Athalye and Mueller, Pervasive label errors, 2021 (arXiv:2103.14749)",
    fix="Start inputs and labels at the same row: usually a header line was dropped from only one of them.",
)
RENUMBERED = Page(
    id="NN119",
    title="test labels are numbered differently from training labels",
    looks_at="The confusion matrices of a plain network: it is right on most training examples and wrong on most test "
    "examples, but right on those too once its predicted classes are renamed one to one.",
    why="Class 3 of the training files is a different class in the test files, so every test metric is wrong.",
    source="Northcutt, Athalye and Mueller, Pervasive label errors, 2021 (arXiv:2103.14749)",
    fix="Number the classes from 0, in the same order in all files.",
)
NO_BETTER_THAN_CHANCE = Page(
    id="NN501",
    title="no better than chance, and no change that was tried helps",
    looks_at="Balanced accuracy after a trial, median over the seeds: less than a quarter of the way from chance to "
    "the best baseline.",
    why="The network does not learn what a plain network learns from the same data.",
    source="Karpathy, A recipe for training neural networks, 2019",
    fix="Start from a config that works, such as a shipped one, and apply your changes to it one by one.",
)
WORSE_THAN_PLAIN = Page(
    id="NN502",
    title="far below a plain network, and no change that was tried helps",
    looks_at="Balanced accuracy after the whole run, median over the seeds: less than half of the way from chance to "
    "the best baseline. A warning if it is less than nine tenths, and a baseline is better on held-out examples by "
    "more than three standard deviations.",
    why="If a network is worse than a plain one with common settings, something holds it back.",
    source="Karpathy, A recipe for training neural networks, 2019",
    fix="Start from a plain config: two hidden layers of 64 ReLUs, adam, normalize: standard.",
)
NOT_FINITE = Page(
    id="NN503",
    title="training stops because the loss is not finite, or with an error",
    looks_at="Whether the trial of the config as written ran to the end.",
    why="After the first NaN, every weight is NaN.",
    source="IEEE 754-2019, section 6.2",
    fix="A lower optimizer.lr, normalize: standard, or clip_grad_norm: 1.",
)
CANNOT_OVERFIT = Page(
    id="NN504",
    title="the network cannot memorize even one batch, and no change that was tried helps",
    looks_at="As NN501, and fewer than 9 in 10 of 32 examples are predicted correctly after training on only these, "
    "without dropout.",
    why="Any working network can memorize a few examples. If it cannot, something between input and loss is broken, or "
    "far too small.",
    source="Karpathy, A recipe for training neural networks, 2019: overfit one batch",
    fix="Start from a plain config: two hidden layers of 64 ReLUs, adam, normalize: standard.",
)
DEPENDS_ON_SEED = Page(
    id="NN505",
    title="whether the network learns depends on the seed",
    looks_at="The config as written, trained with three to five seeds, which change the initial weights and the order"
    " of the examples: some seeds, but not nearly all, end less than three quarters of the way from chance "
    "to the best, or no change gains more than the difference between seeds.",
    why="A small network may end in a poor minimum from one initialization and learn well from the next: the result is "
    "luck.",
    source="Reimers and Gurevych, Reporting score distributions makes a difference, 2017 (arXiv:1707.09861)",
    fix="Train with several seeds and keep the one that is best on the validation split, or apply the change that "
    "makes all of them learn.",
)
NOT_DECIDED = Page(
    id="NN506",
    title="not decided: the trial was too short to tell whether this network learns",
    looks_at="A trial that completed only part of the run's updates in the time of the check and does not do well "
    "yet, where no change was proven to help.",
    why="After a few updates, a large network is still close to its initialization, whether or not it will learn.",
    source="the trial itself",
    fix="nnclassify check CONFIG --minutes N, with the number that the finding gives; or train, and look at the "
    "result.",
)
STOPS_EARLY = Page(
    id="NN507",
    title="training stops early, before the network is as good as it gets",
    looks_at="The best epoch of a run that `patience` ends, and the end of one that it does not, over three seeds: a "
    "fault if the latter is much better on held-out examples.",
    why="Metrics go up and down from epoch to epoch, and a network may learn nothing for a few epochs and then much.",
    source="Prechelt, Early stopping - but when?, 1998",
    fix="A larger patience, such as a fifth of the epochs, or none: the best epoch is kept in any case.",
)
