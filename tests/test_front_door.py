"""Tests of `import nnclassify`: its import time, its functions, and that calls leave the process unchanged."""

from __future__ import annotations

import contextlib
import csv
import gc
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from programs import forked

import nnclassify
from nnclassify.config.run_config import RunConfig
from nnclassify.errors import CheckpointError, ConfigError, DeviceError, InputError
from nnclassify.files.shipped import shipped_configs
from nnclassify.process import preserve_process_state
from nnclassify.sklearn import NNClassifier

TINY: dict[str, Any] = {
    "name": "tiny",
    "dataset": {"name": "rgb", "num_examples": 60},
    "model": {"name": "mlp", "hidden": (4,), "dropout": 0.1},
    "epochs": np.int64(2),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nnclassify.train(TINY, root=tmp_path_factory.mktemp("runs")).folder.path


def test_the_names_of_the_front_door() -> None:
    names = ["Classifier", "__version__", "check", "compare", "evaluate", "export", "load", "load_config"]
    names += ["predict", "report", "train"]
    assert nnclassify.__all__ == names == sorted(names)
    assert set(names) <= set(dir(nnclassify))
    assert all(hasattr(nnclassify, name) for name in names)
    assert not hasattr(nnclassify, "fit")
    assert (Path(nnclassify.__file__).parent / "py.typed").is_file()


def test_the_import_is_light() -> None:
    code = "import sys, nnclassify; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "matplotlib", "pydantic", "yaml", "PIL", "sklearn"} & set(loaded)


def _process() -> dict[str, Any]:
    """All of the process that a library might change and should not."""
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch": torch.get_rng_state().tolist(),
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state(legacy=True)],
        "python": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic),
        "tf32": (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "garbage": gc.get_threshold(),
        "csv": csv.field_size_limit(),
        "folder": Path.cwd(),
        "loggers": [logging.getLogger(name).level for name in ("", "torch", "PIL", "matplotlib", "nnclassify")],
        "hooks": (sys.excepthook, sys.stdout, sys.stderr),
        "numpy errors": np.geterr(),
    }


def _images(folder: Path) -> dict[str, Any]:
    for split in ("train", "test"):
        for name, value in (("dark", 10), ("light", 200)):
            (folder / split / name).mkdir(parents=True)
            for number in range(6):
                image = Image.new("L", (4, 4), value + number)
                image.putpixel((0, 0), number)
                image.save(folder / split / name / f"{number}.png")
    dataset = {"name": "folder", "root": folder, "size": 4, "mode": "gray"}
    return {"dataset": dataset, "model": "mlp", "epochs": 1, "threads": 1}


@pytest.mark.slow
def test_a_call_leaves_the_process_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(2)
    (tmp_path / "rows.csv").write_text("red,green,blue\n1,2,3\n")
    before = _process()
    for config in (TINY, _images(tmp_path / "images")):
        folder = nnclassify.train(config, root=tmp_path).folder.path
        net = nnclassify.load(folder)
        nnclassify.evaluate(net, "train")
        nnclassify.predict(net, [tmp_path / "rows.csv", tmp_path / "images/test/dark", Image.new("RGBA", (4, 4))])
        assert _process() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_calls_from_several_threads_give_what_each_gives_alone(trained: Path, tmp_path: Path) -> None:
    """Two that draw at the same time from the random states of the process ended in other weights."""

    def weights(seed: int) -> list[float]:
        net = nnclassify.train({**TINY, "seed": seed}, root=tmp_path, report=False).classifier
        return torch.cat([weight.detach().flatten() for weight in net.model.parameters()]).tolist()

    def probabilities(number: int) -> list[float]:
        rows = [[float(value + number) for value in range(3)]] * 4
        return nnclassify.load(trained).predict(rows).probabilities.flatten().tolist()

    alone, before = ([weights(seed) for seed in range(3)], [probabilities(number) for number in range(3)]), _process()
    with ThreadPoolExecutor(6) as pool:
        results = [pool.map(call, range(3), timeout=60) for call in (weights, probabilities)]
    assert [list(result) for result in results] == [*alone] and _process() == before


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: torch.device("meta"),
        lambda: _default_dtype(torch.float64),
    ],
)
def test_what_the_caller_has_chosen_for_torch_changes_no_result(
    chosen: Callable[[], AbstractContextManager[object]], trained: Path, tmp_path: Path
) -> None:
    """A default of float64 and autocast once changed the weights without a word; the others were errors of torch."""

    def results(root: Path) -> list[Any]:
        figures = nnclassify.train(TINY, root=root, report=False).figures()
        answers = nnclassify.load(trained).predict([[1.0, 2.0, 3.0], [200.0, 2.0, 3.0]]).probabilities
        inputs = np.arange(60.0).reshape(20, 3)
        net = NNClassifier(model={"name": "mlp", "hidden": [4]}, epochs=2).fit(inputs, np.arange(20) % 2)
        loss = nnclassify.evaluate(trained, "train").loss
        return [figures["train"], figures["test"]["loss"], answers.tolist(), loss, net.predict_proba(inputs).tolist()]

    alone, before = results(tmp_path / "alone"), _process()
    with chosen():
        assert results(tmp_path / "chosen") == alone
    assert _process() == before


@pytest.mark.skipif(sys.platform == "win32", reason="a current folder cannot be deleted there")
def test_a_run_trains_where_the_current_folder_was_deleted(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    with contextlib.chdir(tmp_path / "gone"):
        (tmp_path / "gone").rmdir()
        result = nnclassify.train(TINY, root=tmp_path / "runs")
        assert nnclassify.evaluate(result.folder.path).loss == result.figures()["test"]["loss"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not on this system")
def test_a_process_forked_during_a_call_in_another_thread_waits_for_nobody() -> None:
    entered, over = threading.Event(), threading.Event()

    def hold() -> None:
        with preserve_process_state():
            entered.set()
            over.wait(60)

    def call() -> int:
        with preserve_process_state():
            return 0

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(60)
    code = forked(call)
    over.set()
    holder.join()
    assert code == 0


@pytest.mark.slow
def test_a_check_gives_findings_and_leaves_the_process_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = _process()
    found = nnclassify.check({**TINY, "optimizer": {"name": "sgd", "lr": 1e-9}}, minutes=0.1)
    assert _process() == before
    assert found.has_fault
    assert capfd.readouterr() == ("", "")


def test_no_signal_is_handled_while_a_net_trains(tmp_path: Path) -> None:
    from nnclassify.training.trainer import Observer, Trainer

    class Look(Observer):
        def run_started(self, trainer: Trainer) -> None:
            handlers.append(signal.getsignal(signal.SIGINT))

    handlers: list[Any] = []
    nnclassify.train(TINY, root=tmp_path, observers=[Look()])
    assert handlers == [signal.getsignal(signal.SIGINT)]


def test_a_run_is_trained_where_it_is_told(tmp_path: Path) -> None:
    result = nnclassify.train(TINY, root=tmp_path / "deep/runs", overrides={"optimizer.lr": 0.5, "name": "other"})
    assert result.folder.path == tmp_path / "deep/runs/other"
    assert result.classifier.config.optimizer.lr == 0.5
    assert result.test is not None and result.test.split == "test"
    assert json.loads(json.dumps(result.figures()))["epochs"] == 2  # plain values, as `train --json` prints
    again = nnclassify.train(result.folder.path, tmp_path / "deep/runs", ["epochs=3"], resume=True)
    assert (again.folder, len(again.rows)) == (result.folder, 3)
    assert any("continuing after 2 epochs" in note for note in again.notes)
    with pytest.raises(CheckpointError, match="no run to resume"):
        nnclassify.train("nothing", tmp_path, resume=True)


def test_a_run_is_found_as_by_the_command(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    found = [nnclassify.load(run, root=trained.parent) for run in (trained, str(trained / "best.pt"), "tiny", None)]
    assert {net.path.resolve() for net in found} == {trained / "best.pt"}
    assert found[0].classes == ["dark", "light"]
    assert isinstance(found[0], nnclassify.Classifier)
    with pytest.raises(CheckpointError, match=r"tinny: no such run, .*did you mean 'tiny'"):
        nnclassify.load("tinny", root=trained.parent)
    wrong: Any = 3
    with pytest.raises(InputError, match="run: found a int"):
        nnclassify.load(wrong)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda run, wrong: nnclassify.train(TINY, wrong), "root"),
        (lambda run, wrong: nnclassify.train(TINY, wrong, seeds=2), "root"),
        (lambda run, wrong: nnclassify.load(run, root=wrong), "root"),
        (lambda run, wrong: nnclassify.evaluate(run, data=wrong), "data"),
        (lambda run, wrong: nnclassify.compare(run, wrong), "runs"),
        (lambda run, wrong: nnclassify.compare(run, root=wrong), "root"),
        (lambda run, wrong: nnclassify.export(wrong, "onnx"), "run"),
        (lambda run, wrong: nnclassify.export(run, "onnx", wrong), "out"),
        (lambda run, wrong: nnclassify.report(wrong), "runs"),
        (lambda run, wrong: nnclassify.report(run, out=wrong), "out"),
    ],
)
@pytest.mark.parametrize("wrong", [3, ["a", "b"]])
def test_what_is_no_path_is_refused_by_the_name_of_its_argument(
    trained: Path, call: Callable[[Path, Any], object], name: str, wrong: Any
) -> None:
    with pytest.raises(InputError, match=f"{name}: found a {type(wrong).__name__}; expected "):
        call(trained, wrong)


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf"), "1"])
def test_a_time_limit_of_check_that_is_none_is_refused(minutes: Any) -> None:
    with pytest.raises(InputError, match=f"minutes: found {minutes!r}, expected a positive number"):
        nnclassify.check(TINY, minutes)


def test_a_device_may_be_one_of_torch(trained: Path) -> None:
    assert nnclassify.load(trained, torch.device("cpu")).placement.device == torch.device("cpu")
    nothing: Any = None
    with pytest.raises(DeviceError, match="device: found 'None', expected auto, cpu"):
        nnclassify.load(trained, nothing)


def test_figures_of_a_split(trained: Path) -> None:
    found = nnclassify.evaluate(trained, "train")
    assert (found.split, found.num_examples) == ("train", len(found.probabilities))
    assert nnclassify.evaluate(nnclassify.load(trained)).split == "test"
    with pytest.raises(InputError, match=r"split: found 'valid', expected train, validation or test"):
        nnclassify.evaluate(trained, "valid")
    with pytest.raises(InputError, match=r"--set model.hidden=\[3\]: a trained run cannot be changed"):
        nnclassify.evaluate(trained, overrides={"model.hidden": [3]})


@pytest.mark.parametrize("name", [name for name in shipped_configs() if "/" not in name])
def test_a_config_means_the_same_as_file_as_dict_and_as_settings(name: str) -> None:
    from_file = nnclassify.load_config(name)
    for config in (from_file.source.data, from_file.config, from_file):
        again = nnclassify.load_config(config, {"seed": 7})
        expected = nnclassify.load_config(name, ["seed=7"]).config
        assert again.config == expected
        assert again.config.dataset.model_fields_set == expected.dataset.model_fields_set
    assert isinstance(from_file.config, RunConfig)


def test_a_dict_is_left_as_it_is_and_checked_as_a_file() -> None:
    config = {**TINY, "model": {"name": "mlp"}}
    nnclassify.load_config(config, {"model.hidden": [3]})
    assert config["model"] == {"name": "mlp"}
    with pytest.raises(ConfigError) as refused:
        nnclassify.load_config({**TINY, "optimiser": "adam", "epochs": 0})
    assert len(refused.value.problems) == 2
    assert "did you mean 'optimizer'" in str(refused.value)


@pytest.mark.parametrize(
    ("config", "overrides"),
    [
        (3, ()),
        (None, ()),
        ([TINY], ()),
        (TINY, "epochs=3"),
        (TINY, 3),
        ({**TINY, "seed": {1}}, ()),
        (TINY, {"seed": {1}}),
    ],
)
def test_what_is_no_config_is_refused(config: Any, overrides: Any) -> None:
    with pytest.raises((InputError, ConfigError), match=r"found .*; expected"):
        nnclassify.load_config(config, overrides)


def test_several_seeds_are_one_call(tmp_path: Path) -> None:
    config = {**TINY, "epochs": 1}
    summary = nnclassify.train(config, tmp_path, seeds=[0, 3], report=False)
    assert [*summary.runs] == ["seed-0", "seed-3"]
    accuracies = [result["test"]["accuracy"] for result in summary.runs.values()]
    assert summary.mean["test"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert summary.standard_deviation["test"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    notes: list[str] = []
    again = nnclassify.train(config, tmp_path, seeds=[0, 3], resume=True, note=notes.append)
    assert again == summary and notes[0] == "tiny/seed-0 (1 of 2): already finished"
    wrong: list[Any] = [1, [3], [3, 3], 2.0, "3"]
    for seeds in wrong:
        with pytest.raises(InputError, match="seeds: found"):
            nnclassify.train(config, tmp_path, seeds=seeds)


@pytest.mark.parametrize("data", [np.zeros((4, 2)), [[0.0, 1.0], [1.0, 0.0]]])
def test_data_in_memory_points_to_the_estimator(data: Any) -> None:
    with pytest.raises(
        InputError, match=r"config: found a .*; to train on data in memory: .*NNClassifier\(\).fit\(X, y\)"
    ):
        nnclassify.train(data, np.zeros(4))  # type: ignore[call-overload]
