"""Which run `--resume` means, found out from configs alone: torch is not needed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnclassify.config import LoadedConfig, find_config, load_config
from nnclassify.datasets.base import VALIDATION
from nnclassify.errors import CheckpointError, ConfigError, InputError
from nnclassify.folders import RunFolder, named_run, runs_of
from nnclassify.settings import flat

FREE = (
    "epochs",
    "name",
    "device",
    "threads",
    "checkpoint_every",
    "compile",
    "dataset.root",
    "dataset.path",
    "dataset.train_",
    "dataset.test_",
)
"""What may change: how long, where, how often it is saved, and the path of the same data."""
LEFT_OUT = {"dataset.validation": VALIDATION}
"""What a key that a config leaves out may mean: an earlier release wrote it down. Where it means something else, such
as a folder of its own, the split's digest differs."""


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two resolved configs and would change the result, one line per key."""
    old, new = ({**LEFT_OUT, **flat(config)} for config in (before, now))
    return [
        f"{key}: {old.get(key)} when the run began, now {new.get(key)}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not key.startswith(FREE)
    ]


def refusal(folder: RunFolder, changed: Sequence[str]) -> ConfigError:
    """The error of a run that does not fit a config."""
    return ConfigError([f"--resume {folder.name}: {change}; set it back, or start a new run" for change in changed])


def resumable(config: str, overrides: Sequence[str], note: Callable[[str], None]) -> tuple[RunFolder, LoadedConfig]:
    """The run to resume, and the config to resume it with.

    A run resumes with its own config. A config resumes its newest run that fits it. A shipped config leaves the run
    its own number of epochs and the like; the name of one that is also a run's means that run where none fits.

    Args:
        config: A config or a run.
        overrides: `a.b=value` each.
        note: Receives each newer run that does not fit.

    Raises:
        CheckpointError: There is no run to resume.
        ConfigError: The config is wrong, or no run fits it: says what differs from the newest.
    """
    named = named_run(config)
    if named is not None and not _is_config(config):
        return named, load_config(str(named.config), overrides, of_run=True)
    loaded = load_config(config, overrides)
    known = runs_of(loaded.name)
    misfits: list[tuple[RunFolder, str]] = []
    for folder in reversed(known):
        if not (changed := _changes_since(folder, loaded)):
            for other, difference in misfits:
                note(f"{other.path}: not resumed, it differs: {difference}")
            return folder, loaded if Path(config).is_file() else load_config(str(folder.config), overrides, of_run=True)
        misfits.append((folder, changed[0]))
    if named is not None:
        return named, load_config(str(named.config), overrides, of_run=True)
    if known:
        raise refusal(known[-1], _changes_since(known[-1], loaded))
    raise CheckpointError(f"{loaded.name}: no run to resume; start one without --resume")


def _is_config(config: str) -> bool:
    try:
        find_config(config)
    except (ConfigError, InputError):
        return False
    return True


def _changes_since(folder: RunFolder, loaded: LoadedConfig) -> list[str]:
    """What differs from a run's own config; nothing where that cannot be read: its checkpoint will tell."""
    try:
        before = load_config(str(folder.config), of_run=True).config
    except (ConfigError, InputError):
        return []
    now = loaded.config
    if before.dataset.validation == 0 and "validation" not in now.dataset.model_fields_set:
        now = now.without_validation()  # perhaps the data is too small for the default share: the run will tell
    return changes(*(config.model_dump(mode="json", exclude_none=True) for config in (before, now)))
