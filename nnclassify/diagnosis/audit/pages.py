"""The pages of what `audit` alone finds; what `check` finds too has its page in `diagnosis/rules/`."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Page

SAME = Page(
    id="NN131",
    title="examples that are equal to others",
    looks_at="Inputs that are the same bit for bit, within a split and across splits. NN113 is about those of the test"
    " split that are training examples.",
    why="A repeated example counts several times, in training and in every metric.",
    source="Barz and Denzler, Do we train on test data?, 2020 (arXiv:1902.00423)",
    fix="Remove the copies that audit.csv names, unless examples may really repeat, as rows of a table often do.",
)
NEAR = Page(
    id="NN132",
    title="examples that are almost equal to others",
    looks_at="Images that are crops (up to 10% at each side), re-compressed, brighter or darker copies of others: after"
    " alignment, one explains 96.3% of the variance of the other, fine details left out, and what it leaves unexplained"
    " is less than 22% of what the next best image leaves. Rows of a table whose values round to the same 0.001"
    " standard deviations."
    " A fault if more than 1% of the test images, and at least three, are almost training images.",
    why="On those examples, the test measures memorization and not generalization.",
    source="Barz and Denzler, Do we train on test data?, 2020 (arXiv:1902.00423)",
    fix="Look at audit_duplicates.png, and remove one of each pair that audit.csv names.",
)
WRONG_LABELS = Page(
    id="NN133",
    title="labels that may be wrong",
    looks_at="Confident learning: out-of-fold probabilities of a classifier that has not seen the example, compared"
    " with the mean probability of each class over the examples with that label.",
    why="A network memorizes wrong labels, and a test with wrong labels ranks good networks by chance.",
    source="Northcutt, Jiang and Chuang, Confident learning, 2021 (arXiv:1911.00068); Northcutt, Athalye and Mueller,"
    " Pervasive label errors in test sets, 2021 (arXiv:2103.14749)",
    fix="Look at audit_labels.png, and correct or remove the examples that audit.csv names. Hard examples are among"
    " them: do not relabel without looking.",
)
FAR_AWAY = Page(
    id="NN134",
    title="outliers",
    looks_at="Examples whose fifth nearest neighbor is farther away than the third quartile by more than three"
    " interquartile ranges of the logarithm of that distance.",
    why="They are often errors of measurement or files of another kind, and a large value can dominate a gradient.",
    source="Tukey, Exploratory Data Analysis, 1977; Ramaswamy, Rastogi and Shim, Efficient algorithms for mining"
    " outliers from large data sets, 2000",
    fix="Look at them in audit.csv: correct errors, and keep what can occur in practice.",
)
POOR_IMAGES = Page(
    id="NN135",
    title="images that are dark, light, blank, blurred, or of an odd size or shape",
    looks_at="Brightness of the darkest and lightest pixels, entropy, strength of edges, the ratio of the sides, and"
    " the size compared with the other images. What is true of most images is not reported.",
    why="Nothing can be recognized in them, or they were not read as intended.",
    source="cleanvision, https://github.com/cleanlab/cleanvision",
    fix="Remove them, or record them again.",
)
OTHER_KIND = Page(
    id="NN136",
    title="train and test differ",
    looks_at="The AUC of a classifier that tells test from training examples, out of fold: the lower end of its 95%"
    " interval is 0.55 or more; a warning from 0.8 on.",
    why="The test then measures how the network does on data of another kind than it was trained on.",
    source="Lopez-Paz and Oquab, Revisiting classifier two-sample tests, 2017 (arXiv:1610.06545)",
    fix="If that is not intended, draw the test split at random from all examples.",
)
REVEALING = Page(
    id="NN137",
    title="a column that gives the label away",
    looks_at="Columns that say the label in other words; and columns each of which alone avoids 95% of the"
    " errors of guessing, and makes at most a quarter of the errors of all other columns together.",
    why="Such a column is often filled in only once the label is known, and is not there when the network is used.",
    source="Kaufman, Rosset, Perlich and Stitelman, Leakage in data mining, 2012",
    fix="If it is not known before the label is, list it in dataset.ignore.",
    example="dataset: {name: csv, path: revealed.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\n",
)
ODD_COLUMNS = Page(
    id="NN138",
    title="columns that name rows or never change",
    looks_at="Columns with a different text in every row, with the numbers of the rows, or with a single value.",
    why="They say nothing about a new example, and a network memorizes identifiers.",
    source="Kuhn and Johnson, Applied Predictive Modeling, 2013, section 3.5",
    fix="List them in dataset.ignore, or an identifier in dataset.id.",
)
