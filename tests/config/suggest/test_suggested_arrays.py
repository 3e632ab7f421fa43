"""Tests of which arrays of an .npz file are inputs and targets, and of the suggested config."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnclassify.config.run_config import load_config
from nnclassify.config.suggest.suggest import suggest
from nnclassify.data.tensor_files import Tensors
from nnclassify.errors import DataError, InputError
from nnclassify.models.mlp import Mlp


def save(file: str, **shapes: tuple[int, ...]) -> None:
    """Save arrays by name: of one dimension targets of two classes, otherwise inputs."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        name: np.arange(shape[0]) % 2 if len(shape) == 1 else rng.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    np.savez(file, **arrays)


@pytest.mark.parametrize(
    ("inputs", "targets"), [("x", "y"), ("X", "y"), ("data", "target"), ("images", "labels"), ("arr_0", "arr_1")]
)
def test_inputs_and_targets_are_found_by_their_usual_names(here: Path, inputs: str, targets: str) -> None:
    save("flat.npz", **{inputs: (20, 3), targets: (20,)})
    dataset = load_config("flat.npz").config.dataset
    assert isinstance(dataset, Tensors)
    assert (dataset.train_inputs, dataset.train_targets) == (f"flat.npz:{inputs}", f"flat.npz:{targets}")


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels")])
def test_splits_are_found_by_their_usual_names(here: Path, names: tuple[str, ...]) -> None:
    save("set.npz", **{name: (20, 3) if name[0] == "x" or "images" in name else (20,) for name in names})
    dataset = load_config("set.npz").config.dataset
    assert isinstance(dataset, Tensors)
    assert dataset.train_inputs == f"set.npz:{names[0]}"
    assert dataset.test_inputs == (f"set.npz:{names[2]}" if len(names) > 2 else None)


@pytest.mark.parametrize(
    "names",
    [
        "xTrain yTrain xTest yTest",
        "trainX trainY testX testY",
        "xtrain ytrain xtest ytest",
        "X-train Y-train X-test Y-test",
        "x_tr y_tr x_te y_te",
        "X_train y_train X_holdout y_holdout",
    ],
)
def test_names_of_splits_are_found_in_other_spellings(here: Path, names: str) -> None:
    inputs, targets, test_inputs, test_targets = names.split()
    save("set.npz", **{inputs: (20, 3), targets: (20,), test_inputs: (10, 3), test_targets: (10,)})
    splits = load_config("set.npz").config.dataset.build(0)
    assert len(splits.train) + len(splits.validation or ()) == 20 and len(splits.test or ()) == 10


def test_images_get_a_cnn_and_columns_an_mlp(here: Path) -> None:
    save("images.npz", x=(20, 3, 8, 8), y=(20,))
    save("columns.npz", x=(20, 5), y=(20,))
    models = [load_config(file).config.model.name_of() for file in ("images.npz", "columns.npz")]
    assert models == ["cnn", "mlp"]
    inputs = np.random.default_rng(0).normal(size=(60, 2))
    np.savez("line.npz", x=inputs, y=(inputs.sum(axis=1) > 0).astype(int))
    model = load_config("line.npz").config.model
    assert isinstance(model, Mlp) and not model.hidden


@pytest.mark.parametrize(
    ("shape", "kind", "scale", "axes"),
    [
        ((9, 12), "uint8", 255, "NHW"),
        ((9, 12), "int64", 255, "NHW"),
        ((9, 12), "float32", 1, "NHW"),
        ((9, 12), "bool", 1, "NHW"),
        ((9, 12, 1), "uint8", 255, "NHWC"),
        ((9, 12, 3), "uint8", 255, "NHWC"),
        ((9, 12), "uint16", 60_000, "NHW"),
        ((9, 12), "int64", 70_000, None),  # more than 16 bits
        ((9, 12), "float32", -1, None),
        ((9, 12), "float32", 255, None),  # neither in 0..1 nor whole
        ((9, 100), "uint8", 255, None),
        ((4, 12), "uint8", 255, None),
    ],
)
def test_arrays_of_pixels_are_images(
    here: Path, shape: tuple[int, ...], kind: str, scale: float, axes: str | None
) -> None:
    pixels = (np.random.default_rng(0).uniform(size=(20, *shape)) * scale).round(3).astype(kind)
    np.savez("pixels.npz", x=pixels, y=np.arange(20) % 2)
    config = load_config("pixels.npz").config
    assert isinstance(config.dataset, Tensors) and config.dataset.axes == axes
    splits = config.dataset.build(0)
    assert splits.input_shape == (shape if axes is None else (3 if shape[-1] == 3 else 1, 9, 12))
    assert (config.model.name_of() == "cnn") == (axes is not None)
    assert (splits.image_format is not None) == (axes is not None and scale <= 255)


def test_what_was_found_is_said(here: Path) -> None:
    save("flat.npz", x=(20, 3), y=(20,))
    assert suggest("flat.npz").found == [
        "flat.npz: 2 arrays (x, y); inputs of shape 3, float32",
        "flat.npz: 2 classes in 14 training examples: 0 7, 1 7",
    ]


def test_arrays_without_usual_names_are_listed(here: Path) -> None:
    save("odd.npz", first=(20, 3), second=(20,))
    with pytest.raises(InputError, match=r"holds the arrays first, second; expected inputs and targets"):
        suggest("odd.npz")


def test_a_damaged_file_is_named(here: Path) -> None:
    Path("odd.npz").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"odd\.npz: cannot be read as \.npz"):
        suggest("odd.npz")


def test_arrays_that_are_not_used_are_named(here: Path) -> None:
    save("set.npz", x=(20, 3), y=(20,), x_test=(5, 3), names=(20,))
    assert "set.npz: not used: x_test, names" in suggest("set.npz").found


def test_what_was_made_of_arrays_with_the_sides_of_images_is_said(here: Path) -> None:
    pixels, targets = np.arange(20 * 81).reshape(20, 9, 9), np.arange(20) % 2
    np.savez("set.npz", x=pixels % 256, y=targets)
    assert "set.npz:x: read as images (N, H, W), by sides and values; if they are not, set dataset.axes: null" in (
        suggest("set.npz").found
    )
    np.savez("set.npz", x=pixels - 99, y=targets)
    assert (
        "set.npz:x: not read as images, since the values are not those of pixels; if they are images, set "
        "dataset.axes: NHW"
    ) in suggest("set.npz").found
    bands = np.repeat(pixels[..., None] % 256, 7, axis=-1)
    np.savez("set.npz", x=bands, y=targets)
    assert load_config("set.npz").config.dataset.build(0).input_shape == (7, 9, 9)  # equal sides come first


def test_an_array_of_class_names_is_used(here: Path) -> None:
    np.savez("set.npz", data=np.eye(20), target=np.arange(20) % 2, target_names=np.array(["dog", "cat"]))
    dataset = load_config("set.npz").config.dataset
    assert isinstance(dataset, Tensors) and dataset.class_names == ["dog", "cat"]
    np.savez("set.npz", data=np.eye(20), target=np.arange(20) % 2, target_names=np.array(["dog", "cat", "emu"]))
    assert "set.npz: not used: target_names" in suggest("set.npz").found


@pytest.mark.parametrize("inputs", [np.zeros((0, 9, 9)), np.ones((20, 9, 9)) * 1j])
def test_arrays_without_examples_or_of_complex_numbers_are_refused(inputs: np.ndarray, here: Path) -> None:
    np.savez("set.npz", x=inputs, y=np.arange(len(inputs)) % 2)
    with pytest.raises(DataError, match=r"set\.npz:x: (shape \(0, 9, 9\)|torch\.complex128)"):
        suggest("set.npz")


def test_a_pointer_of_git_lfs_is_named(here: Path) -> None:
    Path("d.npz").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"d.npz: cannot be read as .npz \(a pointer of Git LFS; run `git lfs pull`\)"):
        suggest("d.npz")


@pytest.mark.parametrize("names", [("X_train", "y_train", "X_test", "y_test"), ("X", "Y")])
def test_a_folder_of_npy_files_is_read_like_an_npz(here: Path, names: tuple[str, ...]) -> None:
    folder = here / "arrays"
    folder.mkdir()
    for name in names:
        np.save(folder / f"{name}.npy", np.arange(20) % 2 if name.lower()[0] == "y" else np.eye(20, 3))
    dataset = load_config("arrays").config.dataset
    assert isinstance(dataset, Tensors)
    files = [dataset.train_inputs, dataset.train_targets, dataset.test_inputs, dataset.test_targets]
    assert [*filter(None, files)] == [f"arrays/{name}.npy" for name in names]
