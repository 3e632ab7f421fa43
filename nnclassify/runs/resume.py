"""Resumes a run from its newest valid checkpoint, unless something that affects the result has changed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import ValidationError

from nnclassify.config.run_config import RunConfig
from nnclassify.data import Splits
from nnclassify.errors import CheckpointError, ConfigError, one_line
from nnclassify.files.atomic_write import previous
from nnclassify.files.pt_check import plain_content
from nnclassify.models.weights import check_weights
from nnclassify.runs.checkpoint import Checkpoint, content_digest, load_checkpoint, load_newest, plain
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.manifest import changes_since
from nnclassify.runs.resumable import changes, refusal
from nnclassify.runs.schema import FORMAT_VERSION
from nnclassify.schedulers import ScheduleState
from nnclassify.training.history import Row
from nnclassify.training.trainer import Trainer


@dataclass(frozen=True)
class Resumed:
    """What is known about a resumed run.

    Attributes:
        best: The best checkpoint so far; None before the end of the first epoch.
        run_id: The identity of the run; None if an early release began it.
        notes: Lines for the user: a damaged checkpoint, another machine, another schedule.
    """

    best: Checkpoint | None
    run_id: str | None
    notes: list[str]


def resume(trainer: Trainer, folder: RunFolder, config: RunConfig, facts: dict[str, Any], splits: Splits) -> Resumed:
    """Restore a trainer from the newest valid checkpoint of a run.

    Args:
        trainer: A new trainer.
        folder: Folder of the run.
        config: The config to continue with.
        facts: The entries on data and transform that its next checkpoints will have.
        splits: Its examples, to say which have changed.

    Raises:
        CheckpointError: No version of `last.pt` can be read, or its config is of another release.
        ConfigError: A value that affects the result, or the training data, has changed.
    """
    if not folder.is_saved:
        note = f"{folder.path}: stopped before its first checkpoint; starting again from the beginning"
        return Resumed(None, new_run_id(), [note])
    found = load_newest(folder.last)
    saved, training = found.checkpoint, found.checkpoint.training
    if training is None:
        raise CheckpointError(f"{found.path}: holds no training state; expected a run's last.pt")
    before = _completed(folder, saved.config)
    _refuse_changes(folder, config, before, saved, facts, splits)
    try:
        if training["best_model"] is not None:
            check_weights(trainer.model, training["best_model"])
        trainer.load_state(training, [Row(**row) for row in saved.history])
    except (ValueError, RuntimeError) as cause:
        raise CheckpointError(f"{found.path}: does not match this network and optimizer ({one_line(cause)})") from cause
    machine = [*_machine_notes(trainer, training["machine"]), *_compile_notes(trainer, training)]
    notes = [
        *found.notes,
        *_test_notes(folder, saved, facts, splits),
        *machine,
        *_schedule_notes(trainer, config, before),
    ]
    return Resumed(_best(saved, training), saved.run_id, notes)


def begun_autocast(folder: RunFolder, device: torch.device) -> str | None:
    """Return the number type that `precision: auto` chose when a run began, which a resumed run keeps.

    The choice depends on the untrained network, with pretrained weights if there are any: a resumed run has neither.

    Args:
        folder: Folder of the run.
        device: The device to continue on.

    Returns:
        Its name; None if it is to be chosen anew: on another kind of device, or for a run of an earlier release.
    """
    saved = (plain_content(path).get("training") for path in (folder.last, previous(folder.last)))
    training = next((found for found in saved if isinstance(found, dict)), {})
    found = training.get("autocast") if training.get("device_type") == device.type else None
    return found if isinstance(found, str) else None


def new_run_id() -> str:
    """Return the identity of a new run."""
    return secrets.token_hex(8)


def machine_state(trainer: Trainer) -> dict[str, Any]:
    """Return the facts of the machine that affect the last bits of a result."""
    return {
        "device": trainer.placement.device.type,
        "threads": trainer.plan.num_threads,
        "processes": trainer.ranks.world_size,
        "torch": str(torch.__version__),
    }


def missing_best(folder: RunFolder, best: Checkpoint) -> str | None:
    """Return why `best.pt` is not the best checkpoint contained in `last.pt`; None if it is."""
    if not folder.best.is_file():
        return f"{folder.best}: missing"
    try:
        found = load_checkpoint(folder.best)
    except CheckpointError as damage:
        return str(damage)
    if (found.run_id, found.epoch) != (best.run_id, best.epoch):
        of = "another run" if found.run_id != best.run_id else "this run"
        return f"{folder.best}: belongs to epoch {found.epoch} of {of}"
    same = content_digest(plain(found.model)) == content_digest(plain(best.model))
    return None if same else f"{folder.best}: does not hold the weights of this run's epoch {best.epoch}"


def _best(saved: Checkpoint, training: dict[str, Any]) -> Checkpoint | None:
    """Return the best checkpoint from `last.pt`, since `best.pt` may be damaged or newer."""
    epoch, weights = training["best_epoch"], training["best_model"]
    if weights is None:
        return None
    history = saved.history[:epoch]
    return replace(saved, model=weights, epoch=epoch, history=history, training=None, format_version=FORMAT_VERSION)


def _refuse_changes(
    folder: RunFolder,
    config: RunConfig,
    before: RunConfig,
    saved: Checkpoint,
    facts: dict[str, Any],
    splits: Splits,
) -> None:
    if changed := changes(before, config):
        raise refusal(folder, changed)
    differing = [
        fact
        for fact in ("class_names", "class_counts", "transform")
        if content_digest(plain(facts[fact])) != content_digest(getattr(saved, fact))
    ]
    digests = saved.split_digests or facts["split_digests"]  # early releases saved none
    differing += [split for split in ("train", "validation") if digests.get(split) != facts["split_digests"].get(split)]
    if differing:
        which = changes_since(folder.manifest, splits)
        raise ConfigError(
            [f"--resume {folder.name}: the training data has changed ({differing[0]} differs){which}; start a new run"]
        )


def _test_notes(folder: RunFolder, saved: Checkpoint, facts: dict[str, Any], splits: Splits) -> list[str]:
    """Return a line if the test split has changed: training does not depend on it, but the final figures do."""
    before, now = saved.split_digests, facts["split_digests"]
    if before is None or before.get("test") == now.get("test"):
        return []
    which = changes_since(folder.manifest, splits)
    return [
        f"{folder.path}: the test split has changed since the run began{which}; the test figures are of the new one"
    ]


def _completed(folder: RunFolder, config: dict[str, Any]) -> RunConfig:
    """Return a saved config with the defaults of options that were added later."""
    try:
        return RunConfig.model_validate(config)
    except ValidationError as cause:
        raise CheckpointError(
            f"{folder.last}: its config cannot be read ({one_line(cause)}); start a new run"
        ) from cause


def _machine_notes(trainer: Trainer, before: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {before[name]} when the run was saved, now {now}: the result is as good, but not bit for bit the same"
        for name, now in machine_state(trainer).items()
        if before[name] != now
    ]


def _compile_notes(trainer: Trainer, before: dict[str, Any]) -> list[str]:
    """Return notes on an execution that the config sets and that differs from the run's beginning."""
    plan = trainer.plan
    device_type = plan.placement.device.type
    if before.get("device_type", device_type) != device_type or "is_compiled" not in before:
        return []
    began = replace(plan, execution=plan.execution_of(is_compiled=before["is_compiled"]))
    if began.setting == plan.setting:
        return []
    return [
        f"compile: {began.setting} when the run was saved, now {plan.setting}: the result is as good, but not bit for "
        "bit the same"
    ]


def _schedule_notes(trainer: Trainer, config: RunConfig, before: RunConfig) -> list[str]:
    then, now = before.epochs, config.epochs
    if then == now or trainer.finished:
        return []
    old, new = (_factors(trainer, config, epochs) for epochs in (then, now))
    effect = f"the {config.scheduler.name} schedule does not depend on it"
    if old != new:
        effect = (
            f"the {config.scheduler.name} schedule spans the complete run: the learning rate factor is now "
            f"{new[0]:.4g} instead of {old[0]:.4g}"
        )
    return [f"epochs: {then} when the run was saved, now {now}; {effect}"]


def _factors(trainer: Trainer, config: RunConfig, epochs: int) -> list[float]:
    """Return the learning rate factors here and at the start of each earlier epoch, for a run of this many epochs."""
    per_epoch = len(trainer.train_batches)
    steps = [trainer.step, *range(0, trainer.step, per_epoch)]
    losses = trainer.losses_so_far()
    return [config.scheduler.factor(ScheduleState(step, epochs * per_epoch, per_epoch, losses)) for step in steps]
