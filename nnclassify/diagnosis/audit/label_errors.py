"""Label errors by confident learning (Northcutt, Jiang and Chuang, 2021; arXiv:1911.00068).

The same numbers as `cleanlab.filter.find_label_issues` with its default `prune_by_noise_rate`, and as its
`get_label_quality_scores`: a test compares them. cleanlab itself is not used here, since it brings pandas and more for
these lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnclassify.data.splitting import Labels

Probabilities = np.ndarray[Any, np.dtype[np.float64]]
TOLERANCE = 1e-6


def label_errors(probabilities: Probabilities, targets: Labels) -> Labels:
    """Return the rows of probable label errors, the least probable label first.

    The confident joint says how many examples of each class are probably of each other class. As many are taken: those
    for which the other class is more probable than the given one by the largest margin. Where the given class is the
    most probable one of all, there is no error.

    Args:
        probabilities: Out-of-fold probabilities `(N, K)`.
        targets: The given classes `(N,)`.
    """
    counts = confident_joint(probabilities, targets)
    is_error = np.zeros(len(targets), dtype=np.bool_)
    for given in range(len(counts)):
        rows = np.flatnonzero(targets == given)
        if len(rows) <= 1:  # a class keeps an example
            continue
        for other in range(len(counts)):
            if other != given and (count := counts[given, other]) > 0:
                margins = probabilities[rows, other] - probabilities[rows, given]
                is_error[rows[np.argsort(-margins, kind="stable")[:count]]] = True
    is_error &= probabilities.argmax(axis=1) != targets
    rows = np.flatnonzero(is_error)
    found: Labels = rows[np.argsort(label_quality(probabilities[rows], targets[rows]), kind="stable")]
    return found


def label_quality(probabilities: Probabilities, targets: Labels) -> Probabilities:
    """Return the probability of the given class of each example, `(N,)`: the lower, the more probably it is wrong."""
    found: Probabilities = probabilities[np.arange(len(targets)), targets]
    return found


def confident_joint(probabilities: Probabilities, targets: Labels) -> Labels:
    """Return how many examples of each given class (rows) are probably of each true class (columns), `(K, K)`.

    An example counts for the most probable class whose probability reaches its threshold: the mean probability of that
    class over the examples that have it as their label. Rows then sum to the number of examples of the given class.
    """
    num_classes = probabilities.shape[1]
    sizes = np.bincount(targets, minlength=num_classes)
    own = np.bincount(targets, weights=label_quality(probabilities, targets), minlength=num_classes)
    thresholds = np.where(sizes > 0, own / np.maximum(sizes, 1), 2.0)  # 2: no probability reaches it
    reached = probabilities >= np.maximum(thresholds, 2 * TOLERANCE) - TOLERANCE
    likeliest = np.where(reached, probabilities, -1.0).argmax(axis=1)
    confident = reached.any(axis=1)
    joint = np.zeros((num_classes, num_classes))
    np.add.at(joint, (targets[confident], likeliest[confident]), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return np.stack([_whole(row / row.sum() * size) for row, size in zip(joint, sizes, strict=True)])


def _whole(counts: Probabilities) -> Labels:
    """Round to whole numbers with the same sum: those that rounding changed most give way."""
    rounded = counts.round()
    excess = int((rounded.sum() - counts.sum()).round())
    order = np.argsort(counts - rounded)  # the most rounded up first
    chosen = order[:excess] if excess > 0 else order[::-1][:-excess]
    rounded[chosen] -= np.sign(excess)
    found: Labels = rounded.astype(np.int64)
    return found
