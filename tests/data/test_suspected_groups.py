"""Tests of groups that names suggest: found where they exist, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config_of, write_images

from nnclassify.data.images.path_groups import groups_in
from nnclassify.data.suspected_groups import SuspectedGroups, groups_of_column, groups_of_names, is_group_column

CLASSES = ["cat", "dog"]


def shuffled(paths: list[str]) -> dict[str, list[str]]:
    """Paths in splits of 70%, 10% and 20%, drawn at random."""
    order = np.random.default_rng(0).permutation(paths).tolist()
    bounds = [0, int(0.7 * len(paths)), int(0.8 * len(paths)), len(paths)]
    names = ("train", "validation", "test")
    return {name: order[start:end] for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True)}


@pytest.mark.parametrize("name", ["patient", "patient_id", "PatientID", "userid", "Subject.No", "SITE ID", "family"])
def test_columns_called_like_groups(name: str) -> None:
    assert is_group_column(name)


@pytest.mark.parametrize(
    "name", ["age_group", "group_size", "website", "family_history", "relationship", "id", "x0", ""]
)
def test_columns_called_otherwise(name: str) -> None:
    assert not is_group_column(name)


@pytest.mark.parametrize(
    ("pattern", "num_groups", "first"),
    [
        ("{folder}/patient{group}_{image:02}.png", 20, "patient0"),
        ("{folder}/IMG_{group:04}_{letter}.jpg", 20, "IMG_0000"),
        ("{folder}/scene{group}-frame{image:03}.png", 20, "scene0-frame"),
        ("{folder}/p{group}/{image:03}.png", 20, "p0"),
        ("train/{folder}/photo {group} ({image}).jpeg", 20, "photo 0"),
    ],
)
def test_file_names_that_suggest_groups(pattern: str, num_groups: int, first: str) -> None:
    paths = [
        pattern.format(folder=folder, group=group, image=image, letter="abcd"[image])
        for folder in CLASSES
        for group in range(20)
        for image in range(4)
    ]
    found = groups_of_names(shuffled(paths), CLASSES)
    assert found is not None and found.num_groups == num_groups and found.num_divided > 10
    assert found.example.startswith(f"{first} (train, ")
    assert found.option is not None and len(groups_in(paths, found.option).names) == num_groups


@pytest.mark.parametrize(
    "pattern",
    [
        *("{folder}/{image:04}.jpg", "{folder}/{folder}_{image}.jpg", "{folder}/{folder}.{image}.jpg"),
        *("{folder}/n0{folder}_{image}.JPEG", "{folder}/IMG_{image:04}.jpg", "{folder}/{image:04}_{folder}.png"),
        *("train/{folder}/COCO_train2014_{image:012}.jpg", "{folder}/{code:08x}.png", "{folder}/DSC{image:05}-b.jpg"),
        *("{folder}/bird_{image:04}_{code}.jpg", "{folder}/{image}_0.png"),
    ],
)
def test_file_names_that_suggest_none(pattern: str) -> None:
    codes = np.random.default_rng(0).integers(0, 2**31, 200).tolist()
    paths = [pattern.format(folder=folder, image=row, code=codes[row]) for folder in CLASSES for row in range(100)]
    assert groups_of_names(shuffled(paths), CLASSES) is None


def test_values_of_a_column_that_repeat_are_groups() -> None:
    cells = {"train": ["a", "b", "c", "d", "e", "f", "", ""], "test": ["a", "b", "a", "b", "g", "", "f"]}
    assert groups_of_column("user", cells, 2) == SuspectedGroups(
        "rows with the same 'user'", 3, 3, "a (train, test)", "user"
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([f"{row}" for row in range(20)], ["0", "21", "22", "23", "24"]),
        (["a", "b"] * 10, ["a", "b"]),
        (["a", "b", "c", "d", "e", "f"] * 2, ["g", "h", "h"]),
    ],
)
def test_values_that_do_not_repeat_are_few_or_are_not_divided_are_no_groups(train: list[str], test: list[str]) -> None:
    assert groups_of_column("user", {"train": train, "test": test}, 2) is None


def found_in(**dataset: Any) -> list[SuspectedGroups]:
    settings = config_of(dataset=dataset).dataset
    return list(settings.suspected_groups(settings.build(0)))


@pytest.mark.parametrize(
    "options", [{}, {"ignore": ["patient_id"]}, {"features": ["x"]}, {"categories": ["patient_id"]}]
)
def test_a_column_is_suspected_whether_or_not_it_is_a_feature(options: dict[str, Any], here: Path) -> None:
    rows = [f"{row},{'p' if 'categories' in options else ''}{row % 30},{'ab'[row % 2]}" for row in range(200)]
    (here / "t.csv").write_text("\n".join(["x,patient_id,label", *rows]))
    (found,) = found_in(name="csv", path="t.csv", **options)
    assert (found.source, found.num_groups, found.option) == ("rows with the same 'patient_id'", 30, "patient_id")
    assert found.num_divided == 27  # 200 rows, of which 40 and 16 are held out


def test_declared_groups_are_not_suspected(here: Path) -> None:
    rows = [f"{row},{row % 30},{'ab'[row % 2]}" for row in range(200)]
    (here / "t.csv").write_text("\n".join(["x,patient_id,label", *rows]))
    assert found_in(name="csv", path="t.csv", group="patient_id") == []


def test_a_test_file_of_other_patients_divides_none(here: Path) -> None:
    for name, offset in (("t", 0), ("test", 100)):
        rows = [f"{row},{offset + row % 30},{'ab'[row % 2]}" for row in range(90)]
        (here / f"{name}.csv").write_text("\n".join(["x,patient_id,label", *rows]))
    assert found_in(name="csv", path="t.csv", test="test.csv", validation=0) == []
    assert len(found_in(name="csv", path="t.csv", test="t.csv", validation=0)) == 1


def test_images_of_patients_are_suspected_until_a_pattern_keeps_them_together(tmp_path: Path) -> None:
    write_images(
        tmp_path, [f"{'ab'[image % 2]}/patient{patient}_{image}.png" for patient in range(9) for image in range(6)]
    )
    (found,) = found_in(name="folder", root=str(tmp_path), size=4)
    assert found.num_groups == 9 and found.option is not None
    assert found_in(name="folder", root=str(tmp_path), size=4, group=found.option) == []


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "moons", "rgb", "xor"])
def test_no_dataset_of_the_package_is_suspected(name: str) -> None:
    assert found_in(name=name) == []
