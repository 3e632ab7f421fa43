"""Tests that checkpoints of an earlier layout of the package (commit f30e387) load, evaluate and resume."""

import shutil
from pathlib import Path

import pytest
import torch
from builders import config_of
from conftest import ROOT

from nnclassify.config.run_config import load_config
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import evaluate, splits_of
from nnclassify.run import train
from nnclassify.runs.checkpoint import load_checkpoint
from nnclassify.runs.folder import RunFolder

EARLIER = ROOT / "tests" / "earlier"


@pytest.mark.parametrize(
    ("name", "accuracy", "loss"), [("mlp_best", 0.9, 0.5378017425537109), ("cnn_best", 0.58, 1.1258821772783996)]
)
def test_a_net_is_worth_what_the_earlier_layout_said(name: str, accuracy: float, loss: float, here: Path) -> None:
    classifier = Classifier.load(EARLIER / f"{name}.pt", "cpu")
    test = splits_of(classifier).test
    assert test is not None
    found = evaluate(classifier, test)
    assert [found.accuracy, found.loss] == pytest.approx([accuracy, loss], rel=1e-5)


@pytest.mark.slow
def test_an_unfinished_run_ends_as_if_it_had_never_stopped(here: Path) -> None:
    """Saved in the second of three epochs, after its third batch."""
    folder = RunFolder(here / "checkpoints" / "unfinished")
    folder.path.mkdir(parents=True)
    shutil.copy(EARLIER / "unfinished_last.pt", folder.last)
    saved = load_checkpoint(folder.last)
    assert saved.training is not None and (saved.epoch, saved.training["batch"]) == (1, 3)
    config = config_of(**saved.config)
    (here / "run.yaml").write_text(config.to_yaml())
    resumed = train(load_config("run.yaml", ["device=cpu"]), resume=folder)
    whole = train(load_config("run.yaml", ["name=whole", "checkpoint_every=null", "device=cpu"]))
    weights = whole.classifier.model.state_dict()
    if torch.__version__ < "2.14" or not torch.cpu.get_capabilities().get("avx512_f"):
        # They round otherwise than what saved the checkpoint. The gradient of a bias that batch norm takes out is
        # rounding, and Adam makes it a step.
        del weights["block_0_conv.bias"], weights["block_0_norm.running_mean"]
    for name, weight in weights.items():
        torch.testing.assert_close(resumed.classifier.model.state_dict()[name], weight, rtol=1e-4, atol=1e-5)
    assert [row.epoch for row in resumed.rows] == [1, 2, 3]
