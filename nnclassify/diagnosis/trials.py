"""Short real runs, from the same start: the config as written against its changes.

The number of steps follows from the size of the network and the run, not from a clock, so that a diagnosis
does not depend on the machine; a clock only ends what takes far longer than it should.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from nnclassify.config import RunConfig, validate
from nnclassify.datasets import Splits
from nnclassify.diagnosis.findings import Change
from nnclassify.diagnosis.measure import Snapshot, snapshot, watched
from nnclassify.errors import ModelError, NNClassifyError, one_line
from nnclassify.inference import outputs_of
from nnclassify.metrics import score
from nnclassify.parts import Parts, build_parts, build_trainer
from nnclassify.seeds import torch_rng
from nnclassify.trainer import Trainer, Watcher
from nnclassify.yaml_source import YamlSource

EVALUATIONS = 10
"""Points on a trial's curve."""
EVALUATED, SNAPSHOT_EXAMPLES = 600, 256
"""Training examples that a trial is judged on (of 600, a share is known to within 4 points), and measured on."""
STEP_SECONDS, LAYER_SECONDS, PRODUCTS_PER_SECOND = 1.2e-4, 3e-5, 1.5e10
"""What an update costs on one core of 2026: a constant, a part a layer, and multiplications (forward and back)."""
SMALL_STEP = 2e7
"""Multiplications under which a second thread costs more than it brings."""


@dataclass(frozen=True)
class Point:
    """A trial at one step: the loss, the accuracy, and the mean accuracy of the classes."""

    step: int
    loss: float
    accuracy: float
    balanced: float


@dataclass(frozen=True)
class Outcome:
    """What a trial reached, on training examples and without dropout.

    Attributes:
        curve: Along the way.
        steps: Updates made.
        complete: Whether that was the whole run.
        error: Why it ended early: a loss that is not finite, a layer that refused a batch; else None.
        end: The network at its end; None after an error.
        said: The share of the class that it names most.
    """

    curve: tuple[Point, ...]
    steps: int
    complete: bool
    error: str | None = None
    end: Snapshot | None = None
    said: float = 0.0

    @property
    def score(self) -> float:
        """Mean accuracy of the classes: the median of the last three points; 0 after an error."""
        if self.error is not None or not self.curve:
            return 0.0
        return statistics.median(point.balanced for point in self.curve[-3:])

    @property
    def accuracy(self) -> float:
        """Accuracy, likewise."""
        if self.error is not None or not self.curve:
            return 0.0
        return statistics.median(point.accuracy for point in self.curve[-3:])


@dataclass
class _Watch(Watcher):
    """Evaluates along the way and ends the trial."""

    parts: Parts
    steps: int
    seconds: float
    curve: list[Point] = field(default_factory=list)
    started: float = 0.0

    def run_started(self, trainer: Trainer) -> None:
        """Evaluate the start."""
        self.rows = evaluated_rows(self.parts)
        self.started = time.thread_time()
        self.evaluate(trainer)

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Evaluate where the next tenth is reached."""
        if trainer.step >= self.curve[-1].step + max(1, self.steps // EVALUATIONS):
            self.evaluate(trainer)
        if trainer.step >= self.steps or time.thread_time() - self.started > self.seconds:
            trainer.stop_signal = 0

    def evaluate(self, trainer: Trainer) -> None:
        """Add a point."""
        train = self.parts.splits.train
        examples = replace(train, indices=train.indices[self.rows])
        outputs = outputs_of(trainer.evaluated_model(), examples, self.parts.transform, self.parts.placement)
        targets = examples.all_targets()
        predictions = self.parts.loss_fn.predictions(outputs)
        hits = (predictions == targets).double()
        recalls = [float(hits[targets == label].mean()) for label in targets.unique()]
        figures = score(outputs, targets, self.parts.loss_fn)
        self.said = float(predictions.bincount().max()) / len(predictions)
        self.curve.append(Point(trainer.step, figures.loss, figures.accuracy, sum(recalls) / len(recalls)))


def evaluated_rows(parts: Parts) -> Tensor:
    """The training rows that trials of a dataset are judged on."""
    order = torch.randperm(len(parts.splits.train), generator=torch_rng(0, "diagnosis"))
    return order[:EVALUATED]


def run_trial(parts: Parts, steps: int, seconds: float) -> Outcome:
    """Train built parts for some updates, `seconds` at most."""
    config = parts.config.model_copy(update={"compile": "off"})  # planned for the whole run, no trial repays it
    parts = replace(parts, config=config, splits=replace(parts.splits, validation=None))
    watch = _Watch(parts, steps, seconds)
    try:
        trainer = build_trainer(parts, [watch])
    except ModelError as error:
        return Outcome((), 0, False, one_line(error))
    if not len(trainer.train):
        return Outcome((), 0, False, "no batch is large enough")
    try:
        trainer.fit()
    except (NNClassifyError, RuntimeError, ValueError) as error:
        return Outcome(tuple(watch.curve), trainer.step, False, one_line(error))
    if watch.curve[-1].step < trainer.step:
        watch.evaluate(trainer)
    return Outcome(tuple(watch.curve), trainer.step, trainer.finished, None, start_of(parts), watch.said)


def start_of(parts: Parts) -> Snapshot:
    """The network as it is, on examples from all over the training split."""
    inputs, targets = measured_batch(parts)
    return snapshot(parts.model, parts.loss_fn, inputs, targets)


def measured_batch(parts: Parts) -> tuple[Tensor, Tensor]:
    """Prepared inputs `(N, ...)` and targets `(N,)` from all over the training split."""
    train = parts.splits.train
    rows = torch.linspace(0, len(train) - 1, min(SNAPSHOT_EXAMPLES, len(train))).long()
    raw, targets = train.select(rows)
    inputs = parts.placement.arrange(parts.transform(raw.to(parts.placement.device), parts.placement.dtype))
    return inputs, targets.to(parts.placement.device)


def products(parts: Parts) -> int:
    """Multiplications of a forward pass of one example through convolutions and linear layers."""
    raw, _ = parts.splits.train.select(torch.arange(1))
    inputs = parts.placement.arrange(parts.transform(raw.to(parts.placement.device), parts.placement.dtype))
    was_training = parts.model.training
    with torch.no_grad(), watched(parts.model.eval()) as seen:
        parts.model(inputs)
    parts.model.train(was_training)
    named = dict(parts.model.named_modules())
    total = 0
    for name, output in seen.items():
        module = named[name]
        if isinstance(module, nn.Linear | nn.Conv2d):
            total += module.weight.numel() * (output[0, 0].numel() if output.ndim == 4 else 1)
    return total


def step_seconds(parts: Parts) -> float:
    """What an update should take."""
    layers = sum(1 for module in parts.model.modules() if not list(module.children()))
    work = 3 * products(parts) * parts.config.batch_size
    return STEP_SECONDS + LAYER_SECONDS * layers + work / PRODUCTS_PER_SECOND


def changed(source: YamlSource, config: RunConfig, change: Change) -> RunConfig:
    """The config of a YAML source with some values changed.

    Raises:
        ConfigError: The change does not fit the rest.
    """
    edited = copy.deepcopy(source)
    for path, value in completed(source, config, change).items():
        edited.override(f"{path}={json.dumps(value)}")
    return validate(edited)


def completed(source: YamlSource, config: RunConfig, change: Change) -> Change:
    """A change that names the family members which the YAML leaves to their defaults: `optimizer.lr` needs
    `optimizer.name` beside it."""
    names = {}
    for path in change:
        family, _, option = path.partition(".")
        if option and family in ("loss", "optimizer", "scheduler") and family not in source.data:
            names[f"{family}.name"] = getattr(config, family).name
    return {**names, **change}


@dataclass
class Bench:
    """Where the trials of one diagnosis are run.

    Attributes:
        source: The YAML.
        config: The config as written.
        splits: Its examples.
        steps: Updates of a trial.
        deadline: When the last trial must have begun, in processor seconds of this thread.
        seconds: The most that a trial may take.
    """

    source: YamlSource
    config: RunConfig
    splits: Splits
    steps: int
    deadline: float
    seconds: float

    def has_time(self) -> bool:
        """Whether another trial may begin."""
        return time.thread_time() < self.deadline

    def run(self, change: Change, steps: int | None = None) -> Outcome:
        """Train the config with a change; a change that does not fit is an outcome with an error."""
        try:
            config = changed(self.source, self.config, change)
            parts = build_parts(config, None if any(path.startswith("dataset.f") for path in change) else self.splits)
        except NNClassifyError as error:
            return Outcome((), 0, False, one_line(error))
        seconds = min(self.seconds, max(1.0, self.deadline + self.seconds / 2 - time.thread_time()))
        return run_trial(parts, steps or self._steps_of(config), seconds)

    def _steps_of(self, config: RunConfig) -> int:
        """As many updates as the config as written; in smaller batches, as many examples; in a longer run, all."""
        examples = len(self.splits.train)
        total = config.epochs * -(-examples // config.batch_size)
        if config.epochs > self.config.epochs:
            return total
        return min(total, round(self.steps * max(1.0, self.config.batch_size / config.batch_size)))
