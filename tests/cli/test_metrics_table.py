"""The table of metrics: the network with its intervals beside the baselines, as far as each is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import config_of, loaded

from nnclassify import run
from nnclassify.cli.metrics_table import IN_SHORT, metrics_lines
from nnclassify.evaluation.baselines import Baselines
from nnclassify.inference.evaluate import Evaluation

INTERVALS = {"accuracy": (0.5, 0.75), "loss": (0.1, 0.3)}


@pytest.fixture
def evaluation(here: object) -> Evaluation:
    test = run.train(loaded(config_of())).test
    assert test is not None
    metrics = {"loss": 0.25, "accuracy": 0.625, "balanced_accuracy": 0.5}
    return replace(test, num_examples=8, metrics=metrics, intervals=INTERVALS)


def test_a_network_beside_its_baselines(evaluation: Evaluation) -> None:
    found = Baselines(0.5, 0.25, 0.375, 0.75, 0.5, 0.7, None, 5, 0.8)
    text = "\n".join(metrics_lines("8 test examples", evaluation, found, IN_SHORT))
    assert text.splitlines() == [
        "8 test examples    network    95% interval  linear model  boosted trees  most common class",
        "accuracy             62.5%  50.0% to 75.0%         50.0%          75.0%              25.0%",
        "balanced accuracy    50.0%               -         37.5%          70.0%              50.0%",
        "of the 5 that the network gets right, the linear model also gets 80.0% right",
    ]


def test_the_baselines_of_an_earlier_release_and_none(evaluation: Evaluation) -> None:
    head, accuracy, balanced = metrics_lines("", evaluation, Baselines(0.5, 0.25, 0.375), IN_SHORT)[0].splitlines()
    assert head.split("  ")[-2:] == ["linear model", "most common class"] and accuracy.endswith("25.0%")
    assert balanced.endswith("37.5%")
    (whole,) = metrics_lines("", evaluation, None)
    assert whole.splitlines()[-1].split() == ["loss", "0.2500", "0.1000", "to", "0.3000"]


def test_multi_hot_accuracy_is_explained(evaluation: Evaluation) -> None:
    lines = metrics_lines("", replace(evaluation, is_multi_hot=True), Baselines(0.5, 0.25, 0.375))
    assert "most common classes" in lines[0]
    assert lines[1] == "accuracy counts examples that are right in all classes"
