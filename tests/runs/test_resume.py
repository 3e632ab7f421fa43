"""Tests that a resumed run equals the run that was not stopped, bit for bit."""

import contextlib
import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from interpreted import interpret

from nnclassify.config.run_config import load_config
from nnclassify.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Interrupted,
    NNClassifyError,
    SaveError,
    TrainingError,
)
from nnclassify.files.atomic_write import previous
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.compare import compare
from nnclassify.inference.evaluate import splits_of
from nnclassify.inference.plots.save import draw_again
from nnclassify.run import RunResult, train
from nnclassify.runs import resume
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.resumable import resumable
from nnclassify.runs.resume import machine_state
from nnclassify.training import plan
from nnclassify.training.trainer import Observer, Trainer

CONFIG = """
dataset: {name: digits, limit: 60, augment: {crop: 1, flip: true}}
model: {name: cnn, blocks: [{channels: 2, pool: max, batch_norm: true}], hidden: [4], dropout: 0.2}
optimizer: {name: adam, lr: 0.01}
scheduler: cosine
loss: {name: cross_entropy, class_weights: balanced}
ema: 0.9
epochs: 2
batch_size: 10
"""
Begin = Callable[..., RunFolder]
STEPS = 12
FIRST_IS_BEST = ("optimizer.lr=0.5", "seed=1", "device=cpu")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text(CONFIG)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@dataclass
class StopAt(Observer):
    """Asks to stop after an update, as a signal would."""

    step: int
    notes: list[str] = field(default_factory=list)

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        if trainer.step == self.step:
            trainer.request_stop(15)


def start(name: str, *changes: str, stop_at: int = 0) -> RunFolder:
    """Train until the end, or until a signal after an update, at which a chunk of batches has to end."""
    loaded = load_config("run.yaml", [f"name={name}", f"checkpoint_every.steps={stop_at or 100}", *changes])
    try:
        train(loaded, observers=[StopAt(stop_at)], with_report=False)
    except Interrupted as interrupted:
        assert interrupted.exit_code == 143
    return RunFolder(Path("checkpoints") / name)


def go_on(folder: RunFolder, *changes: str, notes: list[str] | None = None, stop_at: int = 0) -> RunResult:
    notes = [] if notes is None else notes
    loaded = load_config(str(folder.config), list(changes))
    return train(loaded, resume=folder, observers=[StopAt(stop_at)], note=notes.append, with_report=False)


def state(folder: RunFolder) -> str:
    """SHA-256 over all that a run is, but for its name and its clock."""
    last = load_checkpoint(folder.last)
    assert last.training is not None
    training = {key: value for key, value in last.training.items() if key not in ("epoch_seconds", "machine")}
    clock = ("seconds", "examples_per_second")
    history = [{key: value for key, value in row.items() if key not in clock} for row in last.history]
    return content_digest([training, history, last.model, load_checkpoint(folder.best).model])


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Begin:
    """`begin(*changes, name="run", stop_at=0)`: `start` with `CONFIG`, trained once for all tests, and copied."""

    @cache
    def trained(name: str, changes: tuple[str, ...], stop_at: int) -> Path:
        with contextlib.chdir(tmp_path_factory.mktemp(name)):
            Path("run.yaml").write_text(CONFIG)
            return start(name, *changes, stop_at=stop_at).path.resolve()

    def copied(*changes: str, name: str = "run", stop_at: int = 0) -> RunFolder:
        folder = RunFolder(Path("checkpoints") / name)
        shutil.copytree(trained(name, changes, stop_at), folder.path)
        return folder

    return copied


@pytest.fixture(scope="module")
def whole(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The state that a run of `CONFIG` ends in, however it gets there."""
    with contextlib.chdir(tmp_path_factory.mktemp("whole")):
        return state(begin())


@pytest.fixture(scope="module")
def whole_after_best(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The state that a run ends in whose first epoch is its best."""
    with contextlib.chdir(tmp_path_factory.mktemp("whole_after_best")):
        folder = begin(*FIRST_IS_BEST)
        assert load_checkpoint(folder.best).epoch == 1
        return state(folder)


@pytest.mark.parametrize("step", [7, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 5, 6, 11))])
def test_a_run_that_was_stopped_ends_as_if_it_was_not(begin: Begin, whole: str, step: int) -> None:
    folder = begin(stop_at=step)
    training = load_checkpoint(folder.last).training
    assert training is not None and training["step"] == step
    go_on(folder)
    assert state(folder) == whole


def table_of(folder: RunFolder) -> list[dict[str, float]]:
    """`results.csv`, each value as a number again."""
    rows = csv.DictReader(folder.results.read_text().splitlines())
    return [{key: float(value) for key, value in row.items()} for row in rows]


@pytest.mark.parametrize("step", [9, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 6))])
def test_the_table_has_each_row_of_the_history_once(begin: Begin, step: int) -> None:
    folder = begin(stop_at=step)
    assert folder.results.is_file() == (step > 6)
    with folder.history.open("a") as history, folder.results.open("a") as table:  # killed while a row was written
        history.write('{"epo')
        table.write("99,1,")
    go_on(folder)
    rows = [json.loads(line) for line in folder.history.read_text().splitlines()]
    assert table_of(folder) == rows and [row["epoch"] for row in rows] == [1, 2]
    files = (folder.results, folder.history, folder.manifest)
    written = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    notes: list[str] = []
    go_on(folder, "epochs=1", notes=notes)  # finished: these files alone were missing
    assert [file.read_bytes() for file in files] == written and "finished" in "".join(notes[-1:])
    assert not any("learning rate" in note for note in notes)


@pytest.mark.slow
def test_every_part_of_the_fast_recipe_goes_on() -> None:
    """Whitened weights, slow weights between two meetings, a group that has stopped learning, alternating flips."""
    shutil.copy(ROOT / "configs" / "smoke" / "cifar_fast.yaml", "run.yaml")
    whole = state(start("whole"))
    for step in (3, 5, 6, 8):
        folder = start("stopped", stop_at=step)
        training = load_checkpoint(folder.last).training
        assert training is not None and training["step"] == step
        go_on(folder)
        assert state(folder) == whole
        shutil.rmtree(folder.path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    ["model", "averaged", "optimizers", "step", "batch", "totals", "best", "best_epoch", "best_model", "random"],
)
def test_every_saved_part_is_needed(
    begin: Begin, part: str, whole_after_best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed in its second epoch without it, a run ends elsewhere, or does not resume at all."""
    folder = begin(*FIRST_IS_BEST, stop_at=9)
    load_state = Trainer.load_state

    def without(self: Trainer, saved: dict[str, Any], rows: Any) -> None:
        fresh = {**self.state(), "best_model": None}
        load_state(self, {**saved, part: fresh[part]}, rows)
        saved[part] = fresh[part]

    monkeypatch.setattr(Trainer, "load_state", without)
    try:
        go_on(folder)
    except NNClassifyError:
        return
    assert state(folder) != whole_after_best


def test_a_damaged_last_checkpoint_costs_one_save(begin: Begin, whole: str) -> None:
    folder = begin(stop_at=8)
    folder.last.unlink()
    folder.last.write_bytes(previous(folder.last).read_bytes()[:5000])
    notes: list[str] = []
    go_on(folder, notes=notes)
    assert "last.pt: damaged" in notes[0] and "last.previous.pt" in notes[0]
    assert state(folder) == whole


def test_a_damaged_best_checkpoint_is_written_again(begin: Begin, whole: str) -> None:
    folder = begin(stop_at=8)
    folder.best.unlink()
    go_on(folder)
    assert state(folder) == whole


def test_the_best_checkpoint_of_another_run_is_not_taken_for_its_own(begin: Begin, whole: str) -> None:
    """Of the same config and the same epoch; only the seed was another."""
    folder, other = begin(stop_at=8), begin("seed=3", name="other", stop_at=8)
    assert load_checkpoint(folder.best).run_id == load_checkpoint(folder.last).run_id
    shutil.copy(other.best, folder.best)
    notes: list[str] = []
    go_on(folder, notes=notes)
    assert "belongs to epoch 1 of another run: written again" in notes[0]
    assert state(folder) == whole


@pytest.mark.parametrize(
    "use", [Classifier.load, lambda path: compare([str(path)]), lambda path: draw_again(path, [], "cpu", print)]
)
def test_the_best_checkpoint_of_another_run_is_refused_wherever_it_is_used(
    begin: Begin, use: Callable[[Path], object]
) -> None:
    folder, other = begin(stop_at=8), begin("seed=3", name="other", stop_at=8)
    shutil.copy(other.best, folder.best)
    with pytest.raises(
        CheckpointError, match=r"best\.pt: belongs to another run than last\.pt next to it; .* --resume checkpoints/run"
    ):
        use(folder.best)
    folder.last.write_bytes(b"")  # then nothing tells
    assert Classifier.load(folder.best).config.seed == 3


@pytest.mark.slow
def test_a_damaged_best_checkpoint_of_a_finished_run_is_written_again_and_said(begin: Begin) -> None:
    """The generation before is of another epoch: its figures were once given for the best one's."""
    folder = begin(*FIRST_IS_BEST)
    figures, good = go_on(folder).figures(), load_checkpoint(folder.best)
    shutil.copy(begin("seed=3", name="other").best, previous(folder.best))
    folder.best.write_bytes(folder.best.read_bytes()[:-50])
    notes: list[str] = []
    again = go_on(folder, notes=notes)
    assert "best.pt: damaged" in notes[0] and "written again" in notes[0]
    assert again.figures() == figures and not again.is_new
    assert content_digest(vars(load_checkpoint(folder.best))) == content_digest(vars(good))


@pytest.mark.parametrize(
    ("damage", "stop_at"),
    [
        (b"dataset: {name: dig", 8),
        (None, 0),
        *(
            pytest.param(damage, 8, marks=pytest.mark.slow)
            for damage in (b"", b"\x00\xff", b"seed: 0\nepochs: 2x\n", None)
        ),
    ],
)
def test_a_damaged_config_of_a_run_is_written_again_from_its_checkpoint(
    begin: Begin, damage: bytes | None, stop_at: int, whole: str
) -> None:
    folder = begin(stop_at=stop_at)
    before = folder.config.read_text()
    folder.config.unlink() if damage is None else folder.config.write_bytes(damage)
    notes: list[str] = []
    resumed, loaded = resumable("checkpoints/run", [], notes.append)
    train(loaded, resume=resumed, with_report=False)
    (note,) = notes
    assert note.startswith("checkpoints/run/config.yaml") and "written again from the config in" in note
    assert folder.config.read_text() == before and state(folder) == whole


def test_a_config_of_a_run_that_was_edited_is_not_overruled(begin: Begin) -> None:
    folder = begin(stop_at=8)
    folder.config.write_text(folder.config.read_text().replace("epochs: 2", "epochs: 2x"))
    with pytest.raises(ConfigError, match=r"config\.yaml:\d+: epochs: found '2x', expected a whole number"):
        resumable("checkpoints/run", [], print)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o500, pytest.param(0, marks=pytest.mark.slow)])
def test_a_run_folder_that_is_closed_while_it_trains_costs_nothing(mode: int, whole: str, as_user: Path) -> None:
    class Close(Observer):
        def steps_done(self, trainer: Trainer, num_steps: int) -> None:
            if trainer.step == 5:
                folder.path.chmod(mode)

    folder = RunFolder(Path("checkpoints/run"))
    with pytest.raises(
        SaveError, match=r"^checkpoints/run/last\.pt: not saved \(.*Permission denied.*\); .* --resume run$"
    ):
        train(load_config("run.yaml", ["checkpoint_every.steps=1"]), observers=[Close()])
    with pytest.raises(NNClassifyError, match=r"Permission denied"):
        go_on(*resumable("checkpoints/run", [], print)[:1])
    folder.path.chmod(0o700)
    go_on(folder)
    assert state(folder) == whole


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are POSIX's")
@pytest.mark.parametrize("name", ["last.pt", "config.yaml", ".lock"])
def test_a_file_of_a_run_that_is_closed_is_not_taken_for_damaged(begin: Begin, name: str, as_user: Path) -> None:
    folder = begin(stop_at=8)
    (folder.path / name).chmod(0)
    with pytest.raises(NNClassifyError, match=r"^checkpoints/run.*Permission denied.*"):
        go_on(resumable("checkpoints/run", [], print)[0])


@pytest.mark.slow
def test_a_run_without_a_checkpoint_starts_again(begin: Begin, whole: str) -> None:
    folder = begin(stop_at=3)
    folder.last.unlink()
    previous(folder.last).unlink()
    notes: list[str] = []
    go_on(folder, notes=notes)
    assert "before its first checkpoint" in notes[0]
    assert state(folder) == whole


def test_a_finished_run_is_left_as_it_is() -> None:
    folder = train(load_config("run.yaml")).folder
    assert folder.report.is_file()
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.path.rglob("*")}
    notes: list[str] = []
    result = train(load_config(str(folder.config)), resume=folder, note=notes.append)
    assert any("finished" in note for note in notes) and not result.is_new
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.path.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheduler", "effect"), [("cosine", "spans the complete run"), ("constant", "does not depend on it")]
)
def test_a_run_can_be_made_longer(begin: Begin, scheduler: str, effect: str) -> None:
    folder = begin(f"scheduler={scheduler}")
    notes: list[str] = []
    result = go_on(folder, "epochs=3", notes=notes)
    assert len(result.rows) == 3
    assert "epochs: 2 when the run was saved, now 3" in notes[0] and effect in notes[0]


def test_a_changed_value_is_named_and_refused(begin: Begin) -> None:
    folder = begin(stop_at=4)
    before = folder.last.read_bytes()
    with pytest.raises(ConfigError, match=r"optimizer\.lr: 0\.01 when the run began, now 0\.5"):
        go_on(folder, "optimizer.lr=0.5")
    assert folder.last.read_bytes() == before


def test_other_data_is_refused() -> None:
    Path("data.csv").write_text("x,label\n" + "".join(f"{row},{row % 2}\n" for row in range(40)))
    changes = ("dataset={name: csv, path: data.csv}", "model={name: mlp, hidden: [3]}")
    folder = start("run", *changes, stop_at=2)
    Path("moved.csv").write_text(Path("data.csv").read_text())
    Path("data.csv").write_text("x,label\n" + "".join(f"{2 * row},{row % 2}\n" for row in range(40)))
    with pytest.raises(ConfigError, match="training data has changed"):
        go_on(folder)
    result = go_on(folder, "dataset.path=moved.csv")
    assert len(result.rows) == 2


def test_the_files_of_every_split_may_move() -> None:
    parts = ("train", "validation", "test")
    for part in parts:
        np.savez(f"{part}.npz", x=np.arange(40, dtype=np.float32).reshape(20, 2), y=np.arange(20) % 2)
    files = ", ".join(f"{part}_inputs: {part}.npz:x, {part}_targets: {part}.npz:y" for part in parts)
    folder = start("run", f"dataset={{name: tensors, {files}}}", "model={name: mlp, hidden: [3]}", stop_at=2)
    for part in parts:
        Path(f"{part}.npz").rename(f"{part}_moved.npz")
    keys = [(part, *pair) for part in parts for pair in (("inputs", "x"), ("targets", "y"))]
    result = go_on(folder, *(f"dataset.{part}_{kind}={part}_moved.npz:{array}" for part, kind, array in keys))
    assert len(result.rows) == 2


def test_files_of_splits_and_groups_may_move_and_numbers_may_not() -> None:
    for name in ("train", "val", "test"):
        Path(f"{name}.csv").write_text("x,label\n" + "".join(f"{row},{row % 2}\n" for row in range(20)))
    files = "{name: csv, path: train.csv, validation: val.csv, test: test.csv}"
    folder = start("run", f"dataset={files}", "model={name: mlp, hidden: [3]}", stop_at=1)
    Path("moved").mkdir()
    for name in ("train", "val", "test"):
        Path(f"{name}.csv").rename(f"moved/{name}.csv")
    moved = ("dataset.path=moved/train.csv", "dataset.validation=moved/val.csv", "dataset.test=moved/test.csv")
    with pytest.raises(ConfigError, match=r"dataset.validation: val.csv when the run began, now 0.2; change it back"):
        go_on(folder, *moved, "dataset.validation=0.2")
    assert len(go_on(folder, *moved).rows) == 2


def test_a_group_file_may_move() -> None:
    np.savez("a.npz", x=np.arange(40, dtype=np.float32).reshape(20, 2), y=np.arange(20) % 2, group=np.arange(20) // 2)
    files = "{name: tensors, train_inputs: a.npz:x, train_targets: a.npz:y, group: a.npz:group, test: 0.3}"
    folder = start("run", f"dataset={files}", "model={name: mlp, hidden: [3]}", stop_at=1)
    Path("a.npz").rename("b.npz")
    keys = {"train_inputs": "x", "train_targets": "y", "group": "group"}
    assert len(go_on(folder, *(f"dataset.{key}=b.npz:{array}" for key, array in keys.items())).rows) == 2


def test_rows_in_another_order_are_other_data() -> None:
    rows = [f"{row},{row % 2}\n" for row in range(40)]
    Path("data.csv").write_text("x,label\n" + "".join(rows))
    folder = start("run", "dataset={name: csv, path: data.csv}", "model={name: mlp, hidden: [3]}", stop_at=2)
    Path("data.csv").write_text(
        "x,label\n" + "".join([*rows[2:], *rows[:2]])
    )  # as many of each class, and the same sums
    with pytest.raises(ConfigError, match="training data has changed"):
        go_on(folder)


@pytest.mark.slow
def test_another_number_of_threads_is_a_warning(begin: Begin) -> None:
    folder = begin("threads=1", stop_at=STEPS - 1)
    notes: list[str] = []
    go_on(folder, "threads=2", notes=notes)
    assert any(note.startswith("threads: 1 when the run was saved, now 2") for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(("dataset", "hidden", "batch_size"), [("wine", 16, 7), ("wine", 5, 3), ("iris", 7, 5)])
def test_batches_of_any_size_and_type_go_on(dataset: str, hidden: int, batch_size: int, precision: str) -> None:
    """Where inputs lie in memory decides on last digits."""
    of_net = f"model={{name: mlp, hidden: [{hidden}]}}"
    of_step = (f"batch_size={batch_size}", f"precision={precision}", "optimizer={name: adagrad, lr: 0.01}")
    changes = (f"dataset={dataset}", of_net, *of_step, "compile=off", "epochs=2", "ema=null", "clip_grad_norm=null")
    wanted = state(start("whole", *changes))
    for stop_at in (1, 10, 20):
        folder = start("run", *changes, stop_at=stop_at)
        go_on(folder)
        assert state(folder) == wanted
        shutil.rmtree(folder.path)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
def test_a_run_goes_on_as_it_began_or_as_it_is_asked_to(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` leaves it as it was; another way to take steps is a warning."""
    interpret(monkeypatch)
    one_at_a_time = "checkpoint_every.steps=1"  # interpreted groups are only equal to that except for rounding
    folder = start("run", f"compile={'on' if compiled else 'off'}", one_at_a_time, stop_at=4)
    notes: list[str] = []
    with pytest.raises(Interrupted):
        go_on(folder, "compile=auto", stop_at=6, notes=notes)
    assert load_config(str(folder.config)).config.compile == ("on" if compiled else "off")
    assert not any(note.startswith("compile") for note in notes)
    go_on(folder, f"compile={'off' if compiled else 'on'}", notes=notes)
    assert any(note.startswith("compile: ") and "not bit for bit the same" in note for note in notes)


@pytest.mark.parametrize("number", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_another_number_of_processes_is_told(number: int, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over the processes are added in another order, and each draws dropout of its own."""
    folder, notes = begin(stop_at=4), list[str]()
    monkeypatch.setattr(resume, "machine_state", lambda trainer: {**machine_state(trainer), "processes": number})
    go_on(folder, notes=notes)
    now = f"processes: 1 when the run was saved, now {number}: the result is as good, but not bit for bit the same"
    assert [note for note in notes if "processes" in note] == [now] * (number != 1)


def test_two_processes_never_train_into_one_folder(begin: Begin) -> None:
    folder = begin(stop_at=4)
    with folder.locked(), pytest.raises(CheckpointError, match="another process is training in it"):
        go_on(folder)


def test_partial_files_are_removed_at_the_next_start(begin: Begin) -> None:
    folder = begin(stop_at=4)
    (folder.path / "last.pt.partial").write_bytes(b"half")
    go_on(folder)
    assert not list(folder.path.glob("*.partial"))


def test_a_checkpoint_from_before_an_option_goes_on(begin: Begin, whole: str) -> None:
    folder = begin(stop_at=4)
    saved = torch.load(folder.last, weights_only=True)
    del saved["sha256"], saved["split_digests"]
    del saved["config"]["evaluation"], saved["config"]["model"]["output_scale"]
    torch.save({**saved, "sha256": content_digest(saved)}, folder.last)
    go_on(folder)
    assert state(folder) == whole


def test_a_checkpoint_of_another_net_is_refused(begin: Begin) -> None:
    folder, other = begin(stop_at=4), begin("model.hidden=[5]", name="other", stop_at=4)
    saved = torch.load(folder.last, weights_only=True)
    training = torch.load(other.last, weights_only=True)["training"]
    saved.pop("sha256")
    saved |= {"training": training, "model": training["averaged"]}
    torch.save({**saved, "sha256": content_digest(saved)}, folder.last)
    shutil.copy(folder.last, previous(folder.last))
    with pytest.raises(CheckpointError, match="does not match this net"):
        go_on(folder)


def test_what_a_tiny_table_left_out_stays_left_out() -> None:
    """A default share for validation that is not one example gives way: also when the run's config is read again."""
    Path("data.csv").write_text("x,label\n1,a\n2,b\n3,a\n4,b\n")
    Path("run.yaml").write_text("dataset: {name: csv, path: data.csv}\nmodel: {name: mlp, hidden: [2]}\nepochs: 2\n")
    folder = train(load_config("run.yaml")).folder
    assert "validation: 0.0" in folder.config.read_text()
    assert splits_of(Classifier.load(folder.best)).validation is None
    found, loaded = resumable("run.yaml", ["epochs=3"], lambda text: None)
    assert (found, len(train(loaded, resume=found).rows)) == (folder, 3)
    with pytest.raises(DataError, match="patience=1: needs a validation split"):
        train(load_config("run.yaml", ["patience=1"]))


@pytest.mark.slow
@pytest.mark.parametrize("begun", [torch.bfloat16, None])
def test_the_number_type_that_auto_chose_is_kept(begun: torch.dtype | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run does not load the pretrained weights with which the choice was made, and may choose otherwise."""
    other = None if begun else torch.bfloat16
    monkeypatch.setattr(plan, "training_autocast", lambda *_: begun)
    whole, stopped = start("whole"), start("run", stop_at=7)
    monkeypatch.setattr(plan, "training_autocast", lambda *_: other)
    go_on(stopped)
    assert state(stopped) == state(whole)
    saved = load_checkpoint(stopped.last).training
    assert saved is not None and saved["autocast"] == ("bfloat16" if begun else "float32")


def test_a_full_disk_does_not_hide_that_training_diverged(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("run.yaml").write_text("dataset: iris\nmodel: mlp\nloss: mse\noptimizer: {name: sgd, lr: 1e30}\n")

    def full(*arguments: object) -> None:
        raise SaveError("provenance.json: not saved (No space left on device)")

    monkeypatch.setattr("nnclassify.runs.provenance.record_failure", full)
    monkeypatch.setattr("nnclassify.run.Checkpointer.save_best", full)
    with pytest.raises(TrainingError, match=r"^epoch 1, .*NaN or infinite.*; provenance\.json: not saved"):
        train(load_config("run.yaml"), with_report=False)
