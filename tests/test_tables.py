"""CSV files, good and bad; the tables of scikit-learn; digits as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from builders import config_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnclassify.datasets import Splits
from nnclassify.datasets.labels import sorted_labels
from nnclassify.errors import DataError

GOOD = "red,green,shade\n1,2,dark\n3,4,light\n5,6,dark\n7,8,light\n"


def read(text: str | bytes, here: Path, **options: object) -> Splits:
    (here / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    dataset = {"name": "csv", "path": "t.csv", "label": "shade", "validation": 0, "test": 0, **options}
    splits: Splits = config_of(dataset=dataset).dataset.build(0)
    return splits


def test_text_labels_keep_their_names(here: Path) -> None:
    splits = read(GOOD, here)
    assert splits.class_names == ["dark", "light"]
    assert splits.feature_names == ["red", "green"]
    assert splits.train.inputs.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert splits.train.targets.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("1,2", " 1 , 2 ") + "\n\n",
        GOOD.replace("red", '"red"'),
        GOOD.rstrip("\n"),
    ],
)
def test_spellings_of_the_same_table(text: str, here: Path) -> None:
    assert read(text, here).train.inputs.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_features_and_delimiter(here: Path) -> None:
    splits = read(GOOD.replace(",", ";"), here, features=["green"], delimiter=";")
    assert splits.train.inputs.tolist() == [[2], [4], [6], [8]]


def test_numeric_labels_are_in_numeric_order() -> None:
    assert sorted_labels(["10", "9", "2"]) == ["2", "9", "10"]
    assert sorted_labels(["b", "10", "a"]) == ["10", "a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("3,4", "3,"), r"t.csv:3: column 'green': missing value; fill it in"),
        (GOOD.replace("3,4", "3,x4"), r"t.csv:3: column 'green': found 'x4', expected a number"),
        (GOOD.replace("3,4", "3,nan"), r"t.csv:3: column 'green': found 'nan', a missing value; fill it in"),
        (GOOD.replace("3,4", "3,1e999"), r"t.csv:3: column 'green': found '1e999', expected a finite number"),
        (GOOD.replace("3,4", "3,4,5"), r"t.csv:3: 4 values; expected 3, as in the header"),
        (GOOD.replace("3,4,", ""), r"t.csv:3: 1 values; expected 3, as in the header"),
        (GOOD.replace("5,6,dark", "5,6,"), r"t.csv:4: column 'shade': no label; fill it in"),
        (GOOD.replace("shade", "shades"), r"t.csv:1: no column 'shade' \(dataset.label\); did you mean 'shades'\?"),
        (GOOD.replace("green", "red"), r"t.csv:1: column 'red' appears twice"),
        ("", r"t.csv: empty; expected a header line"),
        ("red,shade\n", r"csv: no training example; expected"),
        ("shade\ndark\nlight\n", r"t.csv: no feature column beside the label"),
        (GOOD.replace("light", "dark"), r"csv: one class only \(dark\); expected at least two"),
        (GOOD + '"open', r"t.csv:6: not CSV"),
        (GOOD.encode() + b"\xff", r"t.csv:6: byte 0xff is not UTF-8; expected a CSV file in UTF-8"),
        (GOOD + "\0", r"t.csv:6: contains NUL bytes"),
    ],
)
def test_a_bad_table_names_file_and_line(text: str | bytes, message: str, here: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(text, here)
    assert "\n" not in str(caught.value)


def test_a_missing_table_says_where_it_looked(here: Path) -> None:
    with pytest.raises(DataError, match=rf"nope\.csv: no such file; expected a CSV file \(looked in {here}\)"):
        config_of(dataset={"name": "csv", "path": "nope.csv"}).dataset.build(0)


@given(text=st.text(max_size=80) | st.text(alphabet='a1,."\n\r ;-e', max_size=80).map("red,green,shade\n".__add__))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_any_text_is_read_or_refused_in_one_line(text: str, here: Path) -> None:
    try:
        splits = read(text.encode("utf-8", "surrogatepass"), here)
    except DataError as error:
        assert all(line.startswith("t.csv") for line in str(error).split("\n"))
    else:
        assert splits.num_classes >= 2 and splits.train.inputs.isfinite().all()


@pytest.mark.parametrize(
    ("name", "shape", "num_classes", "count"),
    [
        ("iris", (4,), 3, 150),
        ("wine", (13,), 3, 178),
        ("breast_cancer", (30,), 2, 569),
        ("digits", (1, 8, 8), 10, 1797),
    ],
)
def test_embedded_datasets(name: str, shape: tuple[int, ...], num_classes: int, count: int) -> None:
    splits = config_of(dataset={"name": name, "validation": 0, "test": 0}).dataset.build(0)
    assert (splits.input_shape, splits.num_classes, len(splits.train)) == (shape, num_classes, count)


def test_digits_are_uint8_from_0_to_255() -> None:
    inputs = config_of(dataset="digits").dataset.build(0).train.inputs
    assert inputs.dtype == torch.uint8
    assert (int(inputs.min()), int(inputs.max())) == (0, 255)
