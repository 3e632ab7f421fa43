"""Calibrate a trained network on its validation split, and measure how far its probabilities can be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import NotRequired

from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.data import Examples
from nnclassify.evaluation.calibration import Calibration
from nnclassify.evaluation.conformal import Coverage, coverage_of
from nnclassify.evaluation.features import Features
from nnclassify.evaluation.novelty import MAX_FIT, Novelty
from nnclassify.evaluation.reliability import Bin, Scores, reliability
from nnclassify.evaluation.selective import RiskCoverage
from nnclassify.files.json_files import read_json
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import Evaluation
from nnclassify.runs.checkpoint import load_checkpoint, save_checkpoint
from nnclassify.runs.folder import RunFolder

COVERAGES = (0.9, 0.95, 0.99)
"""The coverages of prediction sets that are measured."""
MAX_POINTS = 100
"""Maximum number of points of a risk-coverage curve in JSON."""


class CalibrationFacts(TypedDict):
    """The temperature, or the reason why there is none, and the decision threshold."""

    temperature: float | None
    threshold: float | None
    reason: NotRequired[str]


class SplitCalibration(TypedDict):
    """How far the probabilities of a split can be trusted, before and after calibration; see `calibration_figures`."""

    before: Scores
    bins_before: tuple[Bin, ...]
    after: NotRequired[Scores]
    bins_after: NotRequired[tuple[Bin, ...]]
    aurc: NotRequired[float]
    risk_coverage: NotRequired[list[tuple[float, float]]]
    sets: NotRequired[dict[str, Coverage]]
    unlike: NotRequired[float]


def calibrated_on(
    classifier: Classifier, outputs: Tensor, features: Features, targets: Tensor, train: Examples
) -> Classifier:
    """Return the classifier, calibrated on the validation split, and write that into its checkpoint; see
    `fit_calibration`.

    Raises:
        SaveError: The checkpoint could not be written.
    """
    found = fit_calibration(classifier, outputs, features, targets, train)
    if found is None:
        return classifier
    save_checkpoint(classifier.path, replace(load_checkpoint(classifier.path), calibration=found.state()))
    return classifier.calibrated(found)


def fit_calibration(
    classifier: Classifier, outputs: Tensor, features: Features, targets: Tensor, train: Examples
) -> Calibration | None:
    """Calibrate a classifier on its validation split.

    Args:
        classifier: The classifier, not calibrated.
        outputs: Its outputs on the validation split, `(N, num_outputs)`.
        features: Its features there.
        targets: The targets there, `(N,)` or `(N, K)`.
        train: The training split, some of which tells what is like it.

    Returns:
        None if an output is not finite.
    """
    if not outputs.isfinite().all():
        return None
    some = train.subset(train.spaced_rows(MAX_FIT))
    _, of_train = classifier.outputs_and_features(some)
    novelty = Novelty.fit(of_train, some.all_targets(), outputs, features)
    return Calibration.fit(outputs, targets, classifier.loss_fn, classifier.config.evaluation.threshold, novelty)


def was_calibrated(folder: RunFolder) -> bool:
    """Return whether the recorded result of a run is that of a calibrated network."""
    try:
        return read_json(folder.result)["calibration"]["temperature"] is not None
    except (OSError, ValueError, KeyError, TypeError):  # no finished run, or one of an earlier release
        return False


def calibration_facts(classifier: Classifier) -> CalibrationFacts:
    """Return the temperature and the decision threshold, for JSON; or the reason why there is no temperature."""
    calibration, threshold = classifier.calibration, classifier.loss_fn.decision
    if calibration is not None:
        return {"temperature": calibration.temperature, "threshold": threshold}
    validation = classifier.config.dataset.validation
    of_run, of_file = "the run has no validation split of its own", "the checkpoint has no calibration"
    return {"temperature": None, "threshold": threshold, "reason": of_run if validation in (0, "test") else of_file}


def calibration_figures(classifier: Classifier, evaluation: Evaluation) -> SplitCalibration:
    """Return how far the probabilities of a split can be trusted, for JSON.

    These are the scores before and after calibration with the bins of the reliability diagram, and, for one class per
    example, the risk-coverage curve with its area; and if the network is calibrated, the coverage and the mean size
    of prediction sets, and the fraction of examples unlike the training data.
    """
    before = reliability(
        classifier.loss_fn.uncalibrated(evaluation.outputs), evaluation.targets, evaluation.predictions
    )
    figures: SplitCalibration = {"before": before.summary(), "bins_before": before.bins}
    calibration = classifier.calibration
    if calibration is not None:
        after = reliability(evaluation.probabilities, evaluation.targets, evaluation.predictions)
        figures["after"], figures["bins_after"] = after.summary(), after.bins
    if not evaluation.is_multi_hot:
        curve = risk_coverage(evaluation)
        figures["aurc"], figures["risk_coverage"] = curve.area(), curve.thinned(MAX_POINTS).points()
    if calibration is not None and calibration.scores is not None:
        of_level = {level: calibration.scores.sets(evaluation.probabilities, level) for level in COVERAGES}
        figures["sets"] = {str(level): coverage_of(sets, evaluation.targets) for level, sets in of_level.items()}
    if evaluation.is_unlike is not None:
        figures["unlike"] = float(evaluation.is_unlike.double().mean())
    return figures


def risk_coverage(evaluation: Evaluation) -> RiskCoverage:
    """Return the errors on a split by the confidence: the probability of the predicted class."""
    confidence = evaluation.probabilities.gather(1, evaluation.predictions[:, None]).squeeze(1)
    return RiskCoverage.of(confidence, evaluation.predictions == evaluation.targets)
