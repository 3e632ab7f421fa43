"""Groups of runs: one config, trained with several seeds or on several folds, with a run folder each in one folder.

`checkpoints/<group>/` contains `group.json`, which says which runs belong to it; a run folder per run, such as
`seed-0/`; and `summary.json`. `group.json` is written before anything is trained, so an interrupted group knows what is
missing.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nnclassify.config.run_config import LoadedConfig, load_source
from nnclassify.config.yaml_reader import YamlSource
from nnclassify.errors import CheckpointError, InputError, one_line
from nnclassify.files.atomic_write import write_text
from nnclassify.files.paths import content_of, not_created
from nnclassify.runs.folder import CHECKPOINTS, GROUP, Place, RunFolder, create_run_folder, groups_of
from nnclassify.runs.resumable import changes, own_config

Runs = dict[str, list[str]]
"""The overrides of each run of a group, by the name of its folder."""
MAX_SEEDS = 1000
_SEED = re.compile(r"[0-9]{1,20}")


class _Saved(BaseModel):
    """`group.json`: a config as it was read, with the lines and overrides that set its values, and the runs."""

    name: str
    file: str
    data: dict[str, Any]
    lines: list[tuple[list[str | int], int | str]]
    runs: Runs


@dataclass(frozen=True)
class Group:
    """A group of runs.

    Attributes:
        path: The folder of the group.
        loaded: The config that the runs have in common.
        runs: The overrides of each run, by the name of its folder, in the order in which they are trained.
        keeps_configs: Whether runs that have begun keep their own configs, which may differ in the number of epochs.
    """

    path: Path
    loaded: LoadedConfig
    runs: Runs
    keeps_configs: bool = True

    summary = Place("summary.json")
    """The figures of all runs, with their means and standard deviations."""

    def folder(self, run: str) -> RunFolder:
        """Return the folder of a run of the group."""
        return RunFolder(self.path / run)

    def config(self, run: str, overrides: Sequence[str] = ()) -> LoadedConfig:
        """Return the config of a run: its own if it has begun, otherwise that of the group with its overrides.

        Raises:
            ConfigError: An override is wrong.
        """
        folder = self.folder(run)
        if self.keeps_configs and folder.started_at() is not None:
            return own_config(folder, overrides)
        return load_source(deepcopy(self.loaded.source), folder.name, [*overrides, *self.runs[run]])

    def create_folder(self, run: str) -> RunFolder:
        """Create the folder of a run, unless there is one.

        Raises:
            InputError: It cannot be created.
        """
        try:
            self.folder(run).path.mkdir(exist_ok=True)
        except OSError as cause:
            raise not_created(self.folder(run).path, cause) from cause
        return self.folder(run)

    def remove_if_unbegun(self) -> None:
        """Remove the folder of a group of which no run has begun, if nothing else is in it."""
        folders = [self.folder(run).path for run in self.runs]
        with contextlib.suppress(OSError):
            for folder in filter(Path.is_dir, folders):
                folder.rmdir()
            if {path.name for path in self.path.iterdir()} <= {GROUP, RunFolder(self.path).lock.name}:
                for path in (self.path / GROUP, RunFolder(self.path).lock):
                    path.unlink(missing_ok=True)
                self.path.rmdir()

    def write(self) -> None:
        """Write `group.json`.

        Raises:
            SaveError: It cannot be written.
        """
        source = self.loaded.source
        lines = [([*path], line) for path, line in source.lines.items()]
        saved = _Saved(name=self.loaded.name, file=source.file, data=source.data, lines=lines, runs=self.runs)
        write_text(self.path / GROUP, json.dumps(saved.model_dump(), indent=2) + "\n")


def seeds_of(text: str, first: int) -> list[int]:
    """Return the seeds that `--seeds` asks for: `0,3,7`, or a number of seeds from the first on.

    Raises:
        InputError: The text is neither, or asks for fewer than two different seeds or for more than `MAX_SEEDS`.
    """
    parts = [part.strip() for part in text.split(",")]
    if all(_SEED.fullmatch(part) for part in parts):
        seeds = [*map(int, parts)] if len(parts) > 1 else [*range(first, first + min(int(text), MAX_SEEDS + 1))]
        if 2 <= len(set(seeds)) == len(seeds) <= MAX_SEEDS:
            return seeds
    raise InputError(
        f"--seeds: found {text!r}, expected a number of seeds such as 5 (2 to {MAX_SEEDS}), or different seeds such as "
        "0,3,7"
    )


def seeds_text(seeds: int | Sequence[int] | None) -> str | None:
    """Return seeds as `--seeds` takes them: a number of seeds, or the seeds.

    Raises:
        InputError: There is only one.
    """
    if seeds is None or isinstance(seeds, Integral):
        return None if seeds is None else str(seeds)
    if not isinstance(seeds, Iterable) or isinstance(seeds, str) or len(list(seeds)) < 2:
        raise InputError(f"seeds: found {seeds!r}, expected at least two, or a number of seeds such as 5")
    return ",".join(map(str, seeds))


def runs_of_group(loaded: LoadedConfig, seeds: str | None, folds: int | None) -> Runs:
    """Return the runs to train; none if the config is to be trained once.

    A config with `folds` and without `fold` is trained on all folds.

    Args:
        loaded: The config.
        seeds: The value of `--seeds`.
        folds: The value of `--folds`; the config has it too.

    Raises:
        InputError: The config has chosen one fold, and `--folds` asks for all; or see `seeds_of`.
    """
    config, runs = loaded.config, [("", list[str]())]
    if seeds is not None:
        if "," in seeds and "seed" in loaded.source.overrides():
            raise InputError(
                f"--seeds {seeds} and {loaded.source.where(('seed',))}: both set seed; leave one of them out"
            )
        runs = [(f"seed-{seed}", [f"seed={seed}"]) for seed in seeds_of(seeds, config.seed)]
    chosen, fold = getattr(config.dataset, "folds", None), getattr(config.dataset, "fold", None)
    if folds is not None and fold is not None:
        where = loaded.source.where(("dataset", "fold"))
        raise InputError(f"--folds {folds}: {where} chooses fold {fold}; leave one of them out")
    if chosen is not None and fold is None:
        parts = [(f"fold-{number}", [f"dataset.fold={number}"]) for number in range(1, chosen + 1)]
        runs = [("-".join(filter(None, (name, part))), [*a, *b]) for (name, a), (part, b) in product(runs, parts)]
    return {name: overrides for name, overrides in runs if name}


def new_group(loaded: LoadedConfig, runs: Runs, root: Path = CHECKPOINTS) -> Group:
    """Create the folder of a new group, and write what belongs to it.

    Raises:
        InputError: The folder cannot be created.
        SaveError: The file cannot be written.
    """
    group = Group(create_run_folder(loaded.name, root).path, loaded, runs)
    group.write()
    return group


def read_group(path: Path) -> Group:
    """Read the group in a folder.

    Raises:
        CheckpointError: `group.json` is damaged.
        ConfigError: The config in it is invalid.
    """
    try:
        saved = _Saved.model_validate_json(content_of(path / GROUP))
    except (OSError, ValueError) as cause:
        raise CheckpointError(f"{path / GROUP}: damaged ({one_line(cause)}); train the group again") from cause
    source = YamlSource(saved.file, saved.data, {tuple(at): line for at, line in saved.lines})
    return Group(path, load_source(source, saved.name), saved.runs)


def fitting_group(loaded: LoadedConfig, runs: Runs, *, keeps_configs: bool, root: Path = CHECKPOINTS) -> Group | None:
    """Return the newest group of a config that has no other runs than these; it then has all of them.

    Args:
        loaded: The config.
        runs: The runs that are asked for.
        keeps_configs: See `Group`.
        root: The folder of the runs.
    """
    for path in reversed(groups_of(loaded.name, root)):
        group = read_group(path)
        if group.runs.items() <= runs.items() and not changes(group.loaded.config, loaded.config):
            return Group(path, loaded, runs, keeps_configs)
    return None
