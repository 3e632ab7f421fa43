"""Draws the splits: seeded, stratified, no example in two splits."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnclassify.seeds import numpy_rng

Labels = np.ndarray[Any, np.dtype[np.int64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]


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
