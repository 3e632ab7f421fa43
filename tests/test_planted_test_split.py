"""The test split is only reported on: with random labels in it, everything that is chosen is the same.

The same table is trained with two test files: one with the true labels, one with random labels. Weights, history, the
best epoch, whatever is fitted on the validation split, the findings of `check` and the order of `compare` agree.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded

from nnclassify import run
from nnclassify.data import Examples
from nnclassify.diagnosis.check import diagnose
from nnclassify.inference.compare import compare, grouped
from nnclassify.run import RunResult
from nnclassify.runs.checkpoint import load_checkpoint
from nnclassify.training.build import Components
from nnclassify.training.trainer import Observer, Trainer

OF_THE_TEST_SPLIT = {"run", "test", "test_looks", "baselines", "slices"}
"""Keys of `result.json` that name the run, or report on the test split."""
TIMES = {"train_seconds", "examples_per_second", "seconds"}


@pytest.fixture
def tables(here: Path) -> Path:
    """train.csv, validation.csv, and the test files: true.csv, and random.csv with the labels of other examples."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 240), ("validation", 120), ("true", 120)):
        inputs = rng.normal(size=(count, 3)).round(3)
        labels = (inputs.sum(axis=1) + rng.normal(scale=0.5, size=count) > 0).astype(int)
        write(here / f"{name}.csv", inputs, labels)
    write(here / "random.csv", inputs, rng.permutation(labels))
    return here


def write(path: Path, inputs: np.ndarray, labels: np.ndarray) -> None:
    rows = [",".join(map(str, [*row, label])) for row, label in zip(inputs.tolist(), labels.tolist(), strict=True)]
    path.write_text("\n".join(["a,b,c,label", *rows, ""]))


def config(test: str, **values: Any) -> Any:
    dataset = {"name": "csv", "path": "train.csv", "label": "label", "validation": "validation.csv", "test": test}
    return config_of(dataset=dataset, **{"epochs": 6, "select_by": "f1_macro", "patience": 4, **values})


def trained(test: str, name: str, **values: Any) -> RunResult:
    return run.train(replace(loaded(config(test, **values)), name=name))


def without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: without(child, keys) for key, child in value.items() if key not in keys}
    return [without(child, keys) for child in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_random_test_labels_change_nothing_that_is_chosen(tables: Path) -> None:
    honest, planted = trained("true.csv", "honest"), trained("random.csv", "planted")
    assert honest.test is not None and planted.test is not None
    assert honest.test.accuracy > 0.75 and 0.35 < planted.test.accuracy < 0.65  # so the planted labels are there
    for name in ("best.pt", "last.pt"):
        first, other = (vars(load_checkpoint(each.folder.path / name)) for each in (honest, planted))
        assert first["epoch"] == other["epoch"]
        torch.testing.assert_close(first["model"], other["model"], rtol=0, atol=0)
    rows = [[without(vars(row), TIMES) for row in each.rows] for each in (honest, planted)]
    assert rows[0] == rows[1]
    results = [json.loads(each.folder.result.read_text()) for each in (honest, planted)]
    told = [{finding["id"] for finding in result.pop("findings")} for result in results]
    assert told[1] - told[0] == {"NN615"} and told[0] <= told[1]  # which reports that the splits differ
    kept = [without(result, OF_THE_TEST_SPLIT | TIMES) for result in results]
    assert kept[0] == kept[1] and {"best_epoch", "validation", "intervals", "steps"} <= kept[0].keys()


@pytest.mark.slow
def test_check_finds_the_same(tables: Path) -> None:
    for values in ({}, {"optimizer": {"name": "sgd", "lr": 1e-6}}):
        found = [diagnose(loaded(config(test, **values))) for test in ("true.csv", "random.csv")]
        findings = [[(finding.id, finding.severity, finding.path) for finding in each.findings] for each in found]
        assert findings[0] == findings[1] and found[0].change == found[1].change


@pytest.mark.slow
def test_compare_ranks_by_the_validation_split(tables: Path) -> None:
    orders = []
    for test in ("true", "random"):
        names = [f"{test}-{epochs}" for epochs in (1, 6)]
        for name, epochs in zip(names, (1, 6), strict=True):
            trained(f"{test}.csv", name, epochs=epochs, patience=None)
        orders.append([group.runs[0].epochs for group in grouped(compare(names))])
    assert orders == [[6, 1], [6, 1]]


class Watch(Observer):
    """Knows the test split, and whether a step may be under way."""

    def __init__(self) -> None:
        self.test: Examples | None = None
        self.is_training = False

    def announce(self, components: Components, trainer: Trainer) -> None:
        self.test = components.splits.test

    def run_started(self, trainer: Trainer) -> None:
        self.is_training = True

    def run_ended(self, trainer: Trainer) -> None:
        self.is_training = False


def test_training_reads_no_example_of_the_test_split(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, read, reads = Watch(), Examples.select, set()

    def watched(examples: Examples, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        reads.add((examples is watch.test, watch.is_training))
        return read(examples, rows)

    monkeypatch.setattr(Examples, "select", watched)
    run.train(loaded(config("true.csv")), observers=[watch], announce=watch.announce)
    assert (True, True) not in reads and {(False, True), (True, False)} <= reads
