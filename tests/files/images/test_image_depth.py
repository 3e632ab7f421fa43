"""Tests of images with more than 8 bits per pixel, whose black and white follow from the complete dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config_of, loaded
from PIL import Image

from nnclassify import run
from nnclassify.data import Splits
from nnclassify.data.images import image_store
from nnclassify.errors import DataError
from nnclassify.files.images.image_depth import ValueRange, ValuesError, black_and_white, to_bytes
from nnclassify.files.images.image_format import DecodedImage, ImageFormat
from nnclassify.inference.classifier import Classifier, predict
from nnclassify.inference.evaluate import splits_of


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 200, True, (0, 255)),
        (3, 256, True, (0, 1023)),
        (0, 4095, True, (0, 4095)),
        (90, 16000, True, (0, 16383)),
        (15000, 50000, True, (0, 65535)),
        (0, 70000, True, (0, 70000)),
        (-20, 400, True, (-20, 400)),
        (0, 1, False, (0, 1)),
        (-0.02, 1.04, False, (0, 1)),
        (0, 0.004, False, (0, 0.004)),
        (0, 255, False, (0, 255)),
        (280.5, 310.5, False, (280.5, 310.5)),
        (-1, 1, False, (-1, 1)),
    ],
)
def test_black_and_white_of_a_data_set(low: float, high: float, whole: bool, expected: Any) -> None:
    assert black_and_white([ValueRange(low, low, whole), ValueRange(high, high, whole)]) == expected


def test_values_become_bytes() -> None:
    assert to_bytes(np.array([[0, 255, 256, 0x80FF, 65535]], dtype=np.uint16), 0, 65535).tolist() == [
        [0, 0, 1, 128, 255]
    ]
    assert to_bytes(np.array([[0, 7, 255]], dtype=np.uint16), 0, 255).tolist() == [[0, 7, 255]]
    assert to_bytes(np.array([[-0.05, 0, 0.5, 1, 1.05]]), 0, 1).tolist() == [[0, 0, 128, 255, 255]]
    assert to_bytes(np.array([[280.0, 290.0, 300.0]]), 280, 300).tolist() == [[0, 128, 255]]
    with pytest.raises(ValuesError, match="values from 0 to 256; those of the other images are from 0 to 255"):
        to_bytes(np.array([[0, 256]], dtype=np.uint16), 0, 255)


SHADES = np.array([[0.2, 0.3], [0.25, 0.3]])  # of a dark class; a light one is 0.5 brighter


def save(path: Path, values: Any, kind: str) -> None:
    """An image of shares 0..1 as somebody's program would write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pgm":
        path.write_bytes(b"P5\n2 2\n65535\n" + (values * 65535).astype(">u2").tobytes())
        return
    white, dtype = {
        "16-bit png": (65535, np.uint16),
        "8 in 16-bit png": (255, np.uint16),
        "12 in 16-bit tif": (4095, np.uint16),
        "32-bit tif": (2**20, np.int32),
        "float tif": (1, np.float32),
        "kelvin tif": (300, np.float32),
    }[kind]
    Image.fromarray((values * white).astype(dtype)).save(path, "PNG" if "png" in kind else "TIFF")


KINDS = ["pgm", "16-bit png", "8 in 16-bit png", "12 in 16-bit tif", "32-bit tif", "float tif", "kelvin tif"]


def build(**dataset: Any) -> Splits:
    options = {"name": "folder", "root": "root", "size": 2, "mode": "gray", "test": 0, "validation": 0, **dataset}
    splits: Splits = config_of(dataset=options).dataset.build(0)
    return splits


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_its_shades(kind: str, here: Path) -> None:
    for index in range(2):
        save(here / f"root/dark/{index}", SHADES + index / 10, kind)
        save(here / f"root/light/{index}", SHADES + 0.5 + index / 10, kind)
    splits = build()
    pixels = splits.train.inputs.double()
    shades = np.stack([SHADES + shift for shift in (0, 0.1, 0.5, 0.6)])[:, None]
    assert np.corrcoef(pixels.flatten(), shades.flatten())[0, 1] > 0.999
    assert pixels.amax() - pixels.amin() >= 255 * 0.7 - 1
    assert any("more than 8 bits" in note for note in splits.notes) == (kind not in ("pgm", "16-bit png"))


def test_deep_images_are_told_where_others_are_not(here: Path) -> None:
    save(here / "root/dark/0", SHADES, "16-bit png")
    (here / "root/light").mkdir()
    Image.fromarray((SHADES * 500).astype(np.uint8)).save(here / "root/light/0.png")
    assert any(note.startswith("1 gray image with more than 8 bits per pixel") for note in build(mode="rgb").notes)


def test_a_later_start_decodes_no_deep_image_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    monkeypatch.setattr(image_store, "MIN_IMAGES", 2)
    for index in range(4):
        save(here / f"root/dark/{index}", SHADES + index / 10, "12 in 16-bit tif")
        save(here / f"root/light/{index}", SHADES + 0.4, "12 in 16-bit tif")
    decoded: list[Path] = []
    decode = ImageFormat.decode

    def counted(image_format: ImageFormat, path: Path) -> DecodedImage:
        decoded.append(path)
        return decode(image_format, path)

    monkeypatch.setattr(ImageFormat, "decode", counted)
    first = build()
    assert len(decoded) == 1 + 8  # the first shows that there are deep ones
    monkeypatch.setattr(image_store, "measured_scale", lambda paths: pytest.fail("measured again"))
    again = build()
    assert len(decoded) == 1 + 8 + 1
    assert again.train.inputs.equal(first.train.inputs) and again.notes == first.notes


def test_predict_and_evaluate_keep_the_range_of_the_run(here: Path) -> None:
    for index in range(8):
        save(here / f"root/dark/{index}", SHADES + index / 100, "12 in 16-bit tif")
        save(here / f"root/light/{index}", SHADES + 0.5 + index / 100, "12 in 16-bit tif")
    options = {"name": "folder", "root": "root", "size": 2, "mode": "gray", "test": 0, "validation": 0}
    folder = run.train(loaded(config_of(dataset=options, epochs=30, batch_size=4), "deep")).folder
    net = Classifier.load(folder.best, "cpu")
    answers = [prediction.top[0][0] for prediction in predict(net, ["root/dark", "root/light"])]
    assert answers == ["dark"] * 8 + ["light"] * 8
    for path in Path("root/light").iterdir():  # now the largest value of all would fit into 10 bits
        save(path, SHADES / 2, "12 in 16-bit tif")
    again = splits_of(net).train.inputs
    assert again.amax() == int(0.37 * 4095) * 256 // 4096
    save(Path("bright"), SHADES + 0.5, "16-bit png")
    assert "those of the other images are from 0 to 4095" in (next(predict(net, ["bright"])).error or "")


def test_not_a_number_is_named(here: Path) -> None:
    save(here / "root/a/0", SHADES, "float tif")
    save(here / "root/b/0", np.array([[0.1, np.nan], [0, 0]]), "float tif")
    with pytest.raises(DataError, match=r"root/b/0: holds NaN or infinity"):
        build()


def test_images_that_are_all_alike_are_refused(here: Path) -> None:
    for name in ("a", "b"):
        save(here / f"root/{name}/0", SHADES * 0 + 0.5, "pgm")
    with pytest.raises(
        DataError, match=r"root: all 2 training images are identical after reading \(every pixel is 127"
    ):
        build()


def test_the_range_can_be_given(here: Path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.1)):
        save(here / f"root/{name}/0", SHADES + shift, "12 in 16-bit tif")
    splits = build(value_range=[0, 2047])
    assert splits.train.inputs.amax() == int(0.4 * 4095) * 256 // 2048 and splits.notes == []
    with pytest.raises(DataError, match=r"values from .* are from 0 to 1000"):
        build(value_range=[0, 1000])


def test_floats_and_integers_are_not_mixed(here: Path) -> None:
    save(here / "root/a/0", SHADES, "float tif")
    save(here / "root/b/0", SHADES, "12 in 16-bit tif")
    with pytest.raises(DataError, match=r"floating-point \(root/a/0.*\) and others 16-bit or 32-bit \(root/b/0"):
        build()
