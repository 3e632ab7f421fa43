"""Tests of every member of every family, found in the unions, so that a new member is tested automatically."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from archives import IDX_FOLDERS, write_cifar, write_idx
from builders import BLOBS, config_of

from nnclassify.config.reference import families
from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.data.transform import Normalize
from nnclassify.inference.classifier import Classifier
from nnclassify.runs.checkpoint import content_digest
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.recorders import Checkpointer
from nnclassify.schedulers import ScheduleState
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

MEMBERS = [(family, name) for family, members in families().items() for name in members]
LIBRARIES = ("timm", "torchvision")
"""Models of others, which take seconds to import and train."""
LEARNERS = [pytest.param(*member, marks=[pytest.mark.slow] * (member[1] in LIBRARIES)) for member in MEMBERS]

REQUIRED: dict[str, dict[str, Any]] = {
    "csv": {"path": "table.csv"},
    "folder": {"root": "pictures", "size": 16},
    "tensors": {"train_inputs": "inputs.npy", "train_targets": "targets.npy"},
    "cnn": {"blocks": [{"channels": 4, "padding": "same", "pool": "max"}]},
    "multistep": {"milestones": [2, 4]},
    "timm": {"architecture": "test_resnet"},
    "torchvision": {"architecture": "shufflenet_v2_x0_5"},
    "model: python": {"file": "user.py", "class": "Net"},
    "loss: python": {"file": "user.py", "function": "smooth"},
}
"""What a member cannot do without, and small nets of torchvision and timm; every other option keeps its default."""


def required(family: str, name: str) -> dict[str, Any]:
    return REQUIRED.get(name, REQUIRED.get(f"{family}: {name}", {}))


@pytest.fixture(autouse=True)
def _stand_among_files(files: Path, trusted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)


def config_for(family: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A toy problem that is easy with any member of the family."""
    values: dict[str, Any] = {family: {"name": name, **required(family, name)}, "epochs": 12}
    if family == "dataset":
        values["model"] = {"name": "mlp", "hidden": [64]}
        values["optimizer"] = {"name": "adam", "lr": 0.02}
        if name in IDX_FOLDERS:
            write_idx(tmp_path, name)
        if name.startswith("cifar"):
            write_cifar(tmp_path, 100 if name == "cifar100" else 10, monkeypatch)
        if "root" not in values["dataset"] and (name in IDX_FOLDERS or name.startswith("cifar")):
            values["dataset"]["root"] = str(tmp_path)
    if family == "model":
        values["dataset"] = {"name": "tensors", **REQUIRED["tensors"], "validation": 0.0}
        values["epochs"] = 4
        values["optimizer"] = {"name": "adam", "lr": 0.003}
    if family == "loss":
        outputs = ("none", "sigmoid", "log_softmax")
        loss = families()["loss"][name](**required("loss", name))
        values["model"] = {
            "name": "mlp",
            "hidden": [16],
            "output": next(output for output in outputs if loss.refuses(output) is None),
        }
    if family == "optimizer":
        values |= {"epochs": 60, "batch_size": 6}
    return config_of(**values)


class StopWhenLearned(Observer):
    """Asks to stop after an epoch that is better than the first, with most examples right."""

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        if row.train_accuracy > 0.8 and row.train_loss < trainer.rows[0].train_loss:
            trainer.request_stop(15)


@pytest.mark.parametrize(("family", "name"), LEARNERS)
def test_member_learns_a_toy_problem_and_survives_saving(
    family: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(family, name, tmp_path, monkeypatch)
    components = build_components(config)
    trainer = build_trainer(components)
    trainer.observers = [StopWhenLearned(), Checkpointer(RunFolder(tmp_path), components.facts())]
    trainer.fit()
    assert max(row.train_accuracy for row in trainer.rows) > 0.8
    assert trainer.rows[-1].train_loss < trainer.rows[0].train_loss
    classifier = Classifier.load(tmp_path / "last.pt", "cpu")
    assert content_digest(classifier.model.state_dict()) == content_digest(trainer.model.state_dict())
    assert classifier.config == components.config


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_member_survives_the_yaml(family: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_for(family, name, tmp_path, monkeypatch)
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(str(tmp_path / "again.yaml")).config == config


@pytest.mark.parametrize("name", families()["dataset"])
def test_dataset_keeps_its_splits_apart(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = config_for("dataset", name, tmp_path, monkeypatch).dataset
    splits = dataset.build(seed=0)
    again = dataset.build(seed=0)
    assert splits.test is not None
    assert content_digest(vars(splits.train)) == content_digest(vars(again.train))
    for split in (splits.validation, splits.test):
        if split is not None and split.inputs is splits.train.inputs:
            assert not set(split.indices.tolist()) & set(splits.train.indices.tolist())
    assert len(splits.class_names) == splits.num_classes == len(splits.class_counts())
    assert splits.train.all_targets().dtype == torch.int64
    if splits.image_format is not None:
        assert splits.train.inputs.dtype == torch.uint8
        channels = 3 if splits.image_format.mode == "rgb" else 1
        assert splits.input_shape == (channels, splits.image_format.height, splits.image_format.width)


@pytest.mark.parametrize("name", families()["scheduler"])
def test_scheduler_factor_stays_between_zero_and_one(name: str) -> None:
    config = config_of(scheduler={"name": name, **REQUIRED.get(name, {})}, dataset=BLOBS)
    factors = [config.scheduler.factor(ScheduleState(step, 100, 10, [1.0] * (step // 10))) for step in range(100)]
    assert all(0 <= factor <= 1 and math.isfinite(factor) for factor in factors)


@pytest.mark.parametrize("normalize", get_args(Normalize))
@pytest.mark.parametrize("dataset", ["iris", "digits", "xor"])
def test_every_normalization_survives_saving(dataset: str, normalize: str, tmp_path: Path) -> None:
    """Once `unit` on a table made a checkpoint that its own reader refused."""
    components = build_components(config_of(dataset={"name": dataset, "normalize": normalize}, epochs=1))
    trainer = build_trainer(components)
    trainer.observers = [Checkpointer(RunFolder(tmp_path), components.facts())]
    trainer.fit()
    transform = Classifier.load(tmp_path / "best.pt", "cpu").transform
    assert content_digest(transform.state()) == content_digest(components.transform.state())
