"""Probable label errors: a classifier that has not seen the example is sure that it is of another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnclassify.data.splitting import Labels
from nnclassify.diagnosis.audit.flags import Flag, Found
from nnclassify.diagnosis.audit.label_errors import Probabilities, label_errors, label_quality
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.own_network import network_probabilities
from nnclassify.diagnosis.audit.pages import WRONG_LABELS
from nnclassify.diagnosis.audit.probabilities import FOLDS, boosted_probabilities, fold_of_each, linear_probabilities
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.errors import counted
from nnclassify.evaluation.percent import percent

SURE = 0.9
"""Accuracy below which most of the labels that a classifier disagrees with are right, where few labels are wrong."""
FEWEST = 5 * FOLDS
"""With fewer examples, no classifier can tell a wrong label."""
GOOD = 0.3
"""Fraction of the way from chance to 1 that the balanced accuracy must reach: a classifier that hardly learns the
labels cannot judge them."""


@dataclass(frozen=True)
class Judged:
    """Out-of-fold probabilities of some examples.

    Attributes:
        rows: The examples, counted over all splits.
        probabilities: `(len(rows), K)`.
        how: The classifier, in words.
        disagree: The verb that goes with it.
    """

    rows: Labels
    probabilities: Probabilities
    how: str
    disagree: str


def wrong_labels(material: Material) -> Found:
    """Find them in all splits together, so that no split is judged by few examples."""
    if (refused := _refusal(material)) is not None:
        return Found(notes=[f"label errors were not checked for: {refused}"])
    judged = out_of_fold(material)
    targets = material.targets[judged.rows]
    predicted = judged.probabilities.argmax(axis=1)
    recalls = [float((predicted == target)[targets == target].mean()) for target in np.unique(targets)]
    reached, chance = float(np.mean(recalls)), 1 / len(recalls)
    if reached < chance + GOOD * (1 - chance):
        text = f"the balanced accuracy of {judged.how} is only {percent(reached)}, too low to judge the labels"
        return Found(notes=[f"label errors were not checked for: {text}"])
    found = label_errors(judged.probabilities, targets)
    quality = label_quality(judged.probabilities, targets)
    flags = [
        Flag("label_error", int(judged.rows[row]), 1 - float(quality[row]), int(predicted[row]), detail=judged.how)
        for row in found.tolist()
    ]
    share = len(found) / len(targets)
    text = f"{counted(len(found), 'label')} ({percent(share)}) may be wrong: {judged.how}"
    accuracy = float((predicted == targets).mean())
    text += f", right on {percent(accuracy)} of unseen examples, {judged.disagree} with them"
    text += "; most are probably hard examples, because this classifier is often wrong" if accuracy < SURE else ""
    findings = [Finding(WRONG_LABELS, "note", Evidence(text, share, 0.0), path="dataset")] if flags else []
    return Found(findings, flags)


def _refusal(material: Material) -> str | None:
    if material.is_multi_hot:
        return "an example may have several classes"
    if len(material) < FEWEST:
        return f"{counted(len(material), 'example')}; expected at least {FEWEST}"
    return None


def out_of_fold(material: Material) -> Judged:
    """Return what a classifier says of each example that it was not trained on; equal examples are in one fold.

    Images are classified by ridge regression on features of their patches, tables by gradient-boosted trees, and either
    by the network of the config if that is asked for.
    """
    rows, targets = np.arange(len(material)), material.targets
    groups = material.hashes
    if material.with_network:
        material.progress.start("label errors", FOLDS)
        folds, config = fold_of_each(targets, groups), material.loaded.config.completed()
        found = network_probabilities(config, material.splits, material.examples, folds, material.progress.advance)
        return Judged(rows, found.numpy(), "the network of the config", "disagrees")
    if material.is_images:
        material.progress.start("features", len(material))
        features = material.features
        material.progress.start("label errors", FOLDS)
        found = linear_probabilities(features, targets, material.splits.num_classes, groups, material.progress.advance)
        return Judged(rows, found.double().numpy(), "a linear model of image patches", "disagrees")
    material.progress.start("label errors", FOLDS)
    found = boosted_probabilities(
        material.tree_columns, targets, material.splits.num_classes, groups, material.progress.advance
    )
    return Judged(rows, found.double().numpy(), "gradient-boosted trees", "disagree")
