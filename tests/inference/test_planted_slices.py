"""Slices of real runs: planted ones are found, and without one there are few alarms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config_of, loaded

from nnclassify.files.json_files import json_text
from nnclassify.run import train

pytestmark = pytest.mark.slow

TABLE: dict[str, Any] = {"name": "csv", "path": "t.csv", "categories": ["site"], "group": "visit", "test": 0.5}


def weak(seed: int, noise_of_c: float) -> list[dict[str, Any]]:
    """The slices of a run on 3,000 rows whose labels are wrong in 10% of all rows, or more at one of four sites."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, size=3000)
    values = np.column_stack(
        [2 * label - 1 + rng.normal(size=3000) * 0.1, rng.normal(size=3000), rng.normal(size=3000)]
    )
    sites = rng.choice(list("abcd"), size=3000)
    label ^= rng.random(3000) < np.where(sites == "c", noise_of_c, 0.1)
    rows = zip(*values.T.tolist(), sites, range(3000), label, strict=True)
    text = "".join(f"{x:.4f},{y:.4f},{z:.4f},{site},{row // 100},{target}\n" for x, y, z, site, row, target in rows)
    Path("t.csv").write_text("x,y,z,site,visit,label\n" + text)
    result = train(loaded(config_of(dataset=TABLE, boosted_baseline="off")), with_monitor=False)
    slices: list[dict[str, Any]] = json.loads(result.folder.result.read_text())["slices"]
    assert slices == json.loads(json_text(result.figures()["slices"]))
    return slices


def test_a_planted_slice_of_a_run_is_found(here: Path) -> None:
    found = [weak(seed, 0.25) for seed in range(10)]
    assert sum(("site", "c") in {(part["name"], part["value"]) for part in slices} for slices in found) >= 9


def test_runs_without_a_weak_slice_rarely_report_one(here: Path) -> None:
    assert sum(bool(weak(seed, 0.1)) for seed in range(20)) <= 2
