"""What the page about a run shows of how sure the network is: its calibration, and what it could leave unanswered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch

from nnclassify.errors import counted
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.reliability import Bin, confidence_bins, expected_calibration_error
from nnclassify.inference.display_names import readable
from nnclassify.inference.report.contents import RunContents, at, number_at
from nnclassify.inference.report.scored import Scored

MISCALIBRATED = 0.02
"""Difference between mean confidence and accuracy that is worth a word."""
SURE_SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)
"""The most confident shares of the examples whose accuracy is shown."""
LEVELS = {"0.9": "90%", "0.95": "95%", "0.99": "99%"}
"""The coverages of prediction sets, as JSON has them."""
FEW_IN_BIN = 5
"""Under this many examples, a dot of the reliability diagram is faint."""
MAX_LEVEL, MAX_REASON = 28, 200
"""Maximum width of what a damaged result may hold in place of a level or of a reason."""


def confidence_section(run: RunContents, scored: Scored) -> dict[str, Any]:
    """Return how sure the network is and how often it is then right: the whole section."""
    of_split = at(run.result, "calibration", scored.split)
    confidences = torch.tensor(scored.confidences, dtype=torch.float64)
    bins = confidence_bins(confidences, torch.tensor(scored.is_correct))
    before = _recorded_bins(at(of_split, "bins_before"), len(scored)) if at(of_split, "bins_after") is not None else []
    sure, right = sum(scored.confidences) / len(scored), sum(scored.is_correct) / len(scored)
    gap = sure - right
    verdict = "about as sure as it should be"
    if abs(gap) >= MISCALIBRATED:
        verdict = "surer than it should be" if gap > 0 else "less sure than it could be"
    return {
        "text": f"On average the network is {percent(sure)} sure of its answer, and it is right {percent(right)} of "
        f"the time: it is {verdict}. Expected calibration error: {percent(expected_calibration_error(bins))}.",
        "bins": [_dot(one, len(scored)) for one in bins],
        "before": [_dot(one, len(scored)) for one in before],
        "surest": list(surest(scored.confidences, scored.is_correct, SURE_SHARES)),
        "sets": list(_sets(of_split)),
        "temperature": _temperature(run, scored.split),
        "table": list(_scaling(run)),
    }


def _recorded_bins(found: Any, count: int) -> list[Bin]:
    """Return the bins of `count` examples that a result has, without those that may be of no such result."""
    rows = found if isinstance(found, list) else []
    whole = [row for row in rows if isinstance(row, list) and [type(value) for value in row] == [int, float, float]]
    return [Bin(*row) for row in whole if 0 <= row[0] <= count and all(0 <= share <= 1 for share in row[1:])]


def _dot(one: Bin, count: int) -> dict[str, Any]:
    examples = counted(one.num_examples, "example")
    text = f"{percent(one.confidence)} sure on average: {examples}, {percent(one.accuracy)} right"
    kind = "few" if one.num_examples < FEW_IN_BIN else ""
    shown = {"num_examples": one.num_examples, "confidence": one.confidence, "accuracy": one.accuracy}
    return {**shown, "radius": 2.5 + 7 * math.sqrt(one.num_examples / count), "text": text, "kind": kind}


def surest(
    confidences: Sequence[float], is_correct: Sequence[bool], shares: Sequence[float]
) -> Iterator[dict[str, float]]:
    """Yield each share with the lowest confidence and the accuracy of as many of the most confident examples, at least
    one."""
    ranked = sorted(zip(confidences, is_correct, strict=True), reverse=True)
    right = [0, *accumulate(is_right for _, is_right in ranked)]
    for share in shares:
        count = max(1, round(share * len(ranked)))
        yield {"share": share, "lowest": ranked[count - 1][0], "accuracy": right[count] / count}


def _sets(of_split: Any) -> Iterator[dict[str, str]]:
    """Yield how often prediction sets hold the true class, and how many classes they hold."""
    found = at(of_split, "sets")
    for level in found if isinstance(found, dict) else ():
        coverage, size = (number_at(found, level, key) for key in ("coverage", "mean_size"))
        if coverage is not None and size is not None:
            yield {
                "level": LEVELS.get(level, readable(level, MAX_LEVEL)),
                "coverage": percent(coverage),
                "size": f"{size:.2f}",
            }


def _temperature(run: RunContents, split: str) -> str:
    temperature = number_at(run.result, "calibration", "temperature")
    if temperature == 1:
        return "The probabilities are those of the network: the validation split does not suggest a better temperature."
    if temperature is not None:
        text = f"The probabilities are calibrated: temperature {temperature:.3g}, fitted to the validation split."
        same = " These figures come from the same examples, so they are a little too good."
        return text + same if split == "validation" else text
    reason = at(run.result, "calibration", "reason")
    return f"Not calibrated: {readable(reason, MAX_REASON)}." if isinstance(reason, str) else ""


def _scaling(run: RunContents) -> Iterator[dict[str, str]]:
    """Yield the errors of the probabilities before and after temperature scaling."""
    names = {"ece": "expected calibration error", "brier": "Brier score", "log_loss": "log loss"}
    for split in ("validation", "test"):
        for key, name in names.items():
            before, after = (number_at(run.result, "calibration", split, when, key) for when in ("before", "after"))
            if before is not None and after is not None:
                yield {"split": split, "name": name, "before": f"{before:.4f}", "after": f"{after:.4f}"}


def confidence_gap(run: RunContents) -> str:
    """Return why the section is not shown."""
    if run.scored is not None:
        return "Not shown for examples that may belong to several classes."
    return "Not known: there are no predictions."
