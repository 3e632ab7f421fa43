"""Trials: short training runs from the same initialization, of the config as written and of changed ones.

The number of steps follows from the size of the network and the run, not from a clock, so that a diagnosis does not
depend on the machine. A clock only ends a trial that takes far longer than planned.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from nnclassify.config.run_config import RunConfig, validate
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.data import Examples, Splits
from nnclassify.data.batches import prepared
from nnclassify.diagnosis.findings import Change
from nnclassify.diagnosis.measure import Snapshot, module_outputs, snapshot
from nnclassify.diagnosis.trials.folds import held_out_split, two_folds
from nnclassify.diagnosis.trials.scores import NO_SCORES, Scores, pooled
from nnclassify.errors import ModelError, NNClassifyError, one_line
from nnclassify.evaluation.baselines import commonest
from nnclassify.evaluation.metrics import decisions
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.evaluation.totals import score
from nnclassify.models.layers import evaluating
from nnclassify.seeds import torch_rng
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

EVALUATIONS = 10
"""Number of points on the curve of a trial."""
EVALUATED, SNAPSHOT_EXAMPLES = 400, 256
"""Training examples that a trial is evaluated on (with 400, an accuracy is known to within 5 points), and measured on.
"""
STEP_SECONDS, LAYER_SECONDS, PRODUCTS_PER_SECOND = 1.2e-4, 3e-5, 1.5e10
"""Cost of an update on one core of 2026: a constant, a part per layer, and multiplications (forward and backward)."""
DECISIVE_STEPS, DECISIVE_SHARE = 400, 0.1
"""A trial decides after this many updates and this fraction of the run; from there its curve is extrapolated."""
SEARCH_SHARE = 0.65
"""Fraction of the time for the search: the rest is for repeating over seeds what helped."""
SMALL_STEP = 2e7
"""Multiplications below which a second thread costs more than it gains."""


JudgedBy = Literal["train", "held_out"]


@dataclass(frozen=True)
class CurvePoint:
    """A trial at one step: the training loss, the scores on training examples, and on examples kept out of training.

    Where none could be kept out, both scores are those of training examples.
    """

    step: int
    loss: float
    train: Scores
    held_out: Scores

    def scores(self, split: JudgedBy) -> Scores:
        """Return the scores on training examples, or on those kept out of training."""
        return self.train if split == "train" else self.held_out


@dataclass(frozen=True)
class TrialOutcome:
    """The result of a trial, evaluated without dropout.

    Attributes:
        curve: The scores along the way.
        steps: The number of updates.
        complete: Whether that was the whole run.
        error: Why it ended early, such as a loss that is not finite; otherwise None.
        final: The state of the network at the end; None after an error.
        predicted_majority: The frequency of the most common prediction.
        total_steps: The number of updates of the whole run.
    """

    curve: tuple[CurvePoint, ...]
    steps: int
    complete: bool
    error: str | None = None
    final: Snapshot | None = None
    predicted_majority: float = 0.0
    total_steps: int = 0

    @property
    def train(self) -> Scores:
        """On training examples: the point with the median score of the last three."""
        return self._typical("train")

    @property
    def held_out(self) -> Scores:
        """On held-out examples: the point with the median score of the last three."""
        return self._typical("held_out")

    def _typical(self, split: JudgedBy) -> Scores:
        if self.error is not None or not self.curve:
            return NO_SCORES
        last = sorted((point.scores(split) for point in self.curve[-3:]), key=lambda scores: scores.balanced_accuracy)
        return last[len(last) // 2]

    def expected(self, steps: float, split: JudgedBy) -> float:
        """Return the balanced accuracy to expect after a number of updates, extrapolated linearly in the logarithm of
        their number from the second half of the trial. Learning curves flatten, so this is an upper bound."""
        known = [(point.step, point.scores(split).balanced_accuracy) for point in self.curve if point.step > 0]
        if self.error is not None or not known:
            return 0.0
        now = statistics.median(score for _, score in known[-3:])
        half = known[len(known) // 2 :] if len(known) > 3 else known
        logs, scores = [math.log(step) for step, _ in half], [score for _, score in half]
        if steps <= self.steps or len(set(logs)) < 2:
            return now
        slope = statistics.linear_regression(logs, scores).slope
        return min(1.0, now + max(0.0, slope) * math.log(steps / self.steps))


@dataclass
class _TrialObserver(Observer):
    """An observer that evaluates a trial along the way and ends it."""

    components: Components
    held_out: Examples | None
    steps: int
    seconds: float
    curve: list[CurvePoint] = field(default_factory=list)
    started: float = 0.0
    predicted_majority: float = 0.0

    def run_started(self, trainer: Trainer) -> None:
        """Evaluate before the first step."""
        train = self.components.splits.train
        self.train = train.subset(evaluated_rows(len(train)))
        self.started = time.thread_time()
        self.evaluate(trainer)

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Evaluate at every tenth of the trial."""
        if trainer.step >= self.curve[-1].step + max(1, self.steps // EVALUATIONS):
            self.evaluate(trainer)
        if trainer.step >= self.steps or time.thread_time() - self.started > self.seconds:
            trainer.stop_signal = 0

    def evaluate(self, trainer: Trainer) -> None:
        """Add a point to the curve."""
        train, loss = self._scores(trainer, self.train)
        held_out = train if self.held_out is None else self._scores(trainer, self.held_out)[0]
        self.curve.append(CurvePoint(trainer.step, loss, train, held_out))

    def _scores(self, trainer: Trainer, examples: Examples) -> tuple[Scores, float]:
        transform, placement = self.components.transform, self.components.placement
        outputs = outputs_of(trainer.evaluated_model(), examples, transform, placement, trainer.recipe.tta)
        targets = examples.all_targets()
        predictions = self.components.loss_fn.predictions(outputs)
        right, groups = decisions(predictions, targets)
        scores = score(outputs, targets, self.components.loss_fn)
        self.predicted_majority = commonest(predictions)[1]
        return Scores(scores.accuracy, right.double(), groups), scores.loss


class _BestEpoch(_TrialObserver):
    """An observer that keeps only the scores of the best epoch, as a run does; the trial ends where the run would."""

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """End a trial that takes too long."""
        if time.thread_time() - self.started > self.seconds:
            trainer.stop_signal = 0

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Replace the scores by those of a better epoch."""
        if trainer.is_best:
            self.curve.clear()
            self.evaluate(trainer)


def evaluated_rows(count: int) -> Tensor:
    """Return the training rows that trials of a dataset are evaluated on."""
    return torch.randperm(count, generator=torch_rng(0, "diagnosis"))[:EVALUATED]


def run_trial(components: Components, steps: int, seconds: float, *, may_stop: bool = False) -> TrialOutcome:
    """Train built components for some updates, `seconds` at most; the validation split holds the held-out examples.

    With `may_stop`, they also select the best epoch, and `patience` ends the trial.
    """
    config = components.config
    threads = config.threads or (1 if multiplications(components) * config.batch_size < SMALL_STEP else None)
    config = config.model_copy(update={"compile": "off", "threads": threads})  # no trial repays compiling its step
    held_out = components.splits.validation
    seen = held_out if may_stop else None
    components = replace(components, config=config, splits=replace(components.splits, validation=seen))
    observer = (_BestEpoch if may_stop else _TrialObserver)(components, held_out, steps, seconds)
    try:
        trainer = build_trainer(components, [observer])
    except ModelError as error:
        return TrialOutcome((), 0, False, one_line(error))
    if not len(trainer.train_batches):
        return TrialOutcome((), 0, False, "no batch is large enough")
    try:
        trainer.fit()
    except (NNClassifyError, RuntimeError, ValueError) as error:
        curve, total = tuple(observer.curve), trainer.total_steps
        return TrialOutcome(curve, trainer.step, False, one_line(error), total_steps=total)
    if observer.curve[-1].step < trainer.step and not may_stop:
        observer.evaluate(trainer)
    complete, total = trainer.finished or trainer.step >= trainer.total_steps, trainer.total_steps
    return TrialOutcome(
        tuple(observer.curve), trainer.step, complete, None, start_of(components), observer.predicted_majority, total
    )


def merged(outcomes: Sequence[TrialOutcome]) -> TrialOutcome:
    """Combine trials of the same config on several folds: all examples judge, and an error of one is one
    of all."""
    first = next((outcome for outcome in outcomes if outcome.error is not None), outcomes[0])
    if len(outcomes) == 1 or first.error is not None:
        return first
    points = zip(*(outcome.curve for outcome in outcomes), strict=False)
    curve = tuple(
        CurvePoint(
            at[0].step,
            statistics.mean(point.loss for point in at),
            pooled([point.train for point in at]),
            pooled([point.held_out for point in at]),
        )
        for at in points
    )
    complete = all(outcome.complete for outcome in outcomes)
    return replace(
        first,
        curve=curve,
        complete=complete,
        predicted_majority=statistics.mean(outcome.predicted_majority for outcome in outcomes),
    )


def start_of(components: Components) -> Snapshot:
    """Return the untrained network on examples from all over the training split."""
    inputs, targets = measured_batch(components)
    return snapshot(components.model, components.loss_fn, inputs, targets)


def measured_batch(components: Components) -> tuple[Tensor, Tensor]:
    """Prepared inputs `(N, ...)` and targets `(N,)` from all over the training split."""
    train = components.splits.train
    return prepared(train, train.spaced_rows(SNAPSHOT_EXAMPLES), components.transform, components.placement)


def multiplications(components: Components) -> int:
    """Return the number of multiplications of one example's forward pass through convolutions and linear layers.

    torch's own counter, which `summary` uses, imports the compiler, which takes longer than many a trial.
    """
    inputs, _ = prepared(components.splits.train, torch.arange(1), components.transform, components.placement)
    with torch.no_grad(), evaluating(components.model) as model, module_outputs(model) as seen:
        model(inputs)
    named = dict(components.model.named_modules())
    layers = [(named[name], output) for name, output in seen.items()]
    return sum(
        layer.weight.numel() * (output[0].numel() // len(layer.weight))  # each weight once per position
        for layer, output in layers
        if isinstance(layer, nn.Linear | nn.Conv2d)
    )


def step_seconds(components: Components) -> float:
    """Return the expected time of an update."""
    layers = sum(1 for module in components.model.modules() if not list(module.children()))
    work = 3 * multiplications(components) * components.config.batch_size
    return STEP_SECONDS + LAYER_SECONDS * layers + work / PRODUCTS_PER_SECOND


def changed(source: YamlSource, config: RunConfig, change: Change) -> RunConfig:
    """Return the config of a YAML source with some values changed.

    Raises:
        ConfigError: The change does not fit the rest.
    """
    edited = copy.deepcopy(source)
    for path, value in completed(source, config, change).items():
        edited.override(f"{path}={json.dumps(value)}")
    return validate(edited)


def completed(source: YamlSource, config: RunConfig, change: Change) -> Change:
    """Return a change that also names family members that the YAML leaves to their defaults: `optimizer.lr` needs
    `optimizer.name`."""
    names = {}
    for path in change:
        family, _, option = path.partition(".")
        if option and family in ("loss", "optimizer", "scheduler") and family not in source.data:
            names[f"{family}.name"] = getattr(config, family).name
    return {**names, **change}


@dataclass
class TrialRunner:
    """Runs the trials of one diagnosis.

    Attributes:
        source: The YAML.
        config: The config as written.
        splits: The examples.
        steps: The number of updates of a trial.
        deadline: The time by which the last trial must start, in processor seconds of this thread.
        seconds: The time limit of a trial.
        cost: The expected time of a trial in seconds.
        stand_in: What makes a config small enough to be tried; see `stand_in`.
        is_two_fold: Whether halves of the training split take turns to judge.
        may_stop: Whether the best epoch is selected and `patience` ends a trial, as in a run.
    """

    source: YamlSource
    config: RunConfig
    splits: Splits
    steps: int
    deadline: float
    seconds: float
    cost: float = 0.0
    stand_in: Callable[[RunConfig], RunConfig] = lambda config: config
    is_two_fold: bool = False
    may_stop: bool = False
    known: dict[str, TrialOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folds = self._folds(self.splits)
        self.started = time.thread_time()

    def _folds(self, splits: Splits) -> list[Splits]:
        return two_folds(splits) if self.is_two_fold else [held_out_split(splits)]

    def two_fold(self) -> TrialRunner | None:
        """Return a runner that judges by two folds if nothing is held out; None if not needed or not possible."""
        if self.folds[0].validation is not None or not two_folds(self.splits):
            return None
        return replace(self, is_two_fold=True, known={})

    def has_time(self) -> bool:
        """Return whether another trial may start."""
        return time.thread_time() < self.deadline

    def may_search(self) -> bool:
        """Return whether a trial may start that must be repeated if it helps."""
        return time.thread_time() < self.started + SEARCH_SHARE * (self.deadline - self.started)

    def is_known(self, change: Change, seed: int) -> bool:
        """Return whether this trial has been run."""
        return _key(change, seed) in self.known

    def run(self, change: Change, seed: int = 0) -> TrialOutcome:
        """Train the config with a change, with the initial weights and order of the given seed; the split stays the
        same.

        A change that does not fit is an outcome with an error.
        """
        key = _key(change, seed)
        if key not in self.known:
            self.known[key] = self._run(change, seed)
        return self.known[key]

    def _run(self, change: Change, seed: int) -> TrialOutcome:
        try:
            config = changed(self.source, self.config, change)
            folds = self.folds
            if any(path.startswith("dataset.f") for path in change):
                folds = self._folds(config.dataset.build(self.config.seed))
            config = self.stand_in(config).model_copy(update={"seed": config.seed + seed})
            return merged([self._trial(config, fold) for fold in folds])
        except NNClassifyError as error:
            return TrialOutcome((), 0, False, one_line(error))

    def _trial(self, config: RunConfig, fold: Splits) -> TrialOutcome:
        steps = self._steps_of(config)
        config = as_many_updates(config, len(self.splits.train), len(fold.train))
        if not self.may_stop:
            config = config.model_copy(update={"select_by": "accuracy", "patience": None})
        seconds = min(self.seconds, max(1.0, self.deadline + self.seconds / 2 - time.thread_time()))
        return run_trial(build_components(config, fold), steps, seconds / len(self.folds), may_stop=self.may_stop)

    def _steps_of(self, config: RunConfig) -> int:
        """Return as many updates as of the original config; with smaller batches, as many examples; in a longer run,
        all."""
        total = total_steps(config, len(self.splits.train))
        if config.epochs > self.config.epochs:
            return total
        return min(total, round(self.steps * max(1.0, self.config.batch_size / config.batch_size)))


def _key(change: Change, seed: int) -> str:
    return json.dumps([change, seed], sort_keys=True)


def decisive_steps(total: int) -> int:
    """Return the number of updates after which a trial tells whether a run of this length learns."""
    return min(total, max(DECISIVE_STEPS, round(DECISIVE_SHARE * total)))


def total_steps(config: RunConfig, num_examples: int) -> int:
    """Return the number of updates of the whole run."""
    return config.epochs * math.ceil(num_examples / config.batch_size)


def as_many_updates(config: RunConfig, num_examples: int, num_train: int) -> RunConfig:
    """Return the config with more epochs if there are fewer examples, so that the number of updates stays the same."""
    per_epoch = max(1, math.ceil(num_train / config.batch_size))
    return config.model_copy(update={"epochs": math.ceil(total_steps(config, num_examples) / per_epoch)})
