"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from nnclassify.errors import printable
from nnclassify.inference.display_names import num_columns


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table, with the first column left-aligned, the others right-aligned, and control characters escaped."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(num_columns(line[column]) for line in lines) for column in range(len(header))]
    filled = [[" " * (width - num_columns(cell)) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(
        "  ".join([line[0] + space[0], *map(add, space[1:], line[1:])]).rstrip()
        for line, space in zip(lines, filled, strict=True)
    )
