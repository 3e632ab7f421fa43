"""What a run was asked, what came out, and what it is good for, in words that need no training in the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nnclassify.errors import counted, some, some_names
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.significance import ALPHA
from nnclassify.inference.display_names import readable
from nnclassify.inference.report.classes import NAMED_CLASSES, ClassRow, alternatives, class_rows
from nnclassify.inference.report.contents import RunContents, at, interval_at, number_at
from nnclassify.inference.report.scored import Scored

MAX_NAME = 40
"""Maximum width of a name in a sentence, in columns."""
FEW = 100
"""Under this many examples, a sentence says that the figure is rough."""
SURE = 0.9
"""The confidence from which a prediction is called sure."""
MIN_SUPPORT = 5
"""Examples that a class needs to be called reliable or weak."""


@dataclass(frozen=True)
class Judged:
    """The figure that a page is about.

    Attributes:
        split: The split: `test`, `validation` or `train`.
        accuracy: The accuracy.
        interval: Its 95% interval; None if unknown.
        count: The number of examples; None if unknown.
    """

    split: str
    accuracy: float
    interval: tuple[float, float] | None
    count: int | None


def judged(run: RunContents) -> Judged | None:
    """Return the accuracy on the first split that has one of test, validation and train; None if none is known."""
    for split in ("test", "validation"):
        accuracy = number_at(run.result, split, "accuracy")
        if accuracy is None and run.scored is not None and run.scored.split == split:
            accuracy = sum(run.scored.is_correct) / len(run.scored)  # evaluated after training
        if accuracy is not None:
            count = _count(run, split)
            interval = interval_at(run.result, "intervals", split, "accuracy")
            if interval is None and count:
                interval = wilson_interval(round(accuracy * count), count)
            return Judged(split, accuracy, interval, count)
    if run.best is None:
        return None
    if run.best.validation_accuracy is not None:
        return Judged("validation", run.best.validation_accuracy, None, _count(run, "validation"))
    return Judged("train", run.best.train_accuracy, None, _count(run, "train"))


def _count(run: RunContents, split: str) -> int | None:
    if run.scored is not None and run.scored.split == split:
        return len(run.scored)
    return sum(run.data.counts[split].values()) if split in run.data.counts else None


def thing(run: RunContents, number: int = 1) -> str:
    """Return what an example is called: an image, a row of a table, or an example."""
    word = "image" if run.examples.images else "row" if run.examples.values else "example"
    return counted(number, word).partition(" ")[2]


def most_common(run: RunContents) -> str:
    """Return what the simplest baseline always answers."""
    is_multi_hot = run.scored is not None and run.scored.is_multi_hot
    return "the most common classes" if is_multi_hot else "the most common class"


def class_names(run: RunContents) -> list[str]:
    """Return the names of the classes, as far as the run folder tells."""
    if run.scored is not None:
        return run.scored.class_names
    return list(dict.fromkeys(name for names in run.data.counts.values() for name in names))


def task_sentence(run: RunContents) -> str:
    """Say what was asked."""
    names = [readable(name, MAX_NAME) for name in class_names(run)]
    which = some_names(names, NAMED_CLASSES)
    if run.scored is not None and run.scored.is_multi_hot:
        return f"The task: say which of {len(names)} classes each {thing(run)} belongs to ({which})."
    if not names:
        return "The task: tell the classes of a dataset apart."
    return f"The task: tell {len(names)} classes of {thing(run, 2)} apart ({which})."


def result_sentence(run: RunContents) -> str:
    """Say what came out, in one sentence."""
    found = judged(run)
    if found is None:
        return "No epoch was completed, so nothing is known about how good the network is."
    right = "right in every class" if run.scored is not None and run.scored.is_multi_hot else "right"
    number = "" if found.count is None else f"{found.count:,} "
    things = thing(run, 2 if found.count is None else found.count)
    which = {
        "test": f"{number}test {things} that it was not trained on",
        "validation": f"{number}validation {things} that it was not trained on",
        "train": f"the {thing(run, 2)} that it was trained on",
    }[found.split]
    return f"It is {right} {_naturally(found.accuracy)}: {percent(found.accuracy)} of {which}."


def _naturally(share: float) -> str:
    """Return a fraction as a natural frequency, as fine as it needs to be: `about 7 times in 10`."""
    if share in (0, 1):
        return "every time" if share else "not even once"
    whole = 10 if 0.05 <= share <= 0.95 else 100 if 0.005 <= share <= 0.995 else 1000
    number = round(share * whole)
    if number in (0, whole):
        return "almost every time" if number else "almost never"
    return f"about {number:,} {'time' if number == 1 else 'times'} in\N{NO-BREAK SPACE}{whole:,}"


def advice(run: RunContents) -> Iterator[str]:
    """Yield what a reader should know before using the network: how far to trust the figure, and where it fails."""
    found = judged(run)
    if found is None:
        return
    yield from _uncertainty(run, found)
    yield from _beside_baselines(run, found)
    if run.scored is not None:
        yield from _classes(run.scored)
        yield from _confidence(run.scored, thing(run, 2))
    yield from _caution(run, found)


def _uncertainty(run: RunContents, found: Judged) -> Iterator[str]:
    if found.interval is None:
        return
    low, high = map(percent, found.interval)
    few = " With so few examples, the figure is rough." if found.count is not None and found.count < FEW else ""
    yield f"On more {thing(run, 2)} of the same kind, expect {low} to {high} to be right (95% interval).{few}"


def _beside_baselines(run: RunContents, found: Judged) -> Iterator[str]:
    majority, linear = (number_at(run.result, "baselines", name) for name in ("majority", "linear"))
    if found.split != "test" or majority is None:
        return
    if _order(run, found, "majority", majority) < 1:
        yield _not_above_majority(run, found, majority)
        return
    above, equal, below = list[str](), list[str](), list[str]()
    for key, name in (("linear", "a linear model"), ("boosted", "gradient-boosted trees")):
        if (value := number_at(run.result, "baselines", key)) is not None:
            group = {1: above, 0: equal, -1: below}[_order(run, found, key, value)]
            group.append(f"{name} ({percent(value)})")
    above.append(f"always answering {most_common(run)} ({percent(majority)})")
    yield f"It is better than {' and '.join(above)}."
    shared = number_at(run.result, "baselines", "linear_where_correct")
    if shared is not None and linear is not None and _order(run, found, "linear", linear) > 0:
        yield f"A linear model is also right in {percent(shared)} of the cases where this network is right."
    if equal:
        methods = "a simpler and faster method" if len(equal) == 1 else "simpler and faster methods"
        yield f"It is not clearly better than {' or '.join(equal)}: {methods}."
    if below:
        yield f"It is worse than {' and '.join(below)}: use that instead, or find out why with `nnclassify check`."


def _order(run: RunContents, found: Judged, key: str, accuracy: float) -> int:
    """Return 1 if the network is more often right than a baseline, and -1 if less often; 0 if that may be chance.

    Both are judged on the same examples, so their answers are compared, not their intervals, if they are known.
    """
    p_value = number_at(run.result, "baselines", "p_values", key)
    if p_value is None:
        low, high = found.interval or (found.accuracy, found.accuracy)
        return (accuracy < low) - (accuracy > high)
    if p_value >= ALPHA:
        return 0
    return 1 if found.accuracy > accuracy else -1


def _not_above_majority(run: RunContents, found: Judged, majority: float) -> str:
    """Say what it means that the accuracy is not clearly above that of always answering the most common class."""
    always = f"always answering {most_common(run)} ({percent(majority)})"
    if found.accuracy > majority:
        return f"It may be no better than {always}: there are too few test {thing(run, 2)} to tell."
    balanced, chance = (
        number_at(run.result, *at)
        for at in (("test", "balanced_accuracy"), ("baselines", "majority_balanced_accuracy"))
    )
    bounds = interval_at(run.result, "intervals", "test", "balanced_accuracy")
    if balanced is not None and chance is not None and bounds is not None and bounds[0] > chance:
        better = (
            f"its balanced accuracy, the mean over the classes, is {percent(balanced)} instead of {percent(chance)}"
        )
        return f"It is right less often than {always}, but it tells the classes apart: {better}."
    if found.count == 1:
        return f"It is no better than {always}, but a single test {thing(run)} cannot tell."
    how = "worse" if found.interval is not None and found.interval[1] < majority else "no better"
    return f"It is {how} than {always}: nothing shows that it has learned anything that helps."


def _classes(scored: Scored) -> Iterator[str]:
    rows = [row for row in class_rows(scored) if row.support >= MIN_SUPPORT]
    if len(rows) < 2:
        return
    ranked = sorted(rows, key=lambda row: -row.recall)
    if ranked[0].recall - ranked[-1].recall < 0.02:
        shares = dict.fromkeys([percent(ranked[-1].recall), percent(ranked[0].recall)])
        yield f"It finds about the same share of every class ({' to '.join(shares)})."
        return
    count = 1 if len(ranked) < 4 else 2
    worst = sorted(ranked[count:], key=lambda row: row.recall)
    yield f"Most reliable for {_first(ranked[:-count], count, _reliable)}; weakest for {_first(worst, count, _weak)}."


def _first(ranked: Sequence[ClassRow], count: int, told: Callable[[ClassRow], str]) -> str:
    """Return what is told of the first classes, and how many more are found as often as the last of them."""
    named = list(map(told, ranked[:count]))
    equal = sum(row.recall == ranked[count - 1].recall for row in ranked[count:])
    return f"{', '.join(named)} and {equal} more" if equal else " and ".join(named)


def _reliable(row: ClassRow) -> str:
    return f"{_name(row)} ({percent(row.recall)} found)"


def _name(row: ClassRow) -> str:
    return readable(row.name, MAX_NAME)


def _weak(row: ClassRow) -> str:
    others = alternatives([readable(name, MAX_NAME) for name in row.taken_for])
    taken = f", most often taken for {others}" if others else ""
    return f"{_name(row)} ({percent(row.recall)}{taken})"


def _confidence(scored: Scored, things: str) -> Iterator[str]:
    sure = [right for right, share in zip(scored.is_correct, scored.confidences, strict=True) if share >= SURE]
    if not scored.is_multi_hot and len(sure) >= FEW // 2 and not all(scored.is_correct):
        share, right = len(sure) / len(scored), sum(sure) / len(sure)
        yield (
            f"It is at least {SURE:.0%} sure of its answer for {percent(share)} of the {things}, and {percent(right)} "
            "of those answers are right."
        )


def _caution(run: RunContents, found: Judged) -> Iterator[str]:
    things = thing(run, 2)
    if found.split == "validation":
        yield (
            "Caution: without a test result, the figure is slightly too high, because the best epoch was chosen on "
            f"these validation {things}."
        )
    if found.split == "train":
        yield f"Caution: how it does on other {things} is unknown, because none were kept out of training."
    if found.split == "test" and run.config.get("dataset.validation") == "test":
        yield (
            "Caution: the test split was also the validation split, shown after every epoch. If anything was chosen by "
            "it, such as the number of epochs, the figure is too high."
        )
    looks = number_at(run.result, "test_looks")
    if found.split == "test" and looks is not None and looks > 1:
        yield (
            f"Caution: this was look {looks:.0f} at this test set. If runs were chosen by their test results, this "
            "figure is too high; only a fresh test set can tell by how much."
        )
    if twins := len(run.data.duplicates):
        verb = "is" if twins == 1 else "are"
        yield f"Caution: {counted(twins, thing(run))} {verb} also in another split, so the figure may be too high."
    faults = [one for one in run.findings if one.get("severity") in ("fault", "warning")]
    if faults:
        titles = [str(at(one, "title")) for one in faults]
        yield f"Caution: there are warnings about this run: {some(titles, 2)}. See its findings."
