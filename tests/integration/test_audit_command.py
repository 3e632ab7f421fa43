"""`nnclassify audit` as users call it."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

Program = Callable[..., CompletedProcess[str]]


def test_a_shipped_config_is_audited_into_a_folder(nnclassify: Program, place: Path) -> None:
    done = nnclassify("audit", "iris_mlp", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary.pop("schema") == "nnclassify/audit/1"
    assert summary.pop("files") == ["audit_iris_mlp/audit.csv", "audit_iris_mlp/audit.json"]
    assert json.loads((place / "audit_iris_mlp/audit.json").read_text()) == summary
    rows = list(csv.DictReader((place / "audit_iris_mlp/audit.csv").read_text().splitlines()))
    assert {row["finding"] for row in rows} == summary["counts"].keys()
    assert all(row["suggested"] for row in rows if row["finding"] == "label_error")


def test_copies_in_the_test_folder_end_with_4_and_are_drawn(nnclassify: Program, place: Path) -> None:
    rng = np.random.default_rng(0)
    for split, name in itertools.product(("train", "test"), "ab"):
        (place / "images" / split / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(place / "images" / split / name / f"{number}.png")
    for number in range(4):
        with Image.open(place / f"images/train/a/{number}.png") as image:
            image.save(place / f"images/test/b/{number}.png")
    done = nnclassify("audit", "images", "--out", "found")
    assert done.returncode == 4, done.stderr
    assert "NN113" in done.stdout and "NN121" in done.stdout
    assert {"audit.csv", "audit.json", "audit_duplicates.png"} <= {path.name for path in (place / "found").iterdir()}


def test_a_file_in_the_way_is_told(nnclassify: Program, place: Path) -> None:
    (place / "taken").write_text("")
    done = nnclassify("audit", "iris_mlp", "--out", "taken")
    told = "error: --out taken: taken is a file; expected a folder, or a name for a new one\n"
    assert (done.returncode, done.stderr) == (2, told)
