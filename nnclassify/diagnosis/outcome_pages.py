"""Pages of what data and trials show: the data that cannot be read, labels that say nothing, runs that end badly."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Page

MISSING_VALUE = Page(
    id="NN101",
    title="a value that is missing or not a number",
    looks_at="Empty cells, NaN and infinity in inputs and labels.",
    why="One NaN reaches every weight in one update, and the net outputs NaN from then on.",
    source="IEEE 754-2019, section 6.2: operations on a NaN give a NaN",
    fix="Fill the value in, or remove the row.",
)
LABELS = Page(
    id="NN102",
    title="labels that are not class indices",
    looks_at="Labels below 0, not below the number of classes, with a fraction, or a class number that no example has.",
    why="Labels are positions among the outputs, counted from 0: shifted or divided, they point at the wrong output.",
    source="torch.nn.CrossEntropyLoss: 'class indices in the range [0, C)'",
    fix="Number the classes 0..K-1 without gaps, as integers.",
)
UNREADABLE = Page(
    id="NN103",
    title="data that cannot be read",
    looks_at="Files that are missing, damaged, of another kind, or do not belong together.",
    why="Nothing can be learned from what cannot be read.",
    source="the error itself",
    fix="As the message says.",
)
UNRELATED = Page(
    id="NN117",
    title="the labels do not follow from the inputs",
    looks_at="Nearest neighbors within the training split; a plain net, a linear model, and the net itself on examples "
    "kept out: all within three standard deviations of guessing, in the mean accuracy of the classes.",
    why="Where no method does better than chance, labels were shuffled, shifted or read from the wrong column.",
    source="Zhang et al., Understanding deep learning requires rethinking generalization, 2016 (arXiv:1611.03530)",
    fix="Look at some examples beside their labels.",
)
SHIFTED = Page(
    id="NN118",
    title="the labels are shifted against the inputs",
    looks_at="As NN117, where nearest neighbors tell classes apart once all labels move by a row or two.",
    why="Each example carries the label of its neighbor in the file.",
    source="Northcutt, Athalye and Mueller, Pervasive label errors, 2021 (arXiv:2103.14749)",
    fix="Cut inputs and labels at the same row: usually a header was dropped from one of them.",
)
RENUMBERED = Page(
    id="NN119",
    title="test labels are numbered differently from training labels",
    looks_at="A plain net's confusion between training and test: right on most training examples, wrong on most test "
    "examples, and right again once its predictions are renamed one to one.",
    why="Class 3 of the training files is another class in the test files, so every figure of the test is wrong.",
    source="Northcutt, Athalye and Mueller, Pervasive label errors, 2021 (arXiv:2103.14749)",
    fix="Number the classes from 0 in one order for all files.",
)
NO_BETTER_THAN_CHANCE = Page(
    id="NN501",
    title="no better than chance, and no change that was tried helps",
    looks_at="The mean accuracy of the classes after a trial, in the median of its seeds: less than a quarter of the "
    "way from chance to the best that a baseline reaches.",
    why="The net does not learn what a plain net learns from the same data.",
    source="Karpathy, A recipe for training neural networks, 2019",
    fix="Start from a config that works, such as a shipped one, and bring your changes to it one by one.",
)
WORSE_THAN_PLAIN = Page(
    id="NN502",
    title="far behind a plain net, and no change that was tried helps",
    looks_at="The mean accuracy of the classes after the whole run, in the median of its seeds: less than half of the "
    "way from chance to the best that a baseline reaches.",
    why="A net that is worse than a plain one with common settings is held back by something.",
    source="Karpathy, A recipe for training neural networks, 2019",
    fix="Start from a plain config: two hidden layers of 64 ReLUs, adam, normalize: standard.",
)
NOT_FINITE = Page(
    id="NN503",
    title="training stops at a loss that is not finite, or at an error",
    looks_at="Whether the trial of the config as written ran to its end.",
    why="From the first NaN on, every weight is NaN.",
    source="IEEE 754-2019, section 6.2",
    fix="A lower optimizer.lr, normalize: standard, or clip_grad_norm: 1.",
)
NOT_BY_HEART = Page(
    id="NN504",
    title="the net cannot memorize even one batch, and no change that was tried helps",
    looks_at="As NN501, and fewer than 9 in 10 of 32 examples are learned when shown again and again without dropout.",
    why="Any working net can memorize a few examples: something between input and loss is broken, or far too small.",
    source="Karpathy, A recipe for training neural networks, 2019: overfit one batch",
    fix="Start from a plain config: two hidden layers of 64 ReLUs, adam, normalize: standard.",
)
DEPENDS_ON_SEED = Page(
    id="NN505",
    title="whether the net learns depends on the seed",
    looks_at="The config as written over three to five seeds, which change the initial weights and the order of the "
    "examples: some, but not nearly all, end less than three quarters of the way from chance to the best, or no change "
    "brings more than the seeds differ.",
    why="A small net may end in a poor minimum from one start and learn well from the next: the result is luck.",
    source="Reimers and Gurevych, Reporting score distributions makes a difference, 2017 (arXiv:1707.09861)",
    fix="Try some seeds and keep the best on the validation split, or take the change that makes all of them learn.",
)
NOT_DECIDED = Page(
    id="NN506",
    title="not decided: the trial is too short to tell whether this net learns",
    looks_at="A trial that made only a part of the run's updates in the time of the check and is not good yet, where "
    "no change was proved to help.",
    why="A large net is still near its start after a few updates, whether or not it will learn.",
    source="the trial itself",
    fix="nnclassify check CONFIG --minutes N, with the number that the finding names; or train, and look at the end.",
)
PAGES = (
    MISSING_VALUE,
    LABELS,
    UNREADABLE,
    UNRELATED,
    SHIFTED,
    RENUMBERED,
    NO_BETTER_THAN_CHANCE,
    WORSE_THAN_PLAIN,
    NOT_FINITE,
    NOT_BY_HEART,
    DEPENDS_ON_SEED,
    NOT_DECIDED,
)
