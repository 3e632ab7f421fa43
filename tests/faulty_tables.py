"""Small CSV tables with one error each, generated from a seed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


def write_tables(folder: Path) -> None:
    """Write every table as `<folder>/<name>.csv`."""
    rng = np.random.default_rng(7)
    inputs, labels = _clusters(rng, 600, 3)
    _write(folder / "clean", inputs, labels)
    _write(folder / "constant", np.column_stack([inputs, np.full(len(inputs), 3.0)]), labels)
    _write(folder / "scales", inputs * np.array([1e-3, 1.0, 1e3, 1e9]), labels)
    _write(folder / "missing", inputs, labels, missing_row=17)
    _write(folder / "shifted", *_shifted(rng, 1))
    _write(folder / "shuffled", inputs, rng.permutation(labels))
    _write(folder / "ordered", inputs[np.argsort(labels, kind="stable")], np.sort(labels))
    _write(folder / "repeated", np.concatenate([inputs, inputs[:200]]), np.concatenate([labels, labels[:200]]))
    for name, share, apart in (("imbalanced", 0.04, 1.6), ("rare", 0.08, 6.0)):
        is_rare = rng.random(1500) < share
        _write(folder / name, rng.normal(size=(1500, 4)) + apart * is_rare[:, None] * 0.7, is_rare.astype(int))
    _write(folder / "patients", np.column_stack([inputs, rng.integers(0, 150, len(inputs))]), labels, last="patient_id")
    contradicted = np.concatenate([inputs, inputs[:60]]), np.concatenate([labels, (labels[:60] + 1) % 3])
    _write(folder / "contradicted", *contradicted)
    is_common = np.concatenate([labels, np.full(4, 3)])
    _write(folder / "few", np.concatenate([inputs, inputs[:4] + 20.0]), is_common)
    noise = rng.normal(size=(600, 3))
    _write(folder / "revealed", np.column_stack([noise, labels + 0.1 * rng.random(600)]), labels)
    _write_noisy(folder)


def _write_noisy(folder: Path) -> None:
    """Tables on which the best that can be learned is 70 to 80%: few rows, many rows, one class twice as common, rows
    that repeat."""
    rng = np.random.default_rng(8)
    for name, count, offset in (("noisy", 600, 0.0), ("noisy_few", 150, 0.0), ("noisy_uneven", 900, -1.2)):
        inputs = rng.normal(size=(count, 6)) * np.array([1.0, 1.0, 1.0, 40.0, 40.0, 5.0])
        score = 1.1 * inputs[:, 0] + 0.8 * inputs[:, 1] * inputs[:, 2] + 0.02 * inputs[:, 3] + offset
        _write(folder / name, inputs, (rng.random(count) < 1 / (1 + np.exp(-score))).astype(int))
    inputs, labels = _clusters(rng, 900, 3)
    repeats = np.concatenate([np.arange(900), rng.integers(0, 900, 40)])
    _write(folder / "alike", inputs[repeats], labels[repeats])


def _clusters(rng: np.random.Generator, count: int, num_classes: int) -> tuple[Array, Any]:
    centers = rng.normal(scale=2.0, size=(num_classes, 4))
    labels = rng.integers(0, num_classes, count)
    return centers[labels] + rng.normal(size=(count, 4)), labels


def _shifted(rng: np.random.Generator, rows: int) -> tuple[Array, Any]:
    inputs, labels = _clusters(rng, 600, 3)
    return inputs, np.roll(labels, rows)


def _write(path: Path, inputs: Array, labels: Any, missing_row: int | None = None, last: str | None = None) -> None:
    names = [f"x{column}" for column in range(inputs.shape[1])]
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(names if last is None else [*names[:-1], last]), "label"])
        for row, (values, label) in enumerate(zip(inputs, labels, strict=True)):
            cells = ["nan" if row == missing_row and column == 1 else f"{v:.6g}" for column, v in enumerate(values)]
            writer.writerow([*cells, int(label)])
