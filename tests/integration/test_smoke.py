"""Tests of the smoke configs, one per family member, trained in one process within 90 seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nnclassify import run
from nnclassify.config.reference import families
from nnclassify.config.run_config import load_config
from nnclassify.files.shipped import shipped_configs

ROOT = Path(__file__).parent.parent.parent
SMOKE = [name for name in shipped_configs() if name.startswith("smoke/")]
DOWNLOADED = {"mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100"}
SECONDS = 90


@pytest.mark.parametrize("family", families())
def test_every_member_that_needs_no_download_has_one(family: str) -> None:
    wanted = {f"smoke/{family}_{name}" for name in families()[family] if name not in DOWNLOADED}
    assert wanted == {name for name in SMOKE if name.startswith(f"smoke/{family}_")}
    for name in wanted:
        assert getattr(load_config(name).config, family).name == name.removeprefix(f"smoke/{family}_")


@pytest.mark.slow
def test_all_of_them_train_within_90_seconds(here: Path, trusted: None) -> None:
    (here / "configs").symlink_to(ROOT / "configs")  # some read the tiny files beside them
    started = time.perf_counter()
    for name in SMOKE:
        result = run.train(load_config(name))
        assert result.folder.best.is_file() and result.test is not None, name
    assert time.perf_counter() - started < SECONDS
