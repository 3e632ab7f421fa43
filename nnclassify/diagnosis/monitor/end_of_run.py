"""Compares a finished run with what needs no training: a linear model, and always predicting the most common class."""

from __future__ import annotations

from nnclassify.diagnosis.findings import Evidence, Finding, finding_of
from nnclassify.diagnosis.monitor.pages import BELOW_LINEAR, LIKE_THE_MAJORITY
from nnclassify.evaluation.baselines import Baselines
from nnclassify.inference.evaluate import Evaluation

FAR, DEVIATIONS = 0.1, 3.0
"""A gap in accuracy that is worth a warning, and the standard deviations of a difference that it must exceed too."""
LITTLE = 0.1
"""A net that got less than this share of the way from chance to right has learned next to nothing."""
FEW = 10
"""Of fewer examples, one or two decide whether a net is better than the most common class."""


def compared(reached: Evaluation, found: Baselines, config: str) -> Finding | None:
    """What to tell of a run that is no better than its baselines; None where it is.

    Both accuracies must be behind: class weights trade one for the other, and that is no failure.

    Args:
        reached: The net on a split.
        found: The baselines on the same split.
        config: What `nnclassify check` is to be called with.
    """
    by_class, chance = _by_class(reached)
    advice = f"run `nnclassify check {config}`"
    pooled = (found.linear + reached.accuracy) / 2
    noise = (2 * pooled * (1 - pooled) / reached.num_examples) ** 0.5
    far = max(FAR, DEVIATIONS * noise)
    if found.linear - reached.accuracy > far and found.linear_by_class - by_class > far:
        text = f"accuracy {reached.accuracy:.0%}, a linear model {found.linear:.0%}: {advice}"
        return finding_of(BELOW_LINEAR, "warning", Evidence(text, reached.accuracy, found.linear))
    learned_nothing = reached.accuracy <= found.majority and by_class <= chance + LITTLE * (1 - chance)
    if learned_nothing and reached.num_examples >= FEW:
        text = f"accuracy {reached.accuracy:.0%}, the most common class {found.majority:.0%}: {advice}"
        return finding_of(LIKE_THE_MAJORITY, "warning", Evidence(text, reached.accuracy, found.majority))
    return None


def _by_class(reached: Evaluation) -> tuple[float, float]:
    """The balanced accuracy, and what answers that know nothing reach."""
    known = sum(report.support > 0 for report in reached.classes)
    return reached.metrics["balanced_accuracy"], 0.5 if reached.is_multi_hot else 1 / known
