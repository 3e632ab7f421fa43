"""Tests that the journal survives what kills and full disks leave behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage

from nnclassify.errors import SaveError
from nnclassify.tune.journal import BLOCK_BYTES, Journal


@pytest.mark.parametrize("part", [b'{"op_code":4,"tri', b"x" * (2 * BLOCK_BYTES + 3), b"\xff"])
def test_a_line_that_was_cut_short_is_removed_by_the_next_one(part: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    study = optuna.create_study(storage=JournalStorage(Journal(path, tmp_path)), study_name="tune")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    whole = path.read_bytes()
    path.write_bytes(whole + part)
    again = optuna.load_study(storage=JournalStorage(Journal(path, tmp_path)), study_name="tune")
    again.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert path.read_bytes().startswith(whole) and part not in path.read_bytes()
    once_more = optuna.load_study(storage=JournalStorage(Journal(path, tmp_path)), study_name="tune")
    assert [trial.number for trial in once_more.trials] == [0, 1, 2]


def test_a_first_line_that_was_cut_short_is_removed_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.log", tmp_path)
    journal.path.write_bytes(b'{"op')
    journal.append_logs([{"a": 1}, {"b": 2}])
    assert journal.path.read_bytes() == b'{"a":1}\n{"b":2}\n'


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.log", tmp_path)
    journal.path.unlink()
    with pytest.raises(SaveError, match=r"journal.log: not written \(.*\); free space or fix permissions"):
        journal.append_logs([{"a": 1}])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_journal_that_is_no_file_is_not_waited_for(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "journal.log")
    with pytest.raises(OSError, match="not a regular file"):
        Journal(tmp_path / "journal.log", tmp_path)
