"""Tensor files: mapped, checked, and never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of

from nnclassify.datasets import Splits
from nnclassify.datasets.files import load_tensor
from nnclassify.errors import DataError

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
    splits = build(**files, test_inputs="x.pt", test_targets="y.pt", class_names=["no", "yes"])
    assert splits.class_names == ["no", "yes"] and splits.input_shape == (6,)
    assert splits.test is not None and len(splits.test) == 4


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
def test_what_counts_as_pictures(inputs: Any, max_value: int | None, here: Path) -> None:
    inputs[0, 0, 0, 0] -= 0.01 if inputs.dtype == np.float32 else 1  # pictures that are all alike are refused
    picture = build(**save(inputs)).picture
    assert (None if picture is None else picture.max_value) == max_value


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (INPUTS, np.zeros(5, dtype=np.int64), r"y.pt: 5 targets for the 4 inputs of x.pt; expected as many"),
        (INPUTS, TARGETS[:3], r"y.pt: 3 targets for the 4 inputs of x.pt"),
        (INPUTS, TARGETS.astype(float), r"y.pt: torch.float64 of shape \(4,\); expected class indices"),
        (INPUTS, TARGETS[:, None], r"y.pt: torch.int64 of shape \(4, 1\); expected class indices"),
        (INPUTS, np.array([0, 1, -1, 1]), r"label -1 of example 2 is outside the classes"),
        (INPUTS, np.zeros(4, dtype=np.int64), r"one class only"),
        (INPUTS, np.array([0, 1, 2**62, 1]), r"y.pt: label 4611686018427387904 among 4 examples; expected 0, 1, "),
        (INPUTS, np.array([0, 2, 0, 2]), r"no training example of class 1"),
        (INPUTS[:, 0], TARGETS, r"x.pt: shape \(4,\); expected \(N, ...\)"),
        (INPUTS.astype(np.int64), TARGETS, r"x.pt: torch.int64; expected uint8 or float"),
        (np.where(INPUTS == 9, np.nan, INPUTS), TARGETS, r"x.pt: example 2 holds NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit_are_named(inputs: Any, targets: Any, message: str, here: Path) -> None:
    files = save(inputs, targets)
    with pytest.raises(DataError, match=message):
        build(**files)


def test_only_pictures_can_be_augmented(here: Path) -> None:
    with pytest.raises(DataError, match=r"dataset.augment: examples of shape \(6,\); only pictures"):
        build(**save(), augment={"flip": True})


def test_a_sparse_tensor_is_refused(here: Path) -> None:
    torch.save(torch.eye(3).to_sparse(), "x.pt")
    with pytest.raises(DataError, match=r"x.pt: cannot be read .*_rebuild_sparse_tensor.*; expected one tensor"):
        load_tensor("x.pt")


def test_labels_outside_named_classes(here: Path) -> None:
    with pytest.raises(DataError, match=r"label 1 of example 1 is outside the classes; expected 0\.\.0"):
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


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.npz"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 and no more"])
def test_damaged_files_are_named(name: str, content: bytes, here: Path) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(DataError, match=rf"^{name}: cannot be read \(.+\); expected one tensor") as caught:
        load_tensor(name)
    assert "\n" not in str(caught.value)


def test_other_content_is_named(here: Path) -> None:
    torch.save({"a": torch.zeros(2)}, "x.pt")
    with pytest.raises(DataError, match=r"x.pt: holds a dict; expected one tensor"):
        load_tensor("x.pt")
    np.savez("both.npz", images=INPUTS, labels=TARGETS)
    with pytest.raises(DataError, match=r"both.npz: holds images, labels; name one after a colon: both.npz:images"):
        load_tensor("both.npz")
    with pytest.raises(DataError, match=r"gone.npy: no such file"):
        load_tensor("gone.npy")
