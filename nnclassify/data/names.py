"""The name of every example: its file, its row or its index, computed when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LOSSLESS = "surrogatepass"
"""Error handler of the encoding: Python represents bytes of a file name that are not UTF-8 as surrogates."""


@dataclass(frozen=True)
class ExampleNames:
    """The names of the examples of a storage: unique within a dataset, and the same whenever it is read.

    A name is a text if there are texts, else the line of the example in its file, else its index in the source.

    Attributes:
        prefix: The beginning of every name, such as `test/` if the test examples have a source of their own.
        rows: The row of the source that each row of the storage comes from, int64 `(M,)`; None: the same row.
        lines: The line of each row of the source in its text file, int64, or None.
        text: The texts of all rows of the source in UTF-8, one after another, or None.
        ends: The end of each text in `text`, after a leading 0, int64.
    """

    prefix: str = ""
    rows: Tensor | None = None
    lines: Tensor | None = None
    text: Tensor | None = None
    ends: Tensor | None = None

    def with_texts(self, texts: Iterable[str]) -> ExampleNames:
        """Return the same names, with a text for each row of the source."""
        import torch

        encoded = [text.encode(errors=LOSSLESS) for text in texts]
        ends = torch.tensor([0, *accumulate(map(len, encoded))], dtype=torch.int64)
        content = torch.from_numpy(np.frombuffer(bytearray(b"".join(encoded)), dtype=np.uint8))
        return replace(self, text=content, ends=ends)

    def at(self, rows: Tensor) -> ExampleNames:
        """Return the names of a storage that consists of these rows of this one."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def of(self, rows: Tensor) -> list[str]:
        """Return the names of rows `(B,)` of the storage."""
        rows = rows.cpu() if self.rows is None else self.rows[rows.cpu()]
        if self.text is None or self.ends is None:
            return [f"{self.prefix}{number}" for number in (rows if self.lines is None else self.lines[rows]).tolist()]
        values: Any = self.text.numpy()  # before numpy 2.5, its stubs hide the buffer
        content = memoryview(values)
        places = zip(self.ends[rows].tolist(), self.ends[rows + 1].tolist(), strict=True)
        return [self.prefix + str(content[start:end], "utf-8", LOSSLESS) for start, end in places]

    def lines_of(self, rows: Tensor) -> list[int]:
        """Return the lines of rows `(B,)` of the storage in their text file; empty without such a file."""
        rows = rows.cpu() if self.rows is None else self.rows[rows.cpu()]
        return [] if self.lines is None else self.lines[rows].tolist()

    def location(self, row: Tensor, origin: str) -> str:
        """Return the source of a row of the storage for messages: the line of a file, a file, or an index.

        Args:
            row: The row, `()`.
            origin: The file, folder or dataset that the examples come from.
        """
        source = row.cpu() if self.rows is None else self.rows[row.cpu()]
        if self.lines is not None:
            return f"{origin}:{int(self.lines[source])}"
        if self.text is not None:
            return f"{origin}/{self.of(row[None])[0]}"
        return f"{origin}: example {int(source)}"

    @property
    def word(self) -> str:
        """What stands before a name in a sentence: `line ` or `index `; nothing before a text."""
        if self.text is not None:
            return ""
        return "index " if self.lines is None else "line "


INDICES = ExampleNames()
"""Indices of examples that all have one source."""
TRAIN, TEST = ExampleNames("train/"), ExampleNames("test/")
"""Indices where training and test examples have sources of their own."""
