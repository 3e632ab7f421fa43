"""Writes the tables and images that lessons come with, always the same: `python -m benchmarks.lessons.tables`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnclassify.lessons.pages import COURSE

Array = np.ndarray[Any, np.dtype[Any]]
Rows = list[list[Any]]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows under a header, numbers with two decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{value:.2f}" if isinstance(value, float) else value for value in row] for row in rows)


def _measured(rng: np.random.Generator, centers: Array, labels: Array, spread: float = 1.0) -> Array:
    return centers[labels] + rng.normal(scale=spread, size=(len(labels), centers.shape[1]))


def _rows(inputs: Array, labels: Sequence[Any] | Array) -> Rows:
    return [[*map(float, values), str(label)] for values, label in zip(inputs, labels, strict=True)]


LEAVES = ["length", "width", "stem", "teeth"]
SPECIES = np.array(["birch", "elm", "oak"])


def write_leaves(folder: Path) -> None:
    """Leaves of three trees, in the order of the herbarium: all birches, then all elms, then all oaks."""
    rng = np.random.default_rng(1)
    centers = np.array([[4.0, 2.0, 1.0, 9.0], [6.0, 3.3, 1.3, 11.0], [8.0, 4.6, 1.6, 9.0]])
    scale = np.array([1.0, 0.8, 0.3, 2.0])
    for name, count in (("leaves.csv", 100), ("new.csv", 60)):
        labels = np.repeat(np.arange(3), count)
        inputs = centers[labels] + rng.normal(size=(len(labels), 4)) * scale
        write_table(folder / name, [*LEAVES, "tree"], _rows(inputs, SPECIES[labels]))


CELLS = ["size", "density", "texture", "edge"]
KINDS = np.array(["basal", "goblet", "secretory", "stem"])
CENTERS = 2.0 * np.array([[1, 1, -1, 0], [-1, 1, 1, 0], [1, -1, 0, 1], [-1, -1, 0, -1]], dtype=float)


def _cells(seed: int, count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    return _measured(rng, CENTERS, labels), labels


def write_sorted_column(folder: Path) -> None:
    """Cells; and the same after somebody sorted one column of the spreadsheet, the labels, and not the others."""
    inputs, labels = _cells(2, 240)
    write_table(folder / "cells.csv", [*CELLS, "kind"], _rows(inputs, KINDS[labels]))
    sorted_alone = np.random.default_rng(3).permutation(labels)
    write_table(folder / "cells_sorted.csv", [*CELLS, "kind"], _rows(inputs, KINDS[sorted_alone]))
    write_table(folder / "new.csv", [*CELLS, "kind"], _rows(*_named(4, 160)))


def _named(seed: int, count: int) -> tuple[Array, Array]:
    inputs, labels = _cells(seed, count)
    return inputs, KINDS[labels]


def write_shifted(folder: Path) -> None:
    """Cells; and the same with every label one row too far down, as after a header line that only one file lost."""
    inputs, labels = _cells(5, 240)
    write_table(folder / "cells.csv", [*CELLS, "kind"], _rows(inputs, KINDS[labels]))
    write_table(folder / "cells_shifted.csv", [*CELLS, "kind"], _rows(inputs, KINDS[np.roll(labels, 1)]))
    write_table(folder / "new.csv", [*CELLS, "kind"], _rows(*_named(6, 160)))


def write_renumbered(folder: Path) -> None:
    """Cells for training, and for the test, where the classes were numbered in the order in which they turned up."""
    inputs, labels = _cells(7, 240)
    write_table(folder / "train.csv", [*CELLS, "kind"], _rows(inputs, labels))
    inputs, labels = _cells(8, 160)
    write_table(folder / "test.csv", [*CELLS, "kind"], _rows(inputs, labels))
    write_table(folder / "test_renumbered.csv", [*CELLS, "kind"], _rows(inputs, np.array([2, 0, 3, 1])[labels]))


SENSORS = ["current", "heat", "noise", "pressure", "speed"]


def write_machines(folder: Path) -> None:
    """Machines, of which one in twenty is about to fail, and runs hotter and louder than the others."""
    rng = np.random.default_rng(9)
    for name, count in (("machines.csv", 800), ("new.csv", 600)):
        fails = np.arange(count) % 20 == 0
        inputs = rng.normal(size=(count, 5)) + fails[:, None] * np.array([0.0, 1.5, 1.5, 0.0, -1.5])
        order = rng.permutation(count)
        labels = np.where(fails, "failing", "ok")
        write_table(folder / name, [*SENSORS, "state"], _rows(inputs[order], labels[order]))


def write_copies(folder: Path) -> None:
    """Blood values, hard to tell apart; and the same with every row three times, "for more training data"."""
    columns = [*(f"value_{number}" for number in range(1, 13)), "ill"]
    rng = np.random.default_rng(10)
    for name, count in (("blood", 200), ("new", 300)):
        labels = rng.integers(0, 2, count)
        inputs = rng.normal(size=(count, 12)) + 0.33 * (2 * labels[:, None] - 1) * (np.arange(12) < 5)
        rows = _rows(inputs, np.where(labels == 1, "yes", "no"))
        write_table(folder / f"{name}.csv", columns, rows)
        if name == "blood":
            order = np.random.default_rng(11).permutation(3 * count)
            write_table(folder / "blood_x3.csv", columns, [rows[index % count] for index in order])


def write_samples(folder: Path) -> None:
    """Blood values, hard to tell apart, for training, validation and the test."""
    columns = [*(f"value_{number}" for number in range(1, 13)), "ill"]
    rng = np.random.default_rng(18)
    for name, count in (("train.csv", 150), ("validation.csv", 150), ("test.csv", 600)):
        labels = rng.integers(0, 2, count)
        inputs = rng.normal(size=(count, 12)) + 0.33 * (2 * labels[:, None] - 1) * (np.arange(12) < 5)
        write_table(folder / name, columns, _rows(inputs, np.where(labels == 1, "yes", "no")))


MARKERS, CHOSEN = 150, 10
"""How many markers were measured, and how many the author kept."""


def write_markers(folder: Path) -> None:
    """Markers in the blood, none of which has anything to do with the illness; and the configs that use the ten whose
    means differ most between ill and healthy patients, in all rows or in the training rows alone."""
    rng = np.random.default_rng(3)
    names = [f"m{number}" for number in range(1, MARKERS + 1)]
    parts = [(rng.normal(size=(count, MARKERS)).round(2), rng.permutation(count) % 2) for count in (50, 50, 400)]
    everything = tuple(np.concatenate(part) for part in zip(*parts[:2], strict=True))
    kept = {"broken": _most_different(*everything), "fixed": _most_different(*parts[0])}
    for kind, chosen in kept.items():
        features = f"features: [{', '.join(names[number] for number in chosen)}]"
        (folder / f"{kind}.yaml").write_text(MARKERS_CONFIG.format(features=features), encoding="utf-8")
    used = sorted({int(number) for chosen in kept.values() for number in chosen})
    columns_of = {"train": [*range(MARKERS)], "test": [*range(MARKERS)], "new": used}
    for (name, columns), (inputs, ill) in zip(columns_of.items(), parts, strict=True):
        labels = np.where(ill == 1, "yes", "no")
        write_table(
            folder / f"{name}.csv", [*(names[number] for number in columns), "ill"], _rows(inputs[:, columns], labels)
        )


MARKERS_CONFIG = """dataset:
  {{name: csv, path: train.csv, label: ill, test: test.csv, validation: 0,
   {features}}}
model: {{name: mlp, hidden: [16]}}
optimizer: {{name: adam, lr: 0.003}}
epochs: 30
batch_size: 8
"""


def _most_different(inputs: Array, ill: Array) -> Array:
    """Return the numbers of the columns whose means differ most between two classes."""
    apart = np.abs(inputs[ill == 1].mean(axis=0) - inputs[ill == 0].mean(axis=0))
    return np.sort(np.argsort(-apart)[:CHOSEN])


VALUES = ["sugar", "salt", "iron", "protein"]


def write_clinics(folder: Path) -> None:
    """Blood values of a study, half of whose patients are ill, and of a clinic, where nearly all are; and both files
    after each was brought to mean 0 and standard deviation 1 on its own."""
    rng = np.random.default_rng(20)
    for name, count, share in (("train", 240, 0.5), ("test", 200, 0.9)):
        ill = rng.random(count) < share
        inputs = np.array([90.0, 140.0, 15.0, 70.0]) + np.array([12.0, 4.0, 3.0, 6.0]) * (
            rng.normal(size=(count, 4)) + ill[:, None] * np.array([2.0, -1.5, 1.0, 0.0])
        )
        labels = np.where(ill, "yes", "no")
        write_table(folder / f"{name}.csv", [*VALUES, "ill"], _rows(inputs, labels))
        scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
        write_table(folder / f"{name}_scaled.csv", [*VALUES, "ill"], _rows(scaled, labels))


def write_customers(folder: Path) -> None:
    """Customers who leave or stay, with a refund that is paid only after a customer has left."""
    columns = ["months", "calls", "bill", "age", "refund", "left"]
    rng = np.random.default_rng(12)
    for name, count in (("customers.csv", 300), ("new.csv", 300)):
        left = rng.integers(0, 2, count)
        inputs = rng.normal(size=(count, 4)) + (2 * left[:, None] - 1) * np.array([-0.5, 0.5, 0.4, 0.0])
        refund = left * rng.uniform(20, 60, count) if name == "customers.csv" else np.zeros(count)
        write_table(folder / name, columns, _rows(np.column_stack([inputs, refund]), np.where(left == 1, "yes", "no")))


def write_patients(folder: Path) -> None:
    """Recordings of patients, six each: what is typical of a patient is larger than what is typical of the illness."""
    columns = ["patient_id", *(f"band_{number}" for number in range(1, 9)), "ill"]
    rng = np.random.default_rng(13)
    for name, first, count in (("recordings.csv", 1, 60), ("new.csv", 101, 60)):
        ill = rng.integers(0, 2, count)
        person = rng.normal(scale=1.5, size=(count, 8)) + 0.6 * (2 * ill[:, None] - 1) * (np.arange(8) < 5)
        rows = []
        for index in range(count):
            for _ in range(6):
                values = person[index] + rng.normal(scale=0.25, size=8)
                rows.append([f"P{first + index:03}", *map(float, values), "yes" if ill[index] else "no"])
        write_table(folder / name, columns, rows)


def write_annotators(folder: Path) -> None:
    """Cells, labeled by two annotators, of whom the second worked with an old key that swaps two kinds."""
    inputs, labels = _cells(14, 200)
    swapped = np.array([0, 1, 3, 2])[labels]
    first, second = _rows(inputs, KINDS[labels]), _rows(inputs, KINDS[swapped])
    both = [row for pair in zip(first, second, strict=True) for row in pair]
    write_table(folder / "cells_both.csv", [*CELLS, "kind"], both)
    write_table(folder / "cells_first.csv", [*CELLS, "kind"], first)
    write_table(folder / "new.csv", [*CELLS, "kind"], _rows(*_named(15, 160)))


def write_hardly_collected(folder: Path) -> None:
    """Cells of four kinds, of which one was photographed three times only; and the same after another day of work."""
    rng = np.random.default_rng(16)
    centers = 0.75 * CENTERS
    for name, counts in (("cells.csv", (60, 60, 60, 3)), ("cells_more.csv", (60, 60, 60, 40)), ("new.csv", (50,) * 4)):
        labels = rng.permutation(np.repeat(np.arange(4), counts))
        write_table(folder / name, [*CELLS, "kind"], _rows(_measured(rng, centers, labels), KINDS[labels]))


LETTER = np.array([[mark == "#" for mark in row] for row in ("#....", "#....", "###..", "#..#.", "#..#.", "###..")])


def write_letters(folder: Path) -> None:
    """Images of the letters b, d, p and q, which are each other's mirror images, at random places."""
    rng = np.random.default_rng(17)
    forms = (LETTER, LETTER[:, ::-1], LETTER[::-1], LETTER[::-1, ::-1])
    letters = rng.integers(0, 4, 500)
    images = rng.normal(scale=25.0, size=(500, 1, 10, 10))
    for image, letter in zip(images, letters, strict=True):
        row, column = rng.integers(0, 5), rng.integers(0, 6)
        image[0, row : row + 6, column : column + 5] += forms[letter] * rng.uniform(120, 255)
    np.savez_compressed(folder / "letters.npz", images=np.clip(images, 0, 255).astype(np.uint8), letters=letters)


TABLES = {
    "sorted-classes": write_leaves,
    "spreadsheet-sorted-one-column": write_sorted_column,
    "labels-one-row-off": write_shifted,
    "renumbered-classes": write_renumbered,
    "mirrored-letters": write_letters,
    "rare-class": write_machines,
    "copies-in-the-test-set": write_copies,
    "column-from-the-future": write_customers,
    "patients-in-both-splits": write_patients,
    "two-annotators": write_annotators,
    "class-hardly-collected": write_hardly_collected,
    "columns-chosen-with-the-test": write_markers,
    "each-file-scaled-on-its-own": write_clinics,
    "memorizing": write_samples,
}
"""The function that writes the tables of a lesson, by name."""


def main() -> None:
    """Write all tables into the folders of their lessons."""
    for name, write in TABLES.items():
        write(COURSE / name)


if __name__ == "__main__":
    main()
