"""Tests of bad input: exit code 2, one line with place, problem and fix, no traceback, no output files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

Program = Any
pytestmark = pytest.mark.slow
GOOD = "dataset: {name: blobs, num_examples: 60}\nmodel: {name: mlp, hidden: [4]}\nepochs: 1\n"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(nnclassify: Program, place: Path, *arguments: str) -> list[str]:
    """The lines on stderr of a command that must be refused and leave no trace."""
    before, folders = tree(place), sorted(place.rglob("*"))
    done = nnclassify(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr
    assert (tree(place), sorted(place.rglob("*"))) == (before, folders)
    return [line for line in done.stderr.splitlines() if not line.startswith("newest run")]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: [1\n", ["error: bad.yaml:2: not YAML (expected ',' or ']', but got '<stream end>'); check indentation, "
                     "colons and brackets"]),
        (GOOD + "epochs: 2\n", ["error: bad.yaml:4: epochs: duplicate key, first on line 3; remove one"]),
        (GOOD + "epoch: 2\nbatch_size: 0\n", [
            "error: bad.yaml:4: epoch: unknown key; did you mean 'epochs'?; expected one of *",
            "error: bad.yaml:5: batch_size: found 0, expected at least 1",
        ]),
        (GOOD + "shuffle: maybe\n", ["error: bad.yaml:4: shuffle: found 'maybe', expected true or false"]),
    ],
)  # fmt: skip
def test_a_bad_config(text: str, lines: list[str], nnclassify: Program, place: Path) -> None:
    (place / "bad.yaml").write_text(text)
    found = refused(nnclassify, place, "train", "bad.yaml")
    assert len(found) == len(lines)
    for line, expected in zip(found, lines, strict=True):
        assert line == expected or (line.startswith(expected.removesuffix("*")) and expected.endswith("*"))


def test_a_missing_file(nnclassify: Program, place: Path) -> None:
    (line,) = refused(nnclassify, place, "train", "gone.yaml")
    assert line.startswith("error: gone.yaml: no such file and no shipped config of that name; ")


@pytest.mark.parametrize(
    "arguments", [["--nope"], ["nope"], ["train"], ["evaluate", "--split", "nope"], ["predict", "1", "--top-k", "0"]]
)
def test_wrong_usage(arguments: list[str], nnclassify: Program, place: Path) -> None:
    assert refused(nnclassify, place, *arguments)


def test_an_option_that_predict_does_not_know_is_no_input(nnclassify: Program, place: Path) -> None:
    (line,) = refused(nnclassify, place, "predict", "1,2", "--tpo-k", "3")
    assert line.startswith("error: --tpo-k: no such option and no such file; did you mean '--top-k'?")


def tensors(inputs: Any, targets: Any) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        np.save(place / "x.npy", inputs)
        np.save(place / "y.npy", targets)
        return "dataset: {name: tensors, train_inputs: x.npy, train_targets: y.npy}\nmodel: mlp\n"

    return make


def pictures(spoil: Callable[[Path], object]) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        for name in ("cat", "dog"):
            (place / "root" / name).mkdir(parents=True, exist_ok=True)
            for index in range(4):
                Image.new("RGB", (8, 8)).save(place / "root" / name / f"{index}.png")
        spoil(place / "root")
        return "dataset: {name: folder, root: root, size: 8}\nmodel: mlp\n"

    return make


def table(text: str) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        (place / "t.csv").write_text(text)
        return "dataset: {name: csv, path: t.csv}\nmodel: mlp\n"

    return make


INPUTS = np.zeros((6, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("make", "start"),
    [
        (tensors(INPUTS, np.array([0, 1, -1, 0, 1, 0])), "y.npy: label -1 of example 2 is not a class"),
        (tensors(INPUTS, np.zeros(6, dtype=int)), "y.npy: only one class (0); expected at least two classes"),
        (tensors(INPUTS, np.zeros(7, dtype=int)), "y.npy: 7 targets for the 6 inputs of x.npy; expected one per input"),
        (tensors(INPUTS, np.array([0, 2, 0, 2, 0, 2])), "y.npy: no training examples of class 1; add examples"),
        (pictures(lambda root: (root / "cat/1.png").write_bytes(b"x")), "root/cat/1.png: not a readable image ("),
        (pictures(lambda root: (root / "ant").mkdir()), "root/ant: empty class; add images, or remove the folder"),
        (table("a,label\n1,x\n,y\n"), "t.csv:3: column 'a': missing value; fill it in or remove the row"),
        (table("a,label\n1,x\n2\n"), "t.csv:3: 1 value; expected 2, as in the header; correct or remove the line"),
        (lambda place: GOOD + "device: cuda:9\n", "bad.yaml:4: device: cuda:9 is not available (CUDA devices: "),
        (lambda place: GOOD.replace("mlp, hidden: [4]", "cnn, blocks: [{channels: 2}]"),
         "bad.yaml:2: model: cnn on examples of shape (2,); expected images (C, H, W); use `model: mlp` here"),
        (lambda place: "dataset: digits\nmodel: {name: cnn, blocks: [{channels: 2, kernel: 9}]}\n",
         "bad.yaml:2: model.blocks.1st: kernel 9 on (1, 8, 8) leaves (2, 0, 0); expected at least 1x1"),
        (lambda place: GOOD + "loss: {name: cross_entropy, class_weights: [1.0]}\n",
         "bad.yaml:4: loss.class_weights: 1 weights; expected 3, one per class"),
    ],
)  # fmt: skip
def test_bad_data_or_a_net_that_does_not_fit(
    make: Callable[[Path], str], start: str, nnclassify: Program, place: Path
) -> None:
    shutil.rmtree(place / "root", ignore_errors=True)
    (place / "bad.yaml").write_text(make(place))
    (line,) = refused(nnclassify, place, "train", "bad.yaml")
    assert line.startswith(f"error: {start}")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["evaluate", "gone"], "gone: no such run, folder or checkpoint"),
        (["evaluate", "text.pt"], "text.pt: damaged, or not a checkpoint"),
        (["evaluate", "tensor.pt"], "tensor.pt: not a checkpoint of nnclassify; expected one written by `train`"),
        (["evaluate", "empty"], "empty: contains no best.pt; expected a run folder"),
        (["compare", "text.pt"], "text.pt: damaged, or not a checkpoint"),
        (["predict", "1,2,3"], "checkpoints: no runs here; train one first: nnclassify train digits_cnn"),
    ],
)
def test_what_is_no_run(arguments: list[str], start: str, nnclassify: Program, place: Path) -> None:
    (place / "text.pt").write_text("hello")
    (place / "empty").mkdir(exist_ok=True)
    torch.save(torch.zeros(3), place / "tensor.pt")
    (line,) = refused(nnclassify, place, *arguments)
    assert line.startswith(f"error: {start}")


def test_exit_code_3_of_a_run_that_diverges(nnclassify: Program, place: Path) -> None:
    (place / "diverges.yaml").write_text(GOOD + "loss: mse\noptimizer: {name: sgd, lr: 1e30}\n")
    done = nnclassify("train", "diverges.yaml", "--set", "epochs=5")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr and "weights NaN or infinite" in done.stderr.splitlines()[-1]
