"""Tests of progress without a terminal: few lines are written, and the important ones are among them."""

from types import SimpleNamespace
from typing import Any

import pytest

from nnclassify.cli.progress import EpochLines, PredictionBar
from nnclassify.training.history import Row


def lines_of(
    epochs: int, best: int, capsys: pytest.CaptureFixture[str], ends_at: int = 0, notes: dict[int, str] | None = None
) -> list[str]:
    """What a run of so many epochs writes to standard error, with one best epoch and notes before some epochs."""
    observer = EpochLines()
    for epoch in range(1, (ends_at or epochs) + 1):
        if notes and epoch in notes:
            observer.note(notes[epoch])
        trainer: Any = SimpleNamespace(
            is_best=epoch == best, recipe=SimpleNamespace(epochs=epochs, may_select=True, select_by="accuracy")
        )
        observer.epoch_done(trainer, Row(epoch, epoch, 0.5, 0.5, 0.5, 0.5, 0.1, 1.0, 1.0))
    observer.run_ended(trainer)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("epochs", [41, 500, 12_345])
def test_a_long_run_has_at_most_forty_lines_the_best_and_the_last_among_them(
    epochs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    best = epochs // 2 + 1
    lines = lines_of(epochs, best, capsys)
    assert 20 <= len(lines) <= 40
    assert lines[0].startswith(f"epoch 1/{epochs} ")
    assert any(line.startswith(f"epoch {epochs}/{epochs} ") for line in lines[-2:])
    (marked,) = (line for line in lines if line.endswith("best"))
    assert marked.startswith(f"epoch {best}/{epochs} ")


def test_a_run_that_ends_early_shows_its_last_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(100_000, 31, capsys, ends_at=61)
    assert [int(line.split()[1].split("/")[0]) for line in lines] == [1, 2, 3, 4, 5, 6, 7, 8, 16, 31, 61]


def test_a_short_run_has_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(lines_of(40, 1, capsys)) == 40


def test_a_buried_warning_is_repeated_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    notes = {1: "warning: NN1 a\nb", 2: "skipped: c", 15: "warning: late"}
    lines = lines_of(20, 1, capsys, notes=notes)
    assert lines.count(r"warning: NN1 a\nb") == 2 and lines[-1] == r"warning: NN1 a\nb"
    assert lines.count("skipped: c") == lines.count("warning: late") == 1


def test_the_bar_of_predictions_knows_the_images_of_a_folder_but_not_the_rows_of_a_table() -> None:
    bar = PredictionBar(2)
    bar.found(5)
    totals = []
    for _ in range(7):
        bar.advance()
        totals.append(bar.bar.total)
    bar.close()
    assert totals == [6] * 6 + [None] and bar.bar.n == 7
