"""Tests of the count of networks that have looked at a test split."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from nnclassify.runs import looks
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.looks import MAX_LOOKS, SplitLooks, in_words, look, looks_folder

SPLIT = "0" * 64


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.tensor([value])}


def look_of(value: float, run: str = "run", split: str = SPLIT) -> int:
    """A look of a run; fails if it has anything to note."""
    Path(run).mkdir(exist_ok=True)
    (Path(run) / "config.yaml").touch()
    return look(Path(run) / "best.pt", weights(value), split, pytest.fail)


def test_each_network_looks_once(here: Path) -> None:
    assert [look_of(value) for value in (1.0, 2.0, 1.0, 2.0, 3.0)] == [1, 2, 2, 2, 3]
    assert look_of(1.0, split="1" * 64) == 1
    assert in_words(1) == in_words(None) == ""
    assert in_words(7) == "look 7 at this test set: runs were probably chosen by it"


def test_the_run_folder_counts_on_another_machine(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run, value in (("first", 1.0), ("second", 2.0)):
        look_of(value, run)
    kept = SplitLooks.model_validate_json(RunFolder(Path("second")).looks.read_bytes())
    assert kept.test_split == SPLIT and [Path(each.run).name for each in kept.looks] == ["first", "second"]
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "another machine"))
    assert look_of(2.0, "second") == 2
    assert look_of(3.0, "third") == 3


def test_the_seeds_of_a_group_look_once(here: Path) -> None:
    for name in ("group", "other"):
        Path(name).mkdir()
        (Path(name) / "group.json").write_text(json.dumps({"name": name, "data": {}, "runs": {}}))
    runs = ["alone", "group/seed-0", "group/seed-1", "other/seed-0", "other/seed-1"]
    assert [look_of(float(value), run) for value, run in enumerate(runs)] == [1, 2, 2, 3, 3]
    Path("other/group.json").write_text(json.dumps({"name": "other", "data": {}, "runs": {"seed-2": ["seed=2"]}}))
    assert look_of(9.0, "other/seed-2") == 3  # a group that was extended by a seed


def test_a_folder_that_is_not_of_a_run_keeps_no_looks(here: Path) -> None:
    assert look(here / "copied.pt", weights(1.0), SPLIT, pytest.fail) == 1
    assert [*here.glob("*")] == []


def test_a_folder_without_permission_is_said_in_a_line(as_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(as_user / "closed"))
    (as_user / "closed").mkdir(mode=0o500)
    (as_user / "config.yaml").touch()
    notes: list[str] = []
    assert [look(as_user / "best.pt", weights(value), SPLIT, notes.append) for value in (1.0, 2.0)] == [1, 2]
    assert len(notes) == 2
    assert notes[0].startswith("looks at the test set are counted only in the run folder: [Errno 13] Permission denied")


def test_lines_that_were_cut_short_are_no_looks(here: Path) -> None:
    look_of(1.0)
    folder = looks_folder()
    assert folder is not None
    with (folder / f"{SPLIT}.jsonl").open("ab") as file:
        file.write(b'\n{"weights": "abc", "ru')
    assert look_of(2.0) == 2
    (folder / f"{SPLIT}.jsonl").write_bytes(b"\x00\xff garbage")
    assert look_of(2.0) == 2  # the run folder has them too


def test_the_file_is_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_LOOKS >= 1000
    monkeypatch.setattr(looks, "MAX_LOOKS", 3)
    assert [look_of(value) for value in (1.0, 2.0, 3.0, 4.0, 5.0)] == [1, 2, 3, 3, 3]


def _look_often(process: int) -> None:
    for number in range(10):
        look(Path("nowhere") / "best.pt", weights(10.0 * process + number), SPLIT, pytest.fail)


@pytest.mark.slow
def test_processes_wait_for_each_other(here: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_look_often, args=(process,)) for process in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert look_of(999.0) == 21
    assert os.environ["XDG_DATA_HOME"] in str(looks_folder())
