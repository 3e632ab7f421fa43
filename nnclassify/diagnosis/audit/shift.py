"""Whether the test split is of another kind than the training split: whether a classifier can tell them apart."""

from __future__ import annotations

import math

import numpy as np
import torch

from nnclassify.data.splitting import Labels
from nnclassify.diagnosis.audit.flags import Found
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.pages import OTHER_KIND
from nnclassify.diagnosis.audit.probabilities import boosted_probabilities, linear_probabilities
from nnclassify.diagnosis.findings import Evidence, Finding, Severity
from nnclassify.errors import counted

MOST, FEWEST = 5000, 50
"""Examples of each split: as many are enough to tell an AUC of 0.5 from one of 0.53."""
CLEARLY, STRONGLY = 0.55, 0.8
"""The lower end of the 95% interval of the AUC from which on the splits differ, and differ much."""
DEVIATIONS = 1.96


def shift(material: Material) -> Found:
    """Compare the training with the test split."""
    names = material.split_names
    if "test" not in names:
        return Found(notes=["train and test are not compared: there is no test split"])
    train, test = (_some(np.flatnonzero(material.parts == names.index(name))) for name in ("train", "test"))
    if min(len(train), len(test)) < FEWEST:
        smallest = counted(min(len(train), len(test)), "example")
        return Found(notes=[f"train and test are not compared: one has {smallest}; expected at least {FEWEST}"])
    rows = np.concatenate([train, test])
    is_test = np.repeat([0, 1], [len(train), len(test)])
    classify = linear_probabilities if material.is_images else boosted_probabilities
    inputs = material.features if material.is_images else material.tree_columns
    scores = classify(inputs[torch.from_numpy(rows)], is_test, 2, material.hashes[rows])[:, 1].double().numpy()
    area, error = area_under_curve(scores, is_test)
    low, high = max(0.0, area - DEVIATIONS * error), min(1.0, area + DEVIATIONS * error)
    if low < CLEARLY:
        return Found()
    text = f"a classifier tells test from training examples with an AUC of {area:.2f} (95% interval {low:.2f} to"
    text += f" {high:.2f}; 0.5 is chance)"
    severity: Severity = "warning" if low >= STRONGLY else "note"
    return Found([Finding(OTHER_KIND, severity, Evidence(text, area, CLEARLY), path="dataset")])


def _some(rows: Labels) -> Labels:
    return rows[np.linspace(0, len(rows) - 1, min(MOST, len(rows))).astype(np.int64)]


def area_under_curve(scores: np.ndarray, is_positive: Labels) -> tuple[float, float]:
    """Return the area under the ROC curve and its standard error by Hanley and McNeil, 1982."""
    from sklearn.metrics import roc_auc_score

    area = float(roc_auc_score(is_positive, scores))
    positives, negatives = int(is_positive.sum()), int(len(is_positive) - is_positive.sum())
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (both_above - area**2) + (negatives - 1) * (both_below - area**2)
    return area, math.sqrt(max(0.0, variance) / (positives * negatives))
