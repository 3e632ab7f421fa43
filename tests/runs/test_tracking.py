"""Tests of `log:`: what trackers are told, and that none of them changes or ends the training."""

from __future__ import annotations

import csv
import random
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import BLOBS

import nnclassify
from nnclassify import run
from nnclassify.errors import InputError
from nnclassify.files.trackers import Epoch, Log, LoggedRun, Outcome, base
from nnclassify.files.trackers.tables import CsvTables
from nnclassify.run import RunResult
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.training.trainer import Observer

CONFIG = {"dataset": BLOBS, "model": {"name": "mlp", "hidden": [8]}, "epochs": 3, "batch_size": 16, "compile": "off"}


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: it takes seconds, and tests/integration/test_trackers.py looks at real plots."""
    monkeypatch.setattr(run, "save_run_plots", lambda result: [result.folder.plots / "curves.png"])


def train(root: Path, log: Sequence[Any] | None = None, **options: Any) -> RunResult:
    config = {**CONFIG, **({} if log is None else {"log": log})}
    result: RunResult = nnclassify.train(config, root, report=False, **options)
    return result


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


class Spy(Log):
    """A log that notes what it is told, and may fail; like some tools, it draws random numbers."""

    def __init__(self, fails_in: str = "") -> None:
        self.fails_in = fails_in
        self.told: list[Any] = []

    def _tell(self, name: str, *what: Any) -> None:
        random.random(), np.random.rand(), torch.rand(1)
        sys.stdout.write("noise")
        if name == self.fails_in:
            raise OSError("disk full\nand more")
        self.told.append((name, *what))

    def add(self, epochs: Sequence[Epoch]) -> None:
        self._tell("add", [epoch.number for epoch in epochs])

    def finish(self, results: Mapping[str, float], plots: Sequence[Path], last: int) -> None:
        self._tell("finish", results, [path.stem for path in plots], last)

    def close(self, outcome: Outcome) -> None:
        self._tell("close", outcome)


def spy(monkeypatch: pytest.MonkeyPatch, fails_in: str = "") -> Spy:
    """Let `csv` open a spy."""
    log = Spy(fails_in)

    def opened(self: CsvTables, logged: LoggedRun) -> Log:
        log._tell("open", logged.name)
        return log

    monkeypatch.setattr(CsvTables, "open", opened)
    return log


def test_a_log_is_told_epochs_results_plots_and_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = spy(monkeypatch)
    result = train(tmp_path, ["csv"])
    assert [name for name, *_ in log.told] == ["open", "add", "add", "finish", "close"]
    assert log.told[:3] == [("open", "run"), ("add", []), ("add", [1, 2, 3])]
    _, results, plots, last = log.told[3]
    assert results["result/test/accuracy"] == result.figures()["test"]["accuracy"] and last == 3
    assert plots == ["curves"]
    assert log.told[4] == ("close", "finished")


def test_a_run_has_the_same_bits_and_the_same_output_with_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spy(monkeypatch)
    plain, logged = train(tmp_path / "a"), train(tmp_path / "b", ["csv"])
    states = [load_checkpoint(result.folder.last) for result in (plain, logged)]
    assert content_digest(states[0].model) == content_digest(states[1].model)
    assert states[0].training is not None and states[1].training is not None
    assert content_digest(states[0].training["random"]) == content_digest(states[1].training["random"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("event", ["open", "add", "finish", "close"])
def test_a_log_that_fails_costs_one_line(event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = spy(monkeypatch, fails_in=event)
    result = train(tmp_path, ["csv"])
    told = [note for note in result.notes if note.startswith("warning: log:")]
    assert told == ["warning: log: csv: OSError: disk full; training continues without this log"]
    assert len(result.rows) == 3 and result.folder.result.is_file()
    assert event not in [name for name, *_ in log.told]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("raise OSError('disk full')", "csv: OSError: disk full; training continues without this log"),
        ("import warnings; warnings.warn('disk full')", "csv: disk full"),
    ],
)
def test_a_thread_of_a_tool_that_fails_costs_one_line(
    code: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Threads(Observer):
        def run_ended(self, trainer: Any) -> None:
            thread = threading.Thread(target=exec, args=(compile(code, "site/tool/writer.py", "exec"), {}))
            thread.start()
            thread.join()

    spy(monkeypatch)
    monkeypatch.setattr(CsvTables, "package", "tool")
    monkeypatch.setattr(base, "find_spec", lambda name: True)
    hook = threading.excepthook
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = train(tmp_path, ["csv"], observers=[Threads()])
    assert [note for note in result.notes if note.startswith("warning: log:")] == [f"warning: log: {line}"]
    assert capfd.readouterr().err == "" and threading.excepthook is hook


def test_an_interrupted_run_says_so_to_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Observer):
        def epoch_done(self, trainer: Any, row: Any) -> None:
            raise KeyboardInterrupt

    log = spy(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, ["csv"], observers=[Stop()])
    assert log.told == [("open", "run"), ("add", []), ("add", [1]), ("close", "interrupted")]


def test_a_missing_package_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"log: mlflow is not installed; run: pip install 'nnclassify\[mlflow\]'") as e:
        train(tmp_path / "runs", ["csv", "mlflow"])
    assert e.value.exit_code == 2 and not (tmp_path / "runs").exists()


def test_tables_have_a_row_per_epoch_parameter_and_result(tmp_path: Path) -> None:
    result = train(tmp_path, ["csv"])
    header, *rows = rows_of(result.folder.path / "csv/epochs.csv")
    assert header[:3] == ["epoch", "train/loss", "train/accuracy"]
    assert [float(row[1]) for row in rows] == [row.train_loss for row in result.rows]
    values = dict(rows_of(result.folder.path / "csv/run.csv"))
    assert values["model.hidden.0.units"] == "8" and values["optimizer.lr"] == "0.001"
    assert float(values["result/test/accuracy"]) == result.figures()["test"]["accuracy"]
    assert values["plot/curves"] == str(result.folder.plots / "curves.png")


def test_a_run_that_is_trained_longer_continues_its_tables(tmp_path: Path) -> None:
    first = train(tmp_path, ["csv"])
    with (first.folder.path / "csv/epochs.csv").open("a") as file:
        file.write("4,0.1,cut")  # what a killed process leaves
    again = nnclassify.train(first.folder.path, tmp_path, ["epochs=5"], resume=True, report=False)
    rows = rows_of(again.folder.path / "csv/epochs.csv")[1:]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4, 5]
    assert dict(rows_of(again.folder.path / "csv/run.csv"))["epochs"] == "5"


def test_a_run_may_be_resumed_with_other_trackers(tmp_path: Path) -> None:
    first = train(tmp_path)
    again = nnclassify.train(first.folder.path, tmp_path, ["epochs=4", "log=[csv]"], resume=True, report=False)
    assert len(rows_of(again.folder.path / "csv/epochs.csv")) == 5


def test_a_column_is_there_though_its_first_figure_is_not_finite(tmp_path: Path) -> None:
    run = LoggedRun(tmp_path, "id", "run", None, {})
    names = ["loss", "lr"]
    log = CsvTables().open(run)
    log.add([Epoch(1, {"lr": 0.1}, names)])
    log.add([Epoch(2, {"loss": 0.5, "lr": 0.1}, names)])
    assert (tmp_path / "csv" / "epochs.csv").read_text() == "epoch,loss,lr\n1,,0.1\n2,0.5,0.1\n"
