"""Series of runs: each is made once, continued if it was stopped, and never mixed up with runs of other configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import config_of, loaded

from nnclassify.config.run_config import LoadedConfig
from nnclassify.errors import CheckpointError
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.series import series_of


class Trainer:
    """Writes what a run begins with, and its result unless it is stopped."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.is_stopped = False

    def __call__(self, config: LoadedConfig, resume: RunFolder | None, root: Path) -> dict[str, Any]:
        self.calls.append((config.name, resume is not None))
        folder = RunFolder(root / config.name)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.config.write_text(config.config.to_yaml())
        if self.is_stopped:
            raise KeyboardInterrupt
        folder.result.write_text(json.dumps({"seed": config.config.seed}))
        return {"seed": config.config.seed}


def runs(**values: Any) -> list[LoadedConfig]:
    return [loaded(config_of(seed=seed, **values), f"seed-{seed}") for seed in range(2)]


def test_a_run_is_made_once(tmp_path: Path) -> None:
    train = Trainer()
    for _ in range(2):
        series = series_of("many", runs(), train, tmp_path)
        assert [series.figures(run)["seed"] for run in runs()] == [0, 1]
    assert series.root == tmp_path / "many" and series.is_finished(runs()[0])
    assert train.calls == [("seed-0", False), ("seed-1", False)]


def test_a_run_that_was_stopped_is_continued(tmp_path: Path) -> None:
    train = Trainer()
    train.is_stopped = True
    with pytest.raises(KeyboardInterrupt):
        series_of("many", runs(), train, tmp_path).figures(runs()[0])
    train.is_stopped = False
    series = series_of("many", runs(), train, tmp_path)
    assert not series.is_finished(runs()[0])
    series.figures(runs()[0])
    assert train.calls == [("seed-0", False), ("seed-0", True)]


def test_runs_of_other_configs_have_a_folder_of_their_own(tmp_path: Path) -> None:
    train = Trainer()
    series_of("many", runs(), train, tmp_path).figures(runs()[0])
    other = series_of("many", runs(batch_size=5), train, tmp_path)
    assert other.root == tmp_path / "many-2"
    other.figures(runs(batch_size=5)[0])
    assert series_of("many", runs(batch_size=5), train, tmp_path).root == tmp_path / "many-2"
    assert series_of("many", runs(), train, tmp_path).root == tmp_path / "many"


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    series = series_of("many", runs(), Trainer(), tmp_path)
    series.figures(runs()[0])
    (series.root / "seed-0" / "result.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"seed-0/result\.json: cannot be read"):
        series.figures(runs()[0])
