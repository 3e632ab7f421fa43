"""Tests of handmade checkpoints with valid checksums and invalid content."""

import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of, loaded
from conftest import ROOT
from mutations import content_of, forge, mutation

from nnclassify.config.run_config import load_config
from nnclassify.errors import CheckpointError, NNClassifyError
from nnclassify.files.atomic_write import previous
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.compare import compare
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.run import train
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.resume import resume
from nnclassify.training.build import build_components, build_trainer

Content = dict[str, Any]
VALUES: dict[str, Any] = {
    "dataset": {"name": "blobs", "num_examples": 40, "num_test": 10, "validation": 0.2},
    "model": {"name": "mlp", "hidden": [{"units": 3, "batch_norm": True}]},
    "ema": 0.9,
    "scheduler": {"name": "plateau"},
    "compile": "off",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("forged"))
        folder = train(loaded(config_of(**VALUES))).folder
        return RunFolder(folder.path.resolve())


FORGERIES: dict[str, Callable[[Content], object]] = {
    "format_version": lambda content: content.update(format_version=torch.tensor([1, 2])),
    "not a checkpoint": lambda content: content.update(format=torch.tensor([1, 2])),
    "class_names": lambda content: content.update(class_names=[1, 2, 3]),
    "twice": lambda content: content.update(class_names=["a", "a", "b"]),
    "transform.*scale": lambda content: content["transform"].update(scale=1),
    "not positive": lambda content: content["transform"]["scale"].zero_(),
    "transform.*float32|number type|fit": lambda content: content["transform"].update(shift=torch.zeros(7)),
    "exp_avg": lambda content: content["training"]["optimizers"][0]["state"][0].update(exp_avg=math.inf),
    "epoch: 0": lambda content: content.update(epoch=0, training=None),
    "best 9": lambda content: content["training"].update(best_epoch=9),
    "epoch.*greater": lambda content: content.update(epoch=-3),
    "history": lambda content: content.update(history={"columns": [], "rows": torch.zeros(0, 0).double()}),
    "class_counts": lambda content: content.update(class_counts=[10, -1, 5]),
    "class_counts: \\[10, 5\\] for": lambda content: content.update(class_counts=[10, 5]),
    "model: not the weights": lambda content: content["training"]["averaged"].update(
        {"output_linear.bias": torch.ones(3)}
    ),
    "config": lambda content: content["config"].update(epochs="many"),
    "plain data": lambda content: content["config"].update(epochs=torch.tensor(2)),
    "step": lambda content: content["training"].update(step=3),
    "best_epoch": lambda content: content["training"].update(best_model=None),
    "totals": lambda content: content["training"]["totals"].update(hits=9),
    "generator": lambda content: content["training"]["random"]["numpy"].__setitem__(2, 2**40),
    "unexpected|Extra|extra": lambda content: content["training"].update(more=1),
    "run_id": lambda content: content.update(run_id=7),
    "model": lambda content: content.update(model={}),
}


@pytest.mark.parametrize("message", FORGERIES)
def test_a_forged_checkpoint_is_refused_for_what_is_wrong(run: RunFolder, tmp_path: Path, message: str) -> None:
    content = content_of(run.last)
    FORGERIES[message](content)
    forge(tmp_path / "last.pt", content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "last.pt")


MISFITS: dict[str, Callable[[Content], object]] = {
    "optimizer state": lambda training: training["optimizers"][0]["state"].pop(0),
    "exp_avg": lambda training: training["optimizers"][0]["state"][0].update(exp_avg=torch.zeros(3, 2).double()),
    "exp_avg.*'float'": lambda training: training["optimizers"][0]["state"][0].update(exp_avg=0.5),
    "option betas": lambda training: training["optimizers"][0]["param_groups"][0].update(betas=(0.5, 0.5)),
    "optimizer options": lambda training: training["optimizers"][0]["param_groups"][0].pop("initial_lr"),
    "is not batch": lambda training: training.update(step=training["step"] + 1),
    "best": lambda training: training.update(best=[9.0, 9.0]),
}


@pytest.mark.parametrize("message", MISFITS)
def test_a_state_of_another_run_is_refused(run: RunFolder, tmp_path: Path, message: str) -> None:
    """It has the right types, and does not belong to this net and recipe."""
    training = content_of(run.last)["training"]
    MISFITS[message](training)
    trainer = build_trainer(build_components(config_of(**VALUES)))
    with pytest.raises(ValueError, match=message):
        trainer.load_state(training, trainer_rows(run))


def trainer_rows(run: RunFolder) -> list[Any]:
    from nnclassify.training.history import Row

    return [Row(**row) for row in load_checkpoint(run.last).history]


def use_weights(path: Path) -> None:
    """As evaluate, predict and compare do."""
    classifier = Classifier.from_checkpoint(load_checkpoint(path), path, "cpu")
    split = splits_of(classifier).test
    assert split is not None
    assert torch.tensor(evaluate(classifier, split).loss).isfinite()
    compare([str(path)])


def use_training(path: Path) -> None:
    """As `train --resume` does."""
    components = build_components(config_of(**VALUES))
    folder = RunFolder(path.parent)
    resumed = resume(build_trainer(components), folder, components.config, components.facts(), components.splits)
    assert resumed.best is not None and load_checkpoint(path).run_id == resumed.run_id


@pytest.mark.parametrize("use", [use_weights, use_training])
@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 140), marks=pytest.mark.slow)], ids=str)
def test_whatever_is_changed_is_refused_in_words_or_does_no_harm(
    run: RunFolder, tmp_path: Path, use: Callable[[Path], None], seeds: range
) -> None:
    """No mutation ends in another exception, or in a loss that is not finite."""
    content = content_of(run.last)
    refused = 0
    for seed in seeds:
        what, mutated = mutation(content, random.Random(seed))
        forge(tmp_path / "last.pt", mutated)
        try:
            use(tmp_path / "last.pt")
        except NNClassifyError as error:
            refused += 1
            assert all(line and "\n" not in line for line in error.lines), (what, error)
    assert refused > 0.6 * len(seeds)


@pytest.mark.parametrize("name", ["table", "pictures", "muon"])
def test_a_run_that_an_earlier_release_began_goes_on(name: str, here: Path) -> None:
    """Format version 1: stopped before its last epoch by a shorter config; then as that release ended it."""
    folder = RunFolder(here / "checkpoints" / name)
    folder.path.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "earlier" / f"{name}.pt", folder.last)
    saved = load_checkpoint(folder.last)
    assert (saved.format_version, saved.run_id, saved.epoch) == (1, None, 2)
    (here / "run.yaml").write_text(config_of(**saved.config).to_yaml())
    result = train(load_config("run.yaml", ["epochs=3", "device=cpu"]), resume=folder)
    again = load_checkpoint(folder.last)
    assert [row.epoch for row in result.rows] == [1, 2, 3] and again.format_version == 2
    assert content_digest(again.history[:2]) == content_digest(saved.history)
    assert load_checkpoint(previous(folder.last)).epoch in (2, 3)
