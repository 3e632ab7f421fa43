"""Files of the fourth held-out set, drawn from a seed: categories, missing values, many classes, small images."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis.tables import write_named

Generator = np.random.Generator
Array = np.ndarray[Any, np.dtype[Any]]
TOPICS = ["money", "sport", "travel", "food", "music", "work"]


def write_mixed_files(folder: Path) -> None:
    """Write the tables and images of `held_out_4`."""
    rng = np.random.default_rng(20261128)
    _write_loans(folder, rng)
    _write_shoppers(folder, rng)
    _write_classes(folder, rng)
    _write_small(folder, rng)
    _write_rare(folder, rng)
    _write_posts(folder, rng)
    _write_overlapping(folder, rng)
    _write_shapes(folder, rng)
    _write_arrows(folder, rng)


def _write_rows(path: Path, names: list[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows)


def _write_loans(folder: Path, rng: Generator) -> None:
    """2,400 loans, 30% of them bad, by four numbers and three columns of categories; a cell in twelve is missing."""
    count = 2400
    purpose, housing, grade = rng.integers(0, 8, count), rng.integers(0, 3, count), rng.integers(0, 5, count)
    income, amount = rng.lognormal(10.3, 0.6, count), rng.lognormal(8.6, 0.8, count)
    age, months = rng.integers(19, 76, count), rng.choice([6, 12, 24, 36, 48], count)
    logits = -1.6 + 0.8 * (grade - 2) + 1.3 * np.log(amount / income * 5.5) + 0.9 * (housing == 2)
    logits += rng.normal(size=8)[purpose] - 0.9 * ((age > 30) & (age < 55)) + 0.02 * (months - 24)
    is_bad = rng.random(count) < 1 / (1 + np.exp(-1.4 * logits))
    texts = [np.array(["car", "home", "trip", "study", "shop", "debt", "farm", "other"])[purpose]]
    texts += [np.array(["owned", "rented", "shared"])[housing], np.array(list("ABCDE"))[grade]]
    cells = [income, amount, age.astype(float), months.astype(float), *texts]
    is_missing = rng.random((count, 7)) < 0.08
    rows = [
        [*("" if gone else cell.item() for cell, gone in zip(values, missing, strict=True)), "bad" if bad else "good"]
        for *values, missing, bad in zip(*cells, is_missing, is_bad, strict=True)
    ]
    names = ["income", "amount", "age", "months", "purpose", "housing", "grade", "label"]
    _write_rows(folder / "loans", names, rows)


def _write_shoppers(folder: Path, rng: Generator) -> None:
    """5,000 shoppers in five groups that a town, a device and five numbers tell apart, most of the time."""
    count = 5000
    groups, town, device = rng.integers(0, 5, count), rng.integers(0, 12, count), rng.integers(0, 3, count)
    numbers = rng.normal(scale=1.2, size=(5, 5))[groups] + 0.9 * rng.normal(size=(12, 5))[town]
    numbers += rng.normal(size=(count, 5))
    numbers[:, 3:] = np.exp(numbers[:, 3:])
    rows = [
        [*(value.item() for value in values), f"town{where}", ["phone", "tablet", "desk"][what], f"g{group}"]
        for values, where, what, group in zip(numbers, town, device, groups, strict=True)
    ]
    _write_rows(folder / "shoppers", ["visits", "hours", "views", "spent", "returned", "town", "device", "label"], rows)


def _write_classes(folder: Path, rng: Generator) -> None:
    """26 letters by 16 whole numbers of 0 to 15; 30 leaves, 50 each, by twelve lengths; both also in disorder."""
    labels = rng.integers(0, 26, 4000)
    centers = rng.uniform(3, 12, size=(26, 2, 16))
    inputs = centers[labels, rng.integers(0, 2, 4000)] + rng.normal(scale=1.9, size=(4000, 16))
    inputs = np.clip(np.round(inputs), 0, 15)
    letters = np.array([chr(65 + label) for label in range(26)])
    write_named(folder / "letters", inputs, letters[labels])
    write_named(folder / "letters_rolled", inputs, np.roll(letters[labels], 3))
    leaves = np.repeat(np.arange(30), 50)
    lengths = np.exp(0.45 * rng.normal(size=(30, 12))[leaves] + 0.2 * rng.normal(size=(1500, 12)))
    names = np.array([f"leaf{leaf:02}" for leaf in leaves])
    order = rng.permutation(1500)
    write_named(folder / "leaves", lengths[order], names[order])
    write_named(folder / "leaves_sorted", lengths, names)


def _write_small(folder: Path, rng: Generator) -> None:
    """40 rows; 210 grains of three kinds; 214 shards of six; 208 echoes by sixty bands."""
    labels = np.arange(40) % 2
    write_named(folder / "forty", 1.6 * labels[:, None] + rng.normal(size=(40, 3)), np.array(["no", "yes"])[labels])
    labels = np.arange(210) % 3
    inputs = rng.normal(scale=1.3, size=(3, 7))[labels] + rng.normal(size=(210, 7))
    write_named(folder / "grains", inputs * [3, 1.3, 0.02, 0.4, 0.4, 1.5, 0.5], np.array(["k", "r", "c"])[labels])
    labels = rng.choice(6, 214, p=[0.33, 0.35, 0.08, 0.06, 0.05, 0.13])
    inputs = rng.normal(scale=1.6, size=(6, 9))[labels] + rng.normal(size=(214, 9))
    write_named(folder / "shards", inputs, np.array([f"type{label}" for label in labels]))
    labels = rng.integers(0, 2, 208)
    bands = np.cumsum(rng.normal(size=(208, 60)), axis=1) / 6 + rng.normal(size=(2, 60))[labels] / 1.2
    write_named(folder / "echoes", 1 / (1 + np.exp(-bands)), np.array(["mine", "rock"])[labels])


def _write_rare(folder: Path, rng: Generator) -> None:
    """5,000 payments, 3% stolen, in a ring of two of six measures; ten species, each half as common as the last."""
    is_stolen = rng.random(5000) < 0.03
    inputs = rng.normal(size=(5000, 6))
    inputs[is_stolen, :2] *= 2.6
    inputs[is_stolen, 2] += 1.5
    write_named(folder / "payments", inputs, np.where(is_stolen, "stolen", "fair"))
    shares = 0.65 ** np.arange(10)
    labels = rng.choice(10, 3000, p=shares / shares.sum())
    inputs = rng.normal(scale=1.5, size=(10, 8))[labels] + rng.normal(size=(3000, 8))
    write_named(folder / "long_tail", inputs, np.array([f"s{label}" for label in labels]))


def _write_posts(folder: Path, rng: Generator) -> None:
    """1,500 posts by the counts of forty words, each about any of six topics; and 1,200 of one topic of eight."""
    topics = rng.random((1500, 6)) < 0.3
    rates = 0.25 + topics @ rng.gamma(0.25, 2.0, size=(6, 40))
    counts = rng.poisson(rates).astype(float)
    names = [f"w{word}" for word in range(40)]
    _write_rows(folder / "posts", [*names, *TOPICS], np.column_stack([counts, topics.astype(int)]).tolist())
    labels = rng.integers(0, 8, 1200)
    words = rng.poisson(rng.gamma(0.12, 1.6, size=(8, 200))[labels] + 0.05).astype(float)
    write_named(folder / "subjects", words, np.array([f"subject{label}" for label in labels]))


def _write_overlapping(folder: Path, rng: Generator) -> None:
    """A board of 4 by 4 fields in two colors; wines of five grades that overlap; labels of which 30% are wrong."""
    inputs = rng.uniform(0, 4, size=(3000, 2))
    colors = (np.floor(inputs).sum(1) % 2).astype(int)
    write_named(folder / "board", inputs, np.array(["black", "white"])[colors])
    z = rng.normal(size=(3200, 8))
    score = z @ np.array([0.8, -0.6, 0.5, 0.3, 0.2, 0, 0, 0]) + 0.7 * z[:, 0] * z[:, 1] + 0.9 * rng.normal(size=3200)
    grades = np.digitize(score, [-1.6, -0.4, 0.6, 1.7])
    write_named(folder / "grapes", z * [1.7, 0.2, 10, 0.04, 33, 0.003, 0.15, 1.2] + 8, [f"grade{g}" for g in grades])
    inputs = rng.normal(size=(2000, 4))
    truth = (inputs[:, 0] * inputs[:, 1] + 0.5 * inputs[:, 2] > 0).astype(int)
    wrong = rng.random(2000) < 0.3
    write_named(folder / "hearsay", inputs, np.array(["false", "true"])[np.where(wrong, 1 - truth, truth)])


def _write_shapes(folder: Path, rng: Generator) -> None:
    """Gray 16x16 images of a disc, a ring, a square, a cross or a bar, anywhere, under noise."""
    rows, columns = np.mgrid[:16, :16]
    targets = rng.integers(0, 5, 1500)
    images = np.empty((1500, 1, 16, 16), np.uint8)
    for image, target in zip(images, targets, strict=True):
        y, x, r = rng.integers(5, 11), rng.integers(5, 11), rng.integers(3, 5)
        dy, dx = np.abs(rows - y), np.abs(columns - x)
        far, near = np.maximum(dy, dx), np.minimum(dy, dx)
        distance = np.hypot(dy, dx)
        masks = [
            distance <= r,
            np.abs(distance - r) <= 0.8,
            far <= r,
            (near <= 0.5) & (far <= r),
            (dy <= 1) & (dx <= r),
        ]
        image[0] = np.clip(70 + 70 * masks[target] + rng.normal(0, 24, (16, 16)), 0, 255)
    np.save(folder / "shapes.npy", images)
    np.save(folder / "shapes_labels.npy", targets)


def _write_arrows(folder: Path, rng: Generator) -> None:
    """Color 12x12 images of an arrow that points left, right, up or down."""
    arrow = np.array([[0, 0, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0], [1] * 6, [1] * 6, [0, 1, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0]])
    targets = rng.integers(0, 4, 1200)
    images = np.empty((1200, 3, 12, 12), np.uint8)
    for image, target in zip(images, targets, strict=True):
        y, x = rng.integers(0, 7, 2)
        picture = rng.normal(100, 30, (3, 12, 12))
        color = rng.uniform(70, 110, 3)[:, None, None]
        picture[:, y : y + 6, x : x + 6] += color * np.rot90(arrow, target)
        image[:] = np.clip(picture, 0, 255)
    np.save(folder / "arrows.npy", images)
    np.save(folder / "arrows_labels.npy", targets)
