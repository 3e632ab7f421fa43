"""Trains the configs of a lesson in memory: no run folder, and no entry among the looks at a test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from nnclassify.config.run_config import LoadedConfig, load_source
from nnclassify.config.yaml_reader import read_text
from nnclassify.data import Examples
from nnclassify.data.batches import prepared
from nnclassify.diagnosis.findings import Finding
from nnclassify.diagnosis.monitor.monitor import Monitor
from nnclassify.errors import TrainingError
from nnclassify.evaluation.metrics import MetricInputs, measured
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.files.python_source import run, trusting
from nnclassify.lessons.pages import Front, Lesson
from nnclassify.process import preserve_process_state
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

NEW_DATA = "new.csv"
"""The table of a lesson that measures what is kept of the test accuracy."""


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        epoch: Its number, from 1.
        loss: The mean training loss.
        train: The training accuracy, 0..1.
        test: The metric of the lesson on the test split, or as somebody's own function counts it.
        new: The accuracy on new data; None where a lesson has none.
    """

    epoch: int
    loss: float
    train: float
    test: float
    new: float | None = None


Watch = Callable[[Epoch, int], None]
"""Called with each epoch, and the number of epochs of the run."""


def unwatched(epoch: Epoch, num_epochs: int) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Trained:
    """A network of a lesson after training.

    Attributes:
        seed: The seed of the run.
        epochs: The figures of each epoch.
        num_epochs: The number of epochs that the config asks for.
        figure: What the lesson judges it by, after the last epoch; 0 if training failed.
        error: Why training failed, or None.
        findings: The findings of the monitor.
    """

    seed: int
    epochs: list[Epoch]
    num_epochs: int
    figure: float
    error: str | None = None
    findings: tuple[Finding, ...] = ()


def load(lesson: Lesson, kind: str, seed: int = 0) -> LoadedConfig:
    """Load a config of a lesson; its files are looked for in the folder of the lesson, not in the working directory.

    Args:
        lesson: The lesson.
        kind: `broken` or `fixed`.
        seed: Added to the seed of the config.
    """
    source = read_text(lesson.text(kind), f"{kind}.yaml")
    config = load_source(source, lesson.name).config
    for family in ("dataset", "model"):
        for key, place in getattr(config, family).places().items():
            source.data[family][key] = str(lesson.folder / place)
    source.data["seed"] = config.seed + seed
    return load_source(source, lesson.name)


@preserve_process_state()
def train(lesson: Lesson, kind: str, seed: int = 0, watch: Watch = unwatched) -> Trained:
    """Train a config of a lesson with one seed.

    Args:
        lesson: The lesson.
        kind: `broken` or `fixed`.
        seed: Added to the seed of the config.
        watch: See `Watch`.
    """
    loaded = load(lesson, kind, seed)
    components = build_components(loaded.config)
    judge = Judge(lesson, kind, components)
    watcher, monitor = _Watcher(judge, watch), Monitor(lambda text: None)
    trainer = build_trainer(components, [watcher, monitor])
    error = None
    try:
        trainer.fit()
    except TrainingError as cause:
        error = str(cause)
    figure = 0.0 if error else judge.figure(watcher.epochs[-1])
    findings = tuple(monitor.findings)
    return Trained(loaded.config.seed, watcher.epochs, loaded.config.epochs, figure, error, findings)


def train_seeds(lesson: Lesson, kind: str, seed: int = 0, watch: Watch = unwatched) -> list[Trained]:
    """Train a config with as many seeds as the lesson asks for; the worst network comes first."""
    with trusting(True):  # Python files of a lesson are part of the package, like the code that runs them
        runs = [train(lesson, kind, seed + number, watch) for number in range(lesson.front.seeds)]
    return sorted(runs, key=lambda run: run.figure)


class Judge:
    """Measures a network as the front matter of a lesson says.

    Args:
        lesson: The lesson.
        kind: `broken` or `fixed`.
        components: What the network was built with.
    """

    def __init__(self, lesson: Lesson, kind: str, components: Components) -> None:
        assert components.splits.test is not None, "every lesson has a test split"
        self.front: Front = lesson.front
        self.components = components
        self.test = components.splits.test
        self.new = _new_examples(lesson, components) if self.front.measure == "kept" else None
        own = lesson.folder / f"{kind}_accuracy.py"
        self.count: Callable[..., float] | None = None
        if self.front.measure == "counted":
            self.count = run(str(own), own.read_text(encoding="utf-8"))["accuracy"]

    def epoch(self, row: Row, model: nn.Module) -> Epoch:
        """Return the figures of an epoch."""
        test = self._metric(model, self.test) if self.count is None else self.count(model, *self._loaders())
        new = None if self.new is None else self._metric(model, self.new)
        return Epoch(row.epoch, row.train_loss, row.train_accuracy, test, new)

    def figure(self, last: Epoch) -> float:
        """Return what a network is judged by, from its last epoch."""
        return last.test if last.new is None else min(1.0, last.new / max(last.test, 1e-9))

    def _metric(self, model: nn.Module, examples: Examples) -> float:
        outputs = self._outputs(model, examples)
        given = MetricInputs(outputs, examples.all_targets(), self.components.loss_fn)
        return measured(given, self.components.splits.class_names)[0][self.front.metric]

    def _outputs(self, model: nn.Module, examples: Examples) -> Tensor:
        outputs = partial(outputs_of, model, transform=self.components.transform, placement=self.components.placement)
        if self.front.measure != "one_by_one":
            return outputs(examples)
        return torch.cat([outputs(replace(examples, indices=one)) for one in examples.indices.split(1)])

    def _loaders(self) -> list[list[tuple[Tensor, Tensor]]]:
        """Return the training and the test split in batches, as a loop in PyTorch goes over them."""
        size, splits = self.components.config.batch_size, (self.components.splits.train, self.test)
        place = (self.components.transform, self.components.placement)
        return [[prepared(split, rows, *place) for rows in torch.arange(len(split)).split(size)] for split in splits]


def _new_examples(lesson: Lesson, components: Components) -> Examples:
    """Return the examples of `new.csv`, all of them, encoded as in training."""
    dataset = components.config.dataset.for_data(path=str(lesson.folder / NEW_DATA)).as_trained(components.transform)
    source = dataset.read_labeled(components.splits.class_names, seed=0)
    assert source.class_names == components.splits.class_names
    return source.train.take(np.arange(len(source.train.targets)))


class _Watcher(Observer):
    """Measures the network after every epoch, and reports it."""

    def __init__(self, judge: Judge, watch: Watch) -> None:
        self.judge = judge
        self.watch = watch
        self.epochs: list[Epoch] = []

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Measure and report the epoch."""
        self.epochs.append(self.judge.epoch(row, trainer.evaluated_model()))
        self.watch(self.epochs[-1], trainer.recipe.epochs)
