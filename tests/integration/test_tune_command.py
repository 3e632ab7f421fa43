"""Tests of `tune` as users start it: killed, interrupted, several times at once, and where every trial fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from programs import wait_until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent

CONFIG = """\
dataset: {name: iris, validation: 0.3}
model: {name: mlp, hidden: [8]}
epochs: 60
batch_size: 4
compile: "off"
checkpoint_every: {steps: 100}
search:
  optimizer.lr: {log: [1e-5, 10]}
"""


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    (folder / "tiny.yaml").write_text(CONFIG)
    command = [sys.executable, "-W", "error", "-m", "nnclassify", "tune", "tiny.yaml", "--no-plots", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, env=environment, **pipes)


def finished(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(output), errors


def figures(result: dict[str, Any]) -> list[Any]:
    """What does not depend on when, where and in how many parts a search ran."""
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in result["trials"]]


def test_a_search_that_is_killed_five_times_ends_as_one_that_is_not(tmp_path: Path) -> None:
    whole, _ = finished(start(tmp_path, "--trials", "6", "--study", "whole", "--json", "--no-prune"))
    study = tmp_path / "checkpoints/killed"
    for number in range(1, 6):
        process = start(tmp_path, "--trials", "6", "--study", "killed", "--no-prune")
        wait_until((study / f"trials/{number}/last.pt").is_file)
        process.kill()
        process.communicate()
    result, errors = finished(start(tmp_path, "--trials", "6", "--study", "killed", "--json", "--no-prune"))
    assert "trial 5 of 6: continues; it was interrupted\n" in errors
    assert figures(result) == figures(whole) and result["counts"]["completed"] == 6
    assert len({json.dumps(trial["values"]) for trial in result["trials"]}) == 6
    lines = [json.loads(line) for line in (study / "journal.log").read_text().splitlines()]
    created, ended = (Counter(line.get("trial_id") for line in lines if line["op_code"] == code) for code in (4, 6))
    assert created.total() == 6 and set(ended.values()) == {1} and len(ended) == 6


def test_two_processes_share_the_trials_of_a_study(tmp_path: Path) -> None:
    both = [start(tmp_path, "--trials", "8", "--json") for _ in range(2)]
    ends = [finished(process) for process in both]
    result, _ = finished(start(tmp_path, "--trials", "8", "--json"))
    assert [trial["trial"] for trial in result["trials"]] == list(range(1, 9))
    assert result["counts"]["running"] == result["counts"]["failed"] == 0
    assert len({json.dumps(trial["values"]) for trial in result["trials"]}) == 8
    lines = [line for _, errors in ends for line in errors.splitlines() if line.startswith("trial ")]
    assert sorted(int(line.split()[1]) for line in lines) == list(range(1, 9))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["tiny-tune"]


def test_ctrl_c_saves_and_says_how_to_continue(tmp_path: Path) -> None:
    process = start(tmp_path, "--trials", "2")
    wait_until((tmp_path / "checkpoints/tiny-tune/trials/1/last.pt").is_file)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "error: interrupted; start the same command again to continue"
    result, errors = finished(start(tmp_path, "--trials", "2", "--json"))
    assert result["counts"] == {"completed": 2, "pruned": 0, "failed": 0, "running": 0}


def test_if_every_trial_fails_the_command_does(tmp_path: Path) -> None:
    process = start(tmp_path, "--trials", "2", "search.optimizer.lr=[1e30, 1e31]", "optimizer=sgd")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 3 and output.startswith("study: checkpoints/tiny-tune (2 trials: 2 failed)")
    assert "error: checkpoints/tiny-tune: all 2 trials have failed: epoch 1, " in errors.splitlines()[-1]
    assert not (tmp_path / "checkpoints/tiny-tune/best.yaml").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--study", "a/b"], "--study: found 'a/b', expected up to 100 letters"),
        (["dataset.validation=test"], "dataset.validation=test: found test, but choosing by the"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(options: list[str], problem: str, tmp_path: Path) -> None:
    process = start(tmp_path, *options)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and errors.startswith(f"error: {problem}") and errors.count("\n") == 1


def test_without_optuna_the_extra_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['optuna'] = None; sys.argv = ['nnclassify', 'tune', 'iris_mlp']\n"
    code += "from nnclassify.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == ("error: tune: Optuna is not installed; run: pip install 'nnclassify[tune]'\n")
