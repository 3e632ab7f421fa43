"""Draws the splits: seeded, stratified, no example in two splits; by groups, by time, or as folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnclassify.errors import DataError, counted
from nnclassify.seeds import numpy_rng

Labels = np.ndarray[Any, np.dtype[np.int64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]
Values = np.ndarray[Any, np.dtype[np.float64]]
Times = Values


@dataclass(frozen=True)
class Groups:
    """Which examples belong together, such as those of one patient, and are kept in one split.

    Attributes:
        codes: The group of each example, an index of `names`, `(M,)`.
        names: The names of the groups.
    """

    codes: Rows
    names: list[str]

    @classmethod
    def of(cls, keys: Iterable[str]) -> Groups:
        """Return the groups of examples with the same key."""
        code_of: dict[str, int] = {}
        codes = np.array([code_of.setdefault(key, len(code_of)) for key in keys], dtype=np.int64)
        return cls(codes, list(code_of))

    def at(self, rows: Rows) -> Groups:
        """Return the groups of some of the examples."""
        return Groups(self.codes[rows], self.names)

    def among(self, rows: Rows) -> set[str]:
        """Return the names of the groups that rows `(N,)` belong to."""
        return {self.names[code] for code in np.unique(self.codes[rows])}


def counts_of(targets: Labels, num_classes: int) -> Labels:
    """Count the examples of each class, `(K,)`, from class indices `(N,)` or multi-hot targets `(N, K)`."""
    counts: Labels = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=num_classes)
    return counts


def strata(targets: Labels) -> Labels:
    """Return the stratum of each example, `(N,)`: its class, or with multi-hot targets its rarest class (K if none).

    The rarest classes come first because a random split would lose them; see Sechidis, Tsoumakas and Vlahavas, 2011,
    "On the stratification of multi-label data".
    """
    if targets.ndim == 1:
        return targets
    num_classes = targets.shape[1]
    order = np.argsort(counts_of(targets, num_classes), kind="stable")  # the rarest first
    rarest: Labels = order[targets[:, order].argmax(axis=1)]
    return np.where(targets.any(axis=1), rarest, num_classes)


def stratified_split(targets: Labels, rows: Rows, fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Hold out a fraction of `rows`, the same fraction of each stratum (class) to within one example.

    Remainders are assigned by the largest remainder method, so the number held out is `round(fraction * N)`; but a
    class always keeps at least one example.

    Returns:
        The kept rows and the held-out rows, both in ascending order.
    """
    labels = strata(targets[rows])
    counts = np.bincount(labels, minlength=1)
    owed = counts * fraction
    take = np.floor(owed).astype(np.int64)
    missing = round(float(fraction * len(rows))) - int(take.sum())
    take[np.argsort(-(owed - take), kind="stable")[:missing]] += 1
    take = np.minimum(take, np.maximum(counts - 1, 0))
    held_out = np.zeros(len(rows), dtype=bool)
    for label, count in enumerate(take):
        held_out[rng.permutation(np.flatnonzero(labels == label))[:count]] = True
    return rows[~held_out], rows[held_out]


def limited(targets: Labels, rows: Rows, limit: int | None, seed: int) -> Rows:
    """Return a stratified random subset of at most `limit` rows; all rows if `limit` is None."""
    if limit is None or limit >= len(rows):
        return rows
    _, chosen = stratified_split(targets, rows, limit / len(rows), numpy_rng(seed, "split", "limit"))
    return chosen


def nested_subset(targets: Labels, groups: Rows | None, share: float, rng: np.random.Generator) -> Rows:
    """Return a stratified subset of rows that includes the subsets for smaller shares, if `rng` is in the same state.

    Examples, or whole groups, are put in an order in which every beginning has the same fraction of each stratum; that
    of a group is its most frequent one. The first of each stratum come first, so none is lost.

    Args:
        targets: Class indices `(N,)`, or multi-hot `(N, K)`.
        groups: The group of each example, `(N,)`, or None.
        share: The fraction of the examples, 0..1.
        rng: The random generator.

    Returns:
        The rows, in ascending order: `share * N` of them, rounded, or more if the last group, or one example of each
        stratum, are more.
    """
    labels = strata(targets)
    _, units = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
    counts = np.zeros((units.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(counts, (units, labels), 1)
    stratum = counts.argmax(axis=1)
    place = np.empty(len(counts))
    for label in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == label))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
        place[members[0]] -= 1
    order = np.lexsort((place,))
    before = np.cumsum(counts.sum(axis=1)[order]) - counts.sum(axis=1)[order]
    chosen = order[(before < round(share * len(labels))) | (place[order] < 0)]
    return np.flatnonzero(np.isin(units, chosen))


def grouped_sides(
    targets: Labels, groups: Rows, fractions: Sequence[float], rng: np.random.Generator, *, whole: Sequence[int]
) -> Labels:
    """Assign each group to a side, so that the sides are as close as can be to the same mixture of strata (classes).

    Large groups come first, in random order among those of similar size. Each goes to the side that it brings closest
    to its fraction of every stratum (by chi-squared distance), among the sides that are not full. So no side exceeds
    its fraction of the examples by more than the largest group. scikit-learn's StratifiedGroupKFold has folds of equal
    size only, its GroupShuffleSplit is not stratified, and the splits of both may change with its release.

    Args:
        targets: Class indices `(N,)`, or multi-hot `(N, K)`.
        groups: The group of each example, `(N,)`.
        fractions: The fraction of the examples for each side; their sum is 1.
        rng: The random generator.
        whole: The sides that never get all examples of a stratum, since the other sides are trained on, where there is
            another way.

    Returns:
        The side of each example, `(N,)`.
    """
    labels = strata(targets)
    _, codes = np.unique(groups, return_inverse=True)
    totals = np.bincount(labels)
    pairs, sizes = np.unique(codes * len(totals) + labels, return_counts=True)  # each group's examples per stratum
    bounds = np.searchsorted(pairs, np.arange(codes.max() + 2) * len(totals))
    wanted = np.outer(fractions, totals)
    filled, wanted_of, filled_of = np.zeros_like(wanted), wanted.sum(axis=1), np.zeros(len(fractions))
    is_held_out = np.isin(np.arange(len(fractions)), whole)
    sides = np.empty(codes.max() + 1, dtype=np.int64)
    in_turn = np.lexsort((rng.random(len(sides)), -np.floor(np.log2(np.bincount(codes)))))
    for left, group in zip(range(len(sides), 0, -1), in_turn, strict=True):
        of_group = slice(bounds[group], bounds[group + 1])
        strata_of, size_of = pairs[of_group] % len(totals), sizes[of_group]
        have, want = filled[:, strata_of], wanted[:, strata_of]
        cost = (size_of * (2 * (have - want) + size_of) / np.maximum(want, 1e-9)).sum(axis=1)
        is_empty = filled_of == 0
        is_open = is_empty if left <= is_empty.sum() else filled_of < wanted_of
        keeps = ~(is_held_out & (have + size_of == totals[strata_of]).any(axis=1))
        allowed = keeps & is_open if (keeps & is_open).any() else keeps if keeps.any() else is_open
        side = sides[group] = np.where(allowed, cost, np.inf).argmin()
        filled[side, strata_of] += size_of
        filled_of[side] += size_of.sum()
    return sides[codes]


def grouped_split(
    targets: Labels, groups: Groups, rows: Rows, fraction: float, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Hold out a fraction of `rows` in whole groups; see `grouped_sides`.

    At least one group is held out if the fraction is at least one example, and every class keeps a group.

    Returns:
        The kept rows and the held-out rows, both in ascending order.

    Raises:
        DataError: There is only one group, or each group has all examples of a class.
    """
    if round(fraction * len(rows)) == 0:
        return rows, rows[:0]
    codes = groups.codes[rows]
    sides = grouped_sides(targets[rows], codes, (1 - fraction, fraction), rng, whole=[1])
    if not sides.any():
        found = counted(len(np.unique(codes)), "group")
        raise DataError(
            f"dataset.group: {found} of {counted(len(rows), 'example')}, none of which can be held out without the "
            "only examples of a class; expected at least two groups per class",
            ("dataset", "group"),
        )
    return rows[sides == 0], rows[sides == 1]


def newest_split(times: Times, rows: Rows, fraction: float) -> tuple[Rows, Rows]:
    """Hold out the newest fraction of `rows`: as near to it as can be without dividing examples of the same time.

    At least one time is kept, and one is held out if the fraction is at least one example.

    Returns:
        The kept rows and the held-out rows, both in ascending order.

    Raises:
        DataError: All examples have the same time.
    """
    wanted = fraction * len(rows)
    if round(wanted) == 0:
        return rows, rows[:0]
    different, counts = np.unique(times[rows], return_counts=True)
    if len(different) == 1:
        raise DataError(
            f"dataset.time: all {len(rows)} examples have the same time; expected at least two different ones",
            ("dataset", "time"),
        )
    newer = len(rows) - np.cumsum(counts)[:-1]  # the examples that are newer than each time but the last
    is_newest = times[rows] > different[np.abs(newer - wanted).argmin()]
    return rows[~is_newest], rows[is_newest]


def stratified_folds(targets: Labels, groups: Groups | None, num_folds: int, rng: np.random.Generator) -> Labels:
    """Assign each example to a fold 0..num_folds - 1, each with the same number of examples per stratum (class).

    Without groups, numbers of examples per fold, and per stratum, differ by at most one. Groups are not divided; see
    `grouped_sides`.

    Returns:
        The fold of each example, `(N,)`.
    """
    if groups is not None:
        return grouped_sides(targets, groups.codes, [1 / num_folds] * num_folds, rng, whole=range(num_folds))
    folds = np.empty(len(targets), dtype=np.int64)
    folds[np.lexsort((rng.random(len(targets)), strata(targets)))] = np.arange(len(targets)) % num_folds
    return folds


def num_units(targets: Labels, groups: Groups | None, num_classes: int) -> tuple[int, Labels]:
    """Count what cannot be divided, examples or groups: how many there are, and how many have each class, `(K,)`."""
    if groups is None:
        return len(targets), counts_of(targets, num_classes)
    classes = [
        np.flatnonzero(targets == label) if targets.ndim == 1 else targets[:, label].nonzero()[0]
        for label in range(num_classes)
    ]
    return len(np.unique(groups.codes)), np.array(
        [len(np.unique(groups.codes[rows])) for rows in classes], dtype=np.int64
    )
