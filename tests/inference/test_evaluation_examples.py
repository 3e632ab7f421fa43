"""Tests of the examples used for evaluation: the run's own test split, or all examples of another file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from builders import config_of, loaded

from nnclassify import run
from nnclassify.data.base import told_where_to_look
from nnclassify.errors import DataError
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate
from nnclassify.inference.evaluation_examples import examples_to_evaluate
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.resumable import own_config

ROWS = [(row % 10, row * 7 % 13, "low" if row % 10 < 5 else "high") for row in range(60)]


def write(path: str, header: str, rows: Sequence[tuple[object, ...]]) -> None:
    Path(path).write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A run on t.csv in the folder that tests stand in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("examples_to_evaluate"))
        write("t.csv", "a,b,label", ROWS)
        run.train(loaded(config_of(dataset={"name": "csv", "path": "t.csv"}, epochs=20)))
        yield


def net(*overrides: str) -> Classifier:
    return Classifier.load(Path("checkpoints/test/best.pt"), "cpu").overridden(overrides)


def test_columns_are_found_by_name_and_the_same_rows_are_known_again() -> None:
    write("turned.csv", "label,b,extra,a", [(label, b, 1, a) for a, b, label in ROWS])
    mine, moved = examples_to_evaluate(net()), examples_to_evaluate(net("dataset.path=turned.csv"))
    assert (mine.split, len(mine.examples), mine.notes) == ("test", 12, [])
    assert (moved.split, moved.notes) == ("test", [])
    assert torch.equal(mine.examples.select(torch.arange(12))[0], moved.examples.select(torch.arange(12))[0])


def test_columns_that_are_not_used_are_told() -> None:
    write("more.csv", ",a,extra,b,label,c d", [(i, a, 1, b, label, 2) for i, (a, b, label) in enumerate(ROWS[:9])])
    found = examples_to_evaluate(net(), data="more.csv")
    assert found.notes[0] == "more.csv: ignored, as this network does not take them: extra, c d"
    write("same.csv", "a,b,label", ROWS[:9])
    assert not any("ignored" in note for note in examples_to_evaluate(net(), data="same.csv").notes)


def test_other_columns_are_refused_by_name() -> None:
    write("other.csv", "a,c,label", ROWS)
    with pytest.raises(DataError, match=r"other\.csv:1: no column 'b' \(dataset\.features\); columns: a, c, label"):
        examples_to_evaluate(net("dataset.path=other.csv"))


def test_all_rows_of_another_file_are_scored_in_the_classes_of_the_run() -> None:
    write("new.csv", "a,b,label", [(3, 1, "low"), (4, 2, "low"), (1, 0, "low")])
    found = examples_to_evaluate(net("dataset.path=new.csv"))
    assert (found.split, len(found.examples)) == ("all", 3)
    assert found.notes == [
        "new.csv: no examples of class high; the metrics cover the other classes only",
        "new.csv: not the data that the run was trained on; evaluated: all 3 examples; the network was trained on 1 of "
        "these 3 (new.csv:3)",
    ]
    assert evaluate(net(), found.examples).confusion[0] == [0, 0]  # nothing is high
    write("new.csv", "a,b,label", [(3, 1, "low"), (4, 2, "middle")])
    with pytest.raises(DataError, match=r"new\.csv: class 'middle' is not one of the run's: high, low"):
        examples_to_evaluate(net("dataset.path=new.csv"))


def test_a_split_that_is_not_what_it_was_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(str(tmp_path / "t.csv"), "a,b,label", [(5, 5, "high"), *ROWS])
    classifier = net()
    assert (
        examples_to_evaluate(replace(classifier, split_digests=None)).notes == []
    )  # an earlier release knew no digests
    monkeypatch.chdir(tmp_path)
    (note,) = examples_to_evaluate(classifier).notes
    assert note.startswith("t.csv: the test split has changed since the run was trained")
    assert "test split has changed" in examples_to_evaluate(classifier.overridden(["dataset.seed=4"])).notes[0]


def test_a_value_that_no_net_computes_with_is_refused_by_line() -> None:
    write("far.csv", "a,b,label", [(3, 1, "low"), (4, -3.4e38, "low")])
    with pytest.raises(DataError, match=r"far\.csv:3: column 'b': -3\.4e\+38, .+ after normalizing, is too large"):
        examples_to_evaluate(net("dataset.path=far.csv"))


def test_data_that_has_moved_is_looked_for_where_an_override_says(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = net()
    Path("t.csv").rename("new place.csv")
    try:
        with pytest.raises(DataError, match=r"t\.csv: no such file.*; if it has moved, add dataset\.path=NEW$"):
            examples_to_evaluate(classifier)
        assert examples_to_evaluate(net("dataset.path=new place.csv")).split == "test"
        with pytest.raises(DataError) as caught:
            run.train(loaded(config_of(dataset={"name": "csv", "path": "gone.csv"})))
        assert "moved" not in str(caught.value)  # a new run
        folder = RunFolder(Path("checkpoints/test"))
        with pytest.raises(DataError, match=r"; if it has moved, add dataset\.path=NEW$"):
            run.train(own_config(folder), resume=folder)
    finally:
        Path("new place.csv").rename("t.csv")


def test_every_file_that_is_missing_is_named_by_its_key(here: Path) -> None:
    (here / "t.csv").write_text("a,label\n1,x\n")
    dataset = config_of(dataset={"name": "csv", "path": "t.csv", "test": "gone.csv", "validation": "lost.csv"}).dataset
    added = r"^a; if it has moved, add dataset\.validation=NEW dataset\.test=NEW\n"
    with pytest.raises(DataError, match=added), told_where_to_look(dataset):
        raise DataError(["a", "b"])
    with pytest.raises(DataError, match=r"^c$"), told_where_to_look(config_of().dataset):
        raise DataError("c")
