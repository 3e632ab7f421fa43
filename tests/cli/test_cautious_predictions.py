"""`predict` that abstains, gives sets and marks what is unlike the training data: in text, CSV and JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from builders import config_of, loaded
from typer.testing import CliRunner, Result

from nnclassify import run
from nnclassify.cli.main import app
from nnclassify.cli.text import evaluation_text, prediction_line, prediction_rows
from nnclassify.errors import InputError
from nnclassify.inference.calibrate import calibration_facts, calibration_figures
from nnclassify.inference.explained import EvaluateCalibration, ExplainedEvaluation
from nnclassify.inference.predict import Prediction
from nnclassify.inference.predictions import Predicted

BLOBS = {"name": "blobs", "num_examples": 300, "num_test": 60, "std": 1.2, "validation": 0.4}


def inputs_of(trained: run.RunResult) -> list[str]:
    """Forty training examples, and one that is nowhere near them."""
    rows = trained.components.splits.train.select(torch.arange(40))[0].tolist()
    return [*(f"{row[0]:.6f},{row[1]:.6f}" for row in rows), "900,900"]


def predict(trained: run.RunResult, *options: str) -> Result:
    arguments = ["predict", "--run", str(trained.folder.path), *options, "--", *inputs_of(trained)]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.fixture
def trained(here: Path) -> run.RunResult:
    return run.train(loaded(config_of(dataset=BLOBS, epochs=4)))


def test_a_line_says_what_is_unsure_in_a_set_and_unlike_the_data() -> None:
    top = (("a", 0.6), ("b", 0.4))
    assert prediction_line(Prediction("x", top, unsure=True)) == "x: unsure (a 60.0%, b 40.0%)"
    assert (
        prediction_line(Prediction("x", top[:1], unsure=False, unlike=True)) == "x: a 60.0%; unlike the training data"
    )
    assert prediction_line(Prediction("x", top, classes=("a", "b"), unlike=False)) == "x: a 60.0%, b 40.0%; set: a, b"


def test_columns_are_those_of_what_is_known() -> None:
    top = (("a", 0.6), ("b", 0.4))
    rows = [*prediction_rows([Prediction("x", error="x: damaged"), Prediction("y", top, unsure=True, classes=("a",))])]
    assert rows[0] == ["input", "label", "probability", "unsure", "in_set"]
    assert rows[1:] == [["y", "a", "0.600000", "1", "1"], ["y", "b", "0.400000", "1", "0"]]
    assert next(prediction_rows([Prediction("y", top[:1], unlike=False)]))[3:] == ["unlike"]


@pytest.mark.slow
def test_text_csv_json_and_python_agree(trained: run.RunResult) -> None:
    answers = trained.classifier.predict(inputs_of(trained), min_confidence=0.7, sets=0.95)
    assert answers[-1].unlike and not answers[0].unlike and {answer.unsure for answer in answers} == {True, False}
    options = ("--min-confidence", "0.7", "--sets", "0.95")
    assert predict(trained, *options).stdout.splitlines() == [*map(prediction_line, answers)]
    told = json.loads(predict(trained, *options, "--json").stdout)["predictions"]
    assert [(one["unsure"], one["unlike"]) for one in told] == [(one.unsure, one.unlike) for one in answers]
    assert [tuple(one["set"]) for one in told] == [one.classes for one in answers]
    summary = predict(trained, *options, "--save-csv", "p.csv").stdout
    with Path("p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    num_unsure = sum(answer.unsure is True for answer in answers)
    assert len({row["input"] for row in rows if row["unsure"] == "1"}) == num_unsure
    assert {row["label"] for row in rows if row["in_set"] == "1" and row["input"] == answers[0].input} == set(
        answers[0].classes or ()
    )
    assert f"; unsure {num_unsure}" in summary and "unlike the training data: " in summary


def test_a_confidence_needs_no_calibration_and_an_impossible_wish_is_refused(trained: run.RunResult) -> None:
    shares = [answer.probability for answer in trained.classifier.predict(inputs_of(trained))]
    answers = trained.classifier.predict(inputs_of(trained), min_confidence=0.7)
    assert [answer.unsure for answer in answers] == [share < 0.7 for share in shares]
    for (confidence, risk, sets), message in (
        (
            (None, 1e-6, None),
            r"risk: found 1e-06, but .* 120 .* no risk below (.*)\.(\d)%; set at least 0\.\d+, or use a larger",
        ),
        ((None, None, 0.999), r"sets: found 0.999, but with 120 validation examples.* set at most 0\.991"),
        ((0.5, 0.1, None), "min_confidence and risk: found both"),
    ):
        with pytest.raises(InputError, match=message):
            trained.classifier.caution(confidence, risk, sets)
    with pytest.raises(InputError, match="risk: found 2, expected"):
        predict(trained, "--risk", "2")


def test_evaluate_says_how_far_probabilities_can_be_trusted(trained: run.RunResult) -> None:
    examples = trained.components.splits.test
    assert trained.test is not None and examples is not None
    predicted, classifier = Predicted("test", examples, trained.test), trained.classifier
    figures: EvaluateCalibration = {**calibration_facts(classifier), **calibration_figures(classifier, trained.test)}
    text = evaluation_text(trained.folder.best, "test", ExplainedEvaluation(predicted, figures))
    assert f"calibrated at temperature {classifier.loss_fn.temperature:.3g}: expected calibration error" in text
    assert "sets (--sets 0.9) contain the true class for" in text
    plain = classifier.calibrated(None)
    figures = {**calibration_facts(plain), **calibration_figures(plain, trained.test)}
    assert "not calibrated (the checkpoint has no calibration): expected" in evaluation_text(
        trained.folder.best, "test", ExplainedEvaluation(predicted, figures)
    )
