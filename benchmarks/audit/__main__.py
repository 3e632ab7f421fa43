"""Plant faults in real data, and count what the audit finds.

    python -m benchmarks.audit duplicates --data DATA --tables TABLES
    python -m benchmarks.audit labels --data DATA --tables TABLES
    python -m benchmarks.audit columns --tables TABLES

DATA holds `MNIST/raw/` and `cifar10/{train,test}/<class>/`, TABLES the file `census.csv`. One JSON line per data set.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from PIL import Image
from sklearn.metrics import average_precision_score

from nnclassify.config.run_config import load_config
from nnclassify.diagnosis.audit.audit import audit
from nnclassify.diagnosis.audit.features import image_features
from nnclassify.diagnosis.audit.label_errors import label_errors, label_quality
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.near_images import near_pairs
from nnclassify.diagnosis.audit.probabilities import boosted_probabilities, linear_probabilities
from nnclassify.diagnosis.audit.progress import Progress

NUM_PLANTED, SHARE = 200, 0.05
CHANGES = ("crop", "jpeg", "brightness")


def materials(data: Path, tables: Path, num_images: int, only: str) -> Iterator[tuple[str, Material]]:
    """Yield the data sets, all or those that are named: of large ones, a sample that is mostly training examples."""
    limit = f"dataset.limit={num_images}"
    configs = {
        "mnist": ["mnist_cnn", f"dataset.root={data}", limit],
        "cifar10": [str(data / "cifar10"), limit],
        "digits": ["digits_cnn"],
        "census": [str(tables / "census.csv")],
    }
    for name in only.split(",") if only else configs:
        config, *overrides = configs[name]
        loaded = load_config(config, overrides)
        yield name, Material(loaded, loaded.config.completed().dataset.build(0), Progress())


def changed(image: np.ndarray, change: str, rng: np.random.Generator) -> np.ndarray:
    """Return a copy of an image `(C, H, W)`: up to 10% cut off at each side and resized; JPEG of quality 30 to 75;
    or 0.5 to 0.8 or 1.25 to 1.6 times as bright, cut off at white."""
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    width, height = picture.size
    if change == "crop":
        left, top, right, bottom = (rng.uniform(0, 0.1, 4) * [width, height, width, height]).round()
        if not left + top + right + bottom:
            left = top = 1
        box = (left, top, width - right, height - bottom)
        filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        picture = picture.crop(box).resize((width, height), filters[rng.integers(3)])
    elif change == "jpeg":
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(rng.integers(30, 76)))
        picture = Image.open(io.BytesIO(file.getvalue()))
    else:
        factor = rng.uniform(0.5, 0.8) if rng.random() < 0.5 else rng.uniform(1.25, 1.6)
        picture = picture.point(lambda value: min(255, int(value * factor)))
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def duplicates(name: str, material: Material) -> dict[str, Any] | None:
    """Plant copies of 200 images. Pairs of the data's own are listed: real ones have to be told by eye."""
    if not material.is_images:
        return None
    images, rng = material.thumbnails, np.random.default_rng(0)
    rows = rng.choice(len(images), NUM_PLANTED, replace=False)
    copies = [changed(images[row].numpy(), CHANGES[place % 3], rng).copy() for place, row in enumerate(rows)]
    started = time.process_time()
    found = near_pairs(torch.cat([images, torch.from_numpy(np.stack(copies))]))
    pairs = {(pair.first, pair.second) for pair in found}
    planted = {(int(row), len(images) + place): CHANGES[place % 3] for place, row in enumerate(rows)}
    own = [pair for pair in found if pair.second < len(images)]
    wrong = pairs - planted.keys() - {(pair.first, pair.second) for pair in own}
    hits = pairs & planted.keys()
    return {
        "images": len(images),
        "recall": len(hits) / len(planted),
        "recall_by_change": {
            change: f"{sum(planted[pair] == change for pair in hits)} of {[*planted.values()].count(change)}"
            for change in CHANGES
        },
        "pairs_of_the_data": [[material.name(row)[0] for row in (one.first, one.second)] for one in own],
        "copies_paired_with_others": len(wrong),
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def labels(name: str, material: Material) -> dict[str, Any]:
    """Flip 5% of the labels to another class, and compare with cleanlab on the same probabilities."""
    rng, num_classes = np.random.default_rng(0), material.splits.num_classes
    is_wrong = np.zeros(len(material), dtype=np.bool_)
    is_wrong[rng.choice(len(material), round(SHARE * len(material)), replace=False)] = True
    shift = rng.integers(1, num_classes, len(material))
    given = np.where(is_wrong, (material.targets + shift) % num_classes, material.targets)
    started = time.process_time()
    classify = linear_probabilities if material.is_images else boosted_probabilities
    inputs = image_features(material.thumbnails) if material.is_images else material.tree_columns
    probabilities = classify(inputs, given, num_classes, material.hashes).double().numpy()
    seconds = time.process_time() - started
    ours = np.zeros(len(given), dtype=np.bool_)
    ours[label_errors(probabilities, given)] = True
    theirs = find_label_issues(given, probabilities, n_jobs=1)
    return {
        "examples": len(given),
        "accuracy_out_of_fold": float((probabilities.argmax(axis=1) == given).mean()),
        "ours": figures(ours, 1 - label_quality(probabilities, given), is_wrong),
        "cleanlab": figures(theirs, 1 - get_label_quality_scores(given, probabilities), is_wrong),
        "cpu_seconds": round(seconds, 1),
    }


def figures(found: np.ndarray, scores: np.ndarray, is_wrong: np.ndarray) -> dict[str, float]:
    """Return precision and recall of what was found, and the average precision of the ranking."""
    hits = int((found & is_wrong).sum())
    return {
        "precision": round(hits / max(1, int(found.sum())), 4),
        "recall": round(hits / int(is_wrong.sum()), 4),
        "average_precision": round(float(average_precision_score(is_wrong, scores)), 4),
    }


def leak(way: int, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a column that says the label, 0 or 1, in one of five ways."""
    if way == 0:
        return np.asarray(7 * label + 3)
    if way == 1:
        return np.where(label > 0, "alpha", "beta")
    if way == 2:
        return label + rng.normal(scale=0.05, size=len(label))
    if way == 3:  # right in 99% of the rows
        return np.where(rng.random(len(label)) < 0.01, 1 - label, label)
    return np.where(label > 0, rng.integers(100, 200, len(label)), 0)  # an amount that only one class has


def columns(tables: Path) -> Iterator[dict[str, Any]]:
    """Add 20 columns to a table that give the label away, in five ways, and audit it from its file."""
    for name in ("census", "diabetes"):
        header, *rows = csv.reader((tables / f"{name}.csv").open())
        label = np.unique([row[-1] for row in rows], return_inverse=True)[1]
        rng = np.random.default_rng(0)
        added = {f"leak_{place}": leak(place % 5, label, rng) for place in range(20)}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "planted.csv"
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([*added, *header])
                writer.writerows([*values, *row] for *values, row in zip(*added.values(), rows, strict=True))
            found = audit(load_config(str(path), [f"dataset.label={header[-1]}"]), lambda _: None)
        named = {flag.column for flag in found.of_kind("reveals_label")}
        yield {
            "data": name,
            "rows": len(rows),
            "recall": len(named & added.keys()) / len(added),
            "others": sorted(named - added.keys()),
            "missed": sorted(added.keys() - named),
        }


def main() -> None:
    """Print a JSON line per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["duplicates", "labels", "columns"])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000, help="training images, and test images, at most")
    parser.add_argument("--only", default="", help="names of data sets, separated by commas")
    options = parser.parse_args()
    if options.what == "columns":
        for found in columns(options.tables):
            print(json.dumps(found), flush=True)
        return
    measure: Callable[[str, Material], dict[str, Any] | None] = duplicates if options.what == "duplicates" else labels
    for name, material in materials(options.data, options.tables, options.images, options.only):
        if (line := measure(name, material)) is not None:
            print(json.dumps({"data": name, **line}), flush=True)


main()
