"""Tests of `nnclassify runs` on run folders of every kind, none of which ends the command."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from nnclassify.errors import CheckpointError, InputError
from nnclassify.files.json_files import json_text
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.listing import ListedRun, listed
from nnclassify.training.history import Row, write_rows

CONFIG = "dataset: iris\nmodel: {name: mlp, hidden: [4]}\nepochs: 5\n"
ROWS = [Row(1, 2, 1.0, 0.5, 0.9, 0.25, 0.1, 1.0, 10.0), Row(2, 4, 0.9, 0.6, 0.8, 0.75, 0.1, 1.0, 10.0),
        Row(3, 6, 0.9, 0.6, 0.7, 0.5, 0.1, 1.0, 10.0)]  # fmt: skip


def made(root: Path, name: str, *, finished: bool = False, at: int = 0) -> RunFolder:
    """A run folder with the small files of three epochs."""
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    folder.config.write_text(CONFIG)
    write_rows(folder.history, ROWS)
    folder.last.write_text("")
    folder.best.write_text("")
    os.utime(folder.last, (at, at))
    if finished:
        folder.result.write_text(json.dumps({"best_epoch": 3, "test": {"accuracy": 0.6}}))
    return folder


def only(root: Path) -> ListedRun:
    (run,) = listed(root)
    return run


def test_a_finished_and_an_unfinished_run_the_newest_last(tmp_path: Path) -> None:
    made(tmp_path, "b", at=2_000)
    made(tmp_path, "c", finished=True, at=1_000)
    (tmp_path / "compare.png").write_text("")
    finished, stopped = listed(tmp_path)
    assert json.loads(json_text(finished)) == {
        "name": "c",
        "state": "finished",
        "problem": None,
        "dataset": "iris",
        "model": "mlp",
        "epochs": 5,
        "epochs_done": 3,
        "best_epoch": 3,
        "validation_accuracy": 0.5,
        "test_accuracy": 0.6,
        "saved_at": "1970-01-01T00:16:40+00:00",
    }
    assert (stopped.name, stopped.state, stopped.best_epoch, stopped.test_accuracy) == ("b", "interrupted", 2, None)


def test_the_best_epoch_is_that_of_the_configs_metric(tmp_path: Path) -> None:
    folder = made(tmp_path, "a")
    folder.config.write_text(f"{CONFIG}select_by: loss\n")
    assert (only(tmp_path).best_epoch, only(tmp_path).validation_accuracy) == (3, 0.5)


def test_a_run_that_another_process_trains_is_running_and_is_not_disturbed(tmp_path: Path) -> None:
    folder = made(tmp_path, "a")
    with folder.locked():
        assert only(tmp_path).state == "running"
        with pytest.raises(CheckpointError, match="another process is training in it"), folder.locked():
            pass
    assert only(tmp_path).state == "interrupted"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("config.yaml", "[[", "config.yaml:1: not YAML"),
        ("config.yaml", "dataset: iris\nmodel: nope\n", "config.yaml:2: model: found 'nope'"),
        ("config.yaml", None, "config.yaml: missing; `nnclassify train --resume a` writes it again"),
        ("history.jsonl", "\xff\n", "history.jsonl: cannot be read (line 1 is not an epoch of a run)"),
        ("result.json", '{"best_epoch": NaN}', "result.json: not the result of a run"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: str | None, problem: str, tmp_path: Path) -> None:
    folder = made(tmp_path, "a", finished=True)
    if content is None:
        (folder.path / name).unlink()
    else:
        (folder.path / name).write_bytes(content.encode("latin-1"))
    run = only(tmp_path)
    assert run.state == "damaged" and run.problem is not None and problem in run.problem


@pytest.mark.parametrize("name", ["config.yaml", "history.jsonl", "result.json", ".lock"])
def test_a_pipe_or_a_folder_in_a_files_place_ends_nothing(name: str, tmp_path: Path) -> None:
    for kind, put in (("pipe", os.mkfifo), ("folder", os.mkdir)):
        path = made(tmp_path, kind).path / name
        path.unlink(missing_ok=True)
        put(path)
    assert {run.state for run in listed(tmp_path)} == {"interrupted" if name == ".lock" else "damaged"}


def test_a_run_that_is_named_as_the_root_is_listed_itself(tmp_path: Path) -> None:
    folder = made(tmp_path, "a", finished=True)
    folder.plots.mkdir(exist_ok=True)
    assert [(run.name, run.state) for run in listed(folder.path)] == [("a", "finished")]


def test_a_row_cut_by_a_kill_is_no_damage(tmp_path: Path) -> None:
    with made(tmp_path, "a").history.open("a") as history:
        history.write('{"epoch": 4, "st')
    assert (only(tmp_path).state, only(tmp_path).epochs_done) == ("interrupted", 3)


def test_other_folders_and_closed_ones_have_a_row_too(as_user: Path) -> None:
    root = Path("runs")  # not by its whole path, on which a folder may be closed to this user
    closed = made(root, "closed").path
    (root / "photos").mkdir()
    (root / "tuned").mkdir()
    for name in ("study.json", "result.json"):
        (root / "tuned" / name).write_text("{}")
    closed.chmod(0)
    assert [(run.name, run.state, run.problem) for run in listed(root)] == [
        ("closed", "damaged", "cannot be opened (Permission denied)"),
        ("photos", "not a run", None),
        ("tuned", "search", None),
    ]
    closed.chmod(0o700)
    with pytest.raises(InputError, match="not a folder"):
        listed(root / "nowhere")


def test_a_run_that_a_wrong_clock_saved_has_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "run")
    monkeypatch.setattr(RunFolder, "started_at", lambda self: 253_402_300_800 * 10**9)  # 1 January 10000
    (run,) = listed(tmp_path)
    assert (run.name, run.saved_at) == ("run", None)


def test_a_checkpoint_alone_is_no_damaged_run(tmp_path: Path) -> None:
    best = RunFolder(tmp_path / "estimator").best
    best.parent.mkdir()
    best.write_text("")  # as `NNClassifier.save` leaves it
    assert (only(tmp_path).state, only(tmp_path).problem) == ("checkpoint", None)


def test_what_is_deleted_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is deleted once its folder is found, and a group once it is known to be one."""
    for name in ("a", "b", "c/seed-0"):
        made(tmp_path, name)

    def deleting(path: Path) -> bool:
        if path.name in "bc":
            shutil.rmtree(path, ignore_errors=True)
        return path.name == "c"

    monkeypatch.setattr("nnclassify.runs.listing.is_group", deleting)
    assert [run.name for run in listed(tmp_path)] == ["a"]
