"""Which run `--resume` means, found out from configs alone: torch is not needed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnclassify.config.run_config import LoadedConfig, RunConfig, find_config, load_config, load_source
from nnclassify.config.yaml_reader import YamlSource, read_yaml
from nnclassify.data.base import VALIDATION
from nnclassify.errors import CheckpointError, ConfigError, InputError, suggestion
from nnclassify.files.atomic_write import previous
from nnclassify.files.pt_check import plain_content
from nnclassify.runs.folder import RunFolder, named_run, runs, runs_of
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
    return ConfigError([f"--resume {folder.name}: {change}; change it back, or start a new run" for change in changed])


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
        return named, own_config(named, overrides, note)
    loaded = load_config(config, overrides)
    known = runs_of(loaded.name)
    misfits: list[tuple[RunFolder, str]] = []
    for folder in reversed(known):
        if not (changed := _changes_since(folder, loaded)):
            for other, difference in misfits:
                note(f"{other.path}: not resumed, because it differs: {difference}")
            own = own_config(folder, [] if Path(config).is_file() else overrides, note)
            return folder, loaded if Path(config).is_file() else own
        misfits.append((folder, changed[0]))
    if named is not None:
        return named, own_config(named, overrides, note)
    if known:
        raise refusal(known[-1], _changes_since(known[-1], loaded))
    raise CheckpointError(f"{loaded.name}: no run to resume; start one without --resume")


def resumable_run(run: str, overrides: Sequence[str], note: Callable[[str], None]) -> tuple[RunFolder, LoadedConfig]:
    """The run of that name, and its own config, whether or not there is a config of that name.

    Args:
        run: RUN.
        overrides: `a.b=value` each.
        note: Receives that its config.yaml is damaged.

    Raises:
        CheckpointError: There is no such run.
        ConfigError: See `own_config`.
    """
    if (folder := named_run(run)) is None:
        raise CheckpointError(f"--run {run}: no such run{suggestion(run, [known.name for known in runs()])}")
    return folder, own_config(folder, overrides, note)


def _is_config(config: str) -> bool:
    try:
        find_config(config)
    except (ConfigError, InputError):
        return False
    return True


def own_config(
    folder: RunFolder, overrides: Sequence[str] = (), note: Callable[[str], None] = lambda text: None
) -> LoadedConfig:
    """The config of a run: its config.yaml; where that is damaged or lost, what the run's checkpoint says.

    A file that is whole, with a value that is wrong, was edited: what its author meant is not for us to overrule.

    Args:
        folder: The run's.
        overrides: `a.b=value` each.
        note: Receives that the file is damaged.

    Raises:
        ConfigError: An override is wrong; or config.yaml is, and was edited, or no checkpoint has the config.
        InputError: It cannot be looked at.
    """
    try:
        load_config(str(folder.config), of_run=True)
    except ConfigError as damage:
        saved = next(filter(None, map(_saved_in, (folder.last, previous(folder.last)))), None)
        if saved is None or _is_whole(folder.config):
            raise
        note(f"{damage.lines[0]}: damaged or missing; written again from the config in {saved.file}")
        return load_source(saved, folder.name, overrides, of_run=True)
    return load_config(str(folder.config), overrides, of_run=True)


def _saved_in(checkpoint: Path) -> YamlSource | None:
    config = plain_content(checkpoint).get("config")
    return YamlSource(str(checkpoint), config) if isinstance(config, dict) else None


def _is_whole(config: Path) -> bool:
    """Whether a file has every key that we write: where a part is lost, its last ones are."""
    written = {key for key, field in RunConfig.model_fields.items() if field.default is not None}
    try:
        return written <= read_yaml(config).data.keys()
    except ConfigError:
        return False


def _changes_since(folder: RunFolder, loaded: LoadedConfig) -> list[str]:
    """What differs from a run's own config; nothing where that cannot be read: its checkpoint will tell."""
    try:
        before = own_config(folder).config
    except (ConfigError, InputError):
        return []
    now = loaded.config
    if before.dataset.validation == 0 and "validation" not in now.dataset.model_fields_set:
        now = now.without_validation()  # perhaps the data is too small for the default share: the run will tell
    return changes(*(config.model_dump(mode="json", exclude_none=True) for config in (before, now)))
