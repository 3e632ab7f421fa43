"""Draw what a network sees: images in several epochs, or the values of a table."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nnclassify.inference.display_names import readable
from nnclassify.inference.displayed_images import displayed
from nnclassify.inference.plots.figures import title
from nnclassify.inference.preview import Preview

COLUMNS, NUM_AUGMENTED = 6, 6
"""Images in a row, and the number of examples that are shown in several epochs."""
CELL, WORDS = 2.0, 0.5
"""Width of a cell and height of its text, in inches."""
MAX_WORDS = 26
"""Maximum width of a name in a cell, in columns."""


def preview_images(preview: Preview) -> Figure:
    """Draw the first examples unaugmented and in several epochs, then others as in epoch 1."""
    num_epochs, count = preview.inputs.shape[:2]
    seen = preview.displayed() if preview.transform.image_format is not None else preview.inputs.double()
    repeated = min(NUM_AUGMENTED, count) if num_epochs > 1 else 0
    num_rows = repeated + -(-(count - repeated) // COLUMNS)
    height = WORDS + CELL * min(max(preview.raw.shape[2] / preview.raw.shape[3], 0.2), 1.5)
    figure = Figure(figsize=(CELL * COLUMNS, height * num_rows + 0.9), layout="constrained")
    undone = "; normalization undone for display" if preview.transform.image_format is not None else ""
    heading = title(preview.run, f"what the network sees of its {preview.split} split")
    figure.suptitle(f"{heading}\n{readable(preview.how + undone, 150)}", fontsize=11)
    grid = figure.subplots(num_rows, COLUMNS, squeeze=False)
    for axes in grid.flatten():
        axes.set_axis_off()
    for row in range(repeated):
        cells = grid[row]
        _draw(cells[0], preview.raw[row], preview, [preview.names[row], f"{preview.labels[row]}, not augmented"])
        for epoch in range(num_epochs):
            words = [f"epoch {epoch + 1}", preview.seen_labels[epoch][row]]
            _draw(cells[epoch + 1], seen[epoch, row], preview, words)
    epoch_1 = ", epoch 1" if num_epochs > 1 else ""
    for axes, row in zip(grid[repeated:].flatten(), range(repeated, count), strict=False):
        _draw(axes, seen[0, row], preview, [preview.names[row], preview.seen_labels[0][row] + epoch_1])
    return figure


def _draw(axes: Axes, image: Tensor, preview: Preview, words: Sequence[str]) -> None:
    image_format = preview.transform.image_format
    pixels = displayed(image) if image_format is None else displayed(image.double() / image_format.max_value, (0, 1))
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title("\n".join(readable(text, MAX_WORDS) for text in words), fontsize=7.5)


def preview_text(preview: Preview, text: str) -> Figure:
    """Draw a table as it is printed."""
    lines = text.splitlines()
    figure = Figure(figsize=(0.085 * max(map(len, lines)) + 0.4, 0.19 * len(lines) + 0.8))
    figure.suptitle(title(preview.run, f"what the network sees of its {preview.split} split"), fontsize=11)
    figure.text(0.02, 0.5, text, family="monospace", fontsize=9, va="center")
    return figure
