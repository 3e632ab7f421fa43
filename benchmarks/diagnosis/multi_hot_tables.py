"""Tables of multi-hot targets, drawn from a seed: an example is of any number of classes, or of none."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
TAGS = ["sweet", "sour", "large", "ripe"]


def write_multi_hot_tables(folder: Path) -> None:
    """Write `tags.csv`, of four half-spaces and curves; the same with its rows' tags shuffled; and one of rare tags."""
    rng = np.random.default_rng(11)
    inputs = rng.normal(size=(800, 6))
    curves = np.column_stack(
        [
            inputs[:, 0] + inputs[:, 1],
            inputs[:, 2] * inputs[:, 3],
            inputs[:, 4] - 0.5 * inputs[:, 0],
            np.hypot(inputs[:, 1], inputs[:, 5]) - 1.2,
        ]
    )
    _write(folder / "tags.csv", inputs, curves > 0)
    _write(folder / "tags_shuffled.csv", inputs, rng.permutation(curves > 0))
    _write(folder / "tags_rare.csv", inputs, curves > np.quantile(curves, 0.9, axis=0))


def _write(path: Path, inputs: Array, tags: Array) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"m{column}" for column in range(inputs.shape[1])), *TAGS])
        for values, row in zip(inputs, tags.astype(int), strict=True):
            writer.writerow([*(f"{value:.6g}" for value in values), *row])
