"""Tests of training on a user's folder or table from the command line, without a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Program = Any
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(place: Path) -> str:
    """A folder of dark and of bright images of several sizes."""
    rng = np.random.default_rng(0)
    for name, low in {"dark café": 0, "bright 🌲": 100}.items():
        (place / "my photos" / name).mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(low, low + 120, (*rng.integers(20, 40, 2), 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / "my photos" / name / f"photo {index}.png")
    return "my photos"


def test_a_folder_trains_evaluates_and_predicts_unedited(nnclassify: Program, photos: str, place: Path) -> None:
    done = nnclassify("train", photos, "--json", "--no-plots", "--epochs", "4")
    assert done.returncode == 0, done.stderr
    assert "my photos: 2 classes, 40 images: bright 🌲 20, dark café 20" in done.stderr
    result = json.loads(done.stdout)
    assert result["run"] == "checkpoints/my_photos" and result["test"]["accuracy"] == 1
    evaluated = json.loads(nnclassify("evaluate", "my_photos", "--json").stdout)
    assert evaluated["accuracy"] == result["test"]["accuracy"]
    predicted = nnclassify("predict", "my photos/dark café/photo 3.png")
    assert "dark café" in predicted.stdout


def test_init_writes_a_config_that_says_what_was_found(nnclassify: Program, photos: str, place: Path) -> None:
    done = nnclassify("init", photos)
    assert done.returncode == 0, done.stderr
    *found, last = done.stdout.splitlines()
    assert last == "wrote my_photos.yaml; train it with: nnclassify train my_photos.yaml"
    text = (place / "my_photos.yaml").read_text(encoding="utf-8")
    assert [f"# {line}" for line in found] == text.splitlines()[: len(found)]
    assert nnclassify("summary", "my_photos.yaml").returncode == 0
    again = nnclassify("init", photos)
    assert again.returncode == 2 and again.stderr == "error: my_photos.yaml: already exists; name another file\n"


def test_init_writes_what_is_chosen_into_the_config(nnclassify: Program, photos: str, place: Path) -> None:
    done = nnclassify(
        "init", photos, "epochs=3", "dataset.validation=0.2", "--lr", "0.5", "--seed", "4", "--out", "chosen.yaml"
    )
    assert done.returncode == 0, done.stderr
    text = (place / "chosen.yaml").read_text(encoding="utf-8")
    for line in ("epochs: 3 # as chosen", "  validation: 0.2 # as chosen", "seed: 4 # as chosen"):
        assert f"\n{line}\n" in text
    assert "lr: 0.5," in text and "fraction of the training examples" not in text
    wrong = nnclassify("init", photos, "epoch=3", "--out", "wrong.yaml")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: epoch=3: unknown key; did you mean 'epochs'?")
    assert not (place / "wrong.yaml").exists()


def test_init_and_train_take_the_label_of_a_table(nnclassify: Program, place: Path) -> None:
    rows = [f"{index % 2},{index % 7}.5,{'ab'[index % 3 % 2]}" for index in range(60)]
    (place / "table.tsv").write_text("\n".join(["1", *rows]).replace("1\n", "1,x,kind\n", 1).replace(",", "\t"))
    done = nnclassify("init", "table.tsv", "--label", "1", "--json", "--out", "by_number.yaml")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["found"][1] == "table.tsv: label: 1 (as chosen)"
    trained = nnclassify("train", "table.tsv", "--label", "kind", "--epochs", "1", "--json", "--no-plots")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["run"] == "checkpoints/table"


def test_what_is_wrong_with_data_is_one_line(nnclassify: Program, place: Path) -> None:
    (place / "empty folder").mkdir()
    (place / "real.csv").write_text("a,b\n" + "\n".join(f"{index},{index * 0.37}" for index in range(40)))
    for data, wrong in {"empty folder": "no class folder", "real.csv": "does not look like classes"}.items():
        for command in ("init", "train", "check"):
            done = nnclassify(command, data)
            assert done.returncode == 2 and done.stderr.count("\n") == 1 and wrong in done.stderr, done.stderr
    assert not (place / "real.yaml").exists()


def test_init_writes_no_config_that_train_would_refuse(nnclassify: Program, place: Path) -> None:
    (place / "no label.csv").write_text("a,label\n" + "1,x\n2,y\n" * 20 + "3,\n", encoding="utf-8")
    (place / "one" / "cat").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(place / "one" / "cat" / "0.png")
    for data, wrong in {"no label.csv": "no label; fill it in", "one": "only one class (cat)"}.items():
        done = nnclassify("init", data, "--out", "wrong.yaml")
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and wrong in done.stderr, done.stderr
    assert not (place / "wrong.yaml").exists()
