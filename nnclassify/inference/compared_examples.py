"""The examples of runs that are compared, by name: whose test splits differ, and which examples only one gets right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnclassify.errors import some
from nnclassify.inference.predictions import read_correct
from nnclassify.runs.checkpoint import Checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.manifest import read_manifest, what_changed
from nnclassify.settings import flat

MAX_TOLD = 3
"""Runs whose other test split is described; the others are counted."""


@dataclass(frozen=True)
class AgainstFirst:
    """The test examples of a run beside those of the first run of a comparison, by name.

    Attributes:
        num_common: The number of examples that are in the test split of both.
        only_first: Those that only the first run predicts correctly.
        only_here: Those that only this run predicts correctly.
    """

    num_common: int
    only_first: list[str]
    only_here: list[str]


def against_first(first: Path, checkpoint: Path) -> AgainstFirst | None:
    """Compare what two checkpoints predict for test examples of the same name and content.

    Returns:
        None if there are no such examples, or a run has not finished, or a checkpoint is not the `best.pt` of its run.
    """
    theirs, ours = _correct(first), _correct(checkpoint)
    common = [example for example in ours if example in theirs]
    if not common:
        return None
    return AgainstFirst(
        num_common=len(common),
        only_first=[example[0] for example in common if theirs[example] and not ours[example]],
        only_here=[example[0] for example in common if ours[example] and not theirs[example]],
    )


def _correct(checkpoint: Path) -> dict[tuple[str, str], bool]:
    """Return by name and content hash whether each test example is predicted correctly."""
    folder = RunFolder(checkpoint.parent)
    manifest = read_manifest(folder.manifest)
    if manifest is None or checkpoint != folder.best:
        return {}
    part, is_correct = manifest.part("test"), read_correct(folder.predictions, "test")
    examples = zip(part.names, part.hashes, strict=True)
    return {(name, value): is_correct[name] for name, value in examples if name in is_correct}


def _draw(checkpoint: Checkpoint) -> list[Any]:
    """Return the options by which a run draws its splits."""
    config = flat(checkpoint.config)
    return [config.get(key) for key in ("seed", "dataset.seed", "dataset.folds", "dataset.fold")]


def differing_tests(folders: Sequence[RunFolder], checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Say how the test splits of runs differ from that of the first, where their digests do and manifests tell.

    Runs with another seed or fold draw other examples on purpose, and are named together.
    """
    digests = [(checkpoint.split_digests or {}).get("test") for checkpoint in checkpoints]
    pairs = list(zip(folders, checkpoints, digests, strict=True))
    differing = [(folder, checkpoint) for folder, checkpoint, digest in pairs if digest not in (None, digests[0])]
    if digests[0] is None or not differing or (before := read_manifest(folders[0].manifest)) is None:
        return []
    draw = _draw(checkpoints[0])
    redrawn = [folder.name for folder, checkpoint in differing if _draw(checkpoint) != draw]
    others = [folder for folder, checkpoint in differing if _draw(checkpoint) == draw]
    notes = []
    if redrawn:
        notes.append(f"{some(redrawn)}: another seed or fold than {folders[0].name}, so other test examples")
    for folder in others[:MAX_TOLD]:
        if (now := read_manifest(folder.manifest)) is not None:
            which = what_changed(before.part("test"), now.part("test"))
            notes.append(f"{folder.name}: its test split is not that of {folders[0].name}: {which}")
    more = [folder.name for folder in others[MAX_TOLD:]]
    return notes + ([f"{some(more)}: the test split is not that of {folders[0].name} either"] if more else [])
