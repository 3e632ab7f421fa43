"""Tests of all metrics against scikit-learn, and of a metric that a test adds to the family."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, judged, loaded, trainer_of
from sklearn import metrics as sklearn_metrics

from nnclassify.cli.text import comparison_text, result_text
from nnclassify.config.run_config import validate
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.diagnosis.check import diagnose
from nnclassify.errors import ConfigError, DataError
from nnclassify.evaluation.metrics import METRICS, Metric, MetricInputs, balanced_accuracy, measured
from nnclassify.inference.compare import compare
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.inference.plots.save import curves
from nnclassify.losses import Bce, CrossEntropy
from nnclassify.run import train
from nnclassify.runs.checkpoint import load_checkpoint

Expected = Callable[[Any, Any, Any], float]


def auc(true: Any, said: Any, shares: Any) -> float:
    """Of two classes from the second's probability; of more, each against the rest."""
    two = shares.shape[1] == 2 and true.ndim == 1
    return float(sklearn_metrics.roc_auc_score(true, shares[:, 1] if two else shares, multi_class="ovr"))


def top_5(true: Any, said: Any, shares: Any) -> float:
    return float(sklearn_metrics.top_k_accuracy_score(true, shares, k=5, labels=range(shares.shape[1])))


def by_class(true: Any, said: Any, shares: Any) -> float:
    """With multi-hot targets, the mean over the classes."""
    if true.ndim == 1:
        return float(sklearn_metrics.balanced_accuracy_score(true, said))
    pairs = zip(true.T, said.T, strict=True)
    return float(np.mean([sklearn_metrics.balanced_accuracy_score(*pair) for pair in pairs]))


EXPECTED: dict[str, Expected] = {
    "accuracy": lambda true, said, shares: sklearn_metrics.accuracy_score(true, said),
    "balanced_accuracy": by_class,
    "f1_macro": lambda true, said, shares: sklearn_metrics.f1_score(true, said, average="macro"),
    "f1_micro": lambda true, said, shares: sklearn_metrics.f1_score(true, said, average="micro"),
    "hamming_loss": lambda true, said, shares: sklearn_metrics.hamming_loss(true, said),
    "top_5_accuracy": top_5,
    "roc_auc": auc,
    "matthews_corrcoef": lambda true, said, shares: sklearn_metrics.matthews_corrcoef(true, said),
    "log_loss": lambda true, said, shares: sklearn_metrics.log_loss(true, shares, labels=range(shares.shape[1])),
}


@pytest.mark.parametrize("name", [name for name in METRICS if name != "loss"])
@pytest.mark.parametrize(("num_classes", "multi_hot"), [(2, False), (3, False), (8, False), (2, True), (4, True)])
def test_metric_is_that_of_scikit_learn(name: str, num_classes: int, multi_hot: bool) -> None:
    metric = METRICS[name]
    if metric.refuses(is_multi_hot=multi_hot, num_classes=num_classes) is not None:
        return
    for decimals in (9, 9 if name == "top_5_accuracy" else 0):  # scikit-learn breaks ties the other way round
        one = judged(num_classes, multi_hot=multi_hot, decimals=decimals)
        shares = one.probabilities.numpy()
        if name == "log_loss":  # scikit-learn warns where they do not sum to 1 within rounding of float64
            shares = shares.astype(np.float64) / shares.sum(axis=1, keepdims=True, dtype=np.float64)
        expected = EXPECTED[name](one.targets.numpy(), one.predictions.numpy(), shares)
        assert metric.compute(one) == pytest.approx(expected, abs=1e-6)


def test_metrics_by_hand() -> None:
    outputs, targets = torch.tensor([[2.0, 1.0], [1.0, 1.0], [0.0, 3.0], [5.0, 0.0]]), torch.tensor([0, 1, 1, 0])
    values, undefined = measured(MetricInputs(outputs, targets, CrossEntropy().build([2, 2])), ["a", "b"])
    assert not undefined and "top_5_accuracy" not in values and "hamming_loss" not in values
    assert (values["accuracy"], values["balanced_accuracy"], values["roc_auc"]) == (0.75, 0.75, 1.0)
    assert values["f1_macro"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert values["matthews_corrcoef"] == pytest.approx(1 / 3**0.5)


def test_one_class_has_no_auc_and_says_so() -> None:
    outputs, targets = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([0, 0])
    values, undefined = measured(MetricInputs(outputs, targets, CrossEntropy().build([2, 2])), ["cat", "dog"])
    assert undefined == {"roc_auc": "no example is of class 'dog'"} and values["matthews_corrcoef"] == 0.0
    assert all(np.isfinite([*values.values()]))
    several = MetricInputs(torch.rand(3, 2), torch.tensor([[1, 0], [1, 1], [1, 0]]), Bce().build_multi_hot(2))
    assert measured(several, ["cat", "dog"])[1] == {"roc_auc": "none or all of the examples are of class 'cat'"}


def test_probabilities_of_zero_and_one_have_a_finite_log_loss() -> None:
    outputs, targets = torch.tensor([[0.0, 200.0], [200.0, 0.0]]), torch.tensor([0, 0])
    one = MetricInputs(outputs, targets, CrossEntropy().build([1, 1]))
    expected = sklearn_metrics.log_loss([0, 0], one.probabilities.numpy(), labels=[0, 1])
    assert METRICS["log_loss"].compute(one) == pytest.approx(expected, rel=1e-5)


def test_decisions_about_classes_are_the_examples() -> None:
    predictions, targets = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2])
    assert balanced_accuracy(predictions, targets) == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    "name",
    [
        *("balanced_accuracy", "log_loss"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("f1_macro", "roc_auc", "matthews_corrcoef")),
    ],
)
def test_the_best_epoch_is_that_of_the_metric(here: Path, name: str) -> None:
    result = train(loaded(config_of(dataset="iris", select_by=name, epochs=4, optimizer={"name": "sgd", "lr": 0.5})))
    values = [row.validation_metric for row in result.rows]
    assert all(value is not None for value in values)
    choose = max if METRICS[name].higher_is_better else min
    assert values[result.best_epoch - 1] == choose(value for value in values if value is not None)
    validation = splits_of(result.classifier).validation
    assert validation is not None
    as_selected = evaluate(result.classifier.calibrated(None), validation).metrics[name]
    assert as_selected == pytest.approx(values[result.best_epoch - 1])
    calibrated = evaluate(result.classifier, validation).metrics[name]
    assert result.figures()["validation"][name] == pytest.approx(calibrated)
    assert load_checkpoint(result.folder.last).history[-1]["validation_metric"] == values[-1]


def test_rows_have_their_usual_keys_where_nothing_else_is_selected_by(here: Path) -> None:
    result = train(loaded(config_of(select_by="loss", dataset="iris")))
    assert "validation_metric" not in json.loads(result.folder.history.read_text().splitlines()[0])


def test_a_result_has_every_metric_of_validation_as_of_test(here: Path) -> None:
    train(loaded(config_of(dataset="iris", select_by="roc_auc")))
    reached = json.loads(Path("checkpoints/test/result.json").read_text())
    assert reached["validation"].keys() == reached["test"].keys() >= {"f1_macro", "roc_auc", "log_loss"}
    (run,) = compare(["test"])
    assert run.metrics["validation"] == {
        name: value for name, value in reached["validation"].items() if value is not None
    }
    assert comparison_text([run]).splitlines()[0].endswith("validation ROC AUC  test ROC AUC")


def test_a_metric_is_added_in_one_place(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Metric("toy", "toy score", lambda one: float(one.predictions.double().mean()), higher_is_better=False)
    monkeypatch.setitem(METRICS, "toy", toy)
    result = train(loaded(config_of(dataset="iris", select_by="toy")))
    reached = json.loads(result.folder.result.read_text())
    assert reached["validation"]["toy"] == min(row.validation_metric or 9.0 for row in result.rows)
    assert f", toy score {reached['test']['toy']:.4f}" in result_text(result, with_plots=False)
    assert "toy score" in [axes.get_title() for axes in curves(result.rows, 1, "run", "toy").axes]
    (run,) = compare(["test"])
    assert run.metrics["test"]["toy"] == reached["test"]["toy"]
    assert "validation toy score  test toy score" in comparison_text([run])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"select_by": "f1"}, "select_by: found 'f1', expected one of loss, accuracy, balanced_accuracy, f1_macro, "),
        ({"select_by": 3}, "select_by: found 3, expected one of loss, accuracy"),
        ({"select_by": "f1_micro"}, "select_by: f1_micro needs multi-hot targets, but every example has one class"),
        (
            {"select_by": "roc_auc", "dataset": {"name": "iris", "validation": 0}},
            "found 'roc_auc', which needs a validation split",
        ),
    ],
)
def test_what_cannot_be_selected_by_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        validate(YamlSource("a.yaml", {"dataset": "iris", "model": "mlp", **values}))
    assert message in str(error.value)


def test_a_metric_without_a_value_in_validation_is_refused_before_training() -> None:
    with pytest.raises(DataError, match=r"^select_by: top_5_accuracy needs at least 6 classes, but there are 3"):
        trainer_of(dataset="iris", select_by="top_5_accuracy")
    blobs = {"name": "blobs", "num_examples": 30, "validation": 0.04}
    what = r"select_by: roc_auc has no value on the validation split, where no example"
    with pytest.raises(DataError, match=what):
        trainer_of(dataset=blobs, select_by="roc_auc")
    with pytest.raises(DataError, match=what):  # `check` says the same, before any trial
        diagnose(loaded(config_of(dataset=blobs, select_by="roc_auc")))
