"""An evaluation explained: where the network fails, and how far its probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.slices import Slice
from nnclassify.inference.attribution import ColumnImportance, column_importance
from nnclassify.inference.calibrate import CalibrationFacts, SplitCalibration, calibration_facts, calibration_figures
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.evaluation_examples import EvaluationExamples, evaluate_chosen, recorded_baselines
from nnclassify.inference.failures import Mistake, named_mistakes, slices_of, slicing_properties
from nnclassify.inference.predictions import Predicted
from nnclassify.inference.table_rows import table_rows


class EvaluateCalibration(CalibrationFacts, SplitCalibration):
    """The calibration of a run, and how far its probabilities can be trusted on a split."""


@dataclass(frozen=True)
class ExplainedEvaluation:
    """The evaluation of a network on chosen examples.

    Attributes:
        predicted: The examples, and what was predicted for them.
        calibration: How far its probabilities can be trusted.
        highest: The mistakes with the highest loss.
        lowest: Of the other mistakes, those with the lowest loss.
        slices: The slices on which it is significantly less accurate than on the other examples.
        importance: The importance of the columns of a table; None if it was not asked for.
        baselines: The baselines that the run recorded; None if the examples are not its test split.
    """

    predicted: Predicted
    calibration: EvaluateCalibration
    highest: Sequence[Mistake] = ()
    lowest: Sequence[Mistake] = ()
    slices: Sequence[Slice] = ()
    importance: Sequence[ColumnImportance] | None = None
    baselines: Baselines | None = None

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation itself."""
        return self.predicted.evaluation

    def figures(self) -> dict[str, Any]:
        """Return everything except what is stored per example, for JSON."""
        return {
            **self.evaluation.figures(),
            "baselines": self.baselines,
            "test_looks": self.evaluation.test_looks,
            "calibration": self.calibration,
            "mistakes": {"highest_loss": self.highest, "lowest_loss": self.lowest},
            "slices": [part.figures() for part in self.slices],
            **({} if self.importance is None else {"importance": self.importance}),
        }


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
        note: Called with why looks at the test split cannot be counted, or rows not be read again, on one line each.
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
    rows_of = partial(table_rows, classifier, chosen.dataset, chosen.split, chosen.examples, note=note)
    highest, lowest = named_mistakes(predicted, classifier.class_names, rows_of)
    return ExplainedEvaluation(
        predicted,
        {**calibration_facts(classifier), **calibration_figures(classifier, evaluation)},
        highest,
        lowest,
        slices_of(predicted, properties),
        importance,
        recorded_baselines(classifier.path) if chosen.split == "test" and chosen.is_unchanged else None,
    )
