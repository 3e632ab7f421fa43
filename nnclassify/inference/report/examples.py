"""`examples.json`: small images, or the values, of the examples that the report shows; the data may be gone later."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BeforeValidator
from torch import Tensor

from nnclassify.data import Examples, Splits
from nnclassify.files.atomic_write import write_text
from nnclassify.files.csv_cells import name_in
from nnclassify.files.json_files import read_record
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.displayed_images import displayed
from nnclassify.inference.report.scored import Scored
from nnclassify.inference.table_rows import table_rows

SIDE = 72
"""Maximum side of a small image in pixels."""
MAX_IMAGES, MAX_IMAGE_BYTES = 400, 640_000
"""Limits on the images of a page, as text."""
MAX_ROWS = 2000
"""Limit on the rows of a table."""
AT_ONCE = 64


Written = Annotated[str, BeforeValidator(lambda value: f"{value:.4g}" if isinstance(value, float) else value)]
"""A value as it is written; runs of earlier releases have numbers."""


@dataclass(frozen=True)
class ShownExamples:
    """What is shown of the examples of a split, by their names.

    Attributes:
        split: The name of the split.
        images: A `data:` URI of each image.
        columns: The names of the columns of a table that matter most.
        values: The values in these columns, as they are written in the file.
    """

    split: str = ""
    images: dict[str, str] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    values: dict[str, list[Written]] = field(default_factory=dict)


def save_examples(
    path: Path, scored: Scored | None, splits: Splits, classifier: Classifier | None, note: Callable[[str], None]
) -> ShownExamples:
    """Write what is shown of the examples of a run, from its data.

    Args:
        path: The file.
        scored: What is predicted for them.
        splits: Its data.
        classifier: The trained network, which knows the columns that matter most.
        note: Called with why the file of a table cannot be read again, on one line.

    Raises:
        SaveError: The file could not be written.
    """
    examples = None if scored is None else splits.split(scored.split)
    if scored is None or examples is None or len(examples) != len(scored):
        shown = ShownExamples()
    elif splits.image_format is not None:
        shown = ShownExamples(scored.split, images=_images(scored, examples))
    elif classifier is not None:
        shown = _values(scored, examples, classifier, note)
    else:
        shown = ShownExamples(scored.split)
    write_text(path, json.dumps(asdict(shown)) + "\n")
    return shown


def read_examples(path: Path) -> ShownExamples:
    """Read what `save_examples` wrote; empty if it is missing or damaged."""
    try:
        read = read_record(path, ShownExamples)
    except (OSError, ValueError):
        return ShownExamples()
    return replace(  # runs of earlier releases have the names of `predictions.csv`, as for spreadsheets
        read,
        images={name_in(name): image for name, image in read.images.items()},
        values={name_in(name): values for name, values in read.values.items()},
    )


def _images(scored: Scored, examples: Examples) -> dict[str, str]:
    images: dict[str, str] = {}
    size = 0
    for rows in torch.tensor(list(scored.pictured())[:MAX_IMAGES], dtype=torch.int64).split(AT_ONCE):
        for row, image in zip(rows.tolist(), examples.select(rows)[0].cpu(), strict=True):
            small = _small(image)
            size += len(small)
            if size > MAX_IMAGE_BYTES:
                return images
            images[scored.names[row]] = small
    return images


def _small(image: Tensor) -> str:
    """Return an image `(C, H, W)` as a `data:` URI: a PNG of a small gray image, else a JPEG."""
    from PIL import Image

    pixels = Image.fromarray((displayed(image, max_side=4 * SIDE) * 255).round().astype("uint8"))
    pixels.thumbnail((SIDE, SIDE))
    kind = "png" if pixels.mode == "L" and max(pixels.size) <= SIDE // 2 else "jpeg"
    content = io.BytesIO()
    pixels.save(content, kind, **({"quality": 85} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def _values(scored: Scored, examples: Examples, classifier: Classifier, note: Callable[[str], None]) -> ShownExamples:
    rows = list(scored.pictured())[:MAX_ROWS]
    chosen = torch.tensor(rows, dtype=torch.int64)
    found = table_rows(classifier, classifier.config.dataset, scored.split, examples, chosen, note)
    values = {scored.names[row]: texts for row, texts in zip(rows, found.texts, strict=False)}
    return ShownExamples(scored.split, columns=found.columns, values=values)
