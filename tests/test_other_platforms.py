"""Tests of saving, locking, signals and the cache on simulated platforms that lack features of Linux."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow

CONFIG = """
dataset: {name: digits, limit: 60}
model: {name: mlp, hidden: [4]}
epochs: 3
batch_size: 10
checkpoint_every: {steps: 1}
compile: off
"""
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
}
PROGRAM = [sys.executable, "-W", "error", "-m", "other_platforms"]


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**ENVIRONMENT, "XDG_CACHE_HOME": str(folder / "cache")}
    pipe = subprocess.PIPE
    return subprocess.Popen([*PROGRAM, *arguments], cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.yaml").write_text(CONFIG)
    return tmp_path


def test_a_run_is_saved_resumed_and_used(folder: Path) -> None:
    code, output, errors = ended(started(folder, "train", "run.yaml", "--json", "--no-plots"))
    assert code == 0, errors
    first = json.loads(output)
    files = {path.name for path in (folder / "checkpoints" / "run").iterdir()}
    assert {"best.pt", "last.pt", "last.previous.pt", "result.json"} <= files
    code, output, errors = ended(
        started(folder, "train", "run", "--resume", "--json", "--no-plots", "--set", "epochs=4")
    )
    assert code == 0, errors
    assert json.loads(output)["steps"] > first["steps"]
    code, output, errors = ended(started(folder, "evaluate", "run", "--json"))
    assert code == 0 and 0 <= json.loads(output)["accuracy"] <= 1, errors


def test_a_signal_saves_and_a_second_process_is_kept_out(folder: Path) -> None:
    process = started(folder, "train", "run.yaml", "--no-plots", "--set", "epochs=100000")
    last = folder / "checkpoints" / "run" / "last.pt"
    for _ in range(600):
        if last.is_file():
            break
        time.sleep(0.1)
    code, _, errors = ended(started(folder, "train", "run", "--resume", "--no-plots"))
    assert code == 2 and "another process is training in it" in errors
    process.send_signal(signal.SIGTERM)
    code, _, errors = ended(process)
    assert code == 143 and "interrupted in epoch" in errors
    assert not list(last.parent.glob("*.partial"))


@pytest.mark.parametrize(
    "module", ["files/test_atomic_write.py", "runs/test_checkpoint.py", "data/images/test_image_cache.py"]
)
def test_the_tests_of_saving_and_of_the_cache_pass(module: str, tmp_path: Path) -> None:
    """The same tests, in a process in which all of it is hidden."""
    plugin = tmp_path / "hidden.py"
    plugin.write_text("import other_platforms\n\n\ndef pytest_collection_finish():\n    other_platforms.hide()\n")
    path = f"{tmp_path}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "hidden", "-p", "no:cacheprovider"]
    command.append(f"--basetemp={tmp_path / 'base'}")
    needs_links = "-k=not no_moment and not without_links"
    found = subprocess.run(
        [*command, needs_links, str(ROOT / "tests" / module)],
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout[-3000:]
    assert " passed" in found.stdout
