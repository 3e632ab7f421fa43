"""Stand-ins for the reader's own data, small, under the names that the pages use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_iris

CONFIGS = {
    "my": "dataset: {name: blobs, num_examples: 200}\nmodel: {name: mlp, hidden: [8]}\nepochs: 30\n",
    "loans": "dataset: {name: csv, path: diabetes.csv, label: label}\nmodel: {name: mlp, hidden: [16]}\nepochs: 5\n",
    "digits_mlp": "dataset: digits\nmodel: {name: mlp, hidden: [8]}\nepochs: 2\n",
}
"""Configs of the reader's own."""
CITIES, SIZES = ["Rome", "Oslo", "Lima"], ["small", "medium", "large"]


def write(folder: Path) -> None:
    """Write all of them into a folder."""
    generator = np.random.default_rng(0)
    _photos(folder / "photos", generator, size=8)
    _photos(folder / "flowers", generator, size=64)
    _digits(folder / "new")
    _species(folder)
    _patients(folder, generator)
    _faulty(folder, np.random.default_rng(0))
    for name, text in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(text)


def _photos(folder: Path, generator: np.random.Generator, size: int) -> None:
    """Images of two classes, one darker than the other."""
    for name, shade in {"cat": 60, "dog": 150}.items():
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = shade + generator.integers(0, 60, size=(size, size, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def _digits(folder: Path) -> None:
    """Handwritten digits, one folder per class."""
    images, targets = load_digits(return_X_y=True)
    for number, (pixels, target) in enumerate(zip(images[:60], targets[:60], strict=True)):
        (folder / str(target)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels.reshape(8, 8) * 15.9).astype(np.uint8)).save(folder / str(target) / f"{number}.png")


def _species(folder: Path) -> None:
    """Irises as a table: for training, and new ones."""
    data = load_iris()
    rows = [
        ",".join(map(str, row)) + f",{data.target_names[target]}"
        for row, target in zip(data.data, data.target, strict=True)
    ]
    header = "sepal_length,sepal_width,petal_length,petal_width,species"
    (folder / "table.csv").write_text("\n".join([header, *rows, ""]))
    (folder / "new.csv").write_text("\n".join([header, *rows[::10], ""]))


def _patients(folder: Path, generator: np.random.Generator) -> None:
    """Patients with columns of every kind, and loans; what smokers and the old get depends on both."""
    header = "patient_name,city,clinic,size,smoker,price,start,admitted,outcome"
    rows = []
    for number in range(260):
        smokes, month, city = generator.integers(2), generator.integers(1, 13), CITIES[generator.integers(3)]
        outcome = "ill" if month + 6 * smokes + generator.normal(0, 1) > 9 else "well"
        size = "" if number % 40 == 7 else SIZES[number % 3]
        cells = [f"patient {number}", city, ["north", "south"][number % 2], size, ["no", "yes"][smokes]]
        cells += [f"${10 + number % 7}", f"{8 + number % 9}:30"]
        rows.append(",".join([*cells, f"2024-{month:02}-{1 + number % 28:02}", outcome]))
    for name, part in {"patients": rows[:200], "more_patients": rows[200:240], "new_patients": rows[240:]}.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *part, ""]))
    numbers = generator.normal(size=(200, 8))
    table = [",".join([*map("{:.3f}".format, row), str(int(row.sum() > 1))]) for row in numbers]
    (folder / "diabetes.csv").write_text("\n".join([",".join([*"abcdefgh", "label"]), *table, ""]))


def _faulty(folder: Path, generator: np.random.Generator) -> None:
    """A table with a gap, and a folder of images of which one is cut short."""
    colors = ["red,green,blue,shade", "10,20,30,dark", "200,,190,light", "30,30,40,dark", "220,230,210,light"]
    (folder / "colors.csv").write_text("\n".join([*colors, ""]))
    for name in ("cat", "dog"):
        (folder / "images" / name).mkdir(parents=True)
        for number in (1, 2):
            pixels = generator.integers(0, 255, size=(24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.jpg")
    cut = folder / "images" / "cat" / "1.jpg"
    cut.write_bytes(cut.read_bytes()[:-77])
