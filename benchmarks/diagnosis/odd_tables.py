"""Tables of the networks that look odd: wrong labels, rare classes, columns of categories alone; drawn from a seed."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

Generator = np.random.Generator
NUM_LEVELS = {"color": 6, "town": 9, "size": 4, "brand": 7}


def write_odd_tables(folder: Path) -> None:
    """Write `wrong_labels.csv`, `one_in_200.csv`, `one_in_25.csv` and `categories.csv`."""
    rng = np.random.default_rng(2611)
    _write_wrong_labels(folder, rng)
    _write_rare(folder / "one_in_200.csv", rng, num_rare=30, num_shifted=2, shift=4.0)
    _write_rare(folder / "one_in_25.csv", rng, num_rare=240, num_shifted=3, shift=0.9)
    _write_categories(folder, rng)


def _write_wrong_labels(folder: Path, rng: Generator) -> None:
    """Four blobs; 30% of the labels are drawn again, so that a fifth is wrong."""
    count = 1600
    blobs = rng.integers(0, 4, count)
    centers = np.array([[2.0, 2.0], [-2.0, 2.0], [-2.0, -2.0], [2.0, -2.0]])
    inputs = centers[blobs] + 0.9 * rng.normal(size=(count, 2))
    is_wrong = rng.random(count) < 0.3
    labels = np.where(is_wrong, rng.integers(0, 4, count), blobs)
    _write(folder / "wrong_labels.csv", ["x0", "x1"], inputs, [f"c{label}" for label in labels])


def _write_rare(path: Path, rng: Generator, *, num_rare: int, num_shifted: int, shift: float) -> None:
    """6,000 parts by five measures, some of them shifted in the few that are defective."""
    count, num_measures = 6000, 5
    is_rare = np.zeros(count, bool)
    is_rare[rng.permutation(count)[:num_rare]] = True
    inputs = rng.normal(size=(count, num_measures))
    inputs[is_rare, :num_shifted] += shift
    names = [f"x{column}" for column in range(num_measures)]
    _write(path, names, inputs, np.where(is_rare, "defect", "good"))


def _write_categories(folder: Path, rng: Generator) -> None:
    """Three classes by a sum of the effects of four categories, and noise."""
    count = 1500
    effects = [1.6 * rng.normal(size=(levels, 3)) for levels in NUM_LEVELS.values()]
    categories = np.stack([rng.integers(0, levels, count) for levels in NUM_LEVELS.values()], axis=1)
    logits = sum(effect[categories[:, column]] for column, effect in enumerate(effects))
    labels = (logits + 0.6 * rng.gumbel(size=(count, 3))).argmax(axis=1)
    rows = [[f"{'abcd'[column]}{level}" for column, level in enumerate(row)] for row in categories]
    _write(folder / "categories.csv", [*NUM_LEVELS], rows, [f"k{label}" for label in labels])


def _write(path: Path, names: list[str], rows: Iterable[Any], labels: Iterable[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "label"])
        for values, label in zip(rows, labels, strict=True):
            writer.writerow([*(value if isinstance(value, str) else f"{value:.5f}" for value in values), label])
