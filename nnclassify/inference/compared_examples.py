"""The examples of runs that are compared, by name: whose test splits differ, and which examples only one gets right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnclassify.errors import shell_command, some
from nnclassify.inference.predictions import read_correct
from nnclassify.runs.checkpoint import Checkpoint
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.manifest import read_manifest, what_changed
from nnclassify.settings import flat

MAX_TOLD = 3
"""Runs whose other test split is described; the others are counted."""


Example = tuple[str, str, str]
"""The name, content hash and class of a test example: two runs have it in common if all three are equal."""


@dataclass(frozen=True)
class ScoredExamples:
    """What the `best.pt` of a run predicts for its test examples.

    Attributes:
        is_correct: Whether each test example is predicted correctly; empty if that is unknown.
        num_train: The number of training examples.
        why_unknown: Why it is unknown, as the predicate of a sentence about the run; else empty.
    """

    is_correct: dict[Example, bool] = field(default_factory=dict)
    num_train: int = 0
    why_unknown: str = ""

    @property
    def num_correct(self) -> int:
        """The number of test examples that are predicted correctly."""
        return sum(self.is_correct.values())

    def without(self, other: ScoredExamples) -> list[str]:
        """Return the names of the test examples that the other run does not have."""
        return [example[0] for example in self.is_correct if example not in other.is_correct]

    def only_correct_here(self, other: ScoredExamples) -> list[str]:
        """Return the names of the examples in common that this run predicts correctly and the other does not."""
        theirs = other.is_correct
        return [example[0] for example, right in self.is_correct.items() if right and not theirs.get(example, True)]


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


def against_first(first: ScoredExamples, other: ScoredExamples) -> AgainstFirst | None:
    """Compare what two runs predict for the test examples that they have in common; None if there are none."""
    num_common = len(first.is_correct.keys() & other.is_correct.keys())
    if not num_common:
        return None
    return AgainstFirst(num_common, first.only_correct_here(other), other.only_correct_here(first))


def scored_examples(checkpoint: Path) -> ScoredExamples:
    """Read from the folder of a run what its `best.pt` predicts for the test examples."""
    folder = RunFolder(checkpoint.parent)
    if checkpoint != folder.best:
        return ScoredExamples(why_unknown="is not the best.pt of a run; predictions are kept for that file only")
    manifest = read_manifest(folder.manifest)
    if manifest is None:
        return ScoredExamples(why_unknown="has no readable manifest.csv (it was trained by an earlier release)")
    part, is_correct = manifest.part("test"), read_correct(folder.predictions, "test")
    if not len(part):
        return ScoredExamples(why_unknown="has no test examples")
    if not is_correct.keys() >= set(part.names):
        run = shell_command("evaluate", folder.name, "--split", "test")
        why = f"has no predictions for its test examples yet; run: {run}"
        return ScoredExamples(why_unknown=why)
    examples = zip(part.names, part.hashes, part.classes, strict=True)
    return ScoredExamples({example: is_correct[example[0]] for example in examples}, manifest.splits.count("train"))


DRAW = ("seed", "dataset.seed", "dataset.folds", "dataset.fold")
"""The options by which a run draws its splits from its data."""


def _draw_and_data(checkpoint: Checkpoint) -> tuple[list[Any], dict[str, Any]]:
    """Return the options by which a run draws its splits, and the other options of its dataset."""
    config = flat(checkpoint.config)
    others = {key: value for key, value in config.items() if key.startswith("dataset.") and key not in DRAW}
    return [config.get(key) for key in DRAW], others


def differing_tests(folders: Sequence[RunFolder], checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Say how the test splits of runs differ from that of the first, where their digests do and manifests tell.

    Runs with another seed or fold draw other examples on purpose, and are named together.
    """
    digests = [(checkpoint.split_digests or {}).get("test") for checkpoint in checkpoints]
    pairs = list(zip(folders, checkpoints, digests, strict=True))
    differing = [(folder, checkpoint) for folder, checkpoint, digest in pairs if digest not in (None, digests[0])]
    if digests[0] is None or not differing or (before := read_manifest(folders[0].manifest)) is None:
        return []
    draw, data = _draw_and_data(checkpoints[0])
    redrawn: list[str] = []
    others: list[RunFolder] = []
    for folder, checkpoint in differing:
        its_draw, its_data = _draw_and_data(checkpoint)
        if its_draw != draw and its_data == data:
            redrawn.append(folder.name)
        else:
            others.append(folder)
    notes = []
    if redrawn:
        notes.append(f"{some(redrawn)}: another seed or fold than {folders[0].name}, so other test examples")
    for folder in others[:MAX_TOLD]:
        if (now := read_manifest(folder.manifest)) is not None:
            which = what_changed(before.part("test"), now.part("test"))
            notes.append(f"{folder.name}: its test split is not that of {folders[0].name}: {which}")
    more = [folder.name for folder in others[MAX_TOLD:]]
    return notes + ([f"{some(more)}: the test split is not that of {folders[0].name} either"] if more else [])
