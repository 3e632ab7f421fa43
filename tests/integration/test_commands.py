"""Tests of the commands train, evaluate, predict and compare: their output, streams and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("commands")]  # on the same runs
Program = Any
CONFIG = """\
dataset: {name: digits, limit: 200}
model: {name: mlp, hidden: [32]}
epochs: 3
batch_size: 32
"""


@pytest.fixture(scope="module")
def first(nnclassify: Program, place: Path) -> subprocess.CompletedProcess[str]:
    """The first run, with images, as text."""
    (place / "mine.yaml").write_text(CONFIG)
    done: subprocess.CompletedProcess[str] = nnclassify("train", "mine.yaml")
    return done


@pytest.fixture(scope="module")
def second(first: object, nnclassify: Program) -> subprocess.CompletedProcess[str]:
    """The same config again, without images, as JSON."""
    done: subprocess.CompletedProcess[str] = nnclassify(
        "train", "mine.yaml", "--json", "--no-plots", "--verbose", "--set", "compile=off"
    )
    return done


def test_verbose_says_how_steps_are_run(
    first: subprocess.CompletedProcess[str], second: subprocess.CompletedProcess[str]
) -> None:
    lines, plan = second.stderr.splitlines(), json.loads(second.stdout)["plan"]
    (line,) = (line for line in lines if line.startswith("plan:"))
    assert [text.split(":")[0] for text in lines[:4]] == ["data", "splits", "network", "plan"]
    decisions = ", ".join(f"{name} {value}" for name, value in plan.items())
    assert decisions.startswith("device cpu, dtype float32, autocast float32, memory_format contiguous, num_threads 1")
    assert re.fullmatch(rf"plan: \d+ epochs?, batch size \d+, {re.escape(decisions)}", line)
    assert plan["execution"] == "eager" and plan["world_size"] == 1
    assert "plan:" not in first.stderr


def test_train_leaves_a_whole_run_folder(first: subprocess.CompletedProcess[str], place: Path) -> None:
    assert first.returncode == 0, first.stderr
    folder = place / "checkpoints/mine"
    assert {"config.yaml", "history.jsonl", "best.pt", "last.pt", "plots"} <= {entry.name for entry in folder.iterdir()}
    assert {"curves.png", "confusion.png", "samples.png", "mistakes.png"} <= {
        p.name for p in (folder / "plots").iterdir()
    }
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    wanted = {
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "lr",
        "seconds",
        "examples_per_second",
    }
    assert wanted <= set(rows[0])


def test_results_are_on_stdout_and_progress_on_stderr(first: subprocess.CompletedProcess[str]) -> None:
    assert first.stdout.startswith("run: checkpoints/mine")
    assert "test: accuracy" in first.stdout and "epoch 1/3" not in first.stdout
    *epochs, last = first.stderr.splitlines()
    assert [line[:9] for line in epochs] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert last.startswith("warning: NN613 far below a linear model")  # after three epochs


METRICS = [
    "accuracy", "balanced_accuracy", "f1_macro", "top_5_accuracy", "roc_auc", "matthews_corrcoef", "log_loss",
]  # fmt: skip


def test_train_json(second: subprocess.CompletedProcess[str], place: Path) -> None:
    assert second.returncode == 0, second.stderr
    figures = json.loads(second.stdout)
    assert list(figures) == [
        "schema", "run", "epochs", "steps", "train_seconds", "examples_per_second", "device", "compile", "plan",
        "best_epoch",
        "train", "validation", "test", "num_examples", "intervals", "baselines", "calibration", "slices", "test_looks",
        "findings",
    ]  # fmt: skip
    assert set(figures["train"]) == {"loss", "accuracy"} < set(figures["validation"]) == set(figures["test"])
    assert set(figures["test"]) == {"loss", *METRICS}
    assert (figures["epochs"], figures["steps"]) == (3, 3 * 6)


def test_a_second_run_gets_a_number(second: subprocess.CompletedProcess[str], place: Path) -> None:
    assert json.loads(second.stdout)["run"] == "checkpoints/mine-2"
    assert not (place / "checkpoints/mine-2/plots").exists()


def test_another_process_trains_to_the_same_weights_bit_for_bit(second: object, place: Path) -> None:
    from nnclassify.runs.checkpoint import content_digest, load_checkpoint

    one, two = (load_checkpoint(place / "checkpoints" / run / "best.pt") for run in ("mine", "mine-2"))
    assert content_digest(one.model) == content_digest(two.model)
    assert [row["train_loss"] for row in one.history] == [row["train_loss"] for row in two.history]


def test_evaluate_json_is_of_the_newest_run_and_says_so(
    second: subprocess.CompletedProcess[str], nnclassify: Program
) -> None:
    done = nnclassify("evaluate", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "newest run: checkpoints/mine-2/best.pt\n"
    figures = json.loads(done.stdout)
    assert list(figures) == [
        "schema",
        "run",
        "data",
        "split",
        "notes",
        "num_examples",
        "loss",
        *METRICS,
        "accuracy_interval",
        "intervals",
        "classes",
        "confusion",
        "baselines",
        "test_looks",
        "calibration",
        "mistakes",
        "slices",
    ]
    assert set(figures["classes"][0]) == {"name", "precision", "recall", "f1", "support"}
    assert figures["split"] == "test" and len(figures["confusion"]) == 10
    test = json.loads(second.stdout)["test"]
    assert (figures["loss"], figures["accuracy"]) == (test["loss"], test["accuracy"])


@pytest.mark.slow
def test_evaluate_text_of_another_split(second: object, nnclassify: Program) -> None:
    done = nnclassify("evaluate", "mine", "--split", "validation")
    assert done.returncode == 0 and done.stderr == ""
    assert "checkpoints/mine/best.pt on validation (20 examples)" in done.stdout
    assert "95% interval" in done.stdout and "confusion (rows: true class)" in done.stdout


@pytest.mark.slow
def test_predict_json_with_one_input_that_cannot_be_read(second: object, nnclassify: Program, place: Path) -> None:
    Image.new("RGB", (20, 30)).save(place / "black.png")
    (place / "bad.png").write_text("no image")
    done = nnclassify("predict", "black.png", "bad.png", "--top-k", "3", "--json")
    assert done.returncode == 2
    good, bad = json.loads(done.stdout)["predictions"]
    assert list(good) == ["input", "label", "probability", "top", "unlike"] and len(good["top"]) == 3
    assert set(good["top"][0]) == {"label", "probability"} and good["top"][0]["label"] == good["label"]
    assert list(bad) == ["input", "error"] and "bad.png: not a readable image" in bad["error"]
    assert done.stderr.splitlines() == ["newest run: checkpoints/mine-2/best.pt", f"error: {bad['error']}"]


@pytest.mark.slow
def test_predict_as_text_and_csv(second: object, nnclassify: Program, place: Path) -> None:
    Image.new("RGB", (20, 30)).save(place / "black.png")
    text = nnclassify("predict", "black.png", "--run", "mine")
    assert text.returncode == 0 and text.stderr == ""
    assert text.stdout.startswith("black.png: ") and text.stdout.endswith("%; unlike the training data\n")
    table = nnclassify("predict", "black.png", "--run", "mine", "--csv").stdout.splitlines()
    assert table[0] == "input,label,probability,unlike" and table[1].startswith("black.png,")


@pytest.mark.slow
def test_predict_into_a_file_and_folders(second: object, nnclassify: Program, place: Path) -> None:
    for name in ("1.png", "deep/1.png"):
        (place / "some" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30)).save(place / "some" / name)
    (place / "some/bad.png").write_text("no image")
    done = nnclassify("predict", "some", "--run", "mine", "--save-csv", "saved.csv", "--copy-to", "sorted")
    assert done.returncode == 2 and "error: some/bad.png: not a readable image" in done.stderr
    assert done.stdout.startswith("2 inputs: ") and done.stdout.endswith("\ncopied: 2 images to sorted\n")
    printed = nnclassify("predict", "some", "--run", "mine", "--csv").stdout
    assert (place / "saved.csv").read_text() == printed and printed.count("\n") == 3
    assert sorted(path.name for path in (place / "sorted").rglob("*.png")) == ["1 (2).png", "1.png"]
    refused = nnclassify("predict", "some", "--run", "mine", "--copy-to", "some/sorted")
    assert refused.returncode == 2 and not (place / "some/sorted").exists()


@pytest.mark.slow
def test_compare_json(second: object, nnclassify: Program) -> None:
    done = nnclassify("compare", "mine", "mine-2", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["runs"]
    assert list(rows[0]) == [
        "name", "differences", "parameters", "epochs", "seconds", "accuracies", "select_by", "metrics", "examples",
    ]  # fmt: skip
    assert [row["name"] for row in rows] == ["mine", "mine-2"]
    assert rows[0]["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert set(rows[0]["accuracies"]) == {"train", "validation", "test"}


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[[", '{"epochs": "x", "train_seconds": NaN}', "\xff"])
def test_odd_files_in_a_run_folder_are_named(text: str, second: object, nnclassify: Program, place: Path) -> None:
    odd = place / "checkpoints/odd"
    shutil.copytree(place / "checkpoints/mine-2", odd, dirs_exist_ok=True)
    for name in ("result.json", "history.jsonl"):
        (odd / name).write_bytes(text.encode("latin-1"))
    compared, drawn = nnclassify("compare", "odd", "--json"), nnclassify("plots", "odd", "--json")
    assert "checkpoints/odd/result.json: cannot be read (" in compared.stderr
    assert "; remove it, and resume the run; until then, it is shown without its metrics\n" in compared.stderr
    assert json.loads(compared.stdout)["runs"][0]["accuracies"]["test"] is None
    assert drawn.stderr.startswith("checkpoints/odd/history.jsonl: ") and "the curves end at" in drawn.stderr
    assert {Path(path).name for path in json.loads(drawn.stdout)["plots"]} >= {"curves.png", "mistakes.png"}
    shutil.rmtree(odd)


@pytest.mark.slow
def test_compare_text_draws_the_curves(second: object, nnclassify: Program, place: Path) -> None:
    nnclassify("train", "mine.yaml", "--set", "optimizer.lr=0.01", "--set", "name=faster", "--no-plots")
    done = nnclassify("compare", "mine", "faster")
    assert done.returncode == 0, done.stderr
    assert "optimizer.lr" in done.stdout
    assert (place / "checkpoints/compare.png").stat().st_size > 10_000


@pytest.mark.slow
def test_two_features_get_their_decision_regions_and_may_be_negative(nnclassify: Program, place: Path) -> None:
    (place / "xor.yaml").write_text("dataset: xor\nmodel: {name: mlp, hidden: [2]}\nepochs: 2\n")
    assert nnclassify("train", "xor.yaml").returncode == 0
    assert (place / "checkpoints/xor/plots/decision_regions.png").is_file()
    values = ["-1,50", "-.5,2", "-1e3,-2"]
    for arguments in (["--run", "xor", *values], [*values, "--run", "xor"], ["--run=xor", "--", *values]):
        done = nnclassify("predict", *arguments)
        assert [line.split(": ")[0] for line in done.stdout.splitlines()] == values
    refused = nnclassify("predict", "-inf,1", "-,1", "--run", "xor")
    assert refused.returncode == 2 and refused.stderr.splitlines() == [
        "error: -inf,1: column 'x': found '-inf', expected a finite number; correct it or remove the row",
        "error: -,1: column 'x': found '-', a missing value; fill it in or remove the row",
    ]


@pytest.mark.slow
def test_names_with_signs_and_in_any_script_are_drawn_and_nothing_is_said_of_it(
    nnclassify: Program, place: Path
) -> None:
    labels = ["$10_$20", "under $10", "猫", "🐈", "_^", "x" * 300]
    rows = [f"{index % 5},{index % 7},{labels[index % 6]}" for index in range(210)]
    (place / "signs.csv").write_text("\n".join(["$x_1,y^2$,label", *rows]), encoding="utf-8")
    dataset = "{name: csv, path: signs.csv, label: label}"
    (place / "signs.yaml").write_text(f"dataset: {dataset}\nmodel: {{name: mlp, hidden: [4]}}\nepochs: 1\n")
    done = nnclassify("train", "signs.yaml", "--no-monitor")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith(("epoch ", "warning: NN6"))] == []
    plots = place / "checkpoints/signs/plots"
    assert {path.name for path in plots.iterdir()} == {
        *{"calibration.png", "confusion.png", "curves.png", "decision_regions.png"}
    }
    for path in plots.iterdir():
        with Image.open(path) as picture:
            assert max(picture.size) < 2500


@pytest.mark.slow
def test_preview_draws_images_and_prints_tables(first: object, nnclassify: Program, place: Path) -> None:
    done = nnclassify("preview", "mine.yaml", "--out", "seen.png", "dataset.augment.flip=true")
    assert (done.returncode, done.stdout) == (0, "preview: seen.png\n") and (place / "seen.png").stat().st_size > 10_000
    done = nnclassify("preview", "iris_mlp", "--split", "test")
    assert done.stdout.startswith("test: 4 values; normalize none; `input` is what the network sees\n\nfeature")
    assert nnclassify("preview", "mine.yaml", "--split", "all").returncode == 2
