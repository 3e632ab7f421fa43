"""Tests that every kind of Python input is handled like a file given to the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of, loaded
from conftest import ROOT
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nnclassify import run
from nnclassify.errors import InputError
from nnclassify.inference.classifier import Classifier

ROW = [250.0, 10.0, 10.0]


class Frame:
    """What pandas, polars and pyarrow have in common."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = list(columns)
        self._cells = np.array(list(columns.values()), dtype=object).T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self._cells.astype(dtype)


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Classifier]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        digits = config_of(dataset={"name": "digits", "limit": 200}, epochs=1)
        rgb = config_of(dataset={"name": "rgb", "num_examples": 100}, epochs=2)
        yield {name: run.train(loaded(config, name)).classifier for name, config in (("digits", digits), ("rgb", rgb))}


def pixels(net: Classifier, count: int = 3) -> Tensor:
    return net.config.dataset.build(0).train.select(torch.arange(count))[0]


@pytest.mark.parametrize(
    "turn",
    [
        lambda raw: raw,
        lambda raw: raw.numpy(),
        lambda raw: raw.permute(0, 2, 3, 1).numpy(),
        lambda raw: raw[:, 0],
        lambda raw: list(raw),
        lambda raw: [image[0].numpy() for image in raw],
        lambda raw: raw.float() / 255,
        lambda raw: raw.numpy()[:, :, ::-1][:, :, ::-1],
        lambda raw: [Image.fromarray(image[0].numpy()) for image in raw],
        lambda raw: (Image.fromarray(image[0].numpy()).convert("RGB") for image in raw),
    ],
)
def test_images_in_memory_are_predicted_as_raw_examples(nets: dict[str, Classifier], turn: Any) -> None:
    raw = pixels(nets["digits"])
    found = nets["digits"].predict(turn(raw))
    assert found.probabilities.shape == (3, 10)
    torch.testing.assert_close(found.probabilities, nets["digits"].probabilities(raw), rtol=1e-5, atol=1e-6)
    assert found[0].label == found.classes[int(found.probabilities[0].argmax())]
    assert found[0].probability == pytest.approx(float(found.probabilities[0].max()))


def test_an_image_with_nan_changes_no_other_of_its_batch(nets: dict[str, Classifier]) -> None:
    """The others, of floats up to 1, were taken for images in 0..255, all of them nearly black."""
    raw = pixels(nets["digits"])
    shares = raw.float() / 255
    shares[1, 0, 2, 3] = torch.nan
    found = nets["digits"].predict(shares)
    assert found.errors == ["inputs[1]: holds NaN or infinity"]
    expected = nets["digits"].predict(raw)
    for place in (0, 2):
        assert found[place].probability == pytest.approx(expected[place].probability, rel=1e-5)


@pytest.mark.parametrize("size", [(0, 0), (0, 5)])
def test_an_image_without_pixels_is_refused(nets: dict[str, Classifier], size: tuple[int, int]) -> None:
    found = nets["digits"].predict(Image.new("L", size))
    assert found.errors == [f"inputs: {size[0]}x{size[1]} pixels; expected at least one"]


@pytest.mark.parametrize("option", ["min_confidence", "risk", "sets"])
@pytest.mark.parametrize("value", [0, 1, 1.5, float("nan"), "0.9"])
def test_a_probability_that_is_none_is_refused(nets: dict[str, Classifier], option: str, value: Any) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(InputError, match=f"{option}: found {value!r}, expected a number between 0 and 1"):
        nets["rgb"].predict(ROW, **options)


def test_the_inputs_of_a_file_that_also_holds_targets_are_predicted(
    nets: dict[str, Classifier], tmp_path: Path
) -> None:
    raw, path = pixels(nets["digits"]), tmp_path / "new.npz"
    np.savez(path, images=raw.numpy(), labels=[0, 1, 2])
    found = nets["digits"].predict(path)
    torch.testing.assert_close(found.probabilities, nets["digits"].probabilities(raw), rtol=1e-5, atol=1e-6)
    np.savez(path, x_train=raw.numpy(), x_test=raw.numpy())  # which of them is meant is not clear
    assert "name one after a colon" in str(nets["digits"].predict(path)[0].error)


def test_an_image_is_predicted_as_its_file(nets: dict[str, Classifier], tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 4), dtype=np.uint8))
    image.save(tmp_path / "x.png")
    from_file, from_memory = nets["digits"].predict([tmp_path / "x.png", image])
    torch.testing.assert_close(from_memory.probabilities, from_file.probabilities)
    assert (from_file.input, from_memory.input) == (str(tmp_path / "x.png"), "inputs[1]")
    assert nets["digits"].predict(tmp_path)[0].label == from_file.label


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        ("250,10,10", ["250,10,10"]),
        (ROW, ["inputs"]),
        (tuple(ROW), ["inputs"]),
        ([250, 10, 10], ["inputs"]),
        (np.array(ROW, dtype=np.float16), ["inputs"]),
        (torch.tensor([ROW], requires_grad=True), ["inputs[0]"]),
        ([ROW, ROW], ["inputs[0]", "inputs[1]"]),
        ([np.array([ROW, ROW]), torch.tensor(ROW)], ["inputs[0][0]", "inputs[0][1]", "inputs[1]"]),
        (Frame(blue=[10.0], other=["x"], green=[10], red=[np.float32(250)]), ["inputs[0]"]),
        (np.array(["250,10,10"]), ["250,10,10"]),
    ],
)
def test_rows_of_numbers(nets: dict[str, Classifier], inputs: Any, names: list[str]) -> None:
    found = nets["rgb"].predict(inputs)
    assert [prediction.input for prediction in found] == names
    expected = nets["rgb"].probabilities(torch.tensor([ROW], dtype=torch.float64))
    torch.testing.assert_close(found.probabilities, expected.expand(len(names), -1))


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ([[1.0, 2.0]], "inputs[0]: shape (2,); this network takes (N, 3)"),
        (np.zeros((0, 3)), "inputs: found no examples (shape (0, 3)), expected at least one"),
        ([[1.0, float("nan"), 3.0]], "inputs[0]: holds NaN or infinity"),
        ([[1.0, None, 3.0]], "inputs[0]: an array of type object; expected numbers"),
        (np.array(1 + 2j), "inputs: torch.complex128; expected real numbers, such as uint8 or float32"),
        (Image.new("RGB", (2, 2)), "inputs: an image; this network takes 3 values (red, green, blue)"),
        (ROOT / "docs/seven.png", "seven.png: an image; this network takes 3 values (red, green, blue)"),
        (
            Frame(red=[1], green=[2]),
            "inputs: no column 'blue'; this network takes 3 (red, green, blue); found red, green",
        ),
        (Frame(red=[1], green=[None], blue=[3]), "column 'green': missing value; fill it in"),
        (Frame(red=[1], green=["two"], blue=[3]), "inputs[0]: column 'green': found 'two', expected a number"),
        ("no.csv", "no.csv: no such file, and not a list of values; this network takes 3 values (red, green, blue)"),
    ],
)
def test_what_cannot_be_read_is_told_as_by_the_command(nets: dict[str, Classifier], inputs: Any, error: str) -> None:
    found = nets["rgb"].predict(inputs)
    assert error in found.errors[0]
    with pytest.raises(InputError) as refused:
        _ = found[0].label
    assert str(refused.value) == found.errors[0]
    with pytest.raises(InputError):
        _ = found.probabilities


@pytest.mark.parametrize(
    "inputs", [None, 3.5, b"bytes", memoryview(b"12"), {"red": 1}, [None], [{"red": 1}], object(), ["1,2,3", 4]]
)
def test_what_is_no_input_is_refused(nets: dict[str, Classifier], inputs: Any) -> None:
    with pytest.raises(InputError, match=r"inputs(\[\d\])?: found .*; expected paths, PIL images, arrays"):
        nets["rgb"].predict(inputs)


def test_no_inputs_give_no_predictions(nets: dict[str, Classifier]) -> None:
    assert len(nets["rgb"].predict([])) == 0
    assert nets["rgb"].predict([]).probabilities.shape == (0, len(nets["rgb"].classes))
