"""Finds the run that `--resume` refers to, from configs only and without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnclassify.config.run_config import LoadedConfig, RunConfig, find_config, load_config, load_source
from nnclassify.config.suggest.suggest import is_data
from nnclassify.config.yaml_reader import YamlSource, read_yaml
from nnclassify.data.base import VALIDATION
from nnclassify.errors import CheckpointError, ConfigError, InputError, suggestion
from nnclassify.files.atomic_write import previous
from nnclassify.files.paths import look
from nnclassify.files.pt_check import plain_content
from nnclassify.files.user_code import CONTENT, UserCode
from nnclassify.runs.folder import RunFolder, named_run, refuse_lost_group, runs, runs_of
from nnclassify.settings import flat

FREE = (
    "epochs",
    "name",
    "device",
    "threads",
    "checkpoint_every",
    "compile",
    "dataset.cache",
    "log",
    "model.source",
    "loss.source",
)
"""Keys that may change, besides places: duration, device, saving, caching, and copies of code, whose digest counts."""
LEFT_OUT = {"dataset.validation": VALIDATION}
"""The values that keys of older configs may stand for if they are left out. If a run used something else, such as a
folder for validation, the digest of the split differs."""


def changes(before: RunConfig, now: RunConfig) -> list[str]:
    """Return the differences between two resolved configs that would change the result, one line per key.

    A file or folder may be elsewhere: whether it holds the same is seen from what is read.
    """
    old, new = ({**LEFT_OUT, **flat(config.model_dump(mode="json", exclude_none=True))} for config in (before, now))
    moved = before.places().keys() & now.places().keys()
    return [
        _changed(key, old.get(key), new)
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and key not in moved and not key.startswith(FREE)
    ]


def _changed(key: str, before: object, new: Mapping[str, Any]) -> str:
    if key.endswith(".sha256"):
        file = key.replace("sha256", "file")
        return f"{file}: the content of {new.get(file)} has changed since the run began (SHA-256)"
    was, now = ("not set" if value is None else value for value in (before, new.get(key)))
    return f"{key}: {was} when the run began, now {now}"


def refusal(folder: RunFolder, changed: Sequence[str]) -> ConfigError:
    """Return the error for a run that does not fit a config."""
    return ConfigError([f"--resume {folder.name}: {change}; change it back, or start a new run" for change in changed])


def resumable(config: str, overrides: Sequence[str], note: Callable[[str], None]) -> tuple[RunFolder, LoadedConfig]:
    """Return the run to resume, and the config to resume it with.

    A run resumes with its own config. A config resumes its newest run that fits; for a shipped config, the run keeps
    its own number of epochs and other keys that may change. If a config and a run have the same name, and no run fits
    the config, the run of that name is resumed.

    Args:
        config: A config or a run.
        overrides: Overrides, `a.b=value` each.
        note: Function that shows the user each newer run that does not fit.

    Raises:
        CheckpointError: There is no run to resume.
        ConfigError: The config is invalid, or no run fits it; the message names the differences from the newest run.
    """
    named = named_run(config)
    if named is not None and not is_config(config):
        return named, own_config(named, overrides, note)
    if named is None and not is_config(config):
        refuse_lost_group(config)
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
    """Return the run with this name and its own config, even if there is a config of the same name.

    Args:
        run: RUN.
        overrides: Overrides, `a.b=value` each.
        note: Function that shows the user that config.yaml is damaged.

    Raises:
        CheckpointError: There is no such run.
        ConfigError: As for `own_config`.
    """
    if (folder := named_run(run)) is None:
        raise CheckpointError(f"--run {run}: no such run{suggestion(run, [known.name for known in runs()])}")
    return folder, own_config(folder, overrides, note)


def config_or_own(config: str, overrides: Sequence[str], note: Callable[[str], None], *, is_run: bool) -> LoadedConfig:
    """Return a config, or that of a run, with overrides. A config or data of the same name comes first.

    Args:
        config: A config, data, or a run.
        overrides: Overrides, `a.b=value` each.
        note: Function that shows the user that the config of a run is damaged.
        is_run: Whether it is a run even if a config has the same name.

    Raises:
        CheckpointError: There is no such run.
        ConfigError: There is no such config, or it is invalid.
        InputError: No config can be suggested for the data.
    """
    if is_run:
        return resumable_run(config, overrides, note)[1]
    named = None if is_config(config) or is_data(config) else named_run(config)
    return load_config(config, overrides) if named is None else own_config(named, overrides, note)


def is_config(config: str) -> bool:
    """Return whether a name is that of a config, rather than of a run."""
    try:
        find_config(config)
    except (ConfigError, InputError):
        return False
    return True


def own_config(
    folder: RunFolder, overrides: Sequence[str] = (), note: Callable[[str], None] = lambda text: None
) -> LoadedConfig:
    """Return the config of a run: its config.yaml or, if that is damaged or missing, the config in its checkpoint.

    A complete file with an invalid value has been edited, which is an error: its author may not want the saved config.

    Args:
        folder: Folder of the run.
        overrides: Overrides, `a.b=value` each.
        note: Function that shows the user that the file is damaged.

    Raises:
        ConfigError: An override is invalid, config.yaml was edited and is invalid, or no checkpoint has the config.
        InputError: A file cannot be accessed.
    """
    try:
        load_config(str(folder.config), of_run=True)
    except ConfigError as damage:
        saved = next(filter(None, map(_saved_in, (folder.last, previous(folder.last)))), None)
        if saved is None or _is_whole(folder.config):
            raise
        note(f"{damage.lines[0]}: damaged or missing; written again from the config in {saved.file}")
        return load_source(saved, folder.name, overrides, of_run=True)
    return _with_code(load_config(str(folder.config), overrides, of_run=True), folder)


def _with_code(loaded: LoadedConfig, folder: RunFolder) -> LoadedConfig:
    """Return the config with user code from the run's checkpoint if its file no longer exists."""
    update: dict[str, UserCode] = {}
    for family, member in (("model", loaded.config.model), ("loss", loaded.config.loss)):
        if isinstance(member, UserCode) and look(Path(member.file)) is None:
            saved = next(filter(None, map(_saved_in, (folder.last, previous(folder.last)))), None)
            content = {} if saved is None else saved.data.get(family, {})
            update[family] = member.model_copy(update={key: content.get(key) for key in CONTENT})
    return replace(loaded, config=loaded.config.model_copy(update=update)) if update else loaded


def _saved_in(checkpoint: Path) -> YamlSource | None:
    config = plain_content(checkpoint).get("config")
    return YamlSource(str(checkpoint), config) if isinstance(config, dict) else None


def _is_whole(config: Path) -> bool:
    """Return whether a file has every key that we write: if a part of it is lost, it is the end."""
    written = {key for key, field in RunConfig.model_fields.items() if field.default is not None}
    try:
        return written <= read_yaml(config).data.keys()
    except ConfigError:
        return False


def _changes_since(folder: RunFolder, loaded: LoadedConfig) -> list[str]:
    """Return the differences from a run's own config; none if it cannot be read, since its checkpoint decides then."""
    try:
        before = own_config(folder).config
    except (ConfigError, InputError):
        return []
    now = _as_recorded(loaded.config, before)
    return changes(before, now)


OF_WEIGHTS = ("normalize", "size", "resize", "interpolation", "crop_fraction")
"""Keys of a dataset that pretrained weights decide if a config does not set them."""


def _as_recorded(config: RunConfig, run: RunConfig) -> RunConfig:
    """Return a config with what a run recorded where the config leaves it open; resuming compares what it means."""
    dataset = config.dataset
    if run.dataset.validation == 0 and "validation" not in dataset.model_fields_set:
        config = config.without_validation()  # the data may be too small for the default fraction; resuming will tell
    config = config.with_dataset(config.dataset.left_to_data(run.dataset))
    if getattr(config.model, "weights", None) is not None:
        is_open = [key for key in OF_WEIGHTS if hasattr(run.dataset, key) and key not in dataset.model_fields_set]
        config = config.with_dataset({key: getattr(run.dataset, key) for key in is_open})
    for family in ("model", "loss"):
        own, recorded = getattr(config, family), getattr(getattr(run, family), "sha256", None)
        if isinstance(own, UserCode) and own.sha256 is None:
            config = config.model_copy(update={family: own.model_copy(update={"sha256": recorded})})
    return config
