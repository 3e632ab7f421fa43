import pytest
import torch
from torch import Tensor

from nnclassify.diagnosis.monitor.end_of_run import compared, differing
from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.confusion import class_reports, confusion_matrix
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.evaluation.metrics import balanced_accuracy
from nnclassify.inference.evaluate import Evaluation


def evaluation(predictions: Tensor, targets: Tensor) -> Evaluation:
    confusion = confusion_matrix(predictions, targets, 2)
    num_correct, count = int((predictions == targets).sum()), len(targets)
    nothing = torch.zeros(count)
    reports = class_reports(confusion, ["a", "b"])
    by_class = balanced_accuracy(predictions, targets)
    metrics = {"loss": 0.5, "accuracy": num_correct / count, "balanced_accuracy": by_class}
    interval = {"accuracy": wilson_interval(num_correct, count)}
    return Evaluation(count, metrics, interval, reports, confusion, nothing, nothing, nothing, targets, nothing)


def reached(right_of_0: int, right_of_1: int, of_0: int = 100, of_1: int = 100) -> Evaluation:
    targets = torch.tensor([0] * of_0 + [1] * of_1)
    predictions = torch.tensor(
        [0] * right_of_0 + [1] * (of_0 - right_of_0) + [1] * right_of_1 + [0] * (of_1 - right_of_1)
    )
    return evaluation(predictions, targets)


@pytest.mark.parametrize(
    ("net", "linear", "majority", "linear_balanced_accuracy", "told"),
    [
        (reached(55, 55), 0.98, 0.5, 0.98, "NN613"),  # 55% where a line has 98%
        (reached(100, 0), 0.5, 0.5, 0.5, "NN614"),  # XOR: a line knows nothing either
        (reached(100, 100), 0.5, 0.5, 0.5, None),
        (reached(75, 75), 0.5, 0.5, 0.5, None),  # one unit on XOR: better than both
        (reached(70, 70), 0.74, 0.5, 0.74, None),  # a noisy table: four points are no failure
        (reached(140, 15, 180, 20), 0.92, 0.9, 0.6, None),  # class weights: lower accuracy, better by class
        (reached(180, 0, 180, 20), 0.9, 0.9, 0.5, "NN614"),
    ],
)
def test_a_run_is_held_against_its_baselines(
    net: Evaluation, linear: float, majority: float, linear_balanced_accuracy: float, told: str | None
) -> None:
    finding = compared("validation", net, Baselines(linear, majority, linear_balanced_accuracy), "my net.yaml")
    assert (finding and finding.id) == told
    assert finding is None or "run `nnclassify check 'my net.yaml'`" in finding.evidence.text


def test_few_test_examples_prove_nothing() -> None:
    """3 of 5 against 5 of 5: a difference of two examples."""
    assert compared("validation", reached(2, 1, 3, 2), Baselines(0.9, 0.6, 0.9), "net.yaml") is None
    assert compared("validation", reached(0, 0, 1, 1), Baselines(1.0, 0.5, 1.0), "net.yaml") is None
    assert compared("validation", reached(3, 0, 3, 2), Baselines(0.6, 0.6, 0.5), "net.yaml") is None


def test_examples_of_one_class_prove_nothing() -> None:
    assert compared("validation", reached(16, 0, 20, 0), Baselines(1.0, 1.0, 1.0), "net.yaml") is None


@pytest.mark.parametrize(
    ("validation", "test", "is_told"),
    [
        (reached(100, 100), reached(0, 0), True),
        (reached(50, 50), reached(60, 60), False),  # 10 points
        (reached(90, 90), reached(75, 75), True),  # 15 points, 4 standard deviations
        (reached(18, 18, 20, 20), reached(15, 15, 20, 20), False),  # as many of fewer examples
        (reached(2, 1, 2, 1), reached(0, 0, 2, 2), False),
    ],
)
def test_splits_that_differ_by_more_than_chance_are_told(
    validation: Evaluation, test: Evaluation, is_told: bool
) -> None:
    for pair in ((validation, test), (test, validation)):
        finding = differing(*pair, "net.yaml")
        assert (finding is not None and finding.id == "NN615") == is_told
    assert finding is None or "run `nnclassify audit net.yaml`" in finding.evidence.text
