"""Tests of encoded columns against values by hand and scikit-learn; encodings are fitted to the training split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config_of
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from nnclassify.data import Splits
from nnclassify.data.tables.column_kinds import column_of
from nnclassify.data.tables.encoding import DateColumn, NumberColumn, OneHotColumn, OrdinalColumn, YesNoColumn, date_of
from nnclassify.data.tables.table_encoder import TableEncoder
from nnclassify.errors import ConfigError, DataError

ROWS = 60
RNG = np.random.default_rng(0)
COLORS = RNG.choice(["red", "green", "blue"], ROWS).tolist()
SIZES = RNG.choice(["small", "medium", "large"], ROWS).tolist()
LABELS = RNG.choice(["a", "b"], ROWS).tolist()


def read(here: Path, columns: dict[str, list[Any]], **options: Any) -> Splits:
    rows = zip(*columns.values(), LABELS, strict=True)
    (here / "t.csv").write_text("\n".join([",".join([*columns, "label"]), *(",".join(map(str, row)) for row in rows)]))
    splits: Splits = config_of(dataset={"name": "csv", "path": "t.csv", **options}).dataset.build(0)
    return splits


def trained_on(splits: Splits, column: list[Any]) -> np.ndarray[Any, Any]:
    """The values of a column in the training split, `(N, 1)`."""
    return np.array(column, dtype=object)[[int(name) - 2 for name in splits.train.names.of(splits.train.indices)], None]


def test_categories_are_those_of_scikit_learns_encoder(here: Path) -> None:
    splits = read(here, {"color": COLORS}, categories=["color"])
    assert splits.feature_names == ["color=blue", "color=green", "color=red", "color (other)"]
    expected = OneHotEncoder(sparse_output=False).fit_transform(trained_on(splits, COLORS))
    found = splits.train.select(np_rows(splits))[0].numpy()
    np.testing.assert_array_equal(found[:, :3], expected)
    assert not found[:, 3].any()


def np_rows(splits: Splits) -> Any:
    import torch

    return torch.arange(len(splits.train))


def test_an_order_is_that_of_scikit_learns_encoder(here: Path) -> None:
    order = ["small", "medium", "large"]
    splits = read(here, {"size": SIZES}, categories={"size": order})
    expected = OrdinalEncoder(categories=[order]).fit_transform(trained_on(splits, SIZES))
    np.testing.assert_array_equal(splits.train.select(np_rows(splits))[0].numpy(), expected)
    with pytest.raises(DataError, match=r"t.csv:\d+: column 'size': found 'medium', expected one of small, large"):
        read(here, {"size": SIZES}, categories={"size": ["small", "large"]})


def test_missing_numbers_are_replaced_as_by_scikit_learns_imputer(here: Path) -> None:
    ages = [np.nan if row % 7 == 0 else float(row) for row in range(ROWS)]
    cells = ["NA" if np.isnan(age) else age for age in ages]
    with pytest.raises(
        DataError, match=r"found 'NA', a missing value.+; to replace missing values, set dataset.missing"
    ):
        read(here, {"age": cells})
    splits = read(here, {"age": cells}, missing="fill")
    imputer = SimpleImputer(strategy="median", add_indicator=True)
    expected = imputer.fit_transform(trained_on(splits, ages).astype(float))
    assert splits.feature_names == ["age", "age (missing)"]
    np.testing.assert_array_equal(splits.train.select(np_rows(splits))[0].numpy(), expected)
    (note,) = splits.notes
    assert note == f"t.csv: missing values are replaced, and marked by a feature: 'age' by {imputer.statistics_[0]:g}"


def test_missing_categories_are_the_most_frequent_one_and_marked(here: Path) -> None:
    cells = ["?"] * 5 + ["x"] * 40 + ["y"] * 15
    splits = read(here, {"kind": cells}, categories=["kind"], missing="fill", validation=0, test=0)
    inputs = splits.train.inputs.tolist()
    assert splits.feature_names == ["kind=x", "kind=y", "kind (other)", "kind (missing)"]
    assert (inputs[0], inputs[10], inputs[50]) == ([1, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0])


@pytest.mark.parametrize(
    ("written", "parts", "numbers"),
    [
        ("2024-02-29", ["days"], [19782]),
        ("2024-02-29 12:00:00", ["days", "hour"], [19782.5, 12]),
        ("2024-02-29T13:00:00+01:00", ["hour"], [12]),
        ("29.02.2024", ["year", "month", "day"], [2024, 2, 29]),
        ("2/29/2024", ["weekday"], [3]),
        ("29 Feb 2024", ["days"], [19782]),
        ("29 February 2024", ["days"], [19782]),
        ("2/29/24 1:00 PM", ["year", "hour"], [2024, 13]),
        ("2024/02/29 06:00", ["days"], [19782.25]),
        ("29.02.24", ["days"], [19782]),
        ("29. Februar 2024", ["days"], [19782]),
        ("29 févr. 2024", ["days"], [19782]),
        ("31. März 2024", ["month", "day"], [3, 31]),
        ("1 août 2024", ["month"], [8]),
        ("5. Okt. 2024", ["month"], [10]),
        ('"Thu, 29 Feb 2024 06:00:00"', ["days"], [19782.25]),
    ],
)
def test_dates_become_numbers(here: Path, written: str, parts: list[str], numbers: list[float]) -> None:
    splits = read(here, {"on": [written] * ROWS}, dates={"on": {"parts": parts}})
    assert splits.train.inputs[0].tolist() == numbers


@pytest.mark.parametrize(
    ("texts", "hours"),
    [
        (["01JAN1970", "02JAN1970"], 24),
        (["01JAN1970:00:00:00", "02JAN1970:02:30:00"], 26.5),
        (["Thu Jan  1 00:00:00 1970", "Fri Jan  2 12:00:00 1970"], 36),
        (["01/Jan/1970:00:00:00 +0000", "01/Jan/1970:10:00:00 -0500"], 15),
        (["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 03:00:00 GMT"], 3),
        (["1970/01/01 12:00:00 AM GMT+0", "1970/01/01 3:30:00 PM GMT+2"], 13.5),
        (["1970-01-01 00:00:00 UTC", "1970-01-01 05:00:00 UTC"], 5),
        (["31.12.1969, 24:00".replace("24", "00"), "01.01.1970, 06:00"], 6),
        (["01/Jan/70 12:00 AM", "01/Jan/70 1:30 PM"], 13.5),
        (["1970-01", "1970-02"], 31 * 24),
        (["01/1970", "03/1970"], 59 * 24),
        (["January 1970", "Mai 1970"], 120 * 24),
    ],
)
def test_dates_of_logs_statistics_programs_and_forms_are_recognized(texts: list[str], hours: float) -> None:
    column = column_of("day", None, dict.fromkeys(texts, 1))
    assert isinstance(column, DateColumn)
    last = column.numbers(texts[-1], ".")
    assert last is not None and last[0] * 24 == pytest.approx(hours)


@pytest.mark.parametrize(
    "texts", [["1001-12", "2040-03"], ["13/2024", "01/2024"], ["10.0.0.1", "10.0.0.2"], ["5 GMT+2"]]
)
def test_codes_are_no_dates(texts: list[str]) -> None:
    assert not isinstance(column_of("code", None, dict.fromkeys(texts, 1)), DateColumn)


def test_a_date_that_may_be_two_is_not_guessed(here: Path) -> None:
    with pytest.raises(DataError, match=r"t.csv: column 'on': '01/02/2024' may be a date as %d/%m/%Y or as %m/%d/%Y"):
        read(here, {"on": ["01/02/2024"] * ROWS}, categories="auto")
    splits = read(here, {"on": ["01/02/2024"] * ROWS}, dates={"on": {"format": "%m/%d/%Y", "parts": ["month"]}})
    assert splits.train.inputs[0].tolist() == [1]
    with pytest.raises(
        DataError, match=r"t.csv:2: column 'on': found 'x', expected a date such as 2024-01-31 \(60 such"
    ):
        read(here, {"on": ["x"] * ROWS}, dates=["on"])


def test_texts_are_recognized_and_said_where_the_config_asks(here: Path) -> None:
    columns = {
        "color": COLORS,
        "smoker": ["Yes", "no", ""] * 20,
        "on": ["31.01.2024", "29.02.2024"] * 30,
        "n": list(range(ROWS)),
    }
    splits = read(here, columns, categories="auto", missing="fill")
    assert splits.notes[:3] == [
        "t.csv: columns that are read as categories: color",
        "t.csv: columns that are read as yes or no: smoker",
        "t.csv: columns that are read as dates (%d.%m.%Y; days since 1970-01-01): on",
    ]
    assert splits.encoder is not None
    kinds = [type(column) for column in splits.encoder.columns]
    assert kinds == [OneHotColumn, YesNoColumn, DateColumn, NumberColumn]


def test_one_text_among_numbers_is_an_error_and_no_category(here: Path) -> None:
    only_the_others = r"to use only the other columns, set dataset.features: \[color\]$"
    with pytest.raises(DataError, match=rf"t.csv:12: column 'n': found 'x4', expected a number; {only_the_others}"):
        read(here, {"n": [row if row != 10 else "x4" for row in range(ROWS)], "color": COLORS}, categories="auto")


def test_names_are_too_many_for_categories(here: Path) -> None:
    names = [f"name {row}" for row in range(ROWS)]
    with pytest.raises(
        DataError, match=r"t.csv: column 'who': 60 different texts in 60 rows are too many for categories"
    ):
        read(here, {"who": names}, categories="auto")
    splits = read(here, {"who": [*names[:20], *["x"] * 30, *["y"] * 10]}, categories={"who": 2})
    assert splits.feature_names == ["who=x", "who=y", "who (other)"]
    assert read(here, {"who": names, "color": COLORS}, categories=["color"], ignore=["who"]).input_shape == (4,)


def test_what_only_other_splits_have_is_said(here: Path) -> None:
    parts = {"rare": [*["x", "y"] * 28, "z", "x", "z", "w"], "part": ["train"] * 56 + ["test"] * 4}
    splits = read(here, parts, categories=["rare"], split="part", validation=0)
    assert splits.feature_names == ["rare=x", "rare=y", "rare (other)"]
    assert splits.notes == [
        "t.csv: column 'rare': no indicator for 'z', 'w' (3 rows), which the training split does not have, or too "
        "rarely; encoded as 'rare (other)'"
    ]


ENCODER = TableEncoder(
    (
        NumberColumn(name="age", fill="30.0", marks_missing=True),
        OneHotColumn(name="job", categories=("cook", "pilot")),
        OneHotColumn(name="code", categories=("1", "007", "10")),
        OrdinalColumn(name="size", categories=("small", "large")),
        YesNoColumn(name="smoker"),
        DateColumn(name="on", format="%d.%m.%Y"),
    )
)


def test_a_row_of_texts_becomes_features_and_an_encoder_survives_saving() -> None:
    encoder = TableEncoder.from_state(ENCODER.state())
    assert encoder == ENCODER
    notes: list[str] = []
    found = encoder.row(["", " pilot ", "7.0", "large", "TRUE", "2.1.1970"], "r", ".", notes.append)
    assert found == [30, 1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1]
    assert notes == ["column 'age': a missing value is replaced by '30.0', and marked by a feature"]
    notes.clear()
    found = encoder.row(["1,5", "nurse", "2", "small", "0", "1970-01-03"], "r", ",", notes.append)
    assert found == [1.5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2]
    assert [note.split(", which")[0] for note in notes] == [
        "column 'job': no indicator for 'nurse'",
        "column 'code': no indicator for '2'",
    ]


def test_every_value_of_another_kind_is_named() -> None:
    with pytest.raises(DataError) as refused:
        ENCODER.row(["x", "", "1", "huge", "maybe", "soon"], "r", ".")
    assert str(refused.value) == (
        "r: column 'age': found 'x', expected a number; "
        "column 'job': missing value; fill it in or remove the row; "
        "column 'size': found 'huge', expected one of small, large; "
        "column 'smoker': found 'maybe', expected yes or no, true or false, 1 or 0; "
        "column 'on': found 'soon', expected a date such as 31.01.2024"
    )


def test_a_word_for_missing_may_be_a_category(here: Path) -> None:
    splits = read(here, {"alley": ["None", "paved"] * 30}, categories=["alley"])
    assert splits.feature_names == ["alley=None", "alley=paved", "alley (other)"]


@pytest.mark.parametrize("text", ["", "x", "2024-13-01", "31.02.2024"])
def test_what_is_no_date(text: str) -> None:
    assert date_of(text, "%d.%m.%Y") is None


def test_indicators_stay_0_and_1_and_numbers_are_normalized(here: Path) -> None:
    from nnclassify.data.transform import fit_normalization

    splits = read(here, {"color": COLORS, "n": list(range(ROWS))}, categories=["color"])
    for normalize in ("standard", "unit", "minmax"):
        shift, scale = fit_normalization(splits.train.inputs, splits.train.indices, normalize, splits.encoder)
        assert shift[:4].tolist() == [0] * 4 and scale[:4].tolist() == [1] * 4
        assert scale[4] > 1


@pytest.mark.parametrize(("spelling", "used"), [("val", "validation"), ("Validation", "validation"), ("TEST", "test")])
def test_a_column_names_the_split_of_each_row(here: Path, spelling: str, used: str) -> None:
    parts = ["train"] * 40 + [spelling] * 20
    splits = read(here, {"n": list(range(ROWS)), "part": parts}, split="part")
    assert splits.feature_names == ["n"]
    chosen = splits.split(used)
    assert chosen is not None and chosen.select(np_rows(splits)[:20])[0].flatten().tolist() == [*range(40, 60)]
    assert chosen.names.of(chosen.indices)[0] == "42"
    with pytest.raises(DataError, match=r"t.csv:42: column 'part': found 'holdout', expected train, val or test \(20"):
        read(here, {"n": list(range(ROWS)), "part": ["train"] * 40 + ["holdout"] * 20}, split="part")


def test_validation_and_test_have_files_of_their_own(here: Path) -> None:
    (here / "v.csv").write_text("label,color,n\nb,violet,5\na,red,6\n")
    splits = read(
        here, {"n": list(range(ROWS)), "color": COLORS}, categories=["color"], validation="v.csv", test="v.csv"
    )
    assert splits.test is not None and splits.validation is not None and len(splits.train) == ROWS
    assert splits.test.inputs.tolist() == [[5, 0, 0, 0, 1], [6, 0, 0, 1, 0]]
    assert splits.test.all_targets().tolist() == [1, 0]
    assert splits.test.names.of(splits.test.indices) == ["test/2", "test/3"]
    assert any("column 'color': no indicator for 'violet' (1 row)" in note for note in splits.notes)
    (here / "v.csv").write_text("label,color,n\nc,red,5\n")
    with pytest.raises(DataError, match=r"v.csv: class 'c' is not one of the training file's: a, b"):
        read(here, {"n": list(range(ROWS)), "color": COLORS}, categories=["color"], test="v.csv")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"fill": "x"},
        {"fill": 3},
        {"marks_missing": "maybe"},
        {"name": None},
        {"more": 1},
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, Any]) -> None:
    state = [{**ENCODER.state()[0], **change}, *ENCODER.state()[1:]]
    with pytest.raises(ValueError):
        TableEncoder.from_state(state)


@pytest.mark.parametrize("format", ["x", "%", "%Q", "%d.%m.", "%H:%M"])
def test_a_format_that_reads_no_dates_is_refused(format: str) -> None:  # noqa: A002 - the option's name
    with pytest.raises(ConfigError, match=r"dates\.on\.format: found .*, expected a format of strptime with a"):
        config_of(dataset={"name": "csv", "path": "t.csv", "dates": {"on": {"format": format}}})


@pytest.mark.parametrize(
    "categories", ["all", 3, [1], {"x": "two"}, {"x": 0}, {"x": True}, {"x": ["one"]}, {"x": [1, 2]}]
)
def test_what_are_no_categories_is_one_message(categories: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"dataset\.categories: found .*, expected auto, a list of columns, or"
    ) as refused:
        config_of(dataset={"name": "csv", "path": "t.csv", "categories": categories})
    assert len(refused.value.problems) == 1


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ("on", "dataset.dates: found 'on', expected a list"),
        ({"on": "%d.%m.%Y"}, "dataset.dates.on: found '%d.%m.%Y', expected `key: value` pairs"),
        ({"on": {"part": ["day"]}}, "dataset.dates.on.part: unknown key; did you mean 'parts'"),
        ({"on": {"parts": ["dy"]}}, "dataset.dates.on.parts.1st: found 'dy', expected one of days, year"),
    ],
)
def test_what_are_no_dates_is_one_message(dates: Any, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(dataset={"name": "csv", "path": "t.csv", "dates": dates})
    (problem,) = refused.value.problems
    assert message in problem


@pytest.mark.parametrize(
    ("texts", "form", "days"),
    [(["Jan-24", "Feb-24", "Dec-99"], "%b-%y", [0, 31]), (["Jan-2024", "Feb-2024"], "%b-%Y", [0, 31])],
)
def test_months_with_a_hyphen_are_dates(texts: list[str], form: str, days: list[int]) -> None:
    column = column_of("issued", None, dict.fromkeys(texts, 1))
    assert column == DateColumn(name="issued", format=form)
    first, second = (column.numbers(text, ".") or [np.nan] for text in texts[:2])
    assert [value - 19723 for value in (*first, *second)] == days  # 2024-01-01 is 19,723 days after 1970-01-01
