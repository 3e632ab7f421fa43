"""Series of runs in one folder, such as those of a learning curve: each is trained once, or continued."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnclassify.config.run_config import LoadedConfig
from nnclassify.errors import CheckpointError, one_line
from nnclassify.files.paths import content_of
from nnclassify.runs.folder import RunFolder, named_run
from nnclassify.runs.resumable import changes_since, own_config

Figures = dict[str, Any]
Train = Callable[[LoadedConfig, RunFolder | None, Path], Figures]
"""Trains a config, or continues a run of it, in a folder of runs, and returns what `result.json` contains."""


@dataclass(frozen=True)
class Series:
    """Runs in one folder.

    Attributes:
        root: The folder.
        train: Trains one of them.
    """

    root: Path
    train: Train

    def figures(self, loaded: LoadedConfig) -> Figures:
        """Return the figures of the run of a config, which is trained, or continued, unless it is finished.

        Raises:
            CheckpointError: Its result is damaged.
            NNClassifyError: It cannot be trained.
        """
        folder = named_run(str(self.root / loaded.name), self.root)
        if folder is None:
            return self.train(loaded, None, self.root)
        if folder.result.is_file():
            return _recorded(folder)
        return self.train(replace(own_config(folder), name=loaded.name), folder, self.root)

    def is_finished(self, loaded: LoadedConfig) -> bool:
        """Return whether the run of a config has been trained."""
        return RunFolder(self.root / loaded.name).result.is_file()


def series_of(name: str, configs: Sequence[LoadedConfig], train: Train, root: Path) -> Series:
    """Return the series of some configs: the one that was begun with the same configs, or a new one.

    Args:
        name: The name of its folder; `name-2`, `name-3` and so on if runs of other configs are there.
        configs: The configs of its runs, each with the name of its run.
        train: Trains one of them.
        root: The folder in which its folder is.
    """
    for number in itertools.count(1):
        path = root / (name if number == 1 else f"{name}-{number}")
        begun = ((named_run(str(path / loaded.name), path), loaded) for loaded in configs)
        if not any(changes_since(folder, loaded) for folder, loaded in begun if folder is not None):
            return Series(path, train)
    raise AssertionError("count() does not end")


def _recorded(folder: RunFolder) -> Figures:
    try:
        figures = json.loads(content_of(folder.result))
    except (OSError, ValueError) as cause:
        raise CheckpointError(
            f"{folder.result}: cannot be read ({one_line(cause)}); remove the folder, so that it is trained again"
        ) from cause
    return dict(figures)
