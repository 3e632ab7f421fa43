"""Tests of every tracker with its own reader: a run that is killed and resumed, a group, and no use of the network."""

from __future__ import annotations

import csv
import importlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import processes_in, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("trackers")]  # one run for all of them

CONFIG = """
dataset: {name: digits, limit: 200}
model: {name: mlp, hidden: [8]}
epochs: 100000
batch_size: 40
compile: "off"
log: [csv, tensorboard, mlflow, wandb, trackio]
"""
SITE = """
import os, socket
from pathlib import Path

connect = socket.socket.connect

def noted(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        with Path(os.environ["CONNECTIONS"]).open("a") as file:
            file.write(repr(address) + "\\n")
    return connect(self, address)

socket.socket.connect = noted
"""
"""What each Python process of the run does first: it notes which addresses are connected to."""


class Proxy:
    """Counts the connections of whatever obeys HTTPS_PROXY, in any language."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.count = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.count += 1
            connection.close()


class Place:
    """A folder with a run of `run.yaml` that was killed and resumed.

    Attributes:
        folder: The working directory.
        epochs: The number of epochs of the run.
        proxy: What its processes would send through.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epochs = 0
        self.proxy = Proxy()

    @property
    def run(self) -> Path:
        return self.folder / "checkpoints/run"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        (self.folder / "site").mkdir(exist_ok=True)
        (self.folder / "site/sitecustomize.py").write_text(SITE)
        proxy = f"http://127.0.0.1:{self.proxy.server.getsockname()[1]}"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.folder / "site"), os.environ.get("PYTHONPATH", "")]),
            "CONNECTIONS": str(self.folder / "connections.txt"),
            "TRACKIO_DIR": str(self.folder / "trackio"),
            "TRACKIO_SPACE_ID": "somebody/else",  # nobody asked for it in the config
            "WANDB_MODE": "online",
            "HF_TOKEN": "hf_a_token_with_which_trackio_would_ask_who_is_logged_in",
            **dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], proxy),
        }
        for name in ("PYTEST_CURRENT_TEST", "CI"):  # in which MLflow sends nothing anyway
            environment.pop(name, None)
        command = [sys.executable, "-m", "nnclassify", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("tracked"))
    (place.folder / "run.yaml").write_text(CONFIG)
    process = place.start("train", "run.yaml", "--no-plots", "--no-report")
    table = place.run / "csv/epochs.csv"
    wait_until(lambda: process.poll() is not None or (table.is_file() and table.stat().st_size > 0))
    assert process.poll() is None, process.communicate()
    process.kill()  # while the others are told the same epochs
    process.communicate()
    wait_until(lambda: not processes_in(place.folder))
    place.epochs = len((place.run / "history.jsonl").read_text().splitlines()) + 20
    again = place.start("train", "--resume", "run", f"epochs={place.epochs}", "--no-plots", "--no-report", "--json")
    out, errors = again.communicate(timeout=400)
    assert again.returncode == 0 and "warning: log" not in errors, errors
    assert json.loads(out)["epochs"] == place.epochs
    wait_until(lambda: not processes_in(place.folder))
    yield place
    place.proxy.server.close()


def losses(place: Place) -> list[float]:
    rows = [json.loads(line) for line in (place.run / "history.jsonl").read_text().splitlines()]
    assert len(rows) == place.epochs
    return [row["train_loss"] for row in rows]


def test_csv_has_every_epoch_once(place: Place) -> None:
    with (place.run / "csv/epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, place.epochs + 1))
    assert [float(row["train/loss"]) for row in rows] == losses(place)


def test_tensorboard_has_every_epoch_once_with_parameters_and_images(place: Place) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(place.run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    scalars = events.Scalars("train/loss")
    assert [event.step for event in scalars] == list(range(1, place.epochs + 1))
    assert [event.value for event in scalars] == pytest.approx(losses(place), rel=1e-6)
    assert {"plots/mistakes", "plots/curves"} <= set(events.Tags()["images"])
    assert events.Images("plots/mistakes")[0].encoded_image_string.startswith(b"\x89PNG")
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"optimizer.lr" in content and events.Scalars("result/test/accuracy")[0].value > 0


def read(place: Place, script: str) -> Any:
    """What a script prints as JSON: the readers of some tools warn, or keep files open."""
    environment = {**os.environ, "TRACKIO_DIR": str(place.folder / "trackio"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=place.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


MLFLOW = """
import json
from mlflow import MlflowClient

client = MlflowClient("sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("nnclassify").experiment_id
runs = {run.info.run_name: run for run in client.search_runs([experiment])}
"""


def test_mlflow_has_every_epoch_once_in_one_run(place: Place) -> None:
    script = (
        MLFLOW
        + """
assert len(runs) == 1
run = runs["run"]
history = sorted((each.step, each.value) for each in client.get_metric_history(run.info.run_id, "train/loss"))
files = [file.path for file in client.list_artifacts(run.info.run_id, "plots")]
print(json.dumps([run.info.status, run.data.params, run.data.metrics, history, files]))
"""
    )
    status, params, metrics, history, files = read(place, script)
    assert history == [[number, loss] for number, loss in enumerate(losses(place), 1)]
    assert status == "FINISHED" and params["optimizer.lr"] == "0.001" and metrics["result/test/accuracy"] > 0
    assert "plots/mistakes.png" in files


def records(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log format after a header of 7 bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the whole record, or its last part
            yield whole
            whole = b""


def test_wandb_has_every_epoch_once_in_one_run(place: Place) -> None:
    Record: Any = importlib.import_module("wandb.proto.wandb_internal_pb2").Record  # noqa: N806 (it has no types)
    (file,) = place.run.glob("wandb/offline-run-*/run-*.wandb")
    found = [Record.FromString(content) for content in records(file)]
    (run,) = (record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name) == ("nnclassify", "run")
    rows = [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    logged = [(row["_step"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert logged == list(zip(range(1, place.epochs + 1), losses(place), strict=True))
    assert list(place.run.glob("wandb/offline-run-*/files/media/images/plots/mistakes_*.png"))


def test_trackio_has_every_epoch_once_in_one_run(place: Place) -> None:
    script = """
import json, trackio
from trackio.sqlite_storage import SQLiteStorage

(run,) = trackio.Api().runs("nnclassify")
print(json.dumps([run.config["optimizer.lr"], SQLiteStorage.get_logs("nnclassify", run.name, max_points=None)]))
"""
    lr, logs = read(place, script)
    of_epochs = [log for log in logs if "train/loss" in log]
    assert lr == 0.001 and [log["step"] for log in of_epochs] == list(range(1, place.epochs + 1))
    assert [log["train/loss"] for log in of_epochs] == losses(place)
    assert logs[-1]["plots/mistakes"]["_type"] == "trackio.image" and logs[-1]["result/test/accuracy"] > 0


def test_nothing_was_sent_anywhere(place: Place) -> None:
    assert not (place.folder / "connections.txt").exists()
    assert place.proxy.count == 0


def test_the_runs_of_a_group_are_grouped(place: Place) -> None:
    arguments = ["train", "run.yaml", "name=many", "epochs=2", "log=[mlflow, trackio]", "--seeds", "2", "--no-plots"]
    process = place.start(*arguments, "--no-report", "--json")
    out, errors = process.communicate(timeout=400)
    assert process.returncode == 0 and list(json.loads(out)["runs"]) == ["seed-0", "seed-1"], errors
    script = (
        MLFLOW
        + """
import trackio
parents = [runs[f"many/seed-{seed}"].data.tags["mlflow.parentRunId"] for seed in (0, 1)]
groups = {run.name: run.config["_Group"] for run in trackio.Api().runs("nnclassify")}
print(json.dumps([parents, runs["many"].info.run_id, groups]))
"""
    )
    parents, group, groups = read(place, script)
    assert parents == [group, group]
    assert groups == {"run": None, "many/seed-0": "many", "many/seed-1": "many"}
