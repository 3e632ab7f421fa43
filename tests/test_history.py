"""The history of a run, read back from its folder for curves that go beyond the best epoch."""

from dataclasses import replace
from pathlib import Path

from nnclassify.history import Row, whole_history, write_rows

ROWS = [Row(epoch, epoch, 1.0, 0.5, None, None, 0.1, 1.0, 10.0) for epoch in (1, 2, 3)]


def test_the_history_goes_beyond_the_checkpoint(tmp_path: Path) -> None:
    path, notes = tmp_path / "history.jsonl", list[str]()
    write_rows(path, ROWS)
    assert whole_history(path, ROWS[:2], notes.append) == ROWS and notes == []


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
