"""Train a config from start to end: config -> data -> transform -> model -> trainer -> run folder -> metrics."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from nnclassify.config.from_python import AnyConfig, Overrides, assignments, load_any
from nnclassify.config.run_config import LoadedConfig, located
from nnclassify.data import Splits
from nnclassify.data.base import told_where_to_look
from nnclassify.diagnosis.findings import Finding
from nnclassify.diagnosis.monitor.end_of_run import end_of_run
from nnclassify.diagnosis.monitor.monitor import Monitor
from nnclassify.distributed.ranks import Ranks, process_group
from nnclassify.errors import (
    CheckpointError,
    Interrupted,
    NNClassifyError,
    SaveError,
    TrainingError,
    WorkerError,
    shell_command,
)
from nnclassify.evaluation.baselines import Baselines
from nnclassify.evaluation.percent import percent
from nnclassify.files.json_files import plain, write_json
from nnclassify.files.paths import given_path
from nnclassify.inference.analysis import finished_run
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.predictions import Predicted
from nnclassify.process import preserve_process_state, release_memory, stop_on_signals
from nnclassify.runs.contention import Contention
from nnclassify.runs.folder import CHECKPOINTS, RunFolder, begun_by, create_run_folder, named_run
from nnclassify.runs.group_summary import Summary
from nnclassify.runs.group_training import check_all_trained, train_runs
from nnclassify.runs.groups import fitting_group, new_group, runs_of_group, seeds_text
from nnclassify.runs.provenance import failure_recorded
from nnclassify.runs.recorders import (
    Checkpointer,
    ConfigWriter,
    HistoryWriter,
    ManifestWriter,
    Notes,
    ProvenanceWriter,
    TableWriter,
)
from nnclassify.runs.resumable import own_config
from nnclassify.runs.resume import begun_autocast, new_run_id
from nnclassify.runs.resume import resume as resume_run
from nnclassify.runs.tracking import Tracking, check_installed
from nnclassify.training.build import Components, build_components, build_trainer
from nnclassify.training.history import Row, history_frame
from nnclassify.training.plan import ExecutionPlan
from nnclassify.training.trainer import Observer, Trainer


@dataclass(frozen=True)
class RunResult:
    """The result of a finished run.

    Attributes:
        folder: The run folder.
        components: The dataset, transform, model and loss that were built from the config.
        plan: How the last steps were executed.
        rows: The history, one row per epoch.
        best_epoch: The epoch of `best.pt`, counted from 1.
        classifier: The classifier loaded from `best.pt`.
        validation: The evaluation on the validation split; None if the dataset has none.
        test: The evaluation on the test split; None if the dataset has none.
        baselines: The baselines on the test split; None if there is none, or if they could not be computed.
        analyses: What else `figures` contains, by key: see `inference.analysis.ANALYSES`.
        findings: The findings of the monitor and of the comparison with the baselines.
        notes: Notes about the data and the training; empty if a `note` callback received them.
        is_new: Whether this call trained anything; False if a finished run was resumed.
    """

    folder: RunFolder
    components: Components
    plan: ExecutionPlan
    rows: list[Row]
    best_epoch: int
    classifier: Classifier
    validation: Evaluation | None
    test: Evaluation | None
    baselines: Baselines | None = None
    analyses: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_new: bool = True

    def history_frame(self) -> Any:
        """Return the history as a pandas data frame, a row per epoch; see `training.history.history_frame`.

        Raises:
            InputError: pandas is not installed.
        """
        return history_frame(row.state() for row in self.rows)

    def __repr__(self) -> str:
        best = self.rows[self.best_epoch - 1]
        accuracies = {"validation": best.validation_accuracy, "test": None if self.test is None else self.test.accuracy}
        told = [f"{name}_accuracy={percent(value)}" for name, value in accuracies.items() if value is not None]
        return f"RunResult({', '.join([repr(str(self.folder.path)), f'epochs={len(self.rows)}', *told])})"

    def _repr_html_(self) -> str:
        from nnclassify.inference.report.notebook import run_card  # the modules of the report are not needed before

        return run_card(self.folder).html()

    def figures(self) -> dict[str, Any]:
        """Return what `train --json` prints. The train and validation metrics are those of the best epoch."""
        best = self.rows[self.best_epoch - 1]
        seconds = sum(row.seconds for row in self.rows)
        examples = sum(row.seconds * row.examples_per_second for row in self.rows)
        return plain(
            {
                "run": str(self.folder.path),
                "epochs": len(self.rows),
                "steps": self.rows[-1].step,
                "train_seconds": seconds,
                "examples_per_second": examples / max(seconds, 1e-9),
                "device": str(self.components.placement.device),
                "compile": self.plan.setting,
                "plan": self.plan.description(),
                "best_epoch": self.best_epoch,
                "train": {"loss": best.train_loss, "accuracy": best.train_accuracy},
                "validation": self._validation(best),
                "test": None if self.test is None else self.test.summary(),
                **self.analyses,
                "findings": [finding.figures() for finding in self.findings],
            }
        )

    def _validation(self, best: Row) -> dict[str, Any] | None:
        """Return every metric of the validation split; those that the history records as they are there, unless they
        depend on what is fitted after training: the temperature and the decision threshold."""
        if best.validation_loss is None:
            return None
        # An earlier release continued with a loss that was not finite, which JSON cannot represent.
        loss = best.validation_loss if math.isfinite(best.validation_loss) else None
        recorded, loss_fn = {"loss": loss}, self.classifier.loss_fn
        if loss_fn.decision is None:
            recorded["accuracy"] = best.validation_accuracy
        if best.validation_metric is not None and loss_fn.decision is None and loss_fn.temperature == 1:
            recorded[self.components.config.select_by] = best.validation_metric
        return {**({} if self.validation is None else self.validation.summary()), **recorded}


Announce = Callable[[Components, Trainer], None]
Note = Callable[[str], None]


class Options(TypedDict, total=False):
    """The options of `train` that every way to train takes."""

    observers: Sequence[Observer]
    with_monitor: bool
    with_report: bool


def train(
    loaded: LoadedConfig,
    *,
    resume: RunFolder | None = None,
    into: RunFolder | None = None,
    observers: Sequence[Observer] = (),
    note: Note = lambda text: None,
    with_monitor: bool = True,
    with_report: bool = True,
    ranks: Ranks | None = None,
    root: Path = CHECKPOINTS,
    signal_handling: Callable[[Callable[[int], None]], AbstractContextManager[object]] = stop_on_signals,
    announce: Announce = lambda components, trainer: None,
) -> RunResult:
    """Train a config into a run folder, and evaluate `best.pt` as read back from disk.

    Args:
        loaded: The config.
        resume: The run to continue; None: start a new one.
        into: The empty folder of a new run; None: create one under `root`.
        observers: Additional observers of the training.
        note: Called with each note about the data, a resumed run or a finding of the monitor, one line each.
        with_monitor: Whether to watch for signs of failing training.
        with_report: Whether to write `report.html` at the end.
        ranks: The processes that train together; this one trains, writes and prints, the others run `train_as_worker`.
        root: The folder in which a new run folder is created.
        signal_handling: Returns a context manager within which a signal calls the given function with its number.
        announce: Called before the first step, with what was built.

    Raises:
        Interrupted: A signal stopped the run; everything is saved.
        NNClassifyError: See `build_components` and `Trainer.fit`.
    """
    ranks = ranks or Ranks()
    components, trainer, _ = _built(loaded, ranks, resume)
    for text in [*loaded.notes, *components.splits.notes, *components.notes]:
        note(text)
    folder = resume or into or create_run_folder(loaded.name, root)
    with folder.locked(ranks.launchers, note):
        checkpointer = _checkpointer(trainer, folder, components, note, is_resumed=resume is not None)
        history, table, manifest = HistoryWriter(folder), TableWriter(folder), ManifestWriter(folder, components.splits)
        config_writer = ConfigWriter(folder, components.config)
        report = partial(_save_report, folder, components.splits, note, is_wanted=with_report)
        if trainer.finished and folder.result.is_file():
            checkpointer.save_best()
            for writer in (config_writer, history, manifest, table):
                writer.restore(trainer)
            return _ended(folder, components, trainer, Monitor(note), report)
        monitor = Monitor(note, folder.diagnosis if with_monitor else None, components.splits.class_names)
        tracking = Tracking(folder, components.config, checkpointer.facts["run_id"], note)
        provenance = ProvenanceWriter(folder, loaded, components.config)
        writers = [history, config_writer, provenance, manifest, checkpointer, table, tracking]
        trainer.observers = [*writers, *([monitor] if with_monitor else []), Notes(note), Contention(note), *observers]
        folder.remove_results()
        announce(components, trainer)
        with tracking:
            with signal_handling(trainer.request_stop), failure_recorded(folder.provenance, report):
                _fit(trainer, checkpointer, table, monitor)
            return _ended(folder, components, trainer, monitor, report, tracking)


@preserve_process_state()
def train_isolated(
    config: AnyConfig,
    root: str | os.PathLike[str] = CHECKPOINTS,
    overrides: Overrides = (),
    *,
    resume: bool = False,
    note: Note | None = None,
    **options: Unpack[Options],
) -> RunResult:
    """Train for a Python caller, without changing the process or handling signals; see `nnclassify.train`."""
    notes: list[str] = []
    note = note or notes.append
    folder, place = None, Path(given_path("root", root))
    if resume:
        run = os.fspath(config) if isinstance(config, str | os.PathLike) else ""
        if (folder := named_run(run, place) if run else None) is None:
            raise CheckpointError(f"{run or 'config'}: no run to resume; expected a run folder, or a run under {root}/")
        loaded = own_config(folder, assignments(overrides), note)
    else:
        loaded = load_any(config, overrides)
        dataset = loaded.config.dataset
        if (fold := dataset.which_fold()) is not None and "fold" not in dataset.model_fields_set:
            note(f"dataset.folds: {fold[0]}: trained on fold {fold[1]} only; set dataset.fold for another one")
    result = train(loaded, resume=folder, note=note, root=place, signal_handling=nullcontext, **options)
    return replace(result, notes=notes)


@preserve_process_state()
def train_group_isolated(
    config: AnyConfig,
    root: str | os.PathLike[str],
    overrides: Overrides,
    seeds: int | Sequence[int] | None,
    folds: int | None,
    *,
    resume: bool = False,
    note: Note | None = None,
    **options: Unpack[Options],
) -> Summary:
    """Train several seeds or folds of a config for a Python caller; see `nnclassify.train`."""
    note, place = note or (lambda text: None), Path(given_path("root", root))
    known = [*assignments(overrides), *([] if folds is None else [f"dataset.folds={folds}"])]
    loaded = load_any(config, known)
    runs = runs_of_group(loaded, seeds_text(seeds), folds)
    if not resume:
        group = new_group(loaded, runs, place)
    elif (found := fitting_group(loaded, runs, keeps_configs=True, root=place)) is not None:
        group = found
    else:
        raise CheckpointError(f"{loaded.name}: no group of these runs to resume under {root}/")
    summary = train_runs(group, [], partial(train, note=note, signal_handling=nullcontext, **options), note)
    check_all_trained(summary)
    return summary


def train_distributed(
    loaded: LoadedConfig,
    *,
    resume: RunFolder | None,
    into: RunFolder | None,
    note: Note,
    announce: Announce,
    **options: Unpack[Options],
) -> RunResult | None:
    """Train with the other processes started by torchrun, if any; the first process returns the result, others None.

    If torchrun has started the processes again, such as after one was lost, continue their run.
    """
    with process_group() as ranks:
        if not ranks.is_main:
            try:
                train_as_worker(loaded, ranks)
            except Interrupted:  # after which the processes leave together
                raise
            except NNClassifyError as error:
                raise WorkerError(error) from error
            return None
        folder = resume or begun_by(loaded.name, ranks.launchers)
        return train(loaded, resume=folder, into=into, note=note, ranks=ranks, announce=announce, **options)


def _built(
    loaded: LoadedConfig, ranks: Ranks, resumed: RunFolder | None
) -> tuple[Components, Trainer, RunFolder | None]:
    """Build what a config describes, and return the run that the first process resumes, if any, in each process."""
    with ranks.telling(), located(loaded.source):
        path = ranks.all_gather_object(str(resumed.path) if resumed else "")[0]
        resumed = RunFolder(Path(path)) if path else None
        check_installed(loaded.config)
        starts = resumed is None or not resumed.is_saved
        with nullcontext() if resumed is None else told_where_to_look(loaded.config.dataset):
            components = build_components(loaded.config, ranks=ranks, with_pretrained=starts)
        release_memory()
        autocast = None if resumed is None else begun_autocast(resumed, components.placement.device)
        return components, build_trainer(components, ranks=ranks, autocast=autocast), resumed


def train_as_worker(loaded: LoadedConfig, ranks: Ranks) -> None:
    """Train in a process other than the first one, which writes and prints.

    Raises:
        Interrupted: A signal stopped the run.
        NNClassifyError: See `train`.
    """
    components, trainer, folder = _built(loaded, ranks, None)
    with ranks.telling():
        if folder is not None:
            resume_run(trainer, folder, components.config, components.facts(), components.splits)
    with stop_on_signals(trainer.request_stop):
        trainer.fit()
    if trainer.stop_signal is not None:
        raise Interrupted("interrupted", trainer.stop_signal)


def _fit(trainer: Trainer, checkpointer: Checkpointer, table: TableWriter, monitor: Monitor) -> None:
    """Train; if training diverges, save the best checkpoint so far and name the first value that was not finite.

    Raises:
        Interrupted: A signal stopped the run; everything is saved.
    """
    folder = checkpointer.folder
    resume = shell_command("train", "--resume", folder.name)
    try:
        trainer.fit()
    except SaveError as error:
        raise SaveError(f"{error}; then continue with: {resume}") from error
    except TrainingError as error:
        kept = _saved_after_failure(checkpointer, table, trainer)
        finding = monitor.diverged(trainer)
        cause = [] if finding is None else [f"{finding.id}: {finding.evidence.text}"]
        raise TrainingError("; ".join([str(error), *kept, *cause])) from error
    if trainer.stop_signal is not None:
        where = "after the last epoch" if trainer.finished else f"in epoch {trainer.epoch} of {trainer.recipe.epochs}"
        saved = f"interrupted {where}; saved in {folder.path}"
        raise Interrupted(f"{saved}; continue with: {resume}", trainer.stop_signal)


def _saved_after_failure(checkpointer: Checkpointer, table: TableWriter, trainer: Trainer) -> list[str]:
    """Save the best checkpoint so far and the table, and return what to add to the error of the training, which a
    failure to save must not replace."""
    try:
        checkpointer.save_best()
        table.save(trainer)
    except SaveError as unsaved:
        return [str(unsaved)]
    return [] if checkpointer.best is None else ["the last good checkpoint is kept"]


def _checkpointer(
    trainer: Trainer, folder: RunFolder, components: Components, note: Note, *, is_resumed: bool
) -> Checkpointer:
    """Create the checkpointer of a new run; or restore the trainer's state, and create that of a resumed run.

    A finished run is not trained again: a missing `best.pt` is written from `last.pt`.
    """
    facts, every = components.facts(), components.config.checkpoint_every
    with trainer.ranks.telling():
        resumed = resume_run(trainer, folder, components.config, facts, components.splits) if is_resumed else None
    if resumed is None:
        return Checkpointer(folder, {**facts, "run_id": new_run_id()}, every)
    checkpointer = Checkpointer(folder, {**facts, "run_id": resumed.run_id}, every, resumed.best)
    for text in resumed.notes:
        note(text)
    if checkpointer.why_unsaved is not None:
        note(f"{checkpointer.why_unsaved}: written again from {folder.last}")
    if trainer.finished:
        note(f"{folder.path}: already finished; to train longer: --resume --set epochs=N")
    else:
        batches = f" and {trainer.batch} batches of epoch {trainer.epoch}" if trainer.batch else ""
        note(f"{folder.path}: continuing after {len(trainer.rows)} epochs{batches}")
    return checkpointer


def _save_report(
    folder: RunFolder, splits: Splits, note: Note, classifier: Classifier | None = None, *, is_wanted: bool
) -> None:
    """Write the report; say why if that fails: the result of the run does not depend on it."""
    if not is_wanted:
        return
    release_memory()
    from nnclassify.inference.report.page import save_report  # its modules are not needed before

    try:
        save_report(folder, splits, classifier=classifier, note=note)
    except SaveError as error:
        note(f"no report: {error}; make it again with: {shell_command('report', folder.name)}")


def _ended(
    folder: RunFolder,
    components: Components,
    trainer: Trainer,
    monitor: Monitor,
    write_report: Callable[[Classifier], None],
    tracking: Tracking | None = None,
) -> RunResult:
    """Compute the result of a run; log and write it, with the report. For a run that had ended (no `tracking`), write a
    missing report only."""
    result = _result(folder, components, trainer, monitor, is_new=tracking is not None)
    if tracking is not None:
        tracking.finish(result.figures(), lambda: save_run_plots(result))
        write_json(folder.result, result.figures())
    if tracking is not None or not folder.report.is_file():
        write_report(result.classifier)
    return result


def _result(
    folder: RunFolder, components: Components, trainer: Trainer, monitor: Monitor, *, is_new: bool
) -> RunResult:
    """Evaluate `best.pt`, compare it with the baselines, and analyze it."""
    release_memory()
    classifier = Classifier.load(folder.best, str(components.placement.device))
    for text in classifier.notes:
        monitor.say(text)
    best = trainer.rows[trainer.best_epoch - 1]
    run = finished_run(folder, classifier, components.splits, best, is_new=is_new, note=monitor.say)
    for finding in end_of_run(run):
        monitor.add(finding)
    return RunResult(
        folder=folder,
        components=components,
        plan=trainer.plan,
        rows=trainer.rows,
        best_epoch=trainer.best_epoch,
        classifier=run.classifier,
        validation=_evaluation_of(run.validation),
        test=_evaluation_of(run.test),
        baselines=run.baselines,
        analyses=run.analyzed(),
        findings=monitor.findings,
        is_new=is_new,
    )


def _evaluation_of(predicted: Predicted | None) -> Evaluation | None:
    return None if predicted is None else replace(predicted.evaluation, split=predicted.split)


def save_run_plots(result: RunResult, note: Note = lambda text: None, *, redraw: bool = True) -> list[Path]:
    """Draw the plots of a run; for a finished run that was resumed, only those that are missing.

    Args:
        result: The run.
        note: Called with each plot that does not apply to the run.
        redraw: Whether to redraw the plots that a new run has; its trackers have drawn them.

    Returns:
        The files that were written.

    Raises:
        SaveError: A plot could not be written.
    """
    release_memory()  # matplotlib needs as much as the images of an epoch
    from nnclassify.inference.plots.save import save_plots  # matplotlib is slow to import

    examples, evaluation = result.components.splits.test, result.test
    test = None if examples is None or evaluation is None else Predicted("test", examples, evaluation)
    return save_plots(
        result.folder.plots,
        result.rows,
        result.best_epoch,
        result.classifier,
        test,
        redraw=redraw and result.is_new,
        note=note,
    )
