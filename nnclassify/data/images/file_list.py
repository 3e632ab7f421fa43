"""The paths of many files in little memory: a million of them take about 50 MB, as `Path` objects ten times as much."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np

from nnclassify.data.names import LOSSLESS, ExampleNames
from nnclassify.data.splitting import Rows

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

END = "\0"
"""The end of a name among others: no file system allows it in a name."""

NAMES_AT_ONCE = 2**16
"""Names whose bytes are copied at a time."""


def ended(names: Sequence[str]) -> str:
    """Return names as one text, `END` behind each."""
    return "".join([END.join(names), END]) if names else ""


def ended_and_sorted(names: Sequence[str]) -> str:
    """Return names as `ended` does, in ascending order."""
    text = ended(names)
    encoded = text.encode(errors=LOSSLESS)
    width = encoded.find(END.encode()) + 1
    # Of names of the same length, as most programs write many, NumPy sorts the bytes in a third of the time.
    if not width or len(encoded) != width * len(names) or encoded[width - 1 :: width].count(0) < len(names):
        return ended(sorted(names))
    return np.sort(np.frombuffer(encoded, f"S{width}")).tobytes().decode(errors=LOSSLESS)


@dataclass(frozen=True, eq=False)
class FileList(Sequence[Path]):
    """Files under a folder, in order.

    Attributes:
        root: The folder.
        text: The paths relative to the folder, with `/`, in UTF-8, one after another.
        ends: The end of each path in `text`, after a leading 0, `(N + 1,)`.
    """

    root: Path
    text: Bytes
    ends: Rows

    @classmethod
    def of(cls, root: Path, names: Iterable[str]) -> FileList:
        """Return the files with these paths relative to `root`."""
        collector = FileCollector(root)
        collector.add("", ended(list(names)))
        return collector.files()

    @classmethod
    def joined(cls, root: Path, lists: Sequence[FileList]) -> FileList:
        """Return the files of several lists under the same folder, one list after another."""
        starts = np.cumsum([0, *(files.ends[-1] for files in lists)])
        ends = [files.ends[1:] + start for files, start in zip(lists, starts, strict=False)]
        text = np.concatenate([np.empty(0, np.uint8), *(files.text for files in lists)])
        return cls(root, text, np.concatenate([np.zeros(1, np.int64), *ends]))

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, row: int) -> Path: ...
    @overload
    def __getitem__(self, row: slice) -> FileList: ...
    def __getitem__(self, row: int | slice) -> Path | FileList:
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        return self.root / self.name(row)

    def __iter__(self) -> Iterator[Path]:
        return (self.root / name for name in self.names())

    def name(self, row: int) -> str:
        """Return the path of a file relative to the folder.

        Raises:
            IndexError: There is no such row.
        """
        row = range(len(self))[row]
        return self.text[self.ends[row] : self.ends[row + 1]].tobytes().decode(errors=LOSSLESS)

    def names(self) -> Iterator[str]:
        """Yield the paths of all files relative to the folder."""
        for start in range(0, len(self), NAMES_AT_ONCE):
            ends = self.ends[start : start + NAMES_AT_ONCE + 1].tolist()
            text = self.text[ends[0] : ends[-1]].tobytes()
            yield from (text[begin - ends[0] : end - ends[0]].decode(errors=LOSSLESS) for begin, end in pairwise(ends))

    def texts(self, rows: range) -> list[str]:
        """Return the paths of consecutive rows as texts, which take a tenth of the time of `Path` objects."""
        root = "" if self.root == Path() else str(self.root)
        names = FileList(self.root, self.text, self.ends[rows.start : rows.stop + 1]).names()
        return [os.path.join(root, name) for name in names]  # noqa: PTH118

    def take(self, rows: Rows) -> FileList:
        """Return the files in these rows, in their order."""
        return FileList.of(self.root, [self.name(row) for row in rows.tolist()])

    def example_names(self) -> ExampleNames:
        """Return the files as names of examples, which share their memory."""
        import torch

        return ExampleNames(text=torch.from_numpy(self.text), ends=torch.from_numpy(self.ends))


class FileCollector:
    """Collects the files of many folders into one list."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._texts: list[bytes] = []
        self._lengths: list[Rows] = []

    def add(self, prefix: str, ended: str) -> None:
        """Add files: `prefix` and a name is the path of each, relative to the root.

        Args:
            prefix: What all paths begin with.
            ended: The names; see `ended`.
        """
        # Python's loops over names, also `map`, take a third of the time of a listing.
        text, before = ended.encode(errors=LOSSLESS), prefix.encode(errors=LOSSLESS)
        lengths = np.diff(np.flatnonzero(np.frombuffer(text, np.uint8) == 0), prepend=-1) - 1
        if len(lengths):
            self._texts.append(before + text[:-1].replace(END.encode(), before))
            self._lengths.append(lengths + len(before))

    def files(self) -> FileList:
        """Return all files in the order in which they were added."""
        text = np.frombuffer(bytearray(b"".join(self._texts)), dtype=np.uint8)
        return FileList(self.root, text, np.cumsum(np.concatenate([np.zeros(1, np.int64), *self._lengths])))
