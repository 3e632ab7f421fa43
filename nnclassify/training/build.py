"""Builds everything that a config describes: data -> transform -> loss -> model -> trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nnclassify.compile.torch_private import skip_dynamo_import
from nnclassify.config.run_config import RunConfig
from nnclassify.data import Examples, Splits
from nnclassify.data.batches import Batches, prepared
from nnclassify.data.transform import Transform
from nnclassify.device import Placement, set_matmul_precision
from nnclassify.distributed.ranks import Ranks
from nnclassify.distributed.shared_examples import read_once
from nnclassify.errors import DataError, ModelError
from nnclassify.evaluation.decision import check_threshold
from nnclassify.evaluation.metrics import METRICS, Metric
from nnclassify.evaluation.outputs import check_tta, check_values
from nnclassify.losses import LossFunction
from nnclassify.models.layers import check_forward
from nnclassify.optim.averaging import frozen_copy
from nnclassify.process import use_threads
from nnclassify.seeds import seed_everything
from nnclassify.training.functional_state import FunctionalState
from nnclassify.training.plan import ExecutionPlan, begin_plan, plan_execution
from nnclassify.training.pretrained import differences, normalization
from nnclassify.training.trainer import Observer, Recipe, Trainer

MAX_SAMPLE, SAMPLE_BATCH = 5000, 500
"""Training examples for data-dependent initialization, as many as in Jordan (arXiv:2404.00498), and the batch size."""


@dataclass(frozen=True)
class Components:
    """Everything that a config describes, built before training.

    Attributes:
        config: The config.
        splits: The examples.
        transform: The normalization, fitted to the training split.
        loss_fn: The loss.
        model: The untrained network, on its device.
        plan: How the run is executed, as far as that is decided before the batches are known.
        notes: How images are prepared differently from when pretrained weights were trained, one line each.
    """

    config: RunConfig
    splits: Splits
    transform: Transform
    loss_fn: LossFunction
    model: nn.Module
    plan: ExecutionPlan
    notes: list[str] = field(default_factory=list)

    @property
    def placement(self) -> Placement:
        """Device, number types and memory format."""
        return self.plan.placement

    def facts(self) -> dict[str, Any]:
        """Return the entries that all checkpoints of a run share."""
        return {
            "config": self.config.model_dump(mode="json", exclude_none=True),
            "class_names": self.splits.class_names,
            "class_counts": self.splits.class_counts(),
            "transform": self.transform.state(),
            "split_digests": self.splits.digests(),
        }


def build_components(
    config: RunConfig, splits: Splits | None = None, ranks: Ranks | None = None, *, with_pretrained: bool = True
) -> Components:
    """Build everything that a config describes, without writing anything.

    Args:
        config: The config.
        splits: The examples, if they have already been read.
        ranks: The processes that train together; one per node reads the examples.
        with_pretrained: Whether to load pretrained weights; a run that resumes has them in its checkpoint.

    Raises:
        DeviceError: The device is not available.
        DataError: The data cannot be read or learned from.
        ModelError: The network does not fit the data.
        TrustError: The config names Python code that may not run here.
    """
    config = config.completed()
    plan = begin_plan(config)  # fail before reading the data
    use_threads(plan.num_threads)
    if with_pretrained:
        config.model.fetch_pretrained()
    splits = splits or read_once(ranks or Ranks(), lambda: config.dataset.build(config.seed))
    preprocessing = config.model.preprocessing()
    shift, scale = normalization(config.dataset, splits, preprocessing)
    check_tta(config.evaluation.tta, splits.input_shape)
    check_threshold(config.evaluation.threshold, splits.class_names, is_multi_hot=splits.is_multi_hot)
    _check_augment(config, splits)
    transform = Transform(splits.input_shape, splits.image_format, splits.feature_names, shift, scale, splits.encoder)
    for name in ("train", "validation", "test"):
        if (examples := splits.split(name)) is not None:
            check_values(examples, transform, config.dataset.origin_of_inputs(name))
    config = config.settled_loss(splits.class_counts(), len(splits.train))
    loss_fn = config.loss_function(splits.class_counts())
    seed_everything(config.seed)
    model = config.model.build(splits.input_shape, loss_fn.num_outputs)
    if with_pretrained:
        config.model.load_pretrained(model)
    placement = plan.placement.with_memory_format_for(model)
    set_matmul_precision(placement.device, config.precision)
    model = placement.to(model)
    inputs, _ = prepared(splits.train, torch.arange(min(2, len(splits.train))), transform, placement)
    check_forward(model, inputs, loss_fn.num_outputs)
    config.model.fit(model, partial(_sample, splits.train, transform, placement))
    notes = [] if preprocessing is None else list(differences(config, splits, preprocessing))
    plan = replace(plan, placement=placement)
    return Components(_settled(config, splits), splits, transform, loss_fn, model, plan, notes)


def _settled(config: RunConfig, splits: Splits) -> RunConfig:
    """Return the config with `validation: 0` if there are too few examples for the default validation split.

    The config of the run then means the same when it is read again.

    Raises:
        DataError: An option needs a validation split.
    """
    config = config.with_dataset(splits.recognized)
    if splits.validation is not None or config.dataset.validation in (0, "test"):
        return config
    for option, asked in (("patience", config.patience is not None), ("select_by", config.select_by != "accuracy")):
        if asked:
            none = f"{config.dataset.validation} of {len(splits.train)} examples is less than one"
            raise DataError(f"{option}: needs a validation split, but {none}; remove it", (option,))
    return config.without_validation()


def check_metric(metric: Metric, splits: Splits) -> None:
    """Reject a `select_by` metric that has no value on the validation split.

    Raises:
        DataError: The metric has no value there.
    """
    validation, names = splits.validation, splits.class_names
    if validation is None or splits.validation_is_test:
        return
    reason = metric.refuses(is_multi_hot=splits.is_multi_hot, num_classes=len(names))
    if reason is None and (lack := metric.undefined(validation.all_targets(), names)) is not None:
        reason = f"{metric.name} has no value on the validation split, where {lack}; set a larger dataset.validation"
    if reason is not None:
        raise DataError(f"select_by: {reason}; or choose another metric, such as f1_macro", ("select_by",))


def _check_augment(config: RunConfig, splits: Splits) -> None:
    augment = config.dataset.augmentation()
    refused = (
        None if augment is None else augment.refuses(splits.input_shape, has_units=splits.image_format is not None)
    )
    if refused is not None:
        option, why = refused
        raise DataError(f"dataset.augment.{option}: {why}", ("dataset", "augment", option))


def _sample(examples: Examples, transform: Transform, placement: Placement) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets of evenly spaced examples of a split, the same in every process of a run."""
    for rows in examples.spaced_rows(MAX_SAMPLE).split(SAMPLE_BATCH):
        yield prepared(examples, rows, transform, placement)


def build_trainer(
    components: Components,
    observers: Sequence[Observer] = (),
    ranks: Ranks | None = None,
    *,
    autocast: str | None = None,
) -> Trainer:
    """Return the trainer of a run, at its start.

    Args:
        components: What the config describes.
        observers: The observers of the training.
        ranks: The processes that train together.
        autocast: The number type of `precision: auto` that the run began with; None: decide now.

    Raises:
        DataError: `select_by` is a metric without a value on the validation split.
        ModelError: The batches are too small for the network, or for the number of processes.
    """
    config, splits = components.config, components.splits
    check_metric(METRICS[config.select_by], splits)
    ranks = ranks or Ranks()
    skip_dynamo_import()
    has_batch_norm = any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in components.model.modules())
    smallest = max(
        ranks.world_size, 2 if any(isinstance(module, nn.BatchNorm1d) for module in components.model.modules()) else 1
    )
    if config.batch_size < smallest:
        why = " with batch norm in a hidden layer" if smallest > ranks.world_size else ""
        several = f" for {ranks.world_size} processes" if ranks.world_size > 1 else ""
        found = f"batch_size: found {config.batch_size}{why}, which needs at least {smallest}{several}"
        raise ModelError(f"{found}; raise batch_size", ("batch_size",))
    batches = Batches(
        splits.training_epoch(),
        components.transform,
        components.placement,
        batch_size=config.batch_size,
        seed=config.seed,
        shuffle=config.shuffle,
        augment=config.dataset.augmentation(),
        min_batch=2 if has_batch_norm else 1,
        num_classes=splits.num_classes,
    )
    parameters = [pair for pair in components.model.named_parameters() if pair[1].requires_grad]
    optimizers = config.optimizer.build(parameters, config.model.body(components.model))
    averaged = None if config.averaging() is None else frozen_copy(components.model)
    state = FunctionalState.of(components.model, averaged, optimizers, epoch=1)
    model, loss_fn = components.model, components.loss_fn
    plan = plan_execution(components.plan, config, batches, model, loss_fn, state, ranks.world_size, autocast)
    use_threads(plan.num_threads)
    what_learns = (model, averaged, loss_fn, optimizers)
    return Trainer(*what_learns, batches, splits.validation, _recipe(components), plan, observers, ranks)


def _recipe(components: Components) -> Recipe:
    config, splits = components.config, components.splits
    return Recipe(
        epochs=config.epochs,
        batch_size=config.batch_size,
        scheduler=config.scheduler,
        clip_grad_norm=config.clip_grad_norm,
        averaging=config.averaging(),
        tta=config.evaluation.tta,
        patience=config.patience,
        select_by=config.select_by,
        may_select=splits.validation is not None and not splits.validation_is_test,
        report_steps=None if config.checkpoint_every is None else config.checkpoint_every.steps,
    )
