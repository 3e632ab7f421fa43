"""The tables, tensors and pictures of the held-out set, drawn from a seed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


def write_held_out_files(folder: Path) -> None:
    """Write the tables, tensors and pictures of the held-out set."""
    rng = np.random.default_rng(41)
    _write_ferns(folder, rng)
    _write_sensors(folder, rng)
    _write_frauds(folder, rng)
    _write_bars(folder, rng)
    _write_tiles(folder / "tiles", rng)


def _write_ferns(folder: Path, rng: np.random.Generator) -> None:
    """Five species by six measures, named in text; and the same with one thing wrong each."""
    species = np.array(["bracken", "hart", "lady", "maiden", "oak"])
    labels = rng.integers(0, 5, 700)
    inputs = rng.normal(scale=2.2, size=(5, 6))[labels] + rng.normal(size=(700, 6))
    other = np.where(rng.random(700) < 0.08, rng.integers(0, 5, 700), labels)
    order = np.argsort(labels, kind="stable")
    write_named(folder / "ferns", inputs, species[labels])
    write_named(folder / "ferns_mistaken", inputs, species[other])
    write_named(folder / "ferns_scrambled", inputs, species[rng.permutation(labels)])
    write_named(folder / "ferns_rolled", inputs, species[np.roll(labels, -1)])
    write_named(folder / "ferns_sorted", inputs[order], species[labels][order])
    write_named(folder / "ferns_twice", np.tile(inputs, (2, 1)), np.tile(species[labels], 2))
    for name, cell in (("gap", ""), ("nan", "NaN"), ("unknown", "?"), ("infinite", "inf")):
        write_named(folder / f"ferns_{name}", inputs, species[labels], {(311, 4): cell})


def _write_sensors(folder: Path, rng: np.random.Generator) -> None:
    """Three states by five readings, in like units, in the units they came in, and with a reading that never moves."""
    labels = rng.integers(0, 3, 540)
    inputs = rng.normal(scale=1.8, size=(3, 5))[labels] + rng.normal(size=(540, 5))
    names = np.array(["idle", "run", "stop"])[labels]
    write_named(folder / "sensors", inputs, names)
    write_named(folder / "sensors_units", inputs * np.array([1e6, 1e-4, 1.0, 300.0, 0.02]), names)
    write_named(folder / "sensors_stuck", np.column_stack([inputs, np.full(540, 20_000.0)]), names)


def _write_frauds(folder: Path, rng: np.random.Generator) -> None:
    """A rare class: one that overlaps with the common one, and one that stands apart."""
    for name, share, apart in (("frauds", 0.05, 1.0), ("leaks", 0.06, 4.0)):
        is_rare = rng.random(3000) < share
        inputs = rng.normal(size=(3000, 5)) + 0.8 * apart * is_rare[:, None] * np.array([1.0, -1.0, 1.0, 0.0, 0.0])
        write_named(folder / name, inputs, np.where(is_rare, "yes", "no"))


def write_named(path: Path, inputs: Array, labels: Any, cells: dict[tuple[int, int], str] | None = None) -> None:
    """Write measures `(N, num_features)` and names `(N,)`, with some cells replaced by text."""
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"m{column}" for column in range(inputs.shape[1])), "label"])
        for row, (values, label) in enumerate(zip(inputs, labels, strict=True)):
            texts = [(cells or {}).get((row, column), f"{value:.7g}") for column, value in enumerate(values)]
            writer.writerow([*texts, label])


def _write_bars(folder: Path, rng: np.random.Generator) -> None:
    """Gray 12x12 pictures of a bar that lies, stands, rises or falls; and the same with labels gone wrong."""
    targets = rng.integers(0, 4, 1000)
    inputs = np.stack([_bar(rng, int(target)) for target in targets])[:, None]
    order = np.argsort(targets, kind="stable")
    np.save(folder / "bars_sorted.npy", inputs[order])
    np.save(folder / "bars_sorted_labels.npy", targets[order])
    np.save(folder / "bars.npy", inputs[:750])
    np.save(folder / "bars_test.npy", inputs[750:])
    np.save(folder / "bars_labels.npy", targets[:750])
    np.save(folder / "bars_test_labels.npy", targets[750:])
    np.save(folder / "bars_seen.npy", np.concatenate([inputs[:150], inputs[750:850]]))
    np.save(folder / "bars_seen_labels.npy", np.concatenate([targets[:150], targets[750:850]]))
    np.save(folder / "bars_rolled_labels.npy", np.roll(targets[:750], 1))
    np.save(folder / "bars_scrambled_labels.npy", rng.permutation(targets[:750]))
    np.save(folder / "bars_test_labels_turned.npy", (targets[750:] + 1) % 4)


def _bar(rng: np.random.Generator, target: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    place, along = int(rng.integers(-3, 4)), np.arange(12)
    picture = rng.normal(60, 25, size=(12, 12))
    if target < 2:
        picture[6 + place] += 120
        picture = picture.T if target == 1 else picture
    else:
        across = along + place
        rows, columns = along[(across >= 0) & (across < 12)], across[(across >= 0) & (across < 12)]
        picture[rows, columns if target == 2 else 11 - columns] += 120
    return np.clip(picture, 0, 255).astype(np.uint8)


def _write_tiles(root: Path, rng: np.random.Generator) -> None:
    """A folder of 14x14 color pictures: dots, a checkered floor, stripes."""
    from PIL import Image

    rows, columns = np.mgrid[:14, :14]
    for name in ("chequers", "dots", "stripes"):
        (root / name).mkdir(parents=True)
        for number in range(90):
            a, b = rng.integers(0, 3, 2)
            floor, dots = ((rows + a) // 2 + (columns + b) // 2) % 2, ((rows + a) % 4 < 2) & ((columns + b) % 4 < 2)
            pattern = {"chequers": floor, "dots": dots, "stripes": (rows + a) // 2 % 2}[name]
            dark, light = rng.uniform(20, 110, 3), rng.uniform(140, 240, 3)
            picture = np.where(pattern[..., None] > 0, light, dark) + rng.normal(0, 18, size=(14, 14, 3))
            Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(root / name / f"{number:03}.png")
