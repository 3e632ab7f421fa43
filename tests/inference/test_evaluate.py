"""Tests of evaluation from the checkpoint alone, which is the same for any batch size and in any process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from builders import config_of, loaded
from interpreted import interpret

from nnclassify import run
from nnclassify.cli.text import result_text
from nnclassify.config.run_config import load_config
from nnclassify.errors import DataError, NNClassifyError
from nnclassify.evaluation.intervals import share_interval
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import choose_split, evaluate, splits_of
from nnclassify.run import RunResult
from nnclassify.runs.checkpoint import content_digest, load_checkpoint

DIGITS = {"name": "digits", "limit": 120, "validation": 0.2}


def trained(**values: Any) -> RunResult:
    return run.train(loaded(config_of(**values)))


def test_evaluation_does_not_depend_on_batch_size(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = trained(dataset=DIGITS, model={"name": "mlp", "hidden": [16], "batch_norm": True})
    assert result.components.splits.test is not None
    whole = evaluate(result.classifier, result.components.splits.test)
    monkeypatch.setattr("nnclassify.evaluation.outputs.MAX_BATCH", 7)
    parts = evaluate(result.classifier, result.components.splits.test)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert (parts.accuracy, parts.confusion) == (whole.accuracy, whole.confusion)


def test_final_figures_are_those_of_best_read_back_from_disk(here: Path) -> None:
    result = trained(dataset=DIGITS, epochs=3)
    again = Classifier.load(here / "checkpoints/test/best.pt", "cpu")
    splits = splits_of(again)
    assert splits.test is not None and splits.validation is not None
    figures = result.figures()
    test, validation = evaluate(again, splits.test), evaluate(again, splits.validation)
    assert figures["test"] == test.metrics and {"loss", "accuracy", "roc_auc", "log_loss"} < test.metrics.keys()
    assert figures["validation"] == pytest.approx(validation.summary())
    assert load_checkpoint(again.path).epoch == figures["best_epoch"]


def test_a_worse_last_epoch_is_not_what_is_reported(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = trained(dataset=DIGITS, epochs=4, optimizer={"name": "adam", "lr": 0.5})
    best, last = (Classifier.load(here / f"checkpoints/test/{name}.pt", "cpu") for name in ("best", "last"))
    assert result.best_epoch == max(
        range(1, 5),
        key=lambda epoch: (result.rows[epoch - 1].validation_accuracy, -(result.rows[epoch - 1].validation_loss or 0)),
    )
    same = content_digest(best.model.state_dict()) == content_digest(last.model.state_dict())
    assert same == (result.best_epoch == 4)


def test_examples_are_found_again_by_predictions_path(here: Path) -> None:
    result = trained(dataset=DIGITS)
    assert result.test is not None and result.components.splits.test is not None
    raw, targets = result.components.splits.test.select(torch.arange(len(result.components.splits.test)))
    assert torch.equal(result.classifier.probabilities(raw), result.test.probabilities)
    num_correct = int((result.test.probabilities.argmax(1) == targets).sum())
    assert result.test.accuracy == num_correct / len(targets)
    assert sum(map(sum, result.test.confusion)) == len(targets)


def test_choose_split(here: Path) -> None:
    splits = config_of(dataset={"name": "iris", "validation": 0, "test": 0}).dataset.build(0)
    assert choose_split(splits, None) == ("train", splits.train)
    with pytest.raises(DataError, match="split test: the dataset does not have one"):
        choose_split(splits, "test")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset=wine"], "classes class_0, class_1, class_2; the run was trained on setosa"),
        (["dataset.nme=wine"], "dataset.nme=wine: unknown key"),
        (["dataset.name=csv"], "dataset.path: missing"),
    ],
)
def test_a_dataset_that_is_not_the_runs_is_refused(overrides: list[str], message: str, here: Path) -> None:
    result = trained(dataset="iris")
    with pytest.raises(NNClassifyError, match=message):
        splits_of(result.classifier.overridden(overrides))


@pytest.mark.slow
def test_a_second_run_gets_a_number_and_the_first_is_untouched(here: Path) -> None:
    first = trained(dataset="iris")
    before = first.folder.best.read_bytes()
    assert [trained(dataset="iris").folder.name for _ in range(2)] == ["test-2", "test-3"]
    assert first.folder.best.read_bytes() == before


@pytest.mark.slow
def test_the_written_config_trains_to_the_same_weights(here: Path) -> None:
    first = trained(dataset=DIGITS, scheduler="one_cycle", ema=0.9)
    second = run.train(load_config(str(first.folder.config)))
    assert second.folder.name == "config"
    weights = [content_digest(result.classifier.model.state_dict()) for result in (first, second)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_run_is_repeated_from_its_own_config_whatever_the_cache_holds(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` compiles what an earlier run has compiled, and a compiled step rounds otherwise."""
    interpret(monkeypatch)
    digests = {}
    for kept in (False, True):
        monkeypatch.setattr("nnclassify.training.plan._is_kept", lambda plan, state, kept=kept: kept)
        first = trained(dataset="iris", epochs=60, batch_size=16, optimizer={"name": "adam", "lr": 0.01})
        config = yaml.safe_load(first.folder.config.read_text())
        assert config["compile"] == first.figures()["compile"] == ("on" if kept else "off")
        monkeypatch.setattr("nnclassify.training.plan._is_kept", lambda plan, state, kept=kept: not kept)
        second = run.train(load_config(str(first.folder.config)))
        digests[kept] = [content_digest(result.classifier.model.state_dict()) for result in (first, second)]
        assert digests[kept][0] == digests[kept][1]
    assert digests[False] != digests[True]


def test_intervals_allow_for_groups_and_a_chosen_threshold_is_named(here: Path) -> None:
    rows = [f"{value % 13},{value % 5},p{value // 6},{'low' if value % 13 < 6 else 'high'}" for value in range(180)]
    Path("table.csv").write_text("\n".join(["a,b,patient,label", *rows]))
    table = {"name": "csv", "path": "table.csv", "group": "patient", "test": 0.4, "validation": 0.3}
    result = trained(dataset=table, evaluation={"threshold": "f1"})
    found, examples = result.test, result.components.splits.test
    assert found is not None and examples is not None and found.num_groups == 12
    is_correct = found.predictions == found.targets
    assert found.intervals["accuracy"] == pytest.approx(share_interval(is_correct, examples.all_groups()))
    assert {name: tuple(ends) for name, ends in result.figures()["intervals"]["test"].items()} == found.intervals
    text = result_text(result, with_plots=False)
    assert "\nintervals of examples from 12 groups, which are not independent\n" in text
    assert "\nlow is predicted if its probability exceeds 0." in text
