"""Tests of `manifest.csv`: the examples of a run by name, and what has changed since."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import torch
from builders import config_of, loaded

from nnclassify import run
from nnclassify.data import Examples, Splits
from nnclassify.data.names import INDICES, ExampleNames
from nnclassify.errors import ConfigError, Interrupted
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluation_examples import examples_to_evaluate
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.manifest import Manifest, manifest_of, read_manifest, what_changed, write_manifest
from nnclassify.training.trainer import Observer, Trainer

BEFORE = Manifest(["a", "b", "c", "d"], ["train", "train", "train", "test"], ["x", "y", "x", "y"], ["1", "2", "3", "4"])
ROWS = [f"P{row},{row},{row * 7 % 13},{'low' if row % 10 < 5 else 'high'}" for row in range(60)]
TABLE = {"name": "csv", "path": "t.csv", "id": "id"}


class StopAfterOne(Observer):
    """Asks to stop after the first epoch."""

    def epoch_done(self, trainer: Trainer, row: object) -> None:
        trainer.request_stop(15)


def write(*rows: str, path: str = "t.csv") -> None:
    Path(path).write_text("\n".join(["id,a,b,label", *rows, ""]))


def begin(*, stopped: bool) -> RunFolder:
    """A run on t.csv that was stopped, or has finished."""
    write(*ROWS)
    config = loaded(config_of(dataset=TABLE, epochs=3))
    try:
        return run.train(config, observers=[StopAfterOne()] if stopped else []).folder
    except Interrupted:
        return RunFolder(Path("checkpoints/test"))


def continued(folder: RunFolder) -> list[str]:
    notes: list[str] = []
    run.train(loaded(config_of(dataset=TABLE, epochs=3)), resume=folder, note=notes.append)
    return notes


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (BEFORE, "the same examples in another order"),
        (Manifest(["a", "b"], ["train"] * 2, ["x", "y"], ["1", "2"]), "2 examples removed (c, d)"),
        (
            Manifest(
                ["a", "b", "c", "d"], ["train", "test", "train", "train"], ["x", "y", "y", "y"], ["1", "2", "3", "9"]
            ),
            "1 example with other content (d), 2 examples moved to another split (b from train to test, d from test to "
            "train), 1 example of another class (c from x to y)",
        ),
        (
            Manifest(["new", "a", "b", "c", "d"], ["train"] * 4 + ["test"], [*"xxyxy"], ["7", "1", "2", "3", "4"]),
            "1 example added (new)",
        ),
        (  # a row before the others: lines are called otherwise, and only one is new
            Manifest(["a", "b", "c", "d", "e"], ["train"] * 4 + ["test"], [*"xxyxy"], ["7", "1", "2", "3", "4"]),
            "1 example added (a), 4 examples renamed (a to b, b to c, c to d and 1 more)",
        ),
    ],
)
def test_what_has_changed_is_told_by_name(now: Manifest, told: str) -> None:
    assert what_changed(BEFORE, now) == told


def test_a_manifest_is_a_table_that_names_duplicates_of_other_splits(tmp_path: Path) -> None:
    inputs, targets = torch.tensor([[1.0], [2.0], [3.0], [1.0], [3.0]]), torch.tensor([0, 1, 1, 0, 1])
    names = INDICES.with_texts(["=1+1", "b\n", "c", "d", "e"])
    train, validation, test = (Examples(inputs, targets, torch.tensor(rows), names) for rows in ([0, 1], [2], [3, 4]))
    splits = Splits(train, validation, test, class_names=["@x", "y"])
    write_manifest(tmp_path / "m.csv", splits)
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["split"], row["class"], row["duplicate_of"]) for row in rows] == [
        ("'=1+1", "train", "'@x", "d"),
        (r"b\n", "train", "y", ""),
        ("c", "validation", "y", "e"),
        ("d", "test", "'@x", "'=1+1"),
        ("e", "test", "y", "c"),
    ]
    assert read_manifest(tmp_path / "m.csv") == manifest_of(splits)
    assert manifest_of(splits).names[:2] == ["=1+1", r"b\n"]  # for messages, without the apostrophe


def test_what_is_no_manifest_is_none(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    assert read_manifest(path) is None
    for content in (b"", b"name,split\n", b"\xff\xfe", b"name,split,class,hash,duplicate_of\na,train\n"):
        path.write_bytes(content)
        assert read_manifest(path) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # reading it would block
        assert read_manifest(tmp_path / "pipe") is None


def test_a_validation_split_that_is_the_test_split_and_multi_hot_classes() -> None:
    examples = Examples(torch.eye(2), torch.tensor([[1, 1], [0, 0]]), torch.arange(2), ExampleNames("test/"))
    splits = Splits(
        Examples(torch.eye(2), examples.targets, torch.arange(2)), examples, examples, class_names=["red", "green"]
    )
    manifest = manifest_of(splits)
    assert (manifest.names, manifest.splits) == (["0", "1", "test/0", "test/1"], ["train"] * 2 + ["test"] * 2)
    assert manifest.classes == ["red, green", ""] * 2


def test_a_resumed_run_says_which_training_examples_have_changed(here: Path) -> None:
    folder = begin(stopped=True)
    kept = folder.manifest.read_bytes()
    assert continued(folder) and folder.manifest.read_bytes() == kept
    write(*ROWS[:-1], "P59,99,9,high")
    with pytest.raises(ConfigError, match=r"training data has changed .+: 1 example with other content \(P59\); start"):
        continued(folder)
    folder.manifest.unlink()  # as of a run of an earlier release
    with pytest.raises(ConfigError, match=r"training data has changed \(\w+ differs\); start a new run"):
        continued(folder)


def test_a_resumed_run_says_which_test_examples_have_changed(here: Path) -> None:
    folder = begin(stopped=True)
    manifest = read_manifest(folder.manifest)
    assert manifest is not None
    name = manifest.part("test").names[0]
    write(*(row.replace(f"{name},", f"{name},1") if row.startswith(f"{name},") else row for row in ROWS))
    (note,) = [note for note in continued(folder) if "test split" in note]
    assert f"the test split has changed since the run began: 1 example with other content ({name}); the test" in note
    now = read_manifest(folder.manifest)
    assert now is not None and now.part("train") == manifest.part("train")
    assert now.part("test").hashes[0] != manifest.part("test").hashes[0]


def test_a_manifest_that_is_lost_is_written_again(here: Path) -> None:
    folder = begin(stopped=False)
    kept = folder.manifest.read_bytes()
    folder.manifest.unlink()
    folder.predictions.unlink()
    continued(folder)
    assert folder.manifest.read_bytes() == kept and folder.predictions.is_file()


def test_an_evaluation_says_which_examples_have_changed_and_which_were_trained_on(here: Path) -> None:
    folder = begin(stopped=False)
    write("P60,5,5,high", *ROWS)
    (note,) = examples_to_evaluate(Classifier.load(folder.best, "cpu")).notes
    assert "(its digest differs): 1 example added (P60), " in note and " moved to another split (P" in note
    assert "; the network was trained on " in note and " of these 12 (t.csv:" in note
    folder.manifest.unlink()
    (note,) = examples_to_evaluate(Classifier.load(folder.best, "cpu")).notes
    assert note.endswith("(its digest differs); examples that the network was trained on may be among these 12")
