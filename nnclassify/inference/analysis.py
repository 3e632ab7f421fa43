"""Everything that is computed once a run has been trained: from its `best.pt`, read back from disk, and its splits.

The outputs of the validation and the test split are computed once and passed on. To add an analysis, write a function
of `FinishedRun` and add it to `ANALYSES`: its result is a key of `result.json` and of `train --json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnclassify.data import Splits
from nnclassify.errors import one_line
from nnclassify.evaluation.baselines import Baselines, FittedBaselines
from nnclassify.inference.calibrate import calibrated_on, calibration_facts, calibration_figures, was_calibrated
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate, evaluated
from nnclassify.inference.failures import slices_of, slicing_properties
from nnclassify.inference.predictions import Predicted, write_predictions
from nnclassify.process import release_memory
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.looks import look
from nnclassify.training.history import Row


@dataclass(frozen=True)
class FinishedRun:
    """A trained network and what it predicts for the examples that it was not trained on.

    Attributes:
        folder: The run folder.
        classifier: The classifier loaded from `best.pt`, calibrated if there is a validation split to do so.
        splits: The splits of the run, without the test split if the config has `show_test: off`.
        validation: The validation split and its evaluation; None without one, or if its loss was not finite in
            training. It is the test split if the config says `validation: test`.
        test: The test split and its evaluation; None without one.
        baselines: The baselines on the test split; None without one, or if they could not be computed.
        judged: What findings are about: the first that exists of a validation split of its own, test and train. People
            choose by findings, and nothing is chosen by the test split where there is another one.
        judged_baselines: The baselines on that split; None if they could not be computed.
        is_new: Whether anything was trained; False if a finished run was resumed.
        note: Called with each note, one line.
    """

    folder: RunFolder
    classifier: Classifier
    splits: Splits
    validation: Predicted | None
    test: Predicted | None
    baselines: Baselines | None
    judged: Predicted
    judged_baselines: Baselines | None
    is_new: bool
    note: Callable[[str], None]

    def analyzed(self) -> dict[str, Any]:
        """Return the result of each of the `ANALYSES` by its key, for JSON; and write `predictions.csv`."""
        if self.is_new or not self.folder.predictions.is_file():
            _save_predictions(self)
        return {key: analysis(self) for key, analysis in ANALYSES.items()}


def finished_run(
    folder: RunFolder,
    classifier: Classifier,
    splits: Splits,
    best: Row,
    *,
    is_new: bool,
    note: Callable[[str], None],
) -> FinishedRun:
    """Evaluate the classifier on the validation and test splits, calibrate it, and compute the baselines.

    Args:
        folder: The run folder.
        classifier: The classifier loaded from `best.pt`, which keeps the calibration too.
        splits: The splits of the run.
        best: The row of the best epoch in the history.
        is_new: See `FinishedRun`.
        note: See `FinishedRun`.

    Raises:
        TrainingError: The loss of an example is not finite.
    """
    if not classifier.config.show_test:
        splits = replace(splits, test=None)
    validation = None
    if splits.validation is not None and _is_calibration_split(splits, best):
        outputs, features = classifier.outputs_and_features(splits.validation)
        targets = splits.validation.all_targets()
        if classifier.calibration is None and (is_new or was_calibrated(folder)):
            classifier = calibrated_on(classifier, outputs, features, targets, splits.train)
        evaluation = evaluated(classifier, outputs, features, splits.validation)
        validation = Predicted("validation", splits.validation, evaluation)
    test = None if splits.test is None else Predicted("test", splits.test, evaluate(classifier, splits.test))
    judged = validation or test or Predicted("train", splits.train, evaluate(classifier, splits.train))
    release_memory()
    found, of_judged = _baselines(classifier, splits, test, judged, note)
    release_memory()
    validation = test if splits.validation_is_test else validation
    return FinishedRun(folder, classifier, splits, validation, test, found, judged, of_judged, is_new, note)


def _is_calibration_split(splits: Splits, best: Row) -> bool:
    """Return whether the validation split is not the test split, and its loss was finite in training."""
    return not splits.validation_is_test and best.validation_loss is not None and math.isfinite(best.validation_loss)


def _baselines(
    classifier: Classifier, splits: Splits, test: Predicted | None, judged: Predicted, note: Callable[[str], None]
) -> tuple[Baselines | None, Baselines | None]:
    """Compute the baselines on the test split and on the one that findings are about.

    They are None, with a note, if that fails: the result of the run does not depend on them.
    """
    try:
        fitted, with_boosted = FittedBaselines.fit(splits, classifier.transform), classifier.config.with_boosted()
        found = None
        if test is not None:
            found = fitted.evaluated(test.examples, test.evaluation.predictions, with_boosted=with_boosted)
        return found, found if judged is test else fitted.evaluated(judged.examples, judged.evaluation.predictions)
    except (MemoryError, RuntimeError) as cause:  # torch has no memory, or the equations no solution
        note(f"no baselines: {one_line(cause)}")
        return None, None


def _save_predictions(run: FinishedRun) -> None:
    """Write what `best.pt` predicts for the validation and test examples, where there are such splits."""
    evaluated = [run.test] if run.validation is run.test else [run.validation, run.test]
    predicted = [split for split in evaluated if split is not None]
    if predicted:
        write_predictions(run.folder.predictions, predicted, run.classifier.class_names)


def _num_examples(run: FinishedRun) -> dict[str, int]:
    return {name: len(examples) for name in ("train", "validation", "test") if (examples := run.splits.split(name))}


def _intervals(run: FinishedRun) -> dict[str, dict[str, tuple[float, float]] | None]:
    """Return the 95% interval of each metric, by split and by name."""
    evaluated = {"validation": run.validation, "test": run.test}
    return {name: None if split is None else split.evaluation.intervals for name, split in evaluated.items()}


def _test_looks(run: FinishedRun) -> int | None:
    """Return how many networks have looked at the test split, this one included."""
    if run.test is None:
        return None
    return look(run.folder.best, run.classifier.model.state_dict(), run.test.examples.digest(), run.note)


def _slices(run: FinishedRun) -> list[dict[str, Any]] | None:
    predicted = run.test or run.validation
    if predicted is None:
        return None
    dataset = run.classifier.config.dataset
    properties = slicing_properties(run.classifier, predicted.split, predicted.examples, dataset)
    return [part.figures() for part in slices_of(predicted, properties)]


def _calibration(run: FinishedRun) -> dict[str, Any]:
    """Return the temperature and how far the probabilities can be trusted; or the reason why there is none."""
    splits = {"validation": None if run.validation is run.test else run.validation, "test": run.test}
    return calibration_facts(run.classifier) | {
        name: None if split is None else calibration_figures(run.classifier, split.evaluation)
        for name, split in splits.items()
    }


ANALYSES: Mapping[str, Callable[[FinishedRun], Any]] = {
    "num_examples": _num_examples,
    "intervals": _intervals,
    "baselines": lambda run: run.baselines,
    "calibration": _calibration,
    "slices": _slices,
    "test_looks": _test_looks,
}
"""The analyses of a run by their key in `result.json`, in the order in which they are done. Each returns what JSON can
represent; None if it does not apply to the run."""
