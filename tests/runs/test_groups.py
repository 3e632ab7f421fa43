"""Groups: a run per seed or fold under one name, none lost and none trained twice."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from builders import config_of, loaded
from conftest import ROOT
from scipy.special import stdtrit
from typer.testing import CliRunner, Result

from nnclassify import run
from nnclassify.cli.group import summary_text, train_group
from nnclassify.cli.main import app
from nnclassify.config.run_config import LoadedConfig, load_config
from nnclassify.errors import CheckpointError, DataError, InputError, TrainingError
from nnclassify.evaluation.percent import percent
from nnclassify.inference.compare import compare, grouped
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.folder import RunFolder, find_checkpoint, runs
from nnclassify.runs.group_summary import result_of, summarized
from nnclassify.runs.groups import Group, new_group, read_group, runs_of_group, seeds_of
from nnclassify.runs.listing import listed

WHOLE = '{"epochs": 1, "best_epoch": 1, "train_seconds": 0.5, "train": {"accuracy": 1}, "validation": null'
CONFIG = """
dataset: {name: iris, validation: 0.2}
model: {name: mlp, hidden: [4]}
optimizer: {name: adam, lr: 0.02}
epochs: 3
device: cpu
"""


@pytest.fixture
def folder(here: Path) -> Path:
    """A folder with small.yaml."""
    (here / "small.yaml").write_text(CONFIG)
    return here


def nnclassify(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False)


def trained(*arguments: str) -> Any:
    done = nnclassify("train", "small.yaml", "--no-plots", "--no-report", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def weights(run: str) -> str:
    return content_digest(load_checkpoint(Path("checkpoints") / run / "last.pt").model)


@pytest.mark.slow
def test_the_runs_of_a_group_are_those_of_the_seeds_alone(folder: Path) -> None:
    summary = trained("--seeds", "0,3")
    for seed in (0, 3):
        alone = trained(f"seed={seed}", "name=alone")
        assert weights(f"small/seed-{seed}") == weights(Path(alone["run"]).name)
        assert summary["runs"][f"seed-{seed}"]["test"] == alone["test"]
    accuracies = [result["test"]["accuracy"] for result in summary["runs"].values()]
    assert summary["mean"]["test"]["accuracy"] == fmean(accuracies)
    assert summary["standard_deviation"]["test"]["accuracy"] == stdev(accuracies)
    assert {
        "schema": "nnclassify/train-group/1",
        **json.loads(Path("checkpoints/small/summary.json").read_text()),
    } == summary


@pytest.mark.slow
def test_all_folds_are_trained_and_test_each_example_once(folder: Path) -> None:
    summary = trained("dataset.folds=3")
    assert [*summary["runs"]] == ["fold-1", "fold-2", "fold-3"]
    names = []
    for fold in summary["runs"]:
        with Path("checkpoints/small", fold, "predictions.csv").open() as file:
            names += [row["name"] for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(names) == len({*names}) == 150
    accuracies = [result["test"]["accuracy"] for result in summary["runs"].values()]
    margin = stdtrit(2, 0.975) * stdev(accuracies) * (1 / 3 + 50 / 80) ** 0.5  # 100 examples, 20 for validation
    low, high = summary["intervals"]["test"]
    assert (low, high) == pytest.approx((fmean(accuracies) - margin, fmean(accuracies) + margin))


def margin_of(summary: Any, share: float) -> float:
    """Half the width of a t-interval over the runs, whose variance counts 1 / N + `share` times."""
    accuracies = [result["test"]["accuracy"] for result in summary["runs"].values()]
    return float(stdtrit(len(accuracies) - 1, 0.975) * stdev(accuracies) * (1 / len(accuracies) + share) ** 0.5)


@pytest.mark.slow
def test_the_interval_over_seeds_depends_on_whether_they_share_their_test_examples(folder: Path) -> None:
    for override, share in (("dataset.seed=1", 0), ("dataset.limit=150", 30 / 96)):  # 150: 120 to train, 24 of them out
        summary = trained("--seeds", "3", "epochs=10", override)
        mean, (low, high) = summary["mean"]["test"]["accuracy"], summary["intervals"]["test"]
        assert (low, high) == pytest.approx(
            (mean - margin_of(summary, share), min(1, mean + margin_of(summary, share)))
        )
        (group,) = grouped(compare([summary["group"]]))
        assert group.interval() == pytest.approx((low, high))
    words = f"95% interval of the mean test accuracy over the seeds: {percent(low)} to {percent(high)}"
    assert words in nnclassify("train", "--resume", summary["group"], "--no-plots", "--no-report").stdout
    assert f"; 95% interval of the mean {percent(low)} to {percent(high)}." in group_page(summary["group"])
    Path(summary["group"], "seed-1", "manifest.csv").unlink()
    assert summarized(read_group(Path(summary["group"])), {}).intervals == {}
    assert [each.interval() for each in grouped(compare([summary["group"]]))] == [None]


def group_page(group: str) -> str:
    assert nnclassify("report", group, "--out", "page.html").exit_code == 0
    return Path("page.html").read_text(encoding="utf-8")


def test_one_fold_is_one_run(folder: Path) -> None:
    assert trained("dataset.folds=3", "dataset.fold=2")["run"] == "checkpoints/small"
    with pytest.raises(InputError, match=r"--folds 3: dataset.fold=2 chooses fold 2"):
        nnclassify("train", "small.yaml", "--folds", "3", "dataset.fold=2")


def test_seeds_and_folds_together(folder: Path) -> None:
    config = load_config("small.yaml", ["dataset.folds=2", "seed=4"])
    assert runs_of_group(config, "2", 2) == {
        "seed-4-fold-1": ["seed=4", "dataset.fold=1"],
        "seed-4-fold-2": ["seed=4", "dataset.fold=2"],
        "seed-5-fold-1": ["seed=5", "dataset.fold=1"],
        "seed-5-fold-2": ["seed=5", "dataset.fold=2"],
    }


@pytest.mark.parametrize("text", ["1", "0", "", "a", "1,1", "2,", "-3", "1.5", "1001", "9" * 5000, "\uff13"])
def test_what_is_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--seeds: found"):
        seeds_of(text, 0)
    assert seeds_of("3", 7) == [7, 8, 9] and seeds_of("0,7,3", 7) == [0, 7, 3]


@pytest.mark.slow
def test_the_commands_take_runs_of_groups_and_compare_takes_groups(folder: Path) -> None:
    trained("--seeds", "2")
    assert [run.name for run in runs()] == ["small/seed-0", "small/seed-1"]
    assert [(run.name, run.state) for run in listed(Path("checkpoints"))] == [
        ("small/seed-0", "finished"),
        ("small/seed-1", "finished"),
    ]
    assert find_checkpoint(None) == find_checkpoint("small/seed-1") == Path("checkpoints/small/seed-1/best.pt")
    assert [run.name for run in compare(["small"])] == ["small/seed-0", "small/seed-1"]
    with pytest.raises(
        CheckpointError, match=r"a group of runs; name one of them: checkpoints/small/seed-0, checkpoints/small/seed-1"
    ):
        find_checkpoint("small")
    assert trained()["run"] == "checkpoints/small-2"  # a run of its own


@pytest.mark.slow
def test_a_group_resumes_with_what_is_missing(folder: Path) -> None:
    whole = trained("--seeds", "2", "name=whole")
    config = load_config("small.yaml")
    group = new_group(config, runs_of_group(config, "2", None))
    run.train(group.config("seed-0"), into=group.create_folder("seed-0"))
    written = group.folder("seed-0").last.stat().st_mtime_ns
    done = nnclassify("train", "--resume", "small", "--no-plots", "--no-report")
    assert "small/seed-0 (1 of 2): already finished" in done.stderr and "epoch 3/3" in done.stderr
    assert group.folder("seed-0").last.stat().st_mtime_ns == written
    assert [weights(f"small/{name}") for name in whole["runs"]] == [weights(f"whole/{name}") for name in whole["runs"]]
    more = trained("--seeds", "3", "--resume")
    assert [*more["runs"]] == ["seed-0", "seed-1", "seed-2"]
    assert group.folder("seed-0").last.stat().st_mtime_ns == written
    longer = trained("--resume", "epochs=4", "--seeds", "3")
    assert {result["epochs"] for result in longer["runs"].values()} == {4}


@pytest.mark.slow
def test_a_group_that_does_not_fit_is_not_resumed(folder: Path) -> None:
    trained("--seeds", "2")
    with pytest.raises(CheckpointError, match="small: no group of these runs to resume"):
        nnclassify("train", "small.yaml", "--resume", "--seeds", "2", "--lr", "0.5")
    with pytest.raises(InputError, match="small: no config; --seeds and --folds need one"):
        nnclassify("train", "small", "--resume", "--seeds", "2")
    with pytest.raises(InputError, match="small: no config; --seeds and --folds need one"):
        nnclassify("train", "--resume", "--run", "small", "--folds", "2")
    Path("checkpoints/small/group.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"group.json: damaged"):
        nnclassify("train", "--resume", "small")
    Path("checkpoints/small/group.json").unlink()
    for name in ("small", "checkpoints/small"):
        with pytest.raises(CheckpointError, match=r"small/group.json: missing.*: --resume checkpoints/small/seed-0, -"):
            nnclassify("train", "--resume", name)
        with pytest.raises(CheckpointError, match="a group of runs; name one of them: checkpoints/small/seed-0, "):
            find_checkpoint(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "Input should be a valid dictionary"),
        ("[" * 100_000, "nested too deeply"),
        ('{"test": null}', "epochs: Field required"),
        (f'{WHOLE}, "test": {{"accuracy": null}}}}', "test: Value error, no accuracy"),
        (f'{WHOLE}, "test": {{"accuracy": "1"}}}}', "test.accuracy: Input should be a valid number"),
        (
            f'{WHOLE}, "test": null, "num_examples": {{"train": 0}}}}',
            "num_examples.train: Input should be greater than 0",
        ),
        (f'{WHOLE}, "test": {{"accuracy": 1, "loss": NaN}}}}', "NaN: not a finite number"),
    ],
)
def test_a_damaged_result_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(CheckpointError, match=rf"result.json: cannot be read \({message}.*; remove it, and resume"):
        result_of(RunFolder(tmp_path))


def test_a_run_that_fails_does_not_stop_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def train_run(loaded: LoadedConfig, *, resume: RunFolder | None, into: RunFolder) -> None:
        if loaded.config.seed == 1:
            raise TrainingError("the loss is not finite")
        run.train(loaded, resume=resume, into=into)

    config = loaded(config_of(dataset="iris"), "test")
    group = new_group(config, runs_of_group(config, "3", None))
    with pytest.raises(TrainingError, match=r"test: 1 of 3 runs have failed: seed-1"):
        train_group(group, [], train_run, as_json=False)
    summary = json.loads(group.summary.read_text())
    assert [*summary["runs"]] == ["seed-0", "seed-2"] and summary["failed"] == {"seed-1": "the loss is not finite"}
    output = capsys.readouterr()
    assert "seed-2" in output.out and "error: test/seed-1: the loss is not finite" in output.err


def test_bad_input_leaves_no_folder_of_a_group(folder: Path) -> None:
    """The next start, with the mistake corrected, was called `small-2`."""
    wrong = "dataset={name: csv, path: no.csv, label: y}"
    with pytest.raises(DataError, match=r"no.csv: no such file"):
        nnclassify("train", "small.yaml", wrong, "--seeds", "2")
    with pytest.raises(DataError, match=r"no.csv: no such file"):
        run.train_group_isolated("small.yaml", folder / "checkpoints", [wrong], 2, None)
    assert not list(folder.glob("checkpoints/*"))


def test_a_group_keeps_what_is_not_its_own(here: Path) -> None:
    group = new_group(load_config("xor_2"), {"seed-0": ["seed=0"], "seed-1": ["seed=1"]})
    for name in group.runs:
        group.create_folder(name)
    (group.folder("seed-1").path / "notes.txt").touch()
    group.remove_if_unbegun()
    assert sorted(path.name for path in group.path.iterdir()) == ["group.json", "seed-1"]


def test_a_summary_without_a_finished_run(here: Path) -> None:
    config = loaded(config_of(dataset="iris"), "test")
    group = new_group(config, runs_of_group(config, "2", None))
    assert summary_text(summarized(group, {})).splitlines() == ["runs: checkpoints/test", "run  best epoch"]
    again = read_group(group.path)
    assert isinstance(again, Group) and (again.runs, again.loaded.config) == (group.runs, config.config)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_group_that_was_stopped_ends_in_the_same_weights(folder: Path, number: signal.Signals) -> None:
    trained("--seeds", "3", "epochs=60", "name=whole")
    command = [sys.executable, "-m", "nnclassify", "train", "small.yaml", "--seeds", "3", "epochs=60", "--no-plots"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "small/seed-1" not in process.stderr.readline():
            pass
        while "epoch 9/" not in process.stderr.readline():
            pass
        process.send_signal(number)
        time.sleep(0.1)
        text = process.stderr.read()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "small/seed-1: interrupted; continue with: nnclassify train --resume small" in text
    assert nnclassify("train", "--resume", "small", "--no-plots", "--no-report").exit_code == 0
    for seed in range(3):
        assert weights(f"small/seed-{seed}") == weights(f"whole/seed-{seed}")
