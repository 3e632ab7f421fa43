"""Tests of tensor files, which are memory-mapped, checked, and never unpickled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of

from nnclassify.data import Splits
from nnclassify.data.tensor_files import Tensors, load_tensor
from nnclassify.errors import ConfigError, DataError, NNClassifyError

INPUTS, TARGETS = np.arange(4 * 6, dtype=np.float32).reshape(4, 6) - 3, np.array([0, 1, 0, 1])


class Trap:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


def build(**dataset: Any) -> Splits:
    splits: Splits = config_of(dataset={"name": "tensors", "validation": 0, "test": 0, **dataset}).dataset.build(0)
    return splits


def save(inputs: Any = INPUTS, targets: Any = TARGETS) -> dict[str, str]:
    torch.save(torch.as_tensor(inputs), "x.pt")
    torch.save(torch.as_tensor(targets), "y.pt")
    return {"train_inputs": "x.pt", "train_targets": "y.pt"}


def test_pt_npy_and_npz_hold_the_same(here: Path) -> None:
    save()
    np.save("x.npy", INPUTS)
    np.savez("both.npz", images=INPUTS, labels=TARGETS)
    np.savez("one.npz", INPUTS)
    for file in ["x.pt", "x.npy", "both.npz:images", "one.npz"]:
        assert load_tensor(file).tolist() == INPUTS.tolist()


def test_pt_files_are_mapped_not_copied(here: Path) -> None:
    torch.save(torch.zeros(1000, 1000, dtype=torch.uint8), "x.pt")
    tensor = load_tensor("x.pt")
    assert "x.pt" in Path("/proc/self/maps").read_text() or not Path("/proc/self/maps").exists()
    assert tensor.shape == (1000, 1000)


def test_train_and_test_files(here: Path) -> None:
    files = save()
    splits = build(**files, test=0.2, test_inputs="x.pt", test_targets="y.pt", class_names=["no", "yes"])
    assert splits.class_names == ["no", "yes"] and splits.input_shape == (6,)
    assert splits.test is not None and len(splits.test) == 4


def test_validation_files_are_the_validation_split(here: Path) -> None:
    files = save()
    torch.save(torch.as_tensor(INPUTS)[:2], "v.pt")
    torch.save(torch.as_tensor(TARGETS)[:2], "w.pt")
    splits = build(**files, validation=0.1, validation_inputs="v.pt", validation_targets="w.pt")
    assert splits.validation is not None and len(splits.train) == 4
    assert splits.validation.all_names() == ["validation/0", "validation/1"]
    assert splits.validation.all_targets().tolist() == list(TARGETS[:2])
    with pytest.raises(
        ConfigError, match=r"validation: found 0\.3 with validation_inputs, which are the validation split"
    ):
        build(**files, validation=0.3, validation_inputs="v.pt", validation_targets="w.pt")
    with pytest.raises(ConfigError, match="validation_targets: set without validation_inputs; set both or neither"):
        build(**files, validation_targets="w.pt")


@pytest.mark.parametrize(
    ("inputs", "max_value"),
    [
        (np.full((4, 3, 5, 5), 200, dtype=np.uint8), 255),
        (np.full((4, 3, 5, 5), 200, dtype=np.float32), 255),
        (np.full((4, 1, 5, 5), 0.5, dtype=np.float32), 1),
        (np.full((4, 3, 5, 5), -0.5, dtype=np.float32), None),
        (np.full((4, 2, 5, 5), 9, dtype=np.uint8), None),
    ],
)
def test_what_counts_as_images(inputs: Any, max_value: int | None, here: Path) -> None:
    inputs[0, 0, 0, 0] -= 0.01 if inputs.dtype == np.float32 else 1  # images that are all alike are refused
    image_format = build(**save(inputs)).image_format
    assert (None if image_format is None else image_format.max_value) == max_value


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (INPUTS, np.zeros(5, dtype=np.int64), r"y.pt: 5 targets for the 4 inputs of x.pt; expected one per input"),
        (INPUTS, TARGETS[:3], r"y.pt: 3 targets for the 4 inputs of x.pt"),
        (INPUTS, TARGETS / 2, r"y.pt: 0.5 of example 1 is not a class index; expected whole numbers"),
        (INPUTS, np.array([0, 1, np.nan, 1]), r"y.pt: example 2 holds NaN or infinity; expected a class index"),
        (INPUTS, TARGETS[:, None, None], r"y.pt: torch.int64 of shape \(4, 1, 1\); expected class indices"),
        (INPUTS, np.array([[1, 0], [0, 1], [1, 1], [0, 1]]), r"row 2 has 2 ones; expected one class per example"),
        (INPUTS, np.array([[1, 0], [0, 1], [0, 0], [0, 1]]), r"row 2 has 0 ones; expected one class per example"),
        (INPUTS, np.full((4, 2), 0.5), r"y.pt: .* expected class indices \(N,\), or one-hot rows of 0 and 1"),
        (INPUTS, TARGETS - 5, r"y.pt: label -5 of example 0 is not a class; expected 0..0"),
        (INPUTS, np.array([1, 3, 1, 3]), r"no training examples of class 0, 2; .+ number the labels 0, 1, .+as texts"),
        (INPUTS, np.array([0, 1, -1, 1]), r"label -1 of example 2 is not a class"),
        (INPUTS, np.zeros(4, dtype=np.int64), r"only one class"),
        (INPUTS, np.array([0, 1, 2**62, 1]), r"y.pt: label 4611686018427387904 among 4 examples; expected 0, 1, "),
        (INPUTS, np.array([0, 2, 0, 2]), r"no training examples of class 1"),
        (
            INPUTS[:, 0],
            TARGETS,
            r"x.pt: shape \(4,\); expected \(N, ...\) .+ reshape one value per example to \(N, 1\)",
        ),
        (np.where(INPUTS == 9, np.nan, INPUTS), TARGETS, r"x.pt: example 2 holds NaN or infinity"),
        (np.ones((4, 1, 4, 4), dtype=np.uint8), TARGETS, r"x.pt: all 4 training images are identical"),
    ],
)
def test_tensors_that_do_not_fit_are_named(inputs: Any, targets: Any, message: str, here: Path) -> None:
    files = save(inputs, targets)
    with pytest.raises(DataError, match=message):
        build(**files)


def test_only_images_can_be_augmented(here: Path) -> None:
    with pytest.raises(DataError, match=r"dataset.augment: examples of shape \(6,\); only images"):
        build(**save(), augment={"flip": True})


def test_a_sparse_tensor_is_refused(here: Path) -> None:
    torch.save(torch.eye(3).to_sparse(), "x.pt")
    with pytest.raises(DataError, match=r"x.pt: cannot be read .*_rebuild_sparse_tensor.*; expected one tensor"):
        load_tensor("x.pt")


def test_labels_outside_named_classes(here: Path) -> None:
    with pytest.raises(DataError, match=r"label 1 of example 1 is not a class; expected 0\.\.0"):
        build(**save(), class_names=["only"])


@pytest.mark.parametrize("name", ["trap.pt", "trap.npy", "trap.npz"])
def test_pickles_are_refused_unread(name: str, here: Path) -> None:
    writers: dict[str, Any] = {
        "trap.pt": lambda: torch.save(Trap(), name),
        "trap.npy": lambda: np.save(name, np.array([Trap()], dtype=object), allow_pickle=True),
        "trap.npz": lambda: np.savez(name, np.array([Trap()], dtype=object)),
    }
    writers[name]()
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(.+\); expected one tensor"):
        load_tensor(name)
    assert not Path("sprung").exists()


def test_objects_that_an_npz_file_holds_are_told_by_name(here: Path) -> None:
    np.savez("x.npz", x=np.eye(2), y=np.array(["cat", "dog"], dtype=object))
    with pytest.raises(DataError, match=r"x\.npz:y: cannot be read .+ save its objects as numbers"):
        load_tensor("x.npz:y")


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.npz"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more"])
def test_damaged_files_are_named(name: str, content: bytes, here: Path) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(DataError, match=rf"^{name}: cannot be read \(.+\); expected one tensor") as caught:
        load_tensor(name)
    assert "\n" not in str(caught.value)


def test_what_is_no_regular_file_is_named(here: Path) -> None:
    Path("folder.npy").mkdir()
    os.mkfifo("pipe.npy")
    Path("loop.npy").symlink_to("loop.npy")
    for name, found in [
        ("folder.npy", "a folder"),
        ("pipe.npy", "not a regular file"),
        ("loop.npy", "cannot be read"),
        ("x" * 300 + ".npy", "cannot be read"),
    ]:
        with pytest.raises(NNClassifyError, match=found):
            load_tensor(name)


def test_other_content_is_named(here: Path) -> None:
    torch.save({"a": torch.zeros(2)}, "x.pt")
    with pytest.raises(DataError, match=r"x.pt: holds a dict; expected one tensor"):
        load_tensor("x.pt")
    np.savez("both.npz", images=INPUTS, labels=TARGETS)
    with pytest.raises(DataError, match=r"both.npz: holds images, labels; name one after a colon: both.npz:images"):
        load_tensor("both.npz")
    with pytest.raises(DataError, match=r"gone.npy: no such file"):
        load_tensor("gone.npy")


@pytest.mark.parametrize(
    ("targets", "expected", "note"),
    [
        (TARGETS, [0, 1, 0, 1], ""),
        (TARGETS.astype(bool), [0, 1, 0, 1], ""),
        (TARGETS.astype(np.int32), [0, 1, 0, 1], ""),
        (TARGETS.astype(np.uint8), [0, 1, 0, 1], ""),
        (TARGETS.astype(np.uint16), [0, 1, 0, 1], ""),
        (TARGETS.astype(">i8"), [0, 1, 0, 1], ""),
        (TARGETS.astype(np.float32), [0, 1, 0, 1], "class indices written as torch.float32, read as integers"),
        (TARGETS[:, None], [0, 1, 0, 1], "shape (4, 1), read as 4 class indices"),
        (np.eye(2)[TARGETS], [0, 1, 0, 1], "shape (4, 2), read as one-hot rows of 2 classes"),
        (np.eye(2, dtype=bool)[TARGETS], [0, 1, 0, 1], "read as one-hot rows of 2 classes"),
        (TARGETS + 1, [0, 1, 0, 1], "labels 1..2 are the 2 classes"),
        (TARGETS * 2 - 1, [0, 1, 0, 1], "labels -1 and 1 are the two classes"),
    ],
)
def test_targets_are_read_as_they_are_meant(targets: Any, expected: list[int], note: str, here: Path) -> None:
    np.save("x.npy", INPUTS)
    np.save("y.npy", targets)
    splits = build(train_inputs="x.npy", train_targets="y.npy")
    assert splits.train.all_targets().tolist() == expected
    assert note in "".join(splits.notes) and bool(splits.notes) == bool(note)


def test_classes_from_one_keep_their_numbers_in_the_test_split_too(here: Path) -> None:
    files = save(INPUTS, np.array([1, 2, 3, 1]))
    torch.save(torch.tensor([3, 2]), "y2.pt")
    torch.save(torch.as_tensor(INPUTS[:2]), "x2.pt")
    splits = build(**files, test=0.2, test_inputs="x2.pt", test_targets="y2.pt")
    assert splits.class_names == ["1", "2", "3"]
    assert splits.test is not None and splits.test.all_targets().tolist() == [2, 1]
    torch.save(torch.tensor([3, 0]), "y2.pt")
    with pytest.raises(DataError, match=r"y2.pt: label 0 of example 1 is not a class; expected 1\.\.3"):
        build(**files, test=0.2, test_inputs="x2.pt", test_targets="y2.pt")


@pytest.mark.parametrize(
    ("shape", "expected", "note"),
    [
        ((4, 12, 12, 3), (3, 12, 12), "channels last; transposed"),
        ((4, 6, 9, 3), (3, 6, 9), "channels last; transposed"),
        ((4, 2, 2, 3), (3, 2, 2), "channels last; transposed"),
        ((4, 8, 8, 1), (1, 8, 8), "channels last; transposed"),
        ((4, 8, 8, 4), (4, 8, 8), "channels last; transposed"),
        ((4, 3, 12, 12), (3, 12, 12), ""),
        ((4, 3, 12, 3), (3, 12, 3), ""),
        ((4, 16, 50, 1), (16, 50, 1), "read as 16 channels of 50x1"),
        ((4, 12, 12, 2), (12, 12, 2), ""),
    ],
)
def test_channels_that_come_last(shape: Any, expected: Any, note: str, here: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    splits = build(**save(pixels))
    assert splits.input_shape == expected and note in "".join(splits.notes)
    turned = pixels.transpose(0, 3, 1, 2) if "transposed" in note else pixels
    assert np.array_equal(splits.train.inputs.numpy(), turned)


@pytest.mark.parametrize(("factor", "white"), [(1, 255), (1 / 255, 1)])
def test_the_units_of_the_test_split_are_those_of_training(factor: float, white: int, here: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 3, 5, 5))
    pixels[0, 0, 0] = 255
    as_bytes, as_floats = pixels.astype(np.uint8), (pixels / 255).astype(np.float32)
    files = save(as_bytes if white == 255 else as_floats)
    torch.save(torch.as_tensor(as_floats if white == 255 else as_bytes), "x2.pt")
    splits = build(**files, test=0.2, test_inputs="x2.pt", test_targets="y.pt")
    assert splits.test is not None and splits.image_format is not None and splits.image_format.max_value == white
    assert torch.allclose(splits.test.inputs.double(), torch.from_numpy(pixels * float(factor)), atol=1e-4)
    assert "x2.pt: images in 0.." in splits.notes[0]


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", "g"])
def test_arrays_of_another_order_of_bytes_or_axes(dtype: str, here: Path) -> None:
    np.save("x.npy", np.asfortranarray(INPUTS.astype(dtype)))
    if dtype == "g":
        with pytest.raises(DataError, match=r"x.npy: cannot be read"):
            load_tensor("x.npy")
    else:
        assert load_tensor("x.npy").tolist() == INPUTS.tolist()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([["a", "b"]]), r"x.npy: an array of type <U1; expected numbers$"),
        (np.array(["a", "b"]), r"x.npy: an array of type <U1; expected numbers: number the classes from 0"),
        (np.zeros(3, dtype=[("a", "f4")]), r"x.npy: an array of type .*; expected numbers"),
        (np.zeros(3, dtype="M8[s]"), r"x.npy: an array of type datetime64\[s\]; expected numbers"),
    ],
)
def test_arrays_that_hold_no_numbers_are_named(array: Any, message: str, here: Path) -> None:
    np.save("x.npy", array)
    with pytest.raises(DataError, match=message):
        load_tensor("x.npy")


def test_an_array_that_is_not_in_the_archive_is_named(here: Path) -> None:
    np.savez("a.npz", images=INPUTS)
    np.savez("none.npz")
    with pytest.raises(DataError, match=r"a.npz: holds images; name one after a colon: a.npz:images"):
        load_tensor("a.npz:labels")
    with pytest.raises(DataError, match=r"none.npz: contains no array"):
        load_tensor("none.npz")
    Path("x.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"x.csv: expected a tensor in .pt, .npy or .npz"):
        load_tensor("x.csv")


def test_labels_that_are_texts_are_the_class_names(here: Path) -> None:
    names = np.array(["owl", "cat", "dog"])[np.arange(30) % 3]
    np.savez(
        "t.npz", x=np.arange(60.0).reshape(30, 2), y=names, y_test=np.array(["dog", "cat"]), x_test=np.ones((2, 2))
    )
    files = {"train_inputs": "t.npz:x", "train_targets": "t.npz:y"}
    splits = build(**files, test_inputs="t.npz:x_test", test_targets="t.npz:y_test", test=0.2)
    assert splits.class_names == ["cat", "dog", "owl"]
    assert splits.train.all_targets().tolist() == [["cat", "dog", "owl"].index(name) for name in names]
    assert splits.test is not None and splits.test.all_targets().tolist() == [1, 0]
    with pytest.raises(DataError, match=r"t.npz:y: label 'cat' of example 1 is not a class; expected owl, dog"):
        build(**files, class_names=["owl", "dog"])
    np.save("y.npy", np.array(["a", "", "b"]))
    np.save("x.npy", np.eye(3))
    with pytest.raises(DataError, match=r"y.npy: label '' of example 1 looks like a missing label"):
        build(train_inputs="x.npy", train_targets="y.npy")


@pytest.mark.parametrize(
    ("kind", "offset", "is_rounded"), [("i8", 2**60, True), ("u8", 2**63, True), ("i8", 2**40, False)]
)
def test_integers_that_float64_does_not_hold_are_noted(kind: str, offset: int, is_rounded: bool, here: Path) -> None:
    np.save("x.npy", (np.arange(12).reshape(6, 2) * 1000).astype(kind) + np.array(offset, kind))
    np.save("y.npy", np.array([0, 1, 0, 1, 0, 1]))
    files = {"train_inputs": "x.npy", "train_targets": "y.npy"}
    dataset = Tensors.model_validate({"name": "tensors", **files, "validation": 0, "test": 0})
    assert any("x.npy: integers up to" in note for note in dataset.build(0).notes) == is_rounded


@pytest.mark.parametrize("kind", ["u2", "u4", "u8"])
@pytest.mark.parametrize("shape", [(6,), (6, 1, 1), (3, 2, 1)])
def test_unsigned_integers_are_read_as_signed_ones_are(kind: str, shape: tuple[int, ...], here: Path) -> None:
    values = np.arange(24).reshape(4, *shape) * 40
    np.savez("data.npz", x=values.astype(kind), y=np.arange(4).astype(kind) % 2, signed=values)
    files = {"train_targets": "data.npz:y", "test": 0, "validation": 0}
    found, expected = (
        Tensors.model_validate({**files, "train_inputs": f"data.npz:{name}"}).build(0) for name in ("x", "signed")
    )
    assert torch.equal(found.train.inputs, expected.train.inputs)
    assert found.train.all_targets().tolist() == [0, 1, 0, 1]


def test_unsigned_integers_of_a_torch_file_are_refused_with_what_to_do(here: Path) -> None:
    torch.save(torch.zeros(3, dtype=torch.uint16), "x.pt")
    with pytest.raises(
        DataError, match=r"x\.pt: cannot be read .*a type or layout that is not read; save it as x\.float"
    ):
        load_tensor("x.pt")


def test_texts_in_one_column_are_class_names_and_endings_may_be_in_capitals(here: Path) -> None:
    np.savez("data.npz", x=np.eye(3), y=np.array([["dog"], ["cat"], ["dog"]]))
    Path("data.npz").rename("DATA.NPZ")
    options = {"train_inputs": "DATA.NPZ:x", "train_targets": "DATA.NPZ:y", "test": 0, "validation": 0}
    splits = Tensors.model_validate(options).build(0)
    assert splits.class_names == ["cat", "dog"] and splits.train.all_targets().tolist() == [1, 0, 1]
