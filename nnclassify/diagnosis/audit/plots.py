"""Draw what an audit found: pairs of duplicates, and images whose labels may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnclassify.diagnosis.audit.audit import Audit
from nnclassify.diagnosis.audit.flags import Flag
from nnclassify.evaluation.percent import percent
from nnclassify.inference.display_names import readable
from nnclassify.inference.displayed_images import displayed
from nnclassify.inference.plots.figures import save, title

MAX_PAIRS, PAIRS_PER_ROW = 24, 3
MAX_LABELS, LABELS_PER_ROW = 50, 10
CELL, WORDS = 1.5, 0.6
"""Width of an image and height of its text, in inches."""
MAX_WORDS = 22
"""Maximum width of a text in a cell, in columns."""


def save_plots(audit: Audit, folder: Path) -> list[Path]:
    """Draw into a folder what there is to draw, and return the files; tables have nothing to draw.

    Raises:
        SaveError: A file cannot be written.
    """
    if not audit.material.is_images:
        return []
    drawn = []
    names = audit.material.splits.class_names
    near = audit.of_kind("near_duplicate")
    pairs = [*audit.of_kind("contradiction"), *near, *audit.of_kind("duplicate")][:MAX_PAIRS]
    labels = audit.of_kind("label_error")[:MAX_LABELS]
    plots: list[tuple[str, list[Flag], Callable[[Audit, Sequence[Flag]], Figure]]] = [
        ("audit_duplicates.png", pairs, _duplicates),
        ("audit_labels.png", labels, _labels),
    ]
    for file, flags, draw in plots:
        if flags:
            rows = [row for flag in flags for row in (flag.row, flag.partner) if row is not None]
            shown = [*names, *(audit.material.name(row)[0] for row in rows)]
            drawn.append(save(partial(draw, audit, flags), folder / file, shown))
    return drawn


def _duplicates(audit: Audit, flags: Sequence[Flag]) -> Figure:
    num_all = len(audit.of_kind("contradiction", "near_duplicate", "duplicate"))
    heading = title(audit.material.loaded.name, f"{len(flags)} of {num_all:,} pairs of equal or almost equal images")
    grid = _grid(heading, len(flags), PAIRS_PER_ROW, 2)
    for place, flag in enumerate(flags):
        for column, row in enumerate((flag.partner, flag.row)):
            assert row is not None
            name, split = audit.material.name(row)
            _draw(audit, grid[2 * place + column], row, [name, f"{split}: {audit.material.given(row)}"])
    return _figure(grid)


def _labels(audit: Audit, flags: Sequence[Flag]) -> Figure:
    num_all = len(audit.of_kind("label_error"))
    heading = title(audit.material.loaded.name, f"{len(flags)} of {num_all:,} labels that may be wrong")
    grid = _grid(heading, len(flags), LABELS_PER_ROW, 1)
    for axes, flag in zip(grid, flags, strict=False):
        assert flag.row is not None
        name, split = audit.material.name(flag.row)
        suggested = audit.material.class_name(flag.suggested)
        where = name if name.startswith(split) else f"{split} {name}"
        words = [where, f"labeled {audit.material.given(flag.row)}", f"{suggested}? {percent(flag.score)}"]
        _draw(audit, axes, flag.row, words)
    return _figure(grid)


def _grid(heading: str, count: int, per_row: int, width: int) -> list[Axes]:
    """Return the axes of a figure with `count` groups of `width` images."""
    per_row = min(per_row, count)
    num_rows = -(-count // per_row)
    size = (max(CELL * width * per_row, 6), (CELL + WORDS) * num_rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(heading)
    axes = [*figure.subplots(num_rows, per_row * width, squeeze=False).flatten()]
    for one in axes:
        one.set_axis_off()
    return axes


def _figure(grid: Sequence[Axes]) -> Figure:
    figure = grid[0].get_figure(root=True)
    assert figure is not None
    return figure


def _draw(audit: Audit, axes: Axes, row: int, words: Sequence[str]) -> None:
    axes.imshow(displayed(audit.material.raw(row)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title("\n".join(readable(text, MAX_WORDS) for text in words), fontsize=6.5)
