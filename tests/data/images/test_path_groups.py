"""Tests of groups given by a pattern in image paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import config_of, write_images

from nnclassify.data import Splits
from nnclassify.data.images.path_groups import groups_in, one_group
from nnclassify.errors import ConfigError, DataError


def splits_of(root: Path, **options: Any) -> Splits:
    splits: Splits = config_of(dataset={"name": "folder", "root": str(root), "size": 4, **options}).dataset.build(0)
    return splits


def test_a_group_is_what_the_pattern_matches() -> None:
    groups = groups_in(["cat/p1_1.png", "cat/p2_1.png", "dog/p1_2.png"], r"/(p\d+)_")
    assert (groups.codes.tolist(), groups.names) == ([0, 1, 0], ["p1", "p2"])
    assert groups_in(["a1-x", "a2-y"], r"(a)(?P<number>\d)").names == ["1", "2"]


@pytest.mark.parametrize(
    ("paths", "found"),
    [(["a/1.png", "b/2.png"], "none of 2 paths, not 'a/1.png'"), (["a/p1_1.png", "b/2.png"], "1 of 2 paths, not 'b/2")],
)
def test_paths_without_a_group_are_named(paths: list[str], found: str) -> None:
    with pytest.raises(DataError, match=rf"^dataset\.group: .* matches {found}"):
        groups_in(paths, "(p[0-9]+)_")


@pytest.mark.parametrize("expression", ["patient", "(a)(b)", "(unclosed"])
def test_a_pattern_without_one_group_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match=r"group: found .*, expected a regular expression"):
        config_of(dataset={"name": "folder", "root": "photos", "group": expression})
    assert one_group("(?P<patient>a)(b)")


def test_images_of_a_patient_are_in_one_split(tmp_path: Path) -> None:
    write_images(
        tmp_path, [f"{'ab'[image % 2]}/patient{patient}_{image}.png" for patient in range(20) for image in range(6)]
    )
    splits = splits_of(tmp_path, group=r"/(patient\d+)_", validation=0.2)
    assert splits.validation is not None and splits.test is not None
    parts = [
        {name.split("/")[1].split("_")[0] for name in part.all_names()}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert [len(part) for part in parts] == [13, 3, 4]
    assert len(set().union(*parts)) == 20
    assert splits.class_counts() == [39, 39]


def test_groups_on_both_sides_of_given_splits_are_named(tmp_path: Path) -> None:
    write_images(
        tmp_path,
        [
            f"{split}/{label}/{person}_1.png"
            for label in "ab"
            for split, people in (("train", ["ann", "bob", "cy"]), ("test", ["cy", "dan"]))
            for person in people
        ],
    )
    notes = splits_of(tmp_path, group="([a-z]+)_1", validation=0).notes
    assert f"{tmp_path}: 1 group in both train and test (dataset.group): cy" in notes


def test_folds_with_a_test_folder_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png"])
    with pytest.raises(DataError, match=r"^dataset\.folds: .* has a test split of its own; remove it, or remove folds"):
        splits_of(tmp_path, folds=2)
