"""Calibration at the end of a run: what the checkpoint keeps, what it changes, and what it leaves as it was."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded
from mutations import content_of, forge
from sklearn.metrics import f1_score

from nnclassify import run
from nnclassify.config.run_config import load_config
from nnclassify.data.transform import Costs, Threshold
from nnclassify.errors import CheckpointError, ConfigError, DataError, InputError, SaveError
from nnclassify.evaluation.calibration import Calibration, calibrated
from nnclassify.inference import analysis
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.compare import compare
from nnclassify.inference.evaluate import evaluate
from nnclassify.losses import CrossEntropy
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.listing import listed
from nnclassify.runs.resume import missing_best

BLOBS = {"name": "blobs", "num_examples": 300, "num_test": 200, "std": 1.2, "validation": 0.4}
ODD = {"means": torch.zeros(3, 8), "whitening": torch.eye(2)}
RGB = {"name": "rgb", "num_examples": 600, "validation": 0.4}
TWO = {"dataset": RGB, "loss": "bce_with_logits", "epochs": 1, "optimizer": {"name": "adam", "lr": 0.02}}


def trained(**values: Any) -> run.RunResult:
    return run.train(loaded(config_of(**{"dataset": BLOBS, **values})))


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best checkpoint of a run."""
    with contextlib.chdir(tmp_path_factory.mktemp("run")):
        return trained().folder.best.resolve()


def test_the_best_checkpoint_keeps_it_and_nothing_else_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = trained()
    kept, last = content_of(result.folder.best), content_of(result.folder.last)
    assert kept["calibration"]["temperature"] == result.classifier.loss_fn.temperature != 1
    assert "calibration" not in last and missing_best(result.folder, load_checkpoint(result.folder.best)) is None
    assert content_digest(kept["model"]) == content_digest(last["training"]["best_model"])
    monkeypatch.setattr(analysis, "calibrated_on", lambda classifier, *others: classifier)
    without = trained()
    assert content_digest(content_of(without.folder.best)["model"]) == content_digest(kept["model"])
    assert result.test is not None and without.test is not None
    assert torch.equal(result.test.predictions, without.test.predictions)
    assert torch.equal(result.test.probabilities.argmax(dim=1), result.test.predictions)
    assert result.test.loss == without.test.loss and result.test.accuracy == without.test.accuracy
    assert result.test.metrics["log_loss"] != without.test.metrics["log_loss"]


def test_the_result_says_what_it_changed(here: Path) -> None:
    result = trained()
    found = json.loads(result.folder.result.read_text())["calibration"]
    assert found["temperature"] == result.classifier.loss_fn.temperature and "reason" not in found
    for split in ("validation", "test"):
        assert found[split]["before"].keys() == found[split]["after"].keys() == {"ece", "brier", "log_loss"}
        assert sum(count for count, _, _ in found[split]["bins_after"]) == (120 if split == "validation" else 200)
        assert found[split]["risk_coverage"][-1][0] == 1 and 0 <= found[split]["aurc"] < 1
    assert result.test is not None
    assert found["test"]["after"]["log_loss"] == pytest.approx(result.test.metrics["log_loss"])
    assert found["validation"]["after"]["log_loss"] <= found["validation"]["before"]["log_loss"]
    assert found["validation"]["sets"]["0.9"]["coverage"] >= 0.9 and found["validation"]["unlike"] <= 0.02


@pytest.mark.parametrize("validation", [0, "test"])
def test_without_a_validation_split_of_its_own_a_run_says_so(validation: Any, here: Path) -> None:
    result = trained(dataset={**BLOBS, "validation": validation})
    found = json.loads(result.folder.result.read_text())["calibration"]
    assert found["temperature"] is None and found["reason"] == "the run has no validation split of its own"
    assert "after" not in found["test"] and found["validation"] is None
    assert result.classifier.calibration is None and "calibration" not in content_of(result.folder.best)
    answer = result.classifier.predict([0.0, 0.0], min_confidence=0.999)[0]
    assert answer.unsure and answer.unlike is None
    with pytest.raises(InputError, match=r"risk: .*best\.pt keeps nothing of a validation split"):
        result.classifier.predict([0.0, 0.0], risk=0.1)


@pytest.mark.slow
def test_a_run_killed_before_its_calibration_gets_it_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained()

    def killed(*arguments: object) -> Classifier:
        raise SaveError("killed")

    with monkeypatch.context() as patched, pytest.raises(SaveError, match="killed"):
        patched.setattr(analysis, "calibrated_on", killed)
        trained()
    folder = whole.folder.path.parent / "test-2"
    resumed = run.train(load_config(str(folder / "config.yaml"), of_run=True), resume=type(whole.folder)(folder))
    before, after = (content_of(result.folder.best)["calibration"] for result in (whole, resumed))
    assert content_digest(before) == content_digest(after)


def test_a_lost_checkpoint_of_a_finished_run_is_calibrated_again(here: Path) -> None:
    result = trained()
    before = content_of(result.folder.best)
    for path in result.folder.path.glob("best*.pt"):
        path.unlink()
    loaded_again = load_config(str(result.folder.config), of_run=True)
    again = run.train(loaded_again, resume=result.folder)
    assert not again.is_new and content_digest(content_of(result.folder.best)) == content_digest(before)


def test_a_run_of_an_earlier_release_stays_as_it_was(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(analysis, "calibrated_on", lambda classifier, *others: classifier)
        result = trained()
    before = result.folder.best.read_bytes()
    again = run.train(load_config(str(result.folder.config), of_run=True), resume=result.folder)
    assert result.folder.best.read_bytes() == before and again.classifier.calibration is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"loss": "mse"},
        {"loss": {"name": "mse", "targets": "index"}},
        {"loss": "bce_with_logits"},
        {"loss": "nll", "model": {"name": "mlp", "hidden": [4], "output": "log_softmax"}},
        {"model": {"name": "mlp", "hidden": []}},
        {"evaluation": {"threshold": 0.5}, **TWO},
        {"loss": {"name": "cross_entropy", "class_weights": "balanced"}, "precision": "float64"},
    ],
)
def test_losses_of_every_kind_are_calibrated(values: dict[str, Any], here: Path) -> None:
    result = trained(**values)
    assert result.test is not None and result.classifier.calibration is not None
    test = result.components.splits.test
    assert test is not None
    uncalibrated = evaluate(result.classifier.calibrated(None), test)
    assert torch.equal(uncalibrated.predictions, result.test.predictions)
    found = json.loads(result.folder.result.read_text())["calibration"]["validation"]
    assert found["after"]["log_loss"] <= found["before"]["log_loss"] + 1e-9


def test_multi_hot_targets_have_a_temperature_and_no_sets(here: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 2))
    np.savez("d.npz", x=inputs, y=(inputs + rng.normal(size=(200, 2)) > 0).astype(np.int64))
    files = {"name": "tensors", "train_inputs": "d.npz:x", "train_targets": "d.npz:y", "targets": "multi_hot"}
    result = trained(dataset={**files, "validation": 0.3, "test": 0.3}, loss="bce_with_logits")
    found = json.loads(result.folder.result.read_text())["calibration"]
    assert found["temperature"] != 1 and "sets" not in found["test"] and "aurc" not in found["test"]
    with pytest.raises(InputError, match="sets: it needs one class per example, but the targets are multi-hot"):
        result.classifier.predict([0.0, 0.0], sets=0.9)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("rule", ["f1", Costs(false_positive=1, false_negative=5)])
def test_examples_of_one_class_choose_no_threshold(label: int, rule: Threshold) -> None:
    loss_fn = CrossEntropy().build([10, 10])
    outputs = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    found = Calibration.fit(outputs, torch.full((20,), label), loss_fn, rule, None)
    assert found.threshold is None
    assert torch.equal(calibrated(loss_fn, found, rule).predictions(outputs), outputs.argmax(dim=1))


@pytest.mark.slow
def test_f1_and_costs_choose_the_threshold_on_validation(here: Path) -> None:
    by_f1 = trained(**TWO, evaluation={"threshold": "f1"})
    by_cost = trained(**TWO, evaluation={"threshold": {"false_negative": 50}})
    plain = trained(**TWO)
    assert plain.validation is not None and by_f1.validation is not None and by_cost.validation is not None
    scores = [f1_score(one.validation.targets, one.validation.predictions) for one in (plain, by_f1)]  # type: ignore[union-attr]  # checked above
    assert scores[1] >= scores[0] and by_cost.validation.predictions.sum() > plain.validation.predictions.sum()
    threshold = by_cost.classifier.loss_fn.decision
    assert threshold is not None and threshold < 0.5
    assert json.loads(by_cost.folder.result.read_text())["calibration"]["threshold"] == threshold
    reached = json.loads(by_cost.folder.result.read_text())["validation"]["accuracy"]
    assert reached == by_cost.validation.accuracy  # and not that of the history, which is at 0.5
    assert compare([str(by_cost.folder.path)])[0].accuracies["validation"] == reached
    assert [run.validation_accuracy for run in listed(by_cost.folder.path)] == [reached]
    saved = Classifier.load(by_cost.folder.best)
    assert torch.equal(saved.loss_fn.predictions(by_cost.validation.outputs), by_cost.validation.predictions)
    assert saved.overridden(["evaluation.threshold=0.9"]).loss_fn.decision == 0.9
    with pytest.raises(InputError, match="only training chooses it by F1 or costs; set a number"):
        saved.overridden(["evaluation.threshold=f1"])


@pytest.mark.slow
def test_with_a_threshold_the_predicted_class_is_first(here: Path) -> None:
    result = trained(**TWO, evaluation={"threshold": 0.05})
    splits = result.components.splits
    raw, _ = splits.train.select(torch.arange(100))
    for row, share in zip(raw, result.classifier.probabilities(raw)[:, 1].tolist(), strict=True):
        answer = result.classifier.predict(row.tolist(), top_k=2, sets=0.9)[0]
        assert answer.label == splits.class_names[share > 0.05]
        assert answer.probability == pytest.approx(share if share > 0.05 else 1 - share) and len(answer.top) == 2


def test_a_threshold_that_nothing_can_choose_or_use_is_refused(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.threshold: found f1, which needs a validation split"):
        config_of(**TWO | {"dataset": {**RGB, "validation": 0}}, evaluation={"threshold": "f1"})
    with pytest.raises(DataError, match="it needs two classes, but there are 3 classes"):
        trained(evaluation={"threshold": 0.3})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -1.0}, "greater than 0"),
        ({"scores": torch.tensor([0.2, 0.1], dtype=torch.float64)}, "not in ascending order"),
        ({"scores": torch.zeros(2)}, "float64 numbers"),
        ({"risks": torch.zeros(2, 2, dtype=torch.float64)}, r"expected \(M, 3\)"),
        ({"risks": torch.tensor([[0.5, 9.0, 1.0]], dtype=torch.float64)}, "not the counts of 120 examples"),
        ({"novelty": {"distances": {}, "limits": torch.zeros(0)}}, "novelty: limits"),
        ({"novelty": {"distances": {"x": {}}, "limits": torch.zeros(1)}}, "novelty"),
        ({"novelty": {"distances": {"inputs": ODD}, "limits": torch.zeros(1)}}, r"means \(3, 8\), whitening \(2, 2\)"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_a_forged_calibration_is_refused(change: dict[str, Any], message: str, best: Path, here: Path) -> None:
    content = content_of(best)
    forge(Path("forged.pt"), {**content, "calibration": {**content["calibration"], **change}})
    with pytest.raises(CheckpointError, match=message):
        Classifier.load(Path("forged.pt"))
