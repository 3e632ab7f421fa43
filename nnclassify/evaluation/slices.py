"""Slices: parts of a split, such as a class or the darkest images, on which a network is significantly worse.

A `Property` divides the examples into slices. Each slice is compared with all other examples by Fisher's exact test
(one-sided), and Holm's correction accounts for the number of slices: if correctness does not depend on any property,
at least 95% of evaluations report no slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnclassify.data.tables.csv_rows import MISSING, as_number
from nnclassify.evaluation.significance import ALPHA, holm

Rows = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]

MIN_EXAMPLES = 10
"""Smaller slices are not tested: each test makes the others weaker."""
PARTS, MAX_DISTINCT = 5, 10
"""A number has a slice per value if it has at most ten different ones; otherwise it is cut into fifths by quantiles."""
UNKNOWN = -1
"""The code of an example whose property is unknown: it is in no slice, and not among the others."""
NUM_MISTAKES = 3
"""Mistakes that are named for each slice."""


@dataclass(frozen=True)
class Property:
    """A property of examples that divides them into slices.

    Attributes:
        name: Its name, such as `class`, or that of a column.
        labels: The value of each slice, in words.
        codes: The slice of each example, an index of `labels` or `UNKNOWN`, `(N,)`.
    """

    name: str
    labels: Sequence[str]
    codes: Rows

    @classmethod
    def of_numbers(
        cls, name: str, values: Numbers, in_words: Callable[[float], str] = lambda value: f"{value:.4g}"
    ) -> Property:
        """Return the slices of a number: one per value, or fifths; NaN is unknown."""
        known = np.isfinite(values)
        distinct = np.unique(values[known])
        codes = np.full(len(values), UNKNOWN, dtype=np.int64)
        if len(distinct) <= MAX_DISTINCT:
            codes[known] = np.searchsorted(distinct, values[known])
            return cls(name, [*map(in_words, distinct.tolist())], codes)
        ascending = np.sort(values[known])
        ends = ascending[[len(ascending) * part // PARTS - 1 for part in range(1, PARTS)]]  # part i ends at ends[i]
        used, codes[known] = np.unique(np.searchsorted(ends, values[known]), return_inverse=True)
        extremes = [(values[codes == part].min(), values[codes == part].max()) for part in range(len(used))]
        spoken = [dict.fromkeys([in_words(low), in_words(high)]) for low, high in extremes]
        return cls(name, [" to ".join(words) for words in spoken], codes)

    @classmethod
    def of_texts(cls, name: str, texts: Sequence[str]) -> Property:
        """Return the slices of numbers, if all texts are numbers or stand for a missing value, otherwise of each text;
        empty is unknown."""
        numbers = [as_number(text) for text in texts]
        if all(text.lower() in MISSING or number is not None for text, number in zip(texts, numbers, strict=True)):
            return cls.of_numbers(name, np.array([math.nan if number is None else number for number in numbers]))
        labels = sorted({*texts} - {""})
        code_of = {label: code for code, label in enumerate(labels)}
        return cls(name, labels, np.array([code_of.get(text, UNKNOWN) for text in texts], dtype=np.int64))


@dataclass(frozen=True)
class Slice:
    """A part of a split, compared with all other examples whose property is known.

    Attributes:
        name: The name of the property.
        value: The value of the property, in words.
        num_examples: The number of examples.
        num_correct: The number of correct predictions among them.
        num_others: The number of other examples.
        num_others_correct: The number of correct predictions among the others.
        p_value: The p-value of the comparison, corrected for the number of slices.
        mistakes: The names of its wrong predictions with the highest loss.
    """

    name: str
    value: str
    num_examples: int
    num_correct: int
    num_others: int
    num_others_correct: int
    p_value: float
    mistakes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """The accuracy on the slice."""
        return self.num_correct / self.num_examples

    @property
    def accuracy_of_others(self) -> float:
        """The accuracy on the other examples."""
        return self.num_others_correct / self.num_others

    @property
    def num_avoidable(self) -> float:
        """The number of mistakes that would be avoided if the slice were predicted as accurately as the others."""
        return self.num_examples * (self.accuracy_of_others - self.accuracy)

    def figures(self) -> dict[str, Any]:
        """Return the slice for JSON."""
        return {**vars(self), "accuracy": self.accuracy, "accuracy_of_others": self.accuracy_of_others}


def weak_slices(
    right: Flags, losses: Numbers, properties: Sequence[Property], names_of: Callable[[Rows], Sequence[str]]
) -> list[Slice]:
    """Return the slices on which accuracy is significantly lower than on the other examples.

    Args:
        right: Whether each example is predicted correctly, `(N,)`.
        losses: The loss of each example, `(N,)`.
        properties: The properties that divide the examples.
        names_of: Returns the names of rows `(B,)`.

    Returns:
        The slices, the one with most avoidable mistakes first.
    """
    log_factorials = np.concatenate([[0.0], np.log(np.arange(1, len(right) + 1)).cumsum()])
    candidates = [one for given in properties for one in _candidates(given, right, log_factorials)]
    p_values = holm([one.p_value for _, _, one in candidates])
    found = []
    for (codes, label, one), p_value in zip(candidates, p_values, strict=True):
        if p_value < ALPHA:
            wrong = np.flatnonzero((codes == label) & ~right)
            mistakes = wrong[np.argsort(-losses[wrong], kind="stable")][:NUM_MISTAKES]
            found.append(replace(one, p_value=p_value, mistakes=tuple(names_of(mistakes))))
    return sorted(found, key=lambda part: -part.num_avoidable)


def _candidates(given: Property, right: Flags, log_factorials: Numbers) -> Iterator[tuple[Rows, int, Slice]]:
    """Yield the slices of a property that have enough examples, and others to be compared with, each with its code.

    Their p-values are not yet corrected.
    """
    known = given.codes != UNKNOWN
    total, total_correct = int(known.sum()), int(right[known].sum())
    num_labels = len(given.labels)
    counts, correct = (np.bincount(given.codes[rows], minlength=num_labels) for rows in (known, known & right))
    for label in np.flatnonzero((counts >= MIN_EXAMPLES) & (counts < total)).tolist():
        inside = int(counts[label]), int(correct[label])
        p_value = _p_value(*inside, total, total_correct, log_factorials)
        others = total - inside[0], total_correct - inside[1]
        yield given.codes, label, Slice(given.name, given.labels[label], *inside, *others, p_value)


def _p_value(num_examples: int, num_correct: int, total: int, total_correct: int, log_factorials: Numbers) -> float:
    """Return the p-value of Fisher's exact test; 1 where the accuracy is not below that of all examples.

    It is the probability of so few correct ones among `num_examples` of the `total` drawn at random.
    """
    if num_correct * total >= total_correct * num_examples:
        return 1.0
    total_wrong = total - total_correct
    drawn = np.arange(max(0, num_examples - total_wrong), num_correct + 1)

    def log_choose(whole: int, part: Rows) -> Numbers:
        chosen: Numbers = log_factorials[whole] - log_factorials[part] - log_factorials[whole - part]
        return chosen

    ways = log_choose(total_correct, drawn) + log_choose(total_wrong, num_examples - drawn)
    return min(1.0, float(np.exp(ways - log_choose(total, np.array([num_examples]))).sum()))
