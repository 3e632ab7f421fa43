"""Tests of multi-hot targets, where an example is of any number of classes, against scikit-learn."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded, trainer_of
from interpreted import interpret
from sklearn import metrics as sklearn_metrics

from nnclassify import run
from nnclassify.data.splitting import strata, stratified_split
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.diagnosis.check import diagnose
from nnclassify.errors import ConfigError, DataError, InputError, LabelError, NNClassifyError
from nnclassify.evaluation.baselines import FittedBaselines
from nnclassify.evaluation.metrics import balanced_accuracy
from nnclassify.inference.classifier import Classifier, predict
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.inference.evaluation_examples import examples_to_evaluate
from nnclassify.losses import MultiHotLoss
from nnclassify.run import save_run_plots
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.folder import runs_of
from nnclassify.training.trainer import Observer, Trainer

NAMES = ["red", "green", "blue"]
TENSORS = {
    "name": "tensors",
    "train_inputs": "data.npz:x",
    "train_targets": "data.npz:y",
    "targets": "multi_hot",
    "class_names": NAMES,
}


Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data(here: Path) -> Path:
    """A folder with data.npz and table.csv, which the test stands in."""
    write_data(here)
    return here


def write_data(folder: Path) -> None:
    """Three classes that are three half-spaces, so an example is of 0 to 3 of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3)).astype(np.float32)
    y = (x @ rng.normal(size=(3, 3)) > [0, 0.5, 1.5]).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=y)
    rows = [",".join([*map(str, a.tolist()), *map(str, b.astype(bool))]) for a, b in zip(x, y, strict=True)]
    (folder / "table.csv").write_text("\n".join(["a,b,c,red,green,blue", *rows, ""]))


def multi_hot(**values: Any) -> dict[str, Any]:
    return {"dataset": TENSORS, "loss": {"name": "bce_with_logits"}, **values}


def test_decisions_about_classes_are_the_examples() -> None:
    predictions, targets = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2])
    assert balanced_accuracy(predictions, targets) == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    ("name", "outputs", "expected"),
    [
        ("bce_with_logits", [0.0, 0.0, 0.0], np.log(2)),
        ("bce", [0.25, 0.5, 0.5], (-np.log(0.25) - np.log(0.5) - np.log(0.5)) / 3),
        ("mse", [0.5, 0.5, 1.0], (0.25 + 0.25 + 1.0) / 3),
    ],
)
def test_losses_by_hand(name: str, outputs: list[float], expected: float) -> None:
    output = "sigmoid" if name == "bce" else "none"
    config = config_of(**multi_hot(loss={"name": name}, model={"name": "mlp", "output": output}))
    loss_fn = config.loss_function([1, 1, 1])
    assert isinstance(loss_fn, MultiHotLoss) and loss_fn.num_outputs == 3
    assert float(loss_fn(torch.tensor([outputs]), torch.tensor([[1, 1, 0]]))) == pytest.approx(expected)


def test_positive_targets_are_weighted_by_class() -> None:
    """Weights 2, 3, 4 and outputs of 0: each positive target counts its weight times log 2, and the mean is plain."""
    config = config_of(**multi_hot(loss={"name": "bce_with_logits", "pos_weight": [2.0, 3.0, 4.0]}))
    loss_fn, targets = config.loss_function([1, 1, 1]), torch.tensor([[1, 1, 0], [0, 0, 1]])
    losses = loss_fn(torch.zeros(2, 3), targets)
    assert losses.tolist() == pytest.approx([(2 + 3 + 1) / 3 * np.log(2), (1 + 1 + 4) / 3 * np.log(2)])
    assert float(loss_fn.mean(losses, targets)) == pytest.approx(float(losses.mean()))


def test_balanced_positive_weights_are_written_as_numbers(data: Path) -> None:
    loss = {"name": "bce_with_logits", "pos_weight": "balanced"}
    components, trainer = trainer_of(**multi_hot(loss=loss))
    positive = components.splits.train.all_targets().sum(dim=0).double()
    expected = (len(components.splits.train) - positive) / positive
    assert components.config.model_dump()["loss"]["pos_weight"] == pytest.approx(expected.tolist(), rel=1e-5)
    trainer.fit()
    assert trainer.rows[-1].train_loss < trainer.rows[0].train_loss
    assert config_of(**multi_hot(loss=components.config.loss.model_dump())).loss == components.config.loss


@pytest.mark.parametrize("weights", [[1.0, 2.0], "balanced"])
def test_weights_that_do_not_fit_are_refused(data: Path, weights: object) -> None:
    loss = {"name": "bce_with_logits", "pos_weight": weights}
    dataset = {"name": "blobs"} if weights == "balanced" else TENSORS
    with pytest.raises(
        DataError, match="needs multi-hot targets" if weights == "balanced" else "2 weights; expected 3"
    ):
        trainer_of(dataset=dataset, loss=loss)


def test_a_probability_of_a_half_is_enough() -> None:
    loss_fn = config_of(**multi_hot()).loss_function([1, 1, 1])
    assert loss_fn.predictions(torch.tensor([[0.0, 3.0, -1e-3]])).tolist() == [[1, 1, 0]]
    assert loss_fn.predictions(torch.tensor([[-9.0, -9.0, -9.0]])).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"loss": {"name": "cross_entropy"}}, "loss: cross_entropy expects one class .*use loss: bce_with_logits"),
        ({"loss": {"name": "focal"}}, "loss: focal expects one class per example"),
        ({"loss": {"name": "mse", "targets": "index"}}, "loss: targets: index expects one class per example"),
        ({"model": {"name": "mlp", "output": "softmax"}}, "model.output: found softmax: .* are multi-hot; use sigmoid"),
        ({"loss": {"name": "bce"}}, "set model.output: sigmoid"),
    ],
)
def test_what_is_for_one_class_is_refused_before_the_data_is_read(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as raised:
        config_of(**multi_hot(**values))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "targets", "text"),
    [
        ({"targets": "classes"}, [[1, 1, 0], [0, 0, 1]], "row 0 has 2 ones; .* set dataset.targets: multi_hot"),
        ({}, [[1, 2, 0], [0, 0, 1]], "2 of example 0, class 1; expected 0 or 1"),
        ({}, [[1, float("nan"), 0], [0, 0, 1]], "nan of example 0, class 1; expected 0 or 1"),
        ({}, [0, 1], r"shape \(2,\); expected multi-hot targets \(N, K\)"),
        ({"class_names": ["a", "b"]}, [[1, 1, 0], [0, 0, 1]], "3 columns of targets; expected 2, one per class"),
        ({"test": 0, "validation": 0}, [[1, 1, 0], [0, 1, 0]], "no training examples of class blue"),
    ],
)
def test_other_targets_are_refused_in_one_line(here: Path, options: dict[str, Any], targets: Any, text: str) -> None:
    np.savez(here / "data.npz", x=np.ones((2, 3)), y=np.array(targets))
    with pytest.raises(LabelError, match=text):
        config_of(**multi_hot(dataset={**TENSORS, **options})).dataset.build(0)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float64])
def test_targets_of_any_number_type(here: Path, dtype: Any) -> None:
    y = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1]])
    np.savez(here / "data.npz", x=np.ones((4, 3)), y=y.astype(dtype))
    splits = config_of(**multi_hot(dataset={**TENSORS, "test": 0, "validation": 0})).dataset.build(0)
    assert splits.train.all_targets().tolist() == y.tolist()
    assert splits.class_counts() == [2, 3, 2]
    assert splits.notes == []


def test_a_class_that_all_examples_are_of_is_said(here: Path) -> None:
    np.savez(here / "data.npz", x=np.ones((2, 3)), y=np.array([[1, 1, 0], [1, 0, 1]]))
    splits = config_of(**multi_hot(dataset={**TENSORS, "test": 0, "validation": 0})).dataset.build(0)
    assert splits.notes == ["data.npz:y: every training example has class 'red', so there is nothing to learn for it"]


def test_strata_are_the_rarest_classes() -> None:
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]])
    assert strata(targets).tolist() == [0, 1, 2, 3, 0]
    kept, held_out = stratified_split(targets, np.arange(5), 0.4, np.random.default_rng(0))
    assert len(held_out) == 1 and {1, 2, 3} <= set(kept.tolist())  # what is there once is kept


def test_a_table_is_the_same_as_tensors(data: Path) -> None:
    table = Csv(path="table.csv", label=NAMES).build(0)
    tensors = config_of(**multi_hot()).dataset.build(0)
    assert (table.class_names, table.feature_names) == (NAMES, ["a", "b", "c"])
    assert torch.equal(table.train.all_targets(), tensors.train.all_targets())
    assert torch.equal(table.train.indices, tensors.train.indices)


def test_every_wrong_label_column_of_a_table_is_named(here: Path) -> None:
    (here / "t.csv").write_text("x,a,b,c\n1,0,1,0\n2,2,1,\n3,5,0,1\n4,1,0,1\n")
    with pytest.raises(NNClassifyError) as raised:
        Csv(path="t.csv", label=["a", "b", "c"]).build(0)
    assert str(raised.value).splitlines() == [
        "t.csv:3: column 'a': found '2', expected 0 or 1, as in each of several label columns (2 such rows)",
        "t.csv:3: column 'c': found '', expected 0 or 1, as in each of several label columns",
    ]


def test_baselines_against_least_squares(data: Path) -> None:
    parts, _ = trainer_of(**multi_hot(dataset={**TENSORS, "validation": 0}))
    train, test = parts.splits.train, parts.splits.test
    assert test is not None
    x, x_test = (parts.transform(split.inputs[split.indices], torch.float64).numpy() for split in (train, test))
    y, y_test = (split.all_targets().numpy() for split in (train, test))
    centered, shares = x - x.mean(axis=0), y.mean(axis=0)
    ridge = 0.01 * (centered**2).mean()
    weights = np.linalg.solve(centered.T @ centered / len(x) + ridge * np.eye(3), centered.T @ (y - shares) / len(x))
    said = ((x_test - x.mean(axis=0)) @ weights + shares >= 0.5).astype(int)
    found = FittedBaselines.fit(parts.splits, parts.transform).evaluated(test, test.all_targets())
    assert found.linear == pytest.approx(sklearn_metrics.accuracy_score(y_test, said))
    rows, counts = np.unique(y, axis=0, return_counts=True)
    assert found.majority == pytest.approx((y_test == rows[counts.argmax()]).all(axis=1).mean())


class StopAt(Observer):
    """Asks a trainer to stop at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Ask."""
        if trainer.step >= self.step:
            trainer.stop_signal = 15


def test_train_evaluate_and_predict_agree(data: Path) -> None:
    result = run.train(loaded(config_of(**multi_hot(epochs=20))))
    classifier = Classifier.load(data / "checkpoints/test/best.pt", "cpu")
    splits = splits_of(classifier)
    assert splits.test is not None and result.test is not None and classifier.class_names == NAMES
    raw, targets = splits.test.select(torch.arange(len(splits.test)))
    torch.save(raw, data / "raw.pt")
    found = list(predict(classifier, ["raw.pt"]))
    said = np.array([[int(name in (one.labels or ())) for name in NAMES] for one in found])
    assert result.test.accuracy == pytest.approx(sklearn_metrics.accuracy_score(targets, said))
    assert result.test.accuracy > 0.8
    assert [report.f1 for report in result.test.classes] == pytest.approx(
        sklearn_metrics.f1_score(targets, said, average=None, zero_division=0)
    )
    assert evaluate(classifier, splits.test).figures() == result.test.figures()
    assert all(len(one.top) == 3 for one in found)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 7])
def test_a_resume_ends_in_the_same_bits(data: Path, stop: int) -> None:
    config = config_of(**multi_hot(batch_size=25, checkpoint_every={"steps": 2}, epochs=3, compile="off"))
    run.train(loaded(config, "whole"), with_monitor=False)
    with pytest.raises(NNClassifyError, match="interrupted"):
        run.train(loaded(config, "cut"), with_monitor=False, observers=[StopAt(stop)])
    run.train(loaded(config, "cut"), resume=runs_of("cut")[0], with_monitor=False)
    whole, cut = (load_checkpoint(data / f"checkpoints/{name}/last.pt") for name in ("whole", "cut"))
    assert content_digest(whole.model) == content_digest(cut.model)
    assert [row["train_accuracy"] for row in whole.history] == [row["train_accuracy"] for row in cut.history]


def test_other_data_is_scored_in_the_same_columns(data: Path) -> None:
    dataset = {"name": "csv", "path": "table.csv", "label": NAMES}
    run.train(loaded(config_of(**multi_hot(dataset=dataset))))
    classifier = Classifier.load(data / "checkpoints/test/best.pt", "cpu")
    (data / "new.csv").write_text("green,c,blue,a,red,b\n1,0,0,1,0,2\n0,1,1,0,0,1\n")
    found = examples_to_evaluate(classifier.overridden(["dataset.path=new.csv"]))
    assert found.examples.all_targets().tolist() == [[0, 1, 0], [0, 0, 1]]
    with pytest.raises(InputError, match="the run was trained on multi-hot targets"):
        classifier.overridden(["dataset.label=red"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bce_with_logits", "mse"])
def test_a_compiled_run_is_the_eager_one(data: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    interpret(monkeypatch)
    ends = []
    for way in ("on", "off"):
        _, trainer = trainer_of(**multi_hot(loss={"name": name}, compile=way, batch_size=8))
        trainer.fit()
        assert trainer.plan.setting == way
        ends.append(torch.cat([weight.flatten() for weight in trainer.model.state_dict().values()]))
    assert torch.allclose(ends[0], ends[1], atol=1e-5)


@pytest.mark.slow
def test_the_command_line_from_a_table_to_predictions(nnclassify: Program, place: Path) -> None:
    write_data(place)
    (place / "net.yaml").write_text(
        "dataset: {name: csv, path: table.csv, label: [red, green, blue]}\nmodel: {name: mlp, hidden: [8]}\n"
        "loss: bce_with_logits\noptimizer: {name: adam, lr: 0.02}\nepochs: 20\ndevice: cpu\n"
    )
    trained = nnclassify("train", "net.yaml")
    assert "right in all classes" in trained.stdout
    assert "no confusion matrix: targets are multi-hot" in trained.stderr
    assert "finished" in nnclassify("train", "net.yaml", "--resume").stderr
    figures = json.loads(nnclassify("evaluate", "--json").stdout)
    assert figures["accuracy"] > 0.8 and figures["hamming_loss"] < 0.1
    rows = nnclassify("predict", "1,2,3", "--csv").stdout.splitlines()
    assert rows[0] == "input,label,probability,predicted,unlike" and len(rows) == 4
    named = [row["label"] for row in csv.DictReader(rows) if row["predicted"] == "1"]
    assert json.loads(nnclassify("predict", "1,2,3", "--json").stdout)["predictions"][0]["labels"] == named
    assert nnclassify("predict", "1,2,3", "--top-k", "2").returncode == 2


@pytest.mark.slow
def test_images_show_all_classes_and_there_is_no_confusion_plot(here: Path) -> None:
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.integers(0, 255, (60, 1, 8, 8)).astype(np.uint8))
    np.save("y.npy", rng.integers(0, 2, (60, 3)).astype(bool))
    files = {"train_inputs": "x.npy", "train_targets": "y.npy"}
    result = run.train(loaded(config_of(**multi_hot(dataset={**TENSORS, **files}))))
    notes: list[str] = []
    drawn = [path.stem for path in save_run_plots(result, notes.append)]
    assert drawn == ["curves", "calibration", "samples", "mistakes"]
    assert len(notes) == 1 and notes[0].startswith("no confusion matrix: targets are multi-hot")


@pytest.mark.slow
@pytest.mark.parametrize(("lr", "fault"), [(0.02, None), (50.0, "NN401"), (1e-6, "NN402")])
def test_check_finds_a_wrong_rate_and_accuses_no_healthy_net(data: Path, lr: float, fault: str | None) -> None:
    optimizer = {"name": "adam", "lr": lr}
    found = diagnose(loaded(config_of(**multi_hot(optimizer=optimizer, epochs=40))))
    (note,) = [text for text in found.notes if text.startswith("not checked, because targets are multi-hot: ")]
    assert "NN112 (most examples belong to one class)" in note and "NN119 (" in note
    assert next((one.id for one in found.findings if one.severity == "fault"), None) == fault
