"""Configs and trainers for tests, built as the command line builds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nnclassify.config.run_config import LoadedConfig, RunConfig, validate
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.evaluation.metrics import MetricInputs
from nnclassify.losses import Bce, CrossEntropy
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.plan import Execution
from nnclassify.training.trainer import Trainer

BLOBS: dict[str, Any] = {"name": "blobs", "num_examples": 60, "num_test": 30, "std": 0.5}
"""Three classes that a straight line nearly tells apart."""


def config_of(**values: Any) -> RunConfig:
    """A checked config: blobs, a small net, a few epochs, unless said otherwise."""
    defaults: dict[str, Any] = {
        "dataset": BLOBS,
        "model": {"name": "mlp", "hidden": [8]},
        "optimizer": {"name": "adam", "lr": 0.05},
        "epochs": 2,
        "batch_size": 16,
        "device": "cpu",
        "precision": "float32",
    }
    return validate(YamlSource("test.yaml", {**defaults, **values}))


def loaded(config: RunConfig, name: str = "test") -> LoadedConfig:
    """The config as `run.train` takes it."""
    return LoadedConfig(config, YamlSource("test.yaml", config.model_dump(mode="json", exclude_none=True)), name)


def trainer_of(**values: Any) -> tuple[Components, Trainer]:
    """A trainer at its start, and what it was built from."""
    components = build_components(config_of(**values))
    return components, build_trainer(components)


def executed(trainer: Trainer, execution: Execution) -> Trainer:
    """The same trainer, at its start, whose plan has steps executed otherwise."""
    return Trainer(
        *(trainer.model, trainer.averaged, trainer.loss_fn, trainer.optimizers),
        *(trainer.train_batches, trainer.validation, trainer.recipe),
        replace(trainer.plan, execution=execution),
    )


def write_images(root: Path, names: list[str]) -> None:
    """Write images of one value each, 4x4 pixels, of different values."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), number % 256, dtype=np.uint8)).save(path)


def judged(num_classes: int, *, multi_hot: bool = False, decimals: int = 9) -> MetricInputs:
    """Outputs that are right more often than not; the fewer decimals, the more of them are equal."""
    rng = torch.Generator().manual_seed(num_classes)
    if multi_hot:
        targets = torch.randint(2, (60, num_classes), generator=rng)
        shares = (0.3 * targets + 0.7 * torch.rand(60, num_classes, generator=rng)).round(decimals=decimals)
        return MetricInputs(shares, targets, Bce().build_multi_hot(num_classes))
    targets = torch.randint(num_classes, (60,), generator=rng)
    logits = torch.randn(60, num_classes, generator=rng) + torch.nn.functional.one_hot(targets, num_classes)
    return MetricInputs(logits.round(decimals=decimals), targets, CrossEntropy().build([60] * num_classes))
