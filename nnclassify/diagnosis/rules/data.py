"""Rules about the data and how it reaches the network."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnclassify.diagnosis.audit.pages import REVEALING
from nnclassify.diagnosis.findings import Certainty, Change, Evidence, Page, Suspicion
from nnclassify.diagnosis.rules.facts import DataFacts
from nnclassify.diagnosis.rules.rule import Rule, RuleInputs
from nnclassify.errors import some
from nnclassify.evaluation.percent import percent

LECUN = "LeCun, Bottou, Orr and Mueller, Efficient BackProp, 1998, section 4.3"

ORDERED = Page(
    id="NN111",
    title="examples sorted by class and not shuffled",
    looks_at="shuffle: false, batches smaller than the training split, and fewer than 30% of the class changes of a "
    "random order; a fault if the network learns better in random order.",
    why="Many consecutive updates see only one class, and the network forgets the others.",
    source="LeCun, Bottou, Orr and Mueller, Efficient BackProp, 1998, section 4.2",
    fix="shuffle: true.",
    example="dataset: iris\nmodel: {name: mlp, hidden: [16]}\nshuffle: false\nbatch_size: 8\n",
    near_miss="dataset: moons\nmodel: {name: mlp, hidden: [16]}\nshuffle: false\nbatch_size: 8\n",
)
FEW_CHANGES = 0.3
"""Random orders of 50 or more examples stay above 0.6 with probability 99.9% (normal approximation of the number of
runs)."""


def _ordered(given: RuleInputs) -> Iterator[Suspicion]:
    facts = given.facts
    if not given.config.shuffle and given.config.batch_size < facts.num_examples and facts.order < FEW_CHANGES:
        text = f"shuffle is false, and examples come sorted by class{_in_order(given)}"
        evidence = Evidence(text, facts.order, FEW_CHANGES)
        yield Suspicion(ORDERED, "likely", "shuffle", evidence, ({"shuffle": True},))


MAX_NAMED = 3


def _in_order(given: RuleInputs) -> str:
    """`: all a, then all b`; empty if an example may have several classes."""
    if given.is_multi_hot:
        return ""
    names = [f"all {given.class_names[label]}" for label in given.facts.class_order]
    return ": " + ", then ".join([*names[:MAX_NAMED], *(["the others"] if len(names) > MAX_NAMED else [])])


IMBALANCED = Page(
    id="NN112",
    title="most examples belong to one class",
    looks_at="A class with more than 80% of the training examples, and a loss without class_weights; a fault if "
    "the network gets less than half as far above chance, in balanced accuracy, as a linear model or a plain network "
    "with balanced weights, and much further with them itself.",
    why="Always predicting the most common class is right most of the time, so the network hardly learns the others.",
    source="Johnson and Khoshgoftaar, Survey on deep learning with class imbalance, 2019",
    fix="loss: {name: cross_entropy, class_weights: balanced}.",
    example="dataset: {name: csv, path: imbalanced.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: breast_cancer\nmodel: {name: mlp, hidden: [16]}\n",
)
MAJORITY, HARDLY = 0.8, 0.5
"""A network that gets at least half as far above chance as one with balanced classes is not at fault: accuracy can be
worth more than recall."""


def _imbalanced(given: RuleInputs) -> Iterator[Suspicion]:
    majority = given.facts.majority
    weighted = getattr(given.config.loss, "class_weights", None) is not None
    if majority > MAJORITY and not weighted:
        evidence = Evidence(f"{percent(majority)} of the examples are of one class", majority, MAJORITY)
        change: Change = {"loss": {"name": "cross_entropy", "class_weights": "balanced"}, "model.output": "none"}
        yield Suspicion(IMBALANCED, "likely", "loss.class_weights", evidence, (change,), skill_below=HARDLY)


REPEATED = Page(
    id="NN113",
    title="test examples that are also in the training set",
    looks_at="The fraction of test examples that are identical to a training example, where inputs have more than 20 "
    "values (so that few repeat by chance): more than 1%, and at least three; and more than a random split of repeated "
    "examples explains, or more than 20%. In a table also more than twice as many as if its columns were independent: "
    "where few columns have few values, rows repeat by chance.",
    why="On those examples, the test measures memorization and not generalization.",
    source="Barz and Denzler, Do we train on test data?, 2020 (arXiv:1902.00423)",
    fix="Remove them from one of the two files; no option of the config can do that.",
    example="dataset: {name: csv, path: repeated.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: {name: xor, noise: 0}\nmodel: {name: mlp, hidden: [16]}\n",
)
FEW_VALUES, REPEATED_SHARE, FEW_REPEATED = 20, 0.01, 3
"""Tables often contain a row or two twice (iris has one), and a small test split may well get one of them."""
MANY_REPEATED, DEVIATIONS = 0.2, 3.0
"""Repeated rows of a table that a random split deals out are not a fault of the split, unless they affect a large part
of the test. Beyond this many standard deviations, they were not dealt out at random."""
COARSE = 2.0
"""Columns that depend on each other repeat more often than independent ones, but not this much more."""


def _repeated(given: RuleInputs) -> Iterator[Suspicion]:
    facts = given.facts
    is_natural = facts.num_repeated <= _dealt_out(facts) and facts.repeated < MANY_REPEATED
    is_natural |= _is_coarse(facts, facts.repeated)
    is_more = facts.num_repeated >= FEW_REPEATED and facts.repeated > REPEATED_SHARE
    if facts.distinct > FEW_VALUES and is_more and not is_natural:
        text = f"{percent(facts.repeated)} of the test examples are training examples"
        yield Suspicion(REPEATED, "certain", "dataset", Evidence(text, facts.repeated, REPEATED_SHARE))


def _is_coarse(facts: DataFacts, fraction: float) -> bool:
    """Return whether the columns of a table take so few values that this fraction of its rows repeats by chance."""
    return fraction < COARSE * facts.repeated_by_chance


def _dealt_out(facts: DataFacts) -> float:
    """Return the most repeated test examples that a random split explains.

    Of pairs of equal rows, it deals out twice as many to training and test as to training alone, for each test example
    as for each training example. Both numbers are counts of rare events, with their variances.
    """
    if not facts.num_repeated:
        return 0.0
    ratio = 2 * facts.num_repeated / facts.repeated / facts.num_examples
    expected = ratio * facts.repeated_within * facts.num_examples
    return expected + DEVIATIONS * math.sqrt(expected * (1 + ratio))


CONSTANT = Page(
    id="NN114",
    title="a column with the same value in every row",
    looks_at="Columns of a CSV file with a single value in all splits. In a table of 64 columns or more, several such"
    " columns are assumed to be the margins of images.",
    why="It carries no information about the class. Usually it was not read or filled in as intended.",
    source="Kuhn and Johnson, Applied Predictive Modeling, 2013, section 3.5",
    fix="Correct the column, or list only the others in dataset.features.",
    example="dataset: {name: csv, path: constant.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: digits\nmodel: {name: mlp, hidden: [16]}\n",
)


PIXELS = 64
"""A table with this many columns may hold images, whose margins are all the same."""


def _constant(given: RuleInputs) -> Iterator[Suspicion]:
    names = given.columns
    if not given.facts.constant or names is None:
        return
    if len(names) >= PIXELS and len(given.facts.constant) > 1:
        return
    constant = [names[index] for index in given.facts.constant]
    rest = [name for name in names if name not in constant]
    changes: tuple[Change, ...] = ({"dataset.features": rest},) if rest and given.config.dataset.name == "csv" else ()
    if (ignored := getattr(given.config.dataset, "ignore", None)) is not None:
        changes = ({"dataset.ignore": [*ignored, *constant]},)
    text = f"one value in all rows: {some(constant)}"
    yield Suspicion(CONSTANT, "certain", "dataset.features", Evidence(text, len(constant), 0), changes)


SCALES = Page(
    id="NN115",
    title="columns on very different scales",
    looks_at="Standard deviations of the columns of a table, after normalization, that differ by a factor of more "
    "than 100; a fault if the network learns better when they are equal.",
    why="The column with the largest values dominates, and no learning rate suits both it and the column with the "
    "smallest.",
    source=LECUN,
    fix="dataset.normalize: standard.",
    example="dataset: {name: wine, normalize: none}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: {name: iris, normalize: none}\nmodel: {name: mlp, hidden: [16]}\n",
)
SCALE_RATIO = 100.0
"""Efficient BackProp: convergence slows down with the condition number of the covariance of the inputs, which is the
square of this."""


def _scales(given: RuleInputs) -> Iterator[Suspicion]:
    ratio = given.facts.scale_ratio
    if ratio > SCALE_RATIO:
        evidence = Evidence(
            f"the standard deviations of the columns differ by a factor of {ratio:.2g}", ratio, SCALE_RATIO
        )
        yield Suspicion(SCALES, "likely", "dataset.normalize", evidence, ({"dataset.normalize": "standard"},))


RAW_INPUTS = Page(
    id="NN116",
    title="inputs that are not normalized",
    looks_at="An input above 10 in absolute value, after normalization, or no column with a standard deviation of 0.1,"
    " with a normalize other than standard; a fault if the network learns better, or with more of its seeds, with"
    " standard.",
    why="Large inputs make units saturate or die in the first updates, and such units do not recover; small ones "
    "hardly change the outputs, and their weights hardly move.",
    source=LECUN,
    fix="dataset.normalize: standard.",
    example="dataset: {name: rgb, normalize: none}\nmodel: {name: mlp, hidden: [4, 4]}\n",
    near_miss="dataset: {name: rgb, normalize: unit}\nmodel: {name: mlp, hidden: [4, 4]}\n",
)
LARGE = 10.0
"""Three times the largest of 1,000 draws from a standard normal distribution."""
SMALL = 0.1
"""The gradient of the first weights is proportional to the inputs, and so is what a change of them does: together they
learn a hundred times more slowly than with a standard deviation of 1."""


def _raw_inputs(given: RuleInputs) -> Iterator[Suspicion]:
    if given.config.dataset.normalize == "standard":
        return
    largest, spread = given.facts.largest, max(given.facts.scales, default=0.0)
    if largest > LARGE:
        evidence = Evidence(f"inputs reach {largest:.3g}", largest, LARGE)
    elif 0 < spread < SMALL:
        evidence = Evidence(f"no column has a standard deviation above {spread:.2g}", spread, SMALL)
    else:
        return
    yield Suspicion(RAW_INPUTS, "likely", "dataset.normalize", evidence, ({"dataset.normalize": "standard"},))


DIVIDED = Page(
    id="NN120",
    title="examples that seem to belong together are in different splits",
    looks_at="A column whose name suggests groups, such as patient_id or session, and whose values repeat; and "
    "files whose names differ only in the last number or letter, such as patient12_03.png and patient12_04.png. Those "
    "with examples in several splits are counted, unless dataset.group is set.",
    why="If they do belong together, the test measures how well the network knows these patients or scenes, not "
    "new ones.",
    source="scikit-learn, User Guide, section 3.1.2.2: cross-validation iterators for grouped data",
    fix="dataset.group: the column, or a regular expression that finds the group in the path of an image.",
    example="dataset: {name: csv, path: patients.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: {name: csv, path: patients.csv, group: patient_id}\nmodel: {name: mlp, hidden: [16]}\n",
)


def _divided(given: RuleInputs) -> Iterator[Suspicion]:
    listed = getattr(given.config.dataset, "features", None) or ()
    for found in given.groups:
        text = f"{found.num_divided} of {found.num_groups} groups of {found.source} are in several splits, such as "
        evidence = Evidence(text + found.example, found.num_divided, 0)
        can_change = found.option is not None and found.option not in listed
        changes: tuple[Change, ...] = ({"dataset.group": found.option},) if can_change else ()
        yield Suspicion(DIVIDED, "note", "dataset.group", evidence, changes)


CONTRADICTED = Page(
    id="NN121",
    title="equal inputs with different labels",
    looks_at="Examples in all splits that are the same bit for bit, and labeled differently: more than 1%, and at least"
    " three, where inputs have more than 20 values (so that few repeat by chance). In a table, more than twice as many"
    " as would repeat if its columns were independent.",
    why="At most one of the labels is right, and no network can tell which.",
    source="Northcutt, Athalye and Mueller, Pervasive label errors in test sets, 2021 (arXiv:2103.14749)",
    fix="nnclassify audit names them: correct the labels, or add the input that tells them apart.",
    example="dataset: {name: csv, path: contradicted.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: {name: xor, noise: 0}\nmodel: {name: mlp, hidden: [16]}\n",
)


def _contradicted(given: RuleInputs) -> Iterator[Suspicion]:
    facts = given.facts
    is_coarse = facts.distinct <= FEW_VALUES or _is_coarse(facts, facts.contradicted)
    if not is_coarse and facts.contradicted > max(REPEATED_SHARE, FEW_REPEATED / facts.num_examples):
        text = f"{percent(facts.contradicted)} of the examples equal one with another label"
        yield Suspicion(CONTRADICTED, "note", "dataset", Evidence(text, facts.contradicted, REPEATED_SHARE))


RARE = Page(
    id="NN122",
    title="classes with too few examples",
    looks_at="Classes with fewer than 10 training examples, and fewer than a fifth of what an average class has; and a "
    "dataset.limit below 1,000 that leaves fewer than 10 per class on average.",
    why="A network can hardly learn a class from so few examples, and its metrics on them are mostly chance.",
    source="He and Garcia, Learning from imbalanced data, 2009",
    fix="Add examples, merge the class with another one, or remove it; remove dataset.limit.",
    example="dataset: {name: csv, path: few.csv}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: iris\nmodel: {name: mlp, hidden: [16]}\n",
)
FEW_EXAMPLES, OF_AVERAGE, FOR_DEBUGGING = 10, 0.2, 1000


def _rare(given: RuleInputs) -> Iterator[Suspicion]:
    counts = given.facts.class_counts
    limit = min(FEW_EXAMPLES, OF_AVERAGE * sum(counts) / len(counts))
    if rare := [f"{name} {count}" for name, count in zip(given.class_names, counts, strict=True) if count < limit]:
        evidence = Evidence(f"training examples: {some(rare, 5)}", len(rare), 0)
        yield Suspicion(RARE, "note", "dataset", evidence)
    average, most = sum(counts) / len(counts), given.config.dataset.limit
    if most is not None and most < FOR_DEBUGGING and average < FEW_EXAMPLES:
        text = f"dataset.limit {most} leaves {average:.1f} training examples per class"
        yield Suspicion(
            RARE, "note", "dataset.limit", Evidence(text, average, FEW_EXAMPLES), ({"dataset.limit": None},)
        )


def _revealing(given: RuleInputs) -> Iterator[Suspicion]:
    if found := given.facts.revealing:
        yield Suspicion(REVEALING, "note", "dataset", Evidence(some(found), len(found), 0))


MIRRORED = Page(
    id="NN123",
    title="random changes to images that change their class",
    looks_at="augment.flip, augment.rotate above 45 degrees, augment.crop above a quarter of the side of an image, "
    "augment.cutout above half of it, and augment.erase above 0.5; a fault if the network learns much better without "
    "them.",
    why="A mirrored b is a d, a 6 upside down is a 9, and of an image that is shifted or covered too far, too little is"
    " left to see: the network is trained on such images with the wrong label.",
    source="Shorten and Khoshgoftaar, A survey on image data augmentation for deep learning, 2019",
    fix="dataset.augment: {crop: 1}, or {rotate: 10}: only changes that leave the class as it is.",
    example="dataset: {name: digits, augment: {flip: true}}\nmodel: {name: mlp, hidden: [16]}\n",
    near_miss="dataset: {name: digits, augment: {crop: 1, rotate: 10.0}}\nmodel: {name: mlp, hidden: [16]}\n",
)
LARGE_ANGLE, SMALL_ANGLE = 45.0, 10.0
"""Letters and digits are written at angles of a few degrees; from 45 on, a minus may become a slash."""


LARGE_SHIFT, SMALL_SHIFT, LARGE_HOLE = 1 / 4, 1 / 8, 1 / 2
"""As fractions of the side of an image: customary are 4 of 32 pixels for crops (He et al., 2015) and 16 of 32 for
cutout (DeVries and Taylor, 2017)."""
OFTEN = 0.5
"""Random erasing was published with this probability (Zhong et al., 2017, arXiv:1708.04896)."""


def _mirrored(given: RuleInputs) -> Iterator[Suspicion]:
    augment = given.config.dataset.augmentation()
    if augment is None or len(given.facts.shape) < 3:
        return
    side = min(given.facts.shape[1:])
    too_much = {
        "flip": (bool(augment.flip), "mirrored", False),
        "rotate": (augment.rotate > LARGE_ANGLE, f"rotated by up to {augment.rotate:g} degrees", SMALL_ANGLE),
        "crop": (
            augment.crop > LARGE_SHIFT * side,
            f"shifted by up to {augment.crop} of {side} pixels",
            int(SMALL_SHIFT * side),
        ),
        "cutout": (
            augment.cutout > LARGE_HOLE * side,
            f"covered by a square of {augment.cutout} of {side} pixels",
            0,
        ),
    }
    too_much["erase"] = (augment.erase > OFTEN, f"partly erased in {percent(augment.erase)} of all cases", 0.0)
    found = {key: (text, better) for key, (is_large, text, better) in too_much.items() if is_large}
    if found:
        evidence = Evidence(f"training images are {' and '.join(text for text, _ in found.values())} at random")
        change = {f"dataset.augment.{key}": better for key, (_, better) in found.items()}
        certainty: Certainty = "possible" if found.keys() == {"flip"} else "likely"  # photos are often mirrored
        yield Suspicion(MIRRORED, certainty, "dataset.augment", evidence, (change,))


OF_DATA = (
    Rule(REPEATED, _repeated),
    Rule(CONTRADICTED, _contradicted),
    Rule(DIVIDED, _divided),
    Rule(RARE, _rare),
)
"""The rules about the data alone, whatever the network."""

RULES = (
    Rule(ORDERED, _ordered),
    Rule(CONSTANT, _constant),
    *OF_DATA,
    Rule(REVEALING, _revealing, fits_multi_hot=False),
    Rule(IMBALANCED, _imbalanced, fits_multi_hot=False),
    Rule(SCALES, _scales),
    Rule(RAW_INPUTS, _raw_inputs),
    Rule(MIRRORED, _mirrored),
)
