"""Compare a finished run with two baselines, a linear model and the most common class, and its splits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.diagnosis.monitor.pages import BELOW_LINEAR, LIKE_THE_MAJORITY, SPLITS_DIFFER
from nnclassify.errors import shell_command
from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.percent import percent
from nnclassify.inference.analysis import FinishedRun
from nnclassify.inference.evaluate import Evaluation

FAR, DEVIATIONS = 0.1, 3.0
"""The gap in accuracy that is worth a warning, and the number of standard deviations that it must exceed as well."""
LITTLE = 0.1
"""A network that got less than this fraction of the way from chance to 1 has learned next to nothing."""
FEW = 10
"""With fewer examples, one or two of them decide whether a network beats the most common class."""


def end_of_run(run: FinishedRun) -> Iterator[Finding]:
    """Yield the findings on the result of a run."""
    config = str(run.folder.config)
    found = []
    if run.judged_baselines is not None:
        found.append(compared(run.judged.split, run.judged.evaluation, run.judged_baselines, config))
    if run.validation is not None and run.test is not None:
        found.append(differing(run.validation.evaluation, run.test.evaluation, config))
    yield from filter(None, found)


def compared(split: str, reached: Evaluation, found: Baselines, config: str) -> Finding | None:
    """Return the finding for a run that is no better than its baselines, or None.

    Accuracy and balanced accuracy must both be lower: class weights trade one for the other, which is no failure. On
    examples of one class alone, always predicting that class is unbeatable, which says nothing about a network.

    Args:
        split: The name of the split.
        reached: The evaluation of the network on it.
        found: The baselines on it.
        config: The config to suggest for `nnclassify check`.
    """
    balanced_accuracy = reached.metrics["balanced_accuracy"]
    chance = 0.5 if reached.is_multi_hot else 1 / sum(report.support > 0 for report in reached.classes)
    if chance == 1:
        return None
    advice = f"run `{shell_command('check', config)}`"
    pooled = (found.linear + reached.accuracy) / 2
    far = _far(pooled, reached.num_examples, reached.num_examples)
    if found.linear - reached.accuracy > far and found.linear_balanced_accuracy - balanced_accuracy > far:
        text = f"{split} accuracy {percent(reached.accuracy)}, a linear model {percent(found.linear)}: {advice}"
        return Finding(BELOW_LINEAR, "warning", Evidence(text, reached.accuracy, found.linear))
    learned_nothing = reached.accuracy <= found.majority and balanced_accuracy <= chance + LITTLE * (1 - chance)
    if learned_nothing and reached.num_examples >= FEW:
        text = (
            f"{split} accuracy {percent(reached.accuracy)}, the most common class {percent(found.majority)}: {advice}"
        )
        return Finding(LIKE_THE_MAJORITY, "warning", Evidence(text, reached.accuracy, found.majority))
    return None


def differing(validation: Evaluation, test: Evaluation, config: str) -> Finding | None:
    """Return the finding for a run whose validation and test accuracy are further apart than chance explains, or None.

    It says that the splits differ, not which network is better: nothing is chosen by it.
    """
    counts = [split.effective_count or split.num_examples for split in (validation, test)]
    pooled = (validation.accuracy * counts[0] + test.accuracy * counts[1]) / sum(counts)
    gap, far = abs(validation.accuracy - test.accuracy), _far(pooled, *counts)
    if gap <= far:
        return None
    text = f"validation accuracy {percent(validation.accuracy)}, test accuracy {percent(test.accuracy)}"
    return Finding(SPLITS_DIFFER, "warning", Evidence(f"{text}: run `{shell_command('audit', config)}`", gap, far))


def _far(share: float, *counts: float) -> float:
    """Return the gap between two accuracies around `share`, of so many examples each, that is worth a warning."""
    noise = math.sqrt(share * (1 - share) * sum(1 / count for count in counts))
    return max(FAR, DEVIATIONS * noise)
