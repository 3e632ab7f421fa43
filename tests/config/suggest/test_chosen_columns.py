"""Tests of what a user says of columns on the command line: it is added to what the inspection finds of the others."""

from pathlib import Path
from typing import Any

import pytest

from nnclassify.config.run_config import load_config, suggested_config
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.errors import DataError, InputError

FOUND = {
    "id": "key",
    "group": "patient_id",
    "ignore": ["name", "unit"],
    "categories": {"city": "one_hot"},
    "dates": ["born"],
    "numbers": ["cost"],
    "quantile_transform": None,
    "time": None,
    "features": None,
}
COLUMNS = "key,name,unit,patient_id,city,born,cost,a,kind"


@pytest.fixture
def table(here: Path) -> str:
    """A table of which the inspection finds something in most columns."""
    rows = [
        f"k{row},n{row},cm,p{row // 4},{'xyz'[row % 3]},{1950 + row * 7 % 50}-0{1 + row % 9}-11,${row * 3 % 31},"
        f"{row % 7}.5,{'uv'[row % 2]}"
        for row in range(60)
    ]
    Path("t.csv").write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")
    return "t.csv"


def options(table: str, *overrides: str) -> dict[str, Any]:
    """The options of the suggested dataset that are not as without overrides."""
    dataset = load_config(table, overrides).config.dataset
    assert isinstance(dataset, Csv) and dataset.build(0).input_shape
    found = {key: getattr(dataset, key) for key in FOUND}
    return {key: value for key, value in found.items() if value != FOUND[key]}


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("ignore=[a]", {"ignore": ["name", "unit", "a"]}),
        ("ignore=[city]", {"ignore": ["name", "unit", "city"], "categories": None}),
        ("ignore=[patient_id]", {"ignore": ["name", "unit", "patient_id"], "group": None}),
        ("ignore=[key]", {"id": "name", "ignore": ["key", "unit"]}),
        ("categories={a: 3}", {"categories": {"city": "one_hot", "a": 3}}),
        ("categories.city=[x, y, z]", {"categories": {"city": ["x", "y", "z"]}}),
        ("categories=[name]", None),
        ("categories={name: 20}", {"ignore": ["unit"], "categories": {"name": 20, "city": "one_hot"}}),
        ("numbers=[a]", {"numbers": ["cost", "a"]}),
        ("quantile_transform=[a]", {"quantile_transform": ["a"]}),
        ("id=name", {"id": "name", "ignore": ["key", "unit"]}),
        ("group=city", {"group": "city", "ignore": ["name", "unit", "patient_id"], "categories": None}),
        ("time=born", {"time": "born", "group": None, "dates": None, "ignore": ["name", "unit", "patient_id"]}),
        ("features=[a, city]", {"features": ["a", "city"], "ignore": None, "id": None, "group": None, "dates": None,
                                "numbers": None}),
        ("ignore=null", None),
    ],
)  # fmt: skip
def test_what_is_said_of_a_column_leaves_the_others_as_found(
    table: str, override: str, changed: dict[str, Any] | None
) -> None:
    if changed is None:  # names are no categories or numbers: the reader says so
        with pytest.raises(DataError, match="column 'name': "):
            options(table, f"dataset.{override}")
    else:
        assert options(table, f"dataset.{override}") == changed


def test_the_written_config_says_what_was_chosen(table: str) -> None:
    suggestion, _ = suggested_config(table, ["dataset.ignore=[a]"])
    assert "ignore: [name, unit, a] # name: a different text in every row; unit: always 'cm'; a: as chosen" in (
        suggestion.yaml()
    )
    assert "t.csv: column 'a' is not a feature: as chosen" in suggestion.found


def test_a_column_that_is_said_to_be_no_feature_is_not_guessed_to_be_the_label(table: str) -> None:
    dataset = load_config(table, ["dataset.ignore=[kind]", "dataset.group=null"]).config.dataset
    assert isinstance(dataset, Csv) and dataset.label != "kind" and dataset.ignore and "kind" in dataset.ignore


def test_an_unknown_column_is_refused(table: str) -> None:
    with pytest.raises(
        InputError, match=r"t.csv: no column 'nane' \(dataset.ignore\); did you mean 'name'\?; columns: "
    ):
        load_config(table, ["dataset.ignore=[nane]"])
