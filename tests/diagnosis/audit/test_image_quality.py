from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnclassify.diagnosis.audit.image_quality import LIMITS, image_facts

THEIRS = {
    "dark": "dark",
    "light": "light",
    "blank": "low_information",
    "blurred": "blurry",
    "odd_shape": "odd_aspect_ratio",
}


def pictures() -> dict[str, Image.Image]:
    rng = np.random.default_rng(0)
    grain = Image.fromarray(rng.integers(0, 256, (80, 100, 3)).astype(np.uint8))
    shapes = Image.fromarray(np.kron(rng.integers(0, 256, (8, 10, 3)), np.ones((10, 10, 1))).astype(np.uint8))
    return {
        "grain": grain,
        "shapes": shapes,
        "dark": grain.point(lambda value: value // 5),
        "light": shapes.point(lambda value: 250 + value // 64),
        "blank": Image.new("RGB", (100, 80), (90, 90, 90)),
        "blurred": Image.fromarray(np.linspace(5, 100, 8000).reshape(80, 100).astype(np.uint8)).convert("RGB"),
        "narrow": grain.resize((120, 30)),
        "gray": grain.convert("L"),
        "small": shapes.resize((20, 16)),
    }


@pytest.mark.slow  # cleanvision imports pandas and more
@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_cleanvision(tmp_path: Path) -> None:
    for name, picture in pictures().items():
        picture.save(tmp_path / f"{name}.png")
    from cleanvision import Imagelab  # half a second, of which unit tests would pay each time

    lab = Imagelab(data_path=str(tmp_path), verbose=False)
    lab.find_issues({theirs: {} for theirs in THEIRS.values()}, n_jobs=1, verbose=False)
    for path, row in lab.issues.iterrows():
        with Image.open(path) as image:
            scores = image_facts(image).scores
        for ours, theirs in THEIRS.items():
            assert scores[ours] == pytest.approx(row[f"{theirs}_score"], abs=1e-6), (path, ours)
            assert (scores[ours] < LIMITS[ours]) == row[f"is_{theirs}_issue"], (path, ours)


def test_what_is_planted_is_found() -> None:
    facts = {name: image_facts(picture).scores for name, picture in pictures().items()}
    bad = {kind: [name for name, scores in facts.items() if scores[kind] < limit] for kind, limit in LIMITS.items()}
    assert bad == {
        "dark": ["dark"],
        "light": ["light"],
        "blank": ["blank"],
        "blurred": ["blurred"],
        "odd_shape": ["narrow"],
    }
