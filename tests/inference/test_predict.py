"""Tests of predictions for a user's own inputs, from the checkpoint alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded
from PIL import Image

from nnclassify import run
from nnclassify.errors import InputError
from nnclassify.inference.classifier import Classifier, predict
from nnclassify.inference.predict import Prediction


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two runs: `digits` on images and `rgb` on three numbers."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run.train(loaded(config_of(dataset={"name": "digits", "limit": 500}, epochs=8), "digits"))
        rgb = config_of(dataset={"name": "rgb", "num_examples": 300}, epochs=12, loss="bce_with_logits")
        run.train(loaded(rgb, "rgb"))
        yield place


def classifier(name: str, folder: Path) -> Classifier:
    return Classifier.load(folder / "checkpoints" / name / "best.pt", "cpu")


def only(predictions: Iterator[Prediction]) -> Prediction:
    (prediction,) = predictions
    return prediction


@pytest.mark.slow
def test_digits_saved_as_png_are_predicted_as_from_memory(folder: Path, tmp_path: Path) -> None:
    net = classifier("digits", folder)
    splits = net.config.dataset.build(0)
    assert splits.test is not None
    raw, targets = splits.test.select(torch.arange(60))
    for index, pixels in enumerate(raw):
        Image.fromarray(pixels[0].numpy()).save(tmp_path / f"{index:02}.png")
    predictions = list(predict(net, [str(tmp_path)]))
    expected = net.probabilities(raw)
    assert [prediction.top[0][0] for prediction in predictions] == [str(label) for label in expected.argmax(1).tolist()]
    assert [prediction.top[0][1] for prediction in predictions] == pytest.approx(expected.amax(1).tolist())
    num_correct = sum(
        prediction.top[0][0] == str(target) for prediction, target in zip(predictions, targets.tolist(), strict=True)
    )
    assert num_correct >= 50


def test_a_color_image_of_any_size_goes_through_the_same_transform(folder: Path, tmp_path: Path) -> None:
    net = classifier("digits", folder)
    raw, _ = net.config.dataset.build(0).train.select(torch.arange(1))
    small = Image.fromarray(raw[0, 0].numpy())
    small.convert("RGB").resize((80, 80), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    found = only(predict(net, [str(tmp_path / "large.png")]))
    assert found.top[0][0] == str(int(net.probabilities(raw).argmax()))


def test_values_and_csv_rows(folder: Path, tmp_path: Path) -> None:
    net = classifier("rgb", folder)
    assert only(predict(net, ["250,250,250"])).top[0][0] == "light"
    assert only(predict(net, ["5, 5, 5"])).top[0][0] == "dark"
    table = tmp_path / "t.csv"
    table.write_text("blue,green,red,label\n10,10,250,x\n250,250,10,x\n")
    by_name = list(predict(net, [str(table)]))
    table.write_text("250,10,10\n10,250,250\n")
    in_order = list(predict(net, [str(table)]))
    assert [p.top for p in by_name] == [p.top for p in in_order]
    assert [p.input for p in by_name] == [f"{table}:2", f"{table}:3"]
    assert [p.input for p in in_order] == [f"{table}:1", f"{table}:2"]


def test_tensor_files(folder: Path, tmp_path: Path) -> None:
    net = classifier("digits", folder)
    raw, _ = net.config.dataset.build(0).train.select(torch.arange(3))
    np.save(tmp_path / "x.npy", raw.numpy())
    torch.save(raw[0], tmp_path / "one.pt")
    found = list(predict(net, [str(tmp_path / "x.npy"), str(tmp_path / "one.pt")]))
    assert len(found) == 4 and found[0].top == found[3].top


def test_top_k_is_sorted_and_sums_to_one(folder: Path) -> None:
    net = classifier("rgb", folder)
    top = only(predict(net, ["130,130,130"], top_k=5)).top
    assert len(top) == 2 and top[0][1] >= top[1][1]
    assert sum(share for _, share in top) == pytest.approx(1)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("1,2", "1,2: 2 values; this network takes 3 (red, green, blue)"),
        ("1,2,x", "1,2,x: column 'blue': found 'x', expected a number"),
        ("1,2,", "1,2,: column 'blue': missing value"),
        ("1," * 5000 + "1", "5001 values; this network takes 3"),
        ("1,2,inf", "1,2,inf: column 'blue': found 'inf', expected a finite number"),
        (
            "nope.csv",
            "nope.csv: no such file, and not a list of values; this network takes 3 values (red, green, blue)",
        ),
        ("nope.npy", "nope.npy: no such file; expected a tensor"),
        ("", "'': an empty text; this network takes 3 values (red, green, blue)"),
    ],
)
def test_bad_values_are_named_and_the_others_predicted(item: str, message: str, folder: Path) -> None:
    bad, good = predict(classifier("rgb", folder), [item, "250,250,250"])
    assert bad.error is not None and message in bad.error and "\n" not in bad.error
    assert good.top[0][0] == "light"


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64", "float32"])
def test_images_are_read_in_every_type_of_numbers(dtype: str, folder: Path, tmp_path: Path) -> None:
    pixels = np.arange(64).reshape(1, 8, 8) * 4
    for name, as_type in [("byte.npy", "uint8"), ("other.npy", dtype)]:
        np.save(tmp_path / name, pixels.astype(as_type))
    byte, other = predict(classifier("digits", folder), [str(tmp_path / "byte.npy"), str(tmp_path / "other.npy")])
    assert byte.top and byte.top == other.top


def test_values_that_no_net_computes_with_are_errors_of_their_own(folder: Path) -> None:
    first, good, last = predict(classifier("rgb", folder), ["1e200,1,1", "250,250,250", "1,-1e30,1"])
    assert first.error is not None and first.error.startswith("1e200,1,1: column 'red': 1e+200, ")
    assert good.top[0][0] == "light"
    assert last.error is not None and "column 'green': -1e+30" in last.error


def test_bad_images_are_named_and_the_others_predicted(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    Image.new("L", (8, 8)).save(tmp_path / "b.png")
    np.save(tmp_path / "c.npy", np.zeros((2, 3, 8, 8), dtype=np.uint8))
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "none.npy", np.zeros((0, 1, 8, 8), dtype=np.uint8))
    names = ("a.png", "b.png", "c.npy", "empty", "gone.png", "none.npy", "x" * 300)
    inputs = [str(tmp_path / name) for name in names]
    found = list(predict(classifier("digits", folder), inputs))
    assert [prediction.error is None for prediction in found] == [False, True] + [False] * 5
    assert "not a readable image" in (found[0].error or "")
    assert "this network takes (N, 1, 8, 8); image files and PIL images may be of any size" in (found[2].error or "")
    assert "an empty folder" in (found[3].error or "")
    assert "no such file" in (found[4].error or "")
    assert "), expected at least one" in (found[5].error or "")
    assert "File name too long" in (found[6].error or "")


@pytest.mark.parametrize("top_k", [0, -1, 1.5, None, "3"])
def test_no_class_at_all_is_refused(folder: Path, top_k: Any) -> None:
    with pytest.raises(InputError, match=f"top_k: found {top_k!r}, expected a whole number, at least 1"):
        list(predict(classifier("rgb", folder), ["1,2,3"], top_k))


@pytest.fixture(scope="module", params=[1, 255])
def image_classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A net on dark and light images `(3, 6, 6)` whose white is 1 or 255."""
    place = tmp_path_factory.mktemp("pictures")
    targets = np.arange(40) % 2
    pixels = 60 + 120 * targets[:, None, None, None] + np.random.default_rng(0).integers(0, 20, (40, 3, 6, 6))
    np.save(place / "x.npy", pixels.astype(np.uint8) if request.param == 255 else (pixels / 255).astype(np.float32))
    np.save(place / "y.npy", targets)
    files = {"train_inputs": str(place / "x.npy"), "train_targets": str(place / "y.npy")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        trained = run.train(loaded(config_of(dataset={"name": "tensors", **files}, epochs=20), "net"))
    return trained.classifier


def test_a_image_is_predicted_alike_in_whatever_units_and_layout(image_classifier: Classifier, tmp_path: Path) -> None:
    dark = np.random.default_rng(1).integers(60, 80, (2, 3, 6, 6)).astype(np.uint8)
    arrays: list[Any] = [dark, dark.astype(np.int64), dark.astype(np.float64), dark / 255, dark.transpose(0, 2, 3, 1)]
    for index, array in enumerate(arrays):
        np.save(tmp_path / f"{index}.npy", array)
    Image.fromarray(dark[0].transpose(1, 2, 0)).save(tmp_path / "x.png")
    found = [next(predict(image_classifier, [str(tmp_path / f"{index}.npy")])) for index in range(len(arrays))]
    found.append(only(predict(image_classifier, [str(tmp_path / "x.png")])))
    assert [prediction.top[0][0] for prediction in found] == ["0"] * 6
    assert [prediction.top[0][1] for prediction in found] == pytest.approx([found[0].top[0][1]] * 6, abs=1e-5)


def test_values_that_are_no_images_are_refused(image_classifier: Classifier, tmp_path: Path) -> None:
    white = image_classifier.transform.image_format.max_value if image_classifier.transform.image_format else 0
    for name, low, high in (("a", -2, 2), ("b", 0, 4000)):
        np.save(tmp_path / f"{name}.npy", np.linspace(low, high, 108).reshape(1, 3, 6, 6))
        error = only(predict(image_classifier, [str(tmp_path / f"{name}.npy")])).error or ""
        assert f"values from {low} to {high}; this network takes images in 0..{white}" in error
    values = np.zeros((2, 3, 6, 6))
    values[1, 0, 0, 0] = np.nan
    np.save(tmp_path / "c.npy", values)
    good, bad = predict(image_classifier, [str(tmp_path / "c.npy")])
    assert good.error is None and bad.error is not None and "c.npy[1]: holds NaN or infinity" in bad.error


def test_what_is_not_predicted_is_said(folder: Path, tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "sub").mkdir()
    frames[0].save(tmp_path / "sub/one.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    frames[0].save(tmp_path / ".ipynb_checkpoints/one.png")
    notes: list[str] = []
    found = list(predict(classifier("digits", folder), [str(tmp_path)], note=notes.append))
    assert [Path(prediction.input).name for prediction in found] == ["one.png", "two.gif"]
    assert [note.split(" (")[0] for note in notes] == [
        "skipped: 1 system file",
        "skipped: 1 text file",
        "several frames or pages in 1 file",
    ]
