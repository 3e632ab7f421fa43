"""An evaluation explained: where the network fails, and how far its probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nnclassify.evaluation.baselines import Baselines
from nnclassify.inference.attribution import column_importance
from nnclassify.inference.calibrate import CalibrationFacts, SplitCalibration, calibration_facts, calibration_figures
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.evaluation_examples import EvaluationExamples, evaluate_chosen, recorded_baselines
from nnclassify.inference.failures import Failures, failures_of, slicing_properties
from nnclassify.inference.predictions import Predicted


class EvaluateCalibration(CalibrationFacts, SplitCalibration):
    """The calibration of a run, and how far its probabilities can be trusted on a split."""


@dataclass(frozen=True)
class ExplainedEvaluation:
    """The evaluation of a network on chosen examples.

    Attributes:
        predicted: The examples, and what was predicted for them.
        failures: Where the network fails.
        calibration: How far its probabilities can be trusted.
        baselines: The baselines that the run recorded; None if the examples are not its test split.
    """

    predicted: Predicted
    failures: Failures
    calibration: EvaluateCalibration
    baselines: Baselines | None

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation itself."""
        return self.predicted.evaluation

    def figures(self) -> dict[str, Any]:
        """Return everything except what is stored per example, for JSON."""
        held_against = {"baselines": self.baselines, "test_looks": self.evaluation.test_looks}
        figures = {**self.evaluation.figures(), **held_against, "calibration": self.calibration}
        return {**figures, **self.failures.figures()}


def explained(
    classifier: Classifier,
    chosen: EvaluationExamples,
    columns: Sequence[str],
    note: Callable[[str], None],
    *,
    with_importance: bool,
) -> ExplainedEvaluation:
    """Evaluate a network on examples, and explain the result.

    Args:
        classifier: The trained network.
        chosen: The examples.
        columns: Columns of the table to slice by, besides the features.
        note: Called with why looks at the test split cannot be counted, on one line.
        with_importance: Whether to measure the importance of the columns.

    Raises:
        DataError: There is no such column, or no table.
        InputError: The importance of columns does not apply.
        TrainingError: The loss of an example is not finite.
    """
    # What is asked for may not apply: before the test split has been looked at.
    properties = slicing_properties(classifier, chosen.split, chosen.examples, chosen.dataset, columns)
    importance = column_importance(classifier, chosen.examples) if with_importance else None
    evaluation = evaluate_chosen(classifier, chosen, note)
    predicted = Predicted(chosen.split, chosen.examples, evaluation)
    return ExplainedEvaluation(
        predicted,
        failures_of(classifier, predicted, properties, importance),
        {**calibration_facts(classifier), **calibration_figures(classifier, evaluation)},
        recorded_baselines(classifier.path) if chosen.split == "test" and chosen.is_unchanged else None,
    )
