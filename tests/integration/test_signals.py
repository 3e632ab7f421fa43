"""Tests of signals at any moment: one line, exit code 128 + signal, no half-written files, and an exact resume."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import wait_until

pytestmark = pytest.mark.slow

CONFIG = """
dataset: {name: digits, limit: 200}
model: {name: mlp, hidden: [8]}
epochs: 100000
batch_size: 10
compile: "off"
"""


@pytest.fixture(autouse=True)
def terminal() -> Iterator[None]:
    """Tests that run under nohup ignore a closed terminal, and programs that they start inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    (folder / "run.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "nnclassify", "train", "run.yaml", "--no-plots", *options]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGXCPU])
def test_a_signal_while_training_saves_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    run = tmp_path / "checkpoints" / "run"
    wait_until(lambda: (run / "history.jsonl").is_file() and (run / "history.jsonl").stat().st_size > 0)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "saved in checkpoints/run; continue with: nnclassify train --resume run" in errors
    assert (run / "last.pt").is_file() and not list(run.rglob("*.partial"))


def test_what_a_signal_left_undrawn_is_drawn_on_resume_or_by_the_plots_command(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG.replace("100000", "1"))
    command = [sys.executable, "-m", "nnclassify"]
    process = subprocess.Popen([*command, "train", "run.yaml"], cwd=tmp_path, text=True, stdout=subprocess.PIPE)
    plots = tmp_path / "checkpoints/run/plots"
    wait_until((plots / "curves.png").is_file)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM and output.startswith("run: checkpoints/run")
    assert not (plots / "mistakes.png").exists()

    def drawn() -> set[str]:
        return {path.name for path in plots.iterdir()}

    subprocess.run([*command, "train", "run", "--resume"], cwd=tmp_path, check=True, capture_output=True)
    everything = {"calibration.png", "curves.png", "confusion.png", "samples.png", "mistakes.png"}
    assert drawn() == everything
    everything |= {"confusions.png", "heatmaps.png"}  # which take longer, and are drawn where they are asked for
    shutil.rmtree(plots)
    done = subprocess.run([*command, "plots", "run"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert drawn() == everything == {Path(line).name for line in done.stdout.splitlines()}


def test_a_signal_before_training_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    time.sleep(0.15)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)  # the latter while Python itself starts
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "from nnclassify.process import stop_on_signals\n"
        "with stop_on_signals(lambda number: os.write(1, b'asked %d\\n' % number)):\n"  # not `print` within `print`
        "    os.write(1, b'ready\\n')\n"
        "    while True: time.sleep(0.01)\n"
    )
    process = subprocess.Popen([sys.executable, "slow.py"], cwd=tmp_path, text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
        if number == signal.SIGTERM:
            assert process.stdout.readline() == "asked 15\n"
    assert process.wait(timeout=10) == 130
    process.stdout.close()
