"""With `show_test: off`, nothing of the test split is shown before `evaluate --split test` asks for it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from builders import BLOBS, config_of, loaded

import nnclassify
from nnclassify import run
from nnclassify.cli.text import result_text
from nnclassify.errors import ConfigError
from nnclassify.inference.plots.save import draw_again

HIDDEN = {"dataset": {**BLOBS, "validation": 0.2, "seed": 0}, "show_test": False}


@pytest.mark.slow
def test_a_run_keeps_the_test_figures(here: Path) -> None:
    result = run.train(loaded(config_of(**HIDDEN)))
    assert result.test is None and result.baselines is None and result.validation is not None
    figures = json.loads(result.folder.result.read_text())
    assert figures["test"] is figures["test_looks"] is figures["intervals"]["test"] is None
    text = result_text(result, with_plots=False)
    assert "\ntest: not shown (show_test: off); run: nnclassify evaluate test --split test" in text
    with result.folder.predictions.open(newline="") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"validation"}
    assert not result.folder.looks.exists()
    plots = [path.name for path in (*run.save_run_plots(result), *draw_again(result.folder.best, [], "cpu", print))]
    assert plots == ["curves.png"] * 2


def test_evaluate_shows_them_when_asked(here: Path) -> None:
    folder = run.train(loaded(config_of(**HIDDEN))).folder
    assert nnclassify.evaluate(folder.path).split == "validation"
    asked = nnclassify.evaluate(folder.path, split="test")
    assert (asked.split, asked.num_examples, asked.test_looks) == ("test", 30, 1)
    other = run.train(replace(loaded(config_of(**HIDDEN, seed=1)), name="other")).folder
    assert [nnclassify.evaluate(each.path, split="test").test_looks for each in (other, folder)] == [2, 2]


@pytest.mark.slow
def test_each_network_that_is_shown_is_a_look(here: Path) -> None:
    dataset = {**BLOBS, "seed": 0}
    results = [run.train(replace(loaded(config_of(dataset=dataset, seed=seed)), name="run")) for seed in (0, 1, 1, 2)]
    assert [result.figures()["test_looks"] for result in results] == [1, 2, 2, 3]  # the same weights do not count twice
    assert "look" not in result_text(results[0], with_plots=False)
    (line,) = (line for line in result_text(results[3], False).splitlines() if line.startswith("test: "))
    assert line.endswith("; look 3 at this test set: runs were probably chosen by it")


def test_a_test_split_that_validates_cannot_be_hidden() -> None:
    with pytest.raises(ConfigError, match=r"show_test: found off with dataset\.validation: test"):
        config_of(dataset={**BLOBS, "validation": "test"}, show_test=False)


def test_a_test_split_that_validates_was_shown_all_along(here: Path) -> None:
    result = run.train(loaded(config_of(dataset={**BLOBS, "num_test": 1, "validation": "test"})))
    lines = result_text(result, with_plots=False).splitlines()
    (line,) = (line for line in lines if line.startswith("test: "))
    assert line.endswith("; shown after every epoch (validation: test): too high if anything was chosen by it")
    assert any(line.startswith("1 test example ") for line in lines)


def test_a_loss_that_was_not_finite_is_named(here: Path) -> None:
    result = run.train(loaded(config_of(**HIDDEN)))
    rows = [*result.rows[:-1], replace(result.rows[-1], validation_loss=float("inf"))]
    lines = result_text(replace(result, rows=rows, best_epoch=len(rows)), with_plots=False).splitlines()
    assert [line for line in lines if line.startswith("validation: ") and ", loss not finite" in line]
