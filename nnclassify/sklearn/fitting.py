"""Train in memory: the same splits, plan and trainer as a run, without its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnclassify.config.from_python import as_yaml
from nnclassify.config.run_config import LoadedConfig, load_source, located
from nnclassify.config.suggest.arrays import network_entries
from nnclassify.config.suggest.document import values_of
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.data import Splits
from nnclassify.data.base import RawDataset
from nnclassify.errors import ConfigError
from nnclassify.evaluation.totals import Totals
from nnclassify.files.user_code import UserCode
from nnclassify.inference.calibrate import fit_calibration
from nnclassify.inference.classifier import Classifier
from nnclassify.process import preserve_process_state
from nnclassify.runs.checkpoint import Checkpoint, plain
from nnclassify.runs.recorders import BestKeeper, Notes
from nnclassify.sklearn.examples import TrainingData
from nnclassify.sklearn.parameters import as_options
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.plan import begin_plan
from nnclassify.training.trainer import Observer, Trainer

NAME = "NNClassifier"
SUGGESTED = ("model", "loss", "optimizer", "scheduler", "epochs", "batch_size")
"""Keys that are chosen for the data where they are not given."""


@dataclass(frozen=True)
class Fitted:
    """A network that was trained in memory.

    Attributes:
        checkpoint: The checkpoint of the best epoch.
        classifier: The classifier loaded from it.
        history: `Row.state()` of every epoch, those after the best one too.
        notes: Notes about the data and the training.
        training: The state of the trainer after the last step.
    """

    checkpoint: Checkpoint
    classifier: Classifier
    history: list[dict[str, Any]]
    notes: list[str]
    training: dict[str, Any]


@preserve_process_state()
def fit(
    data: TrainingData, given: Mapping[str, Any], observers: Sequence[Observer] = (), *, is_stream: bool = False
) -> Fitted:
    """Train on examples in memory.

    Args:
        data: The examples.
        given: The keys of the config; None: see `SUGGESTED`, or the default.
        observers: Observers of the training.
        is_stream: Whether these are the first of several batches of examples: all are trained on once.

    Raises:
        NNClassifyError: See `build_components` and `Trainer.fit`.
    """
    loaded, splits = configured(data, given, is_stream=is_stream)
    with located(loaded.source):
        components = build_components(loaded.config, splits)
        trainer = build_trainer(components)
    return _trained(components, trainer, [*loaded.notes, *splits.notes], observers)


def configured(data: TrainingData, given: Mapping[str, Any], *, is_stream: bool = False) -> tuple[LoadedConfig, Splits]:
    """Draw the splits, and return them with the config: what is given, and for the rest what `init` suggests.

    Raises:
        ConfigError: The config is wrong; one line per problem.
        DataError: The examples cannot be learned from.
    """
    options = {key: as_yaml(value) for key, value in given.items() if value is not None}
    options["dataset"] = data.section(as_options(options.get("dataset")))
    if is_stream:
        options = _of_stream(options)
    dataset = _loaded({"model": "mlp", "dataset": options["dataset"]}).config.dataset
    seed = options["seed"]
    source = data.read(dataset)
    if is_stream:
        splits = _undivided(source)
    else:
        splits = dataset.draw_splits(source, seed if dataset.seed is None else dataset.seed, seed)
    suggested = values_of(network_entries(splits))
    if is_stream:  # whose first batch does not tell how common the classes are
        suggested["loss"] = as_options(suggested["loss"])["name"]
    return _loaded({**options, **{key: _filled(options.get(key), suggested[key]) for key in SUGGESTED}}), splits


def _of_stream(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of one pass over a batch; refuse those that need the whole data, or the end of the run."""
    scheduler = as_options(options.get("scheduler")).get("name", "constant")
    refused = {
        "dataset.validation": options["dataset"].get("validation"),
        "patience": options.get("patience"),
        "scheduler": None if scheduler == "constant" else scheduler,
        **{f"loss.{key}": value for key, value in as_options(options.get("loss")).items() if value == "balanced"},
    }
    if problems := [
        f"{key}: found {value!r}, but partial_fit knows neither all examples nor the last epoch; remove it, or use fit"
        for key, value in refused.items()
        if value
    ]:
        raise ConfigError(problems)
    dataset = {**options["dataset"], "validation": 0}
    return {**options, "scheduler": "constant", "epochs": 1, "dataset": dataset}


def _undivided(source: RawDataset) -> Splits:
    """Return all examples as the training split; classes may lack examples."""
    train = source.train.take(np.arange(len(source.train.targets)))
    return source.finish(source).splits(train)


def _filled(given: Any, suggested: Any) -> Any:
    """Return an option, or what is suggested for it; options of a section without a name change the suggested one."""
    if isinstance(given, dict) and "name" not in given:
        return {**as_options(suggested), **given}
    return suggested if given is None else given


def _loaded(options: dict[str, Any]) -> LoadedConfig:
    return load_source(YamlSource(NAME, options), NAME)


@preserve_process_state()
def continued(
    before: Checkpoint,
    training: dict[str, Any] | None,
    data: TrainingData,
    observers: Sequence[Observer] = (),
) -> Fitted:
    """Train one more epoch, on other examples, with the transform that was fixed before.

    Args:
        before: The checkpoint so far.
        training: The state of its trainer; None: the optimizer starts anew.
        data: The examples.
        observers: Observers of the training.

    Raises:
        DataError: The examples do not fit the network.
        TrainingError: The loss became NaN or infinite.
    """
    classifier = Classifier.from_checkpoint(before, Path(NAME), before.config["device"])
    config = classifier.config.model_copy(update={"epochs": 1})
    splits = _undivided(data.read(config.dataset.as_trained(classifier.transform)))
    plan = replace(begin_plan(config), placement=classifier.placement)
    model, transform = classifier.model.train(), classifier.transform
    components = Components(config, splits, transform, classifier.loss_fn, model, plan)
    trainer = build_trainer(components)
    trainer.epoch = before.epoch + 1
    if training is not None:
        trainer.load_state(_restarted(training, trainer), [])
    return _trained(components, trainer, splits.notes, observers, before)


def _restarted(training: dict[str, Any], trainer: Trainer) -> dict[str, Any]:
    """Return the state of a trainer at the start of another epoch, which may have another number of batches."""
    start = {"step": 0, "batch": 0, "epoch": trainer.epoch, "epoch_seconds": 0.0, "best_epoch": 0}
    totals = Totals.zeros(trainer.placement.device).state()
    return {**training, **start, "best": [-math.inf, -math.inf], "totals": totals}


def _trained(
    components: Components,
    trainer: Trainer,
    notes: Sequence[str],
    observers: Sequence[Observer],
    before: Checkpoint | None = None,
) -> Fitted:
    """Train, and load the best checkpoint, calibrated on the validation split."""
    told = [*notes, *components.notes]
    keeper = BestKeeper(components.facts())
    trainer.observers = [keeper, Notes(told.append), *observers]
    trainer.fit()
    assert keeper.best is not None
    checkpoint = keeper.best if before is None else _appended(before, keeper.best)
    history = [row.state() for row in trainer.rows] if before is None else checkpoint.history
    validation = components.splits.validation
    if validation is not None:
        classifier = Classifier.from_checkpoint(checkpoint, Path(NAME), checkpoint.config["device"])
        outputs, features = classifier.outputs_and_features(validation)
        targets = validation.all_targets()
        found = fit_calibration(classifier, outputs, features, targets, components.splits.train)
        checkpoint = replace(checkpoint, calibration=None if found is None else found.state())
    return Fitted(checkpoint, loaded(checkpoint), history, told, plain(trainer.state()))


def loaded(checkpoint: Checkpoint) -> Classifier:
    """Load the classifier of a checkpoint, on a CPU with float64 unless the config sets the precision.

    What it answers for an example is then the same to the last digits that matter, alone and among others.
    """
    classifier = Classifier.from_checkpoint(checkpoint, Path(NAME), checkpoint.config["device"])
    is_chosen = classifier.config.precision != "auto" or isinstance(classifier.config.model, UserCode)
    if is_chosen or classifier.placement.device.type != "cpu":
        return classifier
    placement = replace(classifier.placement, dtype=torch.float64)
    return replace(classifier, model=placement.to(classifier.model), placement=placement)


def _appended(before: Checkpoint, last: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose history begins with that of another one, and whose facts are the other's.

    It is not calibrated: the calibration of the other one is of other weights.
    """
    steps = before.history[-1]["step"] if before.history else 0
    rows = [{**row, "step": row["step"] + steps} for row in last.history]
    history = [*before.history, *rows]
    return replace(before, model=last.model, epoch=before.epoch + len(rows), history=history, calibration=None)
