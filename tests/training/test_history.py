"""The history of a run, read back from its folder for curves that go beyond the best epoch."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nnclassify.training.history import Row, whole_history, write_rows, write_table

ROWS = [Row(epoch, epoch, 1.0, 0.5, None, None, 0.1, 1.0, 10.0) for epoch in (1, 2, 3)]


def test_the_history_goes_beyond_the_checkpoint(tmp_path: Path) -> None:
    path, notes = tmp_path / "history.jsonl", list[str]()
    write_rows(path, ROWS)
    assert whole_history(path, ROWS[:2], notes.append) == ROWS and notes == []


@pytest.mark.parametrize("content", ["[" * 100_000, '{"epoch": ' + "9" * 5000 + "}", "\udcff", "null", None])
def test_what_is_no_history_is_not_used(content: str | None, tmp_path: Path) -> None:
    path, notes = tmp_path / "history.jsonl", list[str]()
    if content is None:
        os.mkfifo(path)  # reading it would wait for ever
    else:
        path.write_text(content, errors="surrogateescape")
    assert whole_history(path, ROWS, notes.append) == ROWS
    assert len(notes) == 1 and "cannot be read" in notes[0]


def test_a_history_that_is_not_the_checkpoints_is_not_used(tmp_path: Path) -> None:
    path, notes = tmp_path / "history.jsonl", list[str]()
    known = [replace(ROWS[0], train_loss=2.0)]
    assert whole_history(path, known, notes.append) == known
    write_rows(path, ROWS)
    assert whole_history(path, known, notes.append) == known
    assert [note.removeprefix(f"{path}: ").split(" (")[0].split(";")[0] for note in notes] == [
        "cannot be read",
        "not the history of this checkpoint",
    ]


def test_a_table_has_numbers_alone_and_empty_cells_for_what_is_unknown(tmp_path: Path) -> None:
    write_table(tmp_path / "results.csv", [replace(ROWS[0], train_loss=0.1 + 0.2, validation_loss=-1e-9), ROWS[1]])
    assert (tmp_path / "results.csv").read_text().splitlines() == [
        "epoch,step,train_loss,train_accuracy,validation_loss,validation_accuracy,lr,seconds,examples_per_second",
        "1,1,0.30000000000000004,0.5,-1e-09,,0.1,1.0,10.0",
        "2,2,1.0,0.5,,,0.1,1.0,10.0",
    ]
