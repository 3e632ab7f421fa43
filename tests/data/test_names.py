"""Tests of the names of examples, for each kind of dataset."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import config_of
from PIL import Image

from nnclassify.data import Splits
from nnclassify.data.names import INDICES, TEST, ExampleNames
from nnclassify.errors import DataError

PATIENTS = "patient,size,label\nP-7,1,a\nP-8,2,b\nP-9,3,a\nP-1,4,b\n"


def built(**dataset: object) -> Splits:
    splits: Splits = config_of(dataset={"validation": 0, **dataset}).dataset.build(0)
    return splits


def all_names(splits: Splits) -> list[str]:
    parts = [splits.train, *([splits.test] if splits.test else [])]
    return [name for part in parts for name in part.all_names()]


def num_bytes(names: ExampleNames) -> int:
    return sum(part.nbytes for part in vars(names).values() if isinstance(part, torch.Tensor))


def test_names_that_follow_from_numbers_cost_at_most_eight_bytes() -> None:
    lines = ExampleNames(lines=torch.arange(2, 1002))
    assert num_bytes(INDICES) == num_bytes(TEST) == 0  # of however many examples
    assert num_bytes(lines) == num_bytes(INDICES.at(torch.arange(1000))) == 8 * 1000
    assert lines.of(torch.tensor([0, 9])) == ["2", "11"] and TEST.of(torch.tensor([17])) == ["test/17"]


def test_texts_are_kept_as_bytes_whatever_they_hold() -> None:
    texts = ["cat/1.png", "", "猫 🐈", "\udcff.png", "a\nb"]  # an undecodable byte, as Python represents it
    names = INDICES.with_texts(texts)
    assert names.of(torch.arange(5)) == texts
    assert num_bytes(names) == sum(len(text.encode(errors="surrogatepass")) for text in texts) + 8 * 6
    assert names.at(torch.tensor([3, 0])).of(torch.tensor([1, 0])) == ["cat/1.png", "\udcff.png"]
    assert INDICES.with_texts([]).of(torch.arange(0)) == []


def test_a_location_is_a_line_a_file_or_an_index() -> None:
    row = torch.tensor(1)
    assert ExampleNames(lines=torch.tensor([2, 5])).location(row, "t.csv") == "t.csv:5"
    assert ExampleNames(lines=torch.tensor([2, 5])).with_texts(["a", "b"]).location(row, "t.csv") == "t.csv:5"
    assert INDICES.with_texts(["a/1.png", "b/2.png"]).location(row, "pictures") == "pictures/b/2.png"
    assert TEST.location(row, "x.npy") == "x.npy: example 1"


def test_a_row_of_a_table_is_called_by_its_line(here: Path) -> None:
    Path("t.csv").write_text('size,label\n1,a\n\n2,"b"\n3,a\n4,b\n')
    splits = built(name="csv", path="t.csv", test=0.5)
    assert sorted(all_names(splits)) == ["2", "4", "5", "6"]


def test_a_row_of_a_table_is_called_by_its_id_which_is_no_feature(here: Path) -> None:
    Path("t.csv").write_text(PATIENTS)
    splits = built(name="csv", path="t.csv", id="patient", test=0)
    assert splits.feature_names == ["size"] and all_names(splits) == ["P-7", "P-8", "P-9", "P-1"]
    assert splits.train.location(2, "t.csv") == "t.csv:4"


@pytest.mark.parametrize(
    ("table", "options", "problem"),
    [
        (
            PATIENTS.replace("P-9", "P-7"),
            {},
            r"t\.csv:4: column 'patient': found 'P-7' again, as in line 2; expected a",
        ),
        (PATIENTS.replace("P-9", " "), {}, r"t\.csv:4: column 'patient': no id; expected a different id in every row"),
        (PATIENTS, {"id": "patent"}, r"t\.csv:1: no column 'patent' \(dataset\.id\); did you mean 'patient'"),
        (PATIENTS, {"id": "size", "features": ["size"]}, r"dataset\.id: 'size' is also the label or a feature"),
        (PATIENTS, {"id": "label"}, r"dataset\.id: 'label' is also the label or a feature"),
    ],
)
def test_a_bad_id_is_refused(table: str, options: dict[str, object], problem: str, here: Path) -> None:
    Path("t.csv").write_text(table)
    with pytest.raises(DataError, match=problem):
        built(**{"name": "csv", "path": "t.csv", "id": "patient", **options})


def test_an_image_is_called_by_its_path_under_the_root(here: Path) -> None:
    files = ["train/a/1.png", "train/a/deep/2.png", "train/b/ä 3.png", "test/a/1.png", "test/b/4.png"]
    for number, file in enumerate(files):
        Path("data", file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 40 * number).save(Path("data", file))
    for root in ("data", "./data/", str(Path("data").absolute())):
        assert all_names(built(name="folder", root=root, size=4)) == files
    (here / "data" / "train" / "a" / "1.png").write_bytes(b"no image")
    assert all_names(built(name="folder", root="data", size=4, on_bad_file="skip")) == files[1:]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_an_image_whose_name_is_not_utf8_has_a_name(here: Path) -> None:
    for name in (b"a/1\xff.png", b"b/2.png"):
        path = os.fsdecode(b"data/" + name)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), len(name)).save(path)
    assert all_names(built(name="folder", root="data", size=4, test=0)) == ["a/1\udcff.png", "b/2.png"]


def test_an_index_names_its_split_where_that_is_a_source_of_its_own(here: Path) -> None:
    np.save("x.npy", np.arange(12.0).reshape(6, 2))
    np.save("y.npy", np.arange(6) % 2)
    files = {"name": "tensors", "train_inputs": "x.npy", "train_targets": "y.npy"}
    assert sorted(all_names(built(**files))) == [str(index) for index in range(6)]
    both = built(**files, test_inputs="x.npy", test_targets="y.npy")
    assert all_names(both) == [f"{split}/{index}" for split in ("train", "test") for index in range(6)]
    assert all_names(built(name="xor", num_examples=4, num_test=4))[3:5] == ["train/3", "test/0"]
    assert sorted(map(int, all_names(built(name="iris")))) == list(range(150))
