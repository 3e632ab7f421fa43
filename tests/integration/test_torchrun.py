"""Tests of torchrun: two processes train like one, and none survives when the launcher is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from programs import processes_in
from torch.distributed.run import parse_args

from nnclassify.cli.main import app

pytestmark = pytest.mark.slow

CONFIG = """
dataset: {name: digits, limit: 100}
model: {name: cnn, blocks: [{channels: 4, pool: max, batch_norm: true}, {channels: 3, kernel: 2}], hidden: [4]}
epochs: 2
batch_size: 12
precision: float64
compile: "off"
log: [csv]
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "nnclassify"]


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    (folder / "run.yaml").write_text(CONFIG)
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    figures = []
    for launcher in (["-m", "nnclassify"], TORCHRUN):
        process = start(tmp_path, *launcher, "train", "run.yaml", "--no-plots", "--json")
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        figures.append(json.loads(out))
        assert len((tmp_path / figures[-1]["run"] / "csv/epochs.csv").read_text().splitlines()) == 3  # of one process
    one, two = figures
    assert two["steps"] == one["steps"] == 16
    for split in ("train", "validation", "test"):
        assert two[split]["loss"] == pytest.approx(one[split]["loss"], rel=1e-9)
        assert two[split]["accuracy"] == one[split]["accuracy"]


def test_torchrun_takes_two_options_for_its_own() -> None:
    """Of `--run`, docs/processes.md has another form, and `--monitor` is the default. A new option must not begin like
    two of torchrun's."""
    train = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]  # a group of commands
    options = {option for one in train.params for option in (*one.opts, *one.secondary_opts) if option[0] == "-"}
    taken = set()
    for option in options:
        try:
            parsed = parse_args(["-m", "nnclassify", "train", "run.yaml", option, "value"])
            assert parsed.training_script_args == ["train", "run.yaml", option, "value"]
        except SystemExit:
            taken.add(option)
    assert taken <= {"--run", "--monitor"} and "--resume" in options  # by the release of Python


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal on the death of a parent")
def test_workers_end_with_their_launcher(tmp_path: Path) -> None:
    process = start(tmp_path, *TORCHRUN, "train", "run.yaml", "--no-plots", "--set", "epochs=100000")
    deadline = time.monotonic() + 60
    while not (tmp_path / "checkpoints/run/last.pt").is_file():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    assert len(processes_in(tmp_path)) == 3
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    deadline = time.monotonic() + 10
    while left := processes_in(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_one_process_prints_what_only_another_one_lacks(tmp_path: Path) -> None:
    """Two machines, a folder each: first without the data on the second one, then without the config."""
    machines = [tmp_path / "0", tmp_path / "1"]
    for folder in machines:
        folder.mkdir()
        (folder / "run.yaml").write_text("dataset: {name: csv, path: t.csv, label: y}\nmodel: mlp\n")
    (machines[0] / "t.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    ended = [process.communicate(timeout=120)[1] for process in _two_machines(machines)]
    assert ended[0].startswith("error: t.csv: no such file") and "(process 1 on " in ended[0]
    assert len(ended[0].splitlines()) == 1 and not ended[1]
    (machines[1] / "run.yaml").unlink()
    first, second = _two_machines(machines)
    assert second.communicate(timeout=120)[1].startswith("error: run.yaml: no such file")
    first.kill()
    first.communicate()


def _two_machines(folders: list[Path]) -> list[subprocess.Popen[str]]:
    """Start two processes of a run without torchrun, each in a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "nnclassify", "train", "run.yaml", "--no-plots"],
            cwd=folder,
            env={**shared, "RANK": str(rank)},
            text=True,
            stderr=subprocess.PIPE,
        )
        for rank, folder in enumerate(folders)
    ]
