"""The properties of examples: class, group, column, brightness, size of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import config_of
from PIL import Image
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.data.splitting import Groups
from nnclassify.data.transform import Transform
from nnclassify.evaluation import properties
from nnclassify.evaluation.properties import properties_of
from nnclassify.evaluation.slices import UNKNOWN, Property
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.training.build import build_components


def plain(shape: tuple[int, ...], image_format: ImageFormat | None = None) -> Transform:
    return Transform(shape, image_format, None, torch.zeros(1).double(), torch.ones(1).double())


def split(inputs: Tensor, targets: Tensor | None = None, groups: Groups | None = None) -> Examples:
    targets = torch.zeros(len(inputs), dtype=torch.int64) if targets is None else targets
    return Examples(inputs, targets, torch.arange(len(inputs)), groups=groups)


def named(found: list[Property]) -> dict[str, list[str]]:
    """The value of each example by property."""
    return {one.name: [[*one.labels, "unknown"][code] for code in one.codes] for one in found}


def no_file(name: str) -> None:
    return None


def test_class_and_group() -> None:
    examples = split(torch.zeros(3, 1), torch.tensor([1, 0, 1]), Groups(np.array([0, 1, 0]), ["ann", "bob"]))
    found = named(properties_of(examples, ["cat", "dog"], plain((1,)), no_file))
    assert found == {"class": ["dog", "cat", "dog"], "group": ["ann", "bob", "ann"], "feature 1": ["0", "0", "0"]}


def test_multi_hot_classes_are_properties_of_their_own() -> None:
    examples = split(torch.zeros(2, 1), torch.tensor([[1, 0], [1, 1]]))
    found = named(properties_of(examples, ["cat", "dog"], plain((1,)), no_file))
    assert (found["class cat"], found["class dog"]) == (["yes", "yes"], ["no", "yes"])


def test_brightness_and_contrast_are_percentages_of_white() -> None:
    images = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    images[1, 0, 0] = 255
    found = named(properties_of(split(images), ["a"], plain((1, 2, 2), ImageFormat(2, 2, "gray")), no_file))
    assert (found["brightness"], found["contrast"]) == (["0%", "50%"], ["0%", "50%"])


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "0.png")
    examples, image_format = split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)), ImageFormat(4, 4, "gray")
    found = named(properties_of(examples, ["a"], plain((1, 4, 4), image_format), lambda name: tmp_path / f"{name}.png"))
    assert found["shorter side"] == ["20 pixels", "unknown"]


HEADER = "color,age,born,member,size,label\n"
TABLE = """red,10,2020-01-01,yes,small,a
blue,,2021-01-01,no,large,b
red,30,2020-01-01,yes,large,a
blue,40,2021-01-01,no,small,b
"""


def test_columns_are_as_they_were_in_the_table(here: Path) -> None:
    Path("pets.csv").write_text(HEADER + TABLE * 3)
    columns = {"color": "one_hot", "member": "yes_no", "size": ["small", "large"]}
    dataset = {"name": "csv", "path": "pets.csv", "categories": columns, "dates": ["born"], "missing": "fill"}
    built = build_components(config_of(dataset={**dataset, "validation": 0, "test": 0}))
    found = properties_of(built.splits.train, built.splits.class_names, built.transform, no_file)
    assert {name: values[:4] for name, values in named(found).items()} == {
        "class": ["a", "b", "a", "b"],
        "color": ["red", "blue", "red", "blue"],
        "age": ["10", "missing", "30", "40"],
        "born": ["2020-01-01", "2021-01-01", "2020-01-01", "2021-01-01"],
        "member": ["yes", "no", "yes", "no"],
        "size": ["small", "large", "large", "small"],
    }


def test_of_a_large_split_evenly_spaced_examples_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(properties, "MAX_VALUES", 6)
    found = properties_of(split(torch.arange(10.0).reshape(5, 2)), ["a"], plain((2,)), no_file)
    assert [code != UNKNOWN for code in found[1].codes] == [True, False, True, False, True]


def test_a_split_knows_the_groups_of_its_rows(here: Path) -> None:
    Path("pets.csv").write_text(
        "owner,age,label\n" + "".join(f"p{row // 2},{row},{'ab'[row % 2]}\n" for row in range(40))
    )
    built = build_components(config_of(dataset={"name": "csv", "path": "pets.csv", "group": "owner"}))
    assert built.splits.test is not None
    group = properties_of(built.splits.test, ["a", "b"], built.transform, no_file)[1]
    ages = built.splits.test.select(torch.arange(len(built.splits.test)))[0][:, 0]
    assert [group.labels[code] for code in group.codes] == [f"p{int(age) // 2}" for age in ages]
