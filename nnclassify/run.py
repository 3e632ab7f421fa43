"""The wiring, top to bottom: config -> data -> transform -> model -> trainer -> run folder -> figures."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from nnclassify.checkpoint import load_checkpoint
from nnclassify.config import LoadedConfig, RunConfig
from nnclassify.diagnosis.findings import Finding
from nnclassify.diagnosis.monitor import Monitor
from nnclassify.errors import CheckpointError, ConfigError, Interrupted, SaveError, TrainingError, one_line
from nnclassify.evaluate import Classifier, Evaluation, evaluate
from nnclassify.folders import RunFolder, create_run_folder, runs_of
from nnclassify.history import Row
from nnclassify.observers import Checkpointer, HistoryWriter
from nnclassify.parts import Parts, build_parts, build_trainer
from nnclassify.trainer import Observer, Trainer


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
        findings: What the monitor saw.
    """

    folder: RunFolder
    parts: Parts
    rows: list[Row]
    best_epoch: int
    classifier: Classifier
    test: Evaluation | None
    findings: list[Finding] = field(default_factory=list)

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


def train(
    loaded: LoadedConfig,
    *,
    resume: RunFolder | None = None,
    observers: Sequence[Observer] = (),
    warn: Callable[[str], None] = lambda text: None,
    with_monitor: bool = True,
) -> RunResult:
    """Train a config into a run folder, and report what `best.pt`, read back from disk, reaches.

    Args:
        loaded: The config.
        resume: The run to go on with; None: a new one.
        observers: Who else looks on.
        warn: Is told what the monitor finds, a line each, when it arises.
        with_monitor: Whether there is one.

    Raises:
        Interrupted: A signal stopped the run; everything is saved.
        NNClassifyError: As `build_parts` and `Trainer.fit`.
    """
    parts = build_parts(loaded.config)
    trainer = build_trainer(parts)
    if resume is not None:
        _go_on(trainer, resume, loaded.config)
    folder = resume or create_run_folder(loaded.name)
    monitor = Monitor(warn, folder.path / "diagnosis.json")
    checkpointer = Checkpointer(folder, parts.facts())
    trainer.observers = [HistoryWriter(folder), checkpointer, *([monitor] if with_monitor else []), *observers]
    _write(folder.config, loaded.config.to_yaml())
    with stop_on_signals(trainer):
        _fit(trainer, checkpointer, monitor)
    if trainer.stop_signal is not None and not trainer.finished:
        raise Interrupted(
            f"interrupted in epoch {trainer.epoch} of {loaded.config.epochs}; saved in {folder.path}; go on with: "
            f"nnclassify train --resume {folder.name}",
            trainer.stop_signal,
        )
    classifier = Classifier.load(folder.best, str(parts.placement.device))
    test = None if parts.splits.test is None else evaluate(classifier, parts.splits.test)
    result = RunResult(folder, parts, trainer.rows, trainer.best_epoch, classifier, test, monitor.findings)
    _write(folder.result, json.dumps(result.figures(), indent=2) + "\n")
    return result


def _fit(trainer: Trainer, checkpointer: Checkpointer, monitor: Monitor) -> None:
    """Train; where that diverges, keep the best checkpoint so far and say what came first."""
    try:
        trainer.fit()
    except TrainingError as error:
        checkpointer.save_best()
        finding = monitor.diverged(trainer)
        if finding is None:
            raise
        raise TrainingError(f"{error}; {finding.id}: {finding.evidence.text}") from error


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
