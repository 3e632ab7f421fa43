"""The wiring, top to bottom: config -> data -> transform -> model -> trainer -> run folder -> figures."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from nnclassify.batches import Batches
from nnclassify.checkpoint import load_checkpoint
from nnclassify.config import LoadedConfig, RunConfig
from nnclassify.datasets import Splits
from nnclassify.device import Placement, find_placement
from nnclassify.errors import CheckpointError, ConfigError, Interrupted, SaveError, one_line
from nnclassify.evaluate import Classifier, Evaluation, evaluate
from nnclassify.folders import RunFolder, create_run_folder, runs_of
from nnclassify.history import Row
from nnclassify.losses import LossFunction
from nnclassify.models.layers import check_forward
from nnclassify.observers import Checkpointer, HistoryWriter
from nnclassify.seeds import seed_everything
from nnclassify.trainer import Observer, Recipe, Trainer
from nnclassify.transforms import Transform, fit_normalization


@dataclass(frozen=True)
class Parts:
    """All that a config describes, built and fitted together, before anything is trained.

    Attributes:
        config: The config.
        splits: The examples.
        transform: Fixed from the training split.
        loss_fn: The loss.
        model: The untrained network, on its device.
        placement: Where the arithmetic runs.
    """

    config: RunConfig
    splits: Splits
    transform: Transform
    loss_fn: LossFunction
    model: nn.Module
    placement: Placement

    def facts(self) -> dict[str, Any]:
        """What every checkpoint of the run says."""
        return {
            "config": self.config.model_dump(mode="json", exclude_none=True),
            "class_names": self.splits.class_names,
            "class_counts": self.splits.class_counts(),
            "transform": self.transform.state(),
        }


def build_parts(config: RunConfig) -> Parts:
    """Build everything that a config describes; nothing is written.

    Raises:
        DeviceError: The device is not here.
        DataError: The data cannot be read or learned from.
        ModelError: The network does not fit the data.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    find_placement(config.device, config.precision, convolutional=False)  # before the data is read
    splits = config.dataset.build(config.seed)
    shift, scale = fit_normalization(splits.train.inputs, splits.train.indices, config.dataset.normalize)
    transform = Transform(splits.input_shape, splits.picture, splits.feature_names, shift, scale)
    loss_fn = config.loss.build(splits.class_counts())
    seed_everything(config.seed)
    model = config.model.build(splits.input_shape, loss_fn.num_outputs)
    convolutional = any(isinstance(module, nn.Conv2d) for module in model.modules())
    placement = find_placement(config.device, config.precision, convolutional=convolutional)
    model = placement.place(model)
    raw, _ = splits.train.select(torch.arange(min(2, len(splits.train))))
    inputs = placement.arrange(transform(raw.to(placement.device), placement.dtype))
    check_forward(model, inputs, loss_fn.num_outputs)
    return Parts(config, splits, transform, loss_fn, model, placement)


def build_trainer(parts: Parts, observers: Sequence[Observer] = ()) -> Trainer:
    """The trainer of a run, at its start."""
    config, splits = parts.config, parts.splits
    has_batch_norm = any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in parts.model.modules())
    batches = Batches(
        splits.train,
        parts.transform,
        parts.placement,
        batch_size=config.batch_size,
        seed=config.seed,
        shuffle=config.shuffle,
        augment=config.dataset.augmentation(),
        min_batch=2 if has_batch_norm else 1,
    )
    recipe = Recipe(
        epochs=config.epochs,
        scheduler=config.scheduler,
        clip_grad_norm=config.clip_grad_norm,
        ema=config.ema,
        patience=config.patience,
        select_by=config.select_by,
        may_select=splits.validation is not None and not splits.validation_is_test,
    )
    parameters = [parameter for parameter in parts.model.parameters() if parameter.requires_grad]
    optimizers = config.optimizer.build(parameters)
    return Trainer(parts.model, parts.loss_fn, optimizers, batches, splits.validation, recipe, observers)


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: Where its files are.
        parts: What it was built from.
        rows: The history.
        best_epoch: The epoch of `best.pt`.
        classifier: `best.pt`, read back from disk.
        test: Its figures on the test split; None where there is none.
    """

    folder: RunFolder
    parts: Parts
    rows: list[Row]
    best_epoch: int
    classifier: Classifier
    test: Evaluation | None

    def figures(self) -> dict[str, Any]:
        """What `train --json` prints. Train and validation are those of the best epoch."""
        best = self.rows[self.best_epoch - 1]
        seconds = sum(row.seconds for row in self.rows)
        examples = sum(row.seconds * row.examples_per_second for row in self.rows)
        has_validation = best.validation_loss is not None
        validation = {"loss": best.validation_loss, "accuracy": best.validation_accuracy}
        return {
            "run": str(self.folder.path),
            "epochs": len(self.rows),
            "steps": self.rows[-1].step,
            "train_seconds": seconds,
            "examples_per_second": examples / max(seconds, 1e-9),
            "device": str(self.parts.placement.device),
            "best_epoch": self.best_epoch,
            "train": {"loss": best.train_loss, "accuracy": best.train_accuracy},
            "validation": validation if has_validation else None,
            "test": None if self.test is None else {"loss": self.test.loss, "accuracy": self.test.accuracy},
        }


def train(loaded: LoadedConfig, *, resume: RunFolder | None = None, observers: Sequence[Observer] = ()) -> RunResult:
    """Train a config into a run folder, and report what `best.pt`, read back from disk, reaches.

    Args:
        loaded: The config.
        resume: The run to go on with; None: a new one.
        observers: Who else looks on.

    Raises:
        Interrupted: A signal stopped the run; everything is saved.
        NNClassifyError: As `build_parts` and `Trainer.fit`.
    """
    parts = build_parts(loaded.config)
    trainer = build_trainer(parts)
    if resume is not None:
        _go_on(trainer, resume, loaded.config)
    folder = resume or create_run_folder(loaded.name)
    trainer.observers = [HistoryWriter(folder), Checkpointer(folder, parts.facts()), *observers]
    _write(folder.config, loaded.config.to_yaml())
    with stop_on_signals(trainer):
        trainer.fit()
    if trainer.stop_signal is not None and not trainer.finished:
        raise Interrupted(
            f"interrupted in epoch {trainer.epoch} of {loaded.config.epochs}; saved in {folder.path}; go on with: "
            f"nnclassify train --resume {folder.name}",
            trainer.stop_signal,
        )
    classifier = Classifier.load(folder.best, str(parts.placement.device))
    test = None if parts.splits.test is None else evaluate(classifier, parts.splits.test)
    result = RunResult(folder, parts, trainer.rows, trainer.best_epoch, classifier, test)
    _write(folder.result, json.dumps(result.figures(), indent=2) + "\n")
    return result


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as cause:
        raise SaveError(f"{path}: not saved ({one_line(cause)}); free space or mend permissions") from cause


def find_resumable(loaded: LoadedConfig) -> RunFolder:
    """The newest run of a config.

    Raises:
        CheckpointError: There is none.
    """
    known = runs_of(loaded.name)
    if not known:
        raise CheckpointError(f"{loaded.name}: no run to resume; start one without --resume")
    return known[-1]


def _go_on(trainer: Trainer, folder: RunFolder, config: RunConfig) -> None:
    """Bring a trainer to where a run's `last.pt` stands."""
    checkpoint = load_checkpoint(folder.last)
    if checkpoint.training is None:
        raise CheckpointError(f"{folder.last}: holds no training state; expected a run's last.pt")
    now = config.model_dump(mode="json", exclude_none=True)
    changed = sorted(key for key in {*now, *checkpoint.config} if now.get(key) != checkpoint.config.get(key))
    if forbidden := [key for key in changed if key not in ("epochs", "name", "device", "threads")]:
        raise ConfigError(
            [f"--resume {folder.name}: {', '.join(forbidden)} changed since the run began; only epochs may; start anew"]
        )
    trainer.load_state(checkpoint.training, [Row(**row) for row in checkpoint.history])


@contextlib.contextmanager
def stop_on_signals(trainer: Trainer) -> Iterator[None]:
    """Within it, SIGINT and SIGTERM let the trainer finish its batch and save; a second one ends at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        trainer.stop_signal = number
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
