"""Tests that `check` and the manifest of a run name each example that is in more than one split."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from builders import config_of
from PIL import Image

from nnclassify.data.duplicates import Duplicate
from nnclassify.diagnosis.check import Diagnosis
from nnclassify.diagnosis.report import diagnosis_text, figures
from nnclassify.diagnosis.rules.facts import data_facts
from nnclassify.runs.manifest import write_manifest
from nnclassify.training.build import build_components

PLANTED = 50


def write_images() -> None:
    """A folder of 120 training and 80 test images, of which the first 50 are training images under another name."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(150, 6, 6), dtype=np.uint8)
    sources = {"train": range(120), "test": [*range(PLANTED), *range(120, 150)]}
    for split, rows in sources.items():
        for place, row in enumerate(rows):
            path = Path("data", split, "ab"[row % 2], f"{split} {place}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[row]).save(path)


def test_planted_duplicates_are_all_named(here: Path) -> None:
    write_images()
    dataset = {"name": "folder", "root": "data", "size": 6, "mode": "gray", "validation": 0.25}
    parts = build_components(config_of(dataset=dataset))
    expected = {
        (f"test/{'ab'[row % 2]}/test {row}.png", f"train/{'ab'[row % 2]}/train {row}.png") for row in range(PLANTED)
    }
    found = data_facts(parts.splits, parts.transform).duplicates
    assert {(one.name, one.duplicate_of) for one in found} == expected and len(found) == PLANTED
    assert {one.other_split for one in found} == {"train", "validation"} and {one.split for one in found} == {"test"}
    write_manifest(here / "manifest.csv", parts.splits)
    with (here / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    named = {(row["name"], row["duplicate_of"]) for row in rows if row["duplicate_of"]}
    assert named == expected | {(twin, name) for name, twin in expected}


def test_the_text_has_the_first_names_and_the_json_all() -> None:
    found = [Duplicate(f"test/{row}\n", "test", f"train/{row}", "train") for row in range(5)]
    few, many = (Diagnosis([], duplicates=tuple(found[:count])) for count in (1, 5))
    line = diagnosis_text(few, verbose=False, color=False).splitlines()[1]
    assert line == r"1 example is also in an earlier split: test/0\n in test equals train/0 in train"
    assert diagnosis_text(many, verbose=False, color=False).splitlines()[1].endswith("and 2 more (--json names all)")
    assert "earlier split" not in diagnosis_text(Diagnosis([]), verbose=False, color=False)
    assert figures(many)["duplicates"] == [*found]
