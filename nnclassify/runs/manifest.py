"""`manifest.csv`: the examples of a run by name, and what has changed about them since.

The digests of the splits decide whether the data has changed; the manifest says which examples have.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nnclassify.data import Examples, Splits
from nnclassify.data.duplicates import Contents
from nnclassify.errors import counted, some
from nnclassify.files.atomic_write import remove
from nnclassify.files.csv_cells import cell, name_in, read_csv, write_csv

Pairs = list[tuple[int, int]]
"""Rows of the same example in an earlier and in the present manifest."""

ROWS_AT_ONCE = 4096

HEADER = ("name", "split", "class", "hash", "duplicate_of")


@dataclass(frozen=True)
class Manifest:
    """The examples of a run, as a table: a list per column, of equal length.

    Attributes:
        names: The name of each example, unique within the run.
        splits: The split of each example: `train`, `validation` or `test`.
        classes: The class of each example; several are separated by commas.
        hashes: The hash of each raw input, in hexadecimal; equal inputs have equal hashes.
    """

    names: list[str]
    splits: list[str]
    classes: list[str]
    hashes: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def part(self, split: str) -> Manifest:
        """Return the examples of one split."""
        chosen = [row for row, name in enumerate(self.splits) if name == split]
        return Manifest(*([column[row] for row in chosen] for column in vars(self).values()))


def manifest_of(splits: Splits) -> Manifest:
    """List the examples of all splits: training, validation, test."""
    columns = zip(*_columns(Contents(splits), splits.class_names), strict=True)
    return Manifest(*(list(map(name_in, chain.from_iterable(column))) for column in columns))


def write_manifest(path: Path, splits: Splits) -> None:
    """Write a manifest, with a column that names the first example of the same content in another split.

    Raises:
        SaveError: It could not be written.
    """
    contents = Contents(splits)
    twins = (cell(contents.name_at(row)[0]) if row >= 0 else "" for row in contents.twins.tolist())
    parts = (zip(*columns, twins, strict=False) for columns in _columns(contents, splits.class_names))
    write_csv(path, chain([HEADER], chain.from_iterable(parts)))


def write_skipped(path: Path, skipped: dict[str, str]) -> None:
    """Write the examples that could not be read, and why; if there are none, there is no file.

    Raises:
        SaveError: It could not be written.
    """
    if skipped:
        write_csv(path, [["name", "reason"], *([cell(name), cell(reason)] for name, reason in skipped.items())])
    else:
        remove(path)


def _columns(contents: Contents, class_names: Sequence[str]) -> Iterator[tuple[list[str], ...]]:
    """Yield names, splits, classes and hashes of some examples at a time, in order."""
    cells = [cell(name) for name in class_names]
    for split, examples in contents.parts.items():
        for start in range(0, len(examples), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            part, hashes = examples.subset(rows), [*map(_hexadecimal, contents.hashes[split][rows].tolist())]
            yield [*map(cell, part.all_names())], [split] * len(part), _labels(part, cells), hashes


def _hexadecimal(value: int) -> str:
    return f"{value:016x}"


def _labels(examples: Examples, cells: Sequence[str]) -> list[str]:
    """Return the class of each example; with multi-hot targets, its classes separated by commas."""
    targets = examples.all_targets()
    if targets.ndim == 1:
        return [cells[target] for target in targets.tolist()]
    return [", ".join(name for name, is_of in zip(cells, row, strict=True) if is_of) for row in targets.tolist()]


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None if it is missing or damaged. The digests then still show whether anything has changed."""
    rows = list(read_csv(path))
    if not rows or tuple(rows[0]) != HEADER or any(len(row) != len(HEADER) for row in rows):
        return None
    return Manifest(*([name_in(row[column]) for row in rows[1:]] for column in range(4)))


def changes_since(path: Path, splits: Splits) -> str:
    """Say how the examples of a run differ from its manifest, as the end of a message; empty if it has none."""
    before = read_manifest(path)
    return "" if before is None else f": {what_changed(before, manifest_of(splits), splits.train.names.word)}"


def seen_in_training(path: Path, examples: Examples) -> list[int] | None:
    """Return the rows of the examples whose content was in the training split of a run.

    Args:
        path: The manifest of the run; None is returned if it cannot be read.
        examples: The examples, of any data.
    """
    before = read_manifest(path)
    if before is None:
        return None
    trained = {value for value, split in zip(before.hashes, before.splits, strict=True) if split == "train"}
    return [row for row, value in enumerate(examples.hashes().tolist()) if _hexadecimal(value) in trained]


def what_changed(before: Manifest, now: Manifest, word: str = "") -> str:
    """Say how examples differ from what they were: how many in each way, and the first names.

    Examples with the same name and content are the same. Of the others, those with the same content were renamed, and
    those with the same name have other content.

    Args:
        before: The examples as they were.
        now: The examples as they are.
        word: A word before each name, such as `line `.
    """
    pairs, removed, added = _paired(before, now)
    ways = {
        "added": [now.names[row] for row in added],
        "removed": [before.names[row] for row in removed],
        "renamed": [f"{was} to {new}" for was, new in _differing(pairs, before.names, now.names).values()],
        "with other content": [now.names[row] for row in _differing(pairs, before.hashes, now.hashes)],
        "moved to another split": _from_to(now, _differing(pairs, before.splits, now.splits)),
        "of another class": _from_to(now, _differing(pairs, before.classes, now.classes)),
    }
    changes = [
        f"{counted(len(names), 'example')} {way} ({some([word + name for name in names])})"
        for way, names in ways.items()
        if names
    ]
    return ", ".join(changes) or "the same examples in another order"


def _differing(pairs: Pairs, before: Sequence[str], now: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Return the values before and now by row, where they differ."""
    return {row: (before[old], now[row]) for old, row in pairs if before[old] != now[row]}


def _from_to(now: Manifest, differing: dict[int, tuple[str, str]]) -> list[str]:
    return [f"{now.names[row]} from {before} to {after}" for row, (before, after) in differing.items()]


def _paired(before: Manifest, now: Manifest) -> tuple[Pairs, list[int], list[int]]:
    """Pair the rows of two manifests; return the pairs, and the rows of each that have no partner."""
    pairs: Pairs = []
    old, new = list(range(len(before))), list(range(len(now)))
    keys: tuple[Callable[[Manifest, int], object], ...] = (
        lambda manifest, row: (manifest.names[row], manifest.hashes[row]),
        lambda manifest, row: manifest.hashes[row],
        lambda manifest, row: manifest.names[row],
    )
    for key in keys:
        known: dict[object, deque[int]] = defaultdict(deque)
        for row in old:
            known[key(before, row)].append(row)
        found = [(known[key(now, row)].popleft() if known.get(key(now, row)) else None, row) for row in new]
        pairs += [(partner, row) for partner, row in found if partner is not None]
        old, new = [row for rows in known.values() for row in rows], [row for partner, row in found if partner is None]
    return pairs, sorted(old), new
