"""Tests of `predictions.csv`: one row per example, by name, consistent with the printed figures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded
from programs import nnclassify_in
from sklearn.metrics import accuracy_score, log_loss

from nnclassify import run
from nnclassify.data import Examples
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate
from nnclassify.inference.predictions import Predicted, save_evaluated, write_predictions
from nnclassify.runs.folder import RunFolder

REFUSED = "error: --csv t.csv: an input, which would be lost; name another file\n"
TABLE = {"name": "csv", "path": "t.csv", "id": "id", "validation": 0.2}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def trained(**values: Any) -> run.RunResult:
    rows = [f"P{row},{row % 10},{row * 7 % 13},{'-low' if row % 10 < 5 else 'high'}" for row in range(60)]
    Path("t.csv").write_text("\n".join(["id,a,b,label", *rows, ""]))
    return run.train(loaded(config_of(**{"dataset": TABLE, **values})))


def test_the_scores_over_the_predictions_are_those_that_are_printed(here: Path) -> None:
    result = trained()
    rows = rows_of(result.folder.predictions)
    for split, evaluation in (("validation", result.validation), ("test", result.test)):
        assert evaluation is not None
        of_split = [row for row in rows if row["split"] == split]
        shares = np.array([[row["p('-low)"], row["p(high)"]] for row in of_split], dtype=np.float32)
        true = [row["true"] for row in of_split]
        assert log_loss(true, shares, labels=["'-low", "high"]) == pytest.approx(
            evaluation.metrics["log_loss"], rel=1e-4
        )
        assert np.mean([float(row["loss"]) for row in of_split]) == pytest.approx(evaluation.loss, rel=1e-4)
        assert accuracy_score(true, [row["predicted"] for row in of_split]) == evaluation.accuracy
    assert {row["name"] for row in rows} <= {f"P{row}" for row in range(60)} and len(rows) == 12 + 10


def test_what_is_predicted_for_an_example_is_found_by_its_name(here: Path) -> None:
    result = trained()
    known = {line.split(",")[0]: line.split(",") for line in Path("t.csv").read_text().splitlines()}
    for row in rows_of(result.folder.predictions):
        answer = result.classifier.predict([float(value) for value in known[row["name"]][1:3]])[0]
        assert row["predicted"].lstrip("'") == answer.label and row["true"].lstrip("'") == known[row["name"]][3]
        assert float(row["p(high)"]) == pytest.approx(float(answer.probabilities[1]), rel=1e-5)


def test_multi_hot_predictions_have_columns_of_each_class(tmp_path: Path, here: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 2))
    np.savez("d.npz", x=inputs, y=(inputs > 0).astype(np.int64))
    names = ["red", "green"]
    files = {"name": "tensors", "train_inputs": "d.npz:x", "train_targets": "d.npz:y", "targets": "multi_hot"}
    result = trained(dataset={**files, "class_names": names}, loss="bce_with_logits")
    rows = rows_of(result.folder.predictions)
    assert [*rows[0]] == [
        "split",
        "name",
        *(f"{what}({name})" for what in ("true", "predicted", "p") for name in names),
        "loss",
    ]
    for row in rows:
        assert [int(row[f"true({name})"]) for name in names] == (inputs[int(row["name"])] > 0).tolist()
        assert all((float(row[f"p({name})"]) >= 0.5) == (row[f"predicted({name})"] == "1") for name in names)


@pytest.mark.slow
def test_names_stay_with_their_rows_beyond_what_is_written_at_a_time(here: Path) -> None:
    trained()
    classifier = Classifier.load(Path("checkpoints/test/best.pt"), "cpu")
    inputs = torch.arange(18_000, dtype=torch.float64).reshape(9000, 2)
    examples = Examples(inputs, torch.arange(9000) % 2, torch.arange(9000))
    write_predictions(
        here / "p.csv", [Predicted("all", examples, evaluate(classifier, examples))], classifier.class_names
    )
    rows = rows_of(here / "p.csv")
    assert [row["name"] for row in rows] == [str(index) for index in range(9000)]
    assert [row["true"] for row in rows[:3]] == ["'-low", "high", "'-low"]


def test_the_file_of_a_run_is_brought_up_to_date_split_by_split(here: Path) -> None:
    result = trained()
    path, names = result.folder.predictions, result.classifier.class_names
    written = path.read_text()
    path.write_text(written.replace("test,", "test,of an earlier epoch ", 1))
    for split in ("validation", "test"):
        examples = result.components.splits.split(split)
        assert examples is not None
        predicted = Predicted(split, examples, evaluate(result.classifier, examples))
        save_evaluated(result.folder.last, predicted, names, pytest.fail)  # of another checkpoint: not kept
        assert "of an earlier epoch" in path.read_text()
        save_evaluated(result.folder.best, predicted, names, pytest.fail)
    assert path.read_text() == written


def test_a_folder_that_cannot_be_written_to_is_noted(as_user: Path) -> None:
    result, notes = trained(), list[str]()
    assert result.test is not None and result.components.splits.test is not None
    predicted = Predicted("test", result.components.splits.test, result.test)
    result.folder.path.chmod(0o500)
    save_evaluated(result.folder.best, predicted, result.classifier.class_names, notes.append)
    result.folder.path.chmod(0o700)
    assert len(notes) == 1 and "predictions.csv: not saved (" in notes[0]


@pytest.mark.slow
def test_evaluate_writes_a_row_per_example(here: Path) -> None:
    folder = trained().folder
    assert nnclassify_in(Path(), "evaluate", "test", "--split", "validation", "--csv", "v.csv").returncode == 0
    assert rows_of(Path("v.csv")) == [row for row in rows_of(folder.predictions) if row["split"] == "validation"]
    written, rows = folder.predictions.read_bytes(), Path("t.csv").read_bytes()
    refused = nnclassify_in(Path(), "evaluate", "test", "--csv", "t.csv")
    assert (refused.returncode, refused.stderr) == (2, REFUSED) and Path("t.csv").read_bytes() == rows
    Path("t.csv").write_text(Path("t.csv").read_text().replace("P0,0,0,", "P0,0,1,"))  # other data than the manifest's
    assert nnclassify_in(Path(), "evaluate", "test", "--split", "train").returncode == 0
    assert folder.predictions.read_bytes() == written


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(here: Path) -> None:
    finished = nnclassify_in(Path(), "evaluate", "no run", "--csv", "nowhere/p.csv")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        "error: --csv nowhere/p.csv: expected a file, such as predictions.csv, in a folder that exists\n"
    )


def test_a_run_without_held_out_examples_has_no_predictions(here: Path) -> None:
    result = trained(dataset={**TABLE, "validation": 0, "test": 0})
    assert not result.folder.predictions.exists()
    assert isinstance(result.folder, RunFolder) and result.folder.manifest.is_file()
