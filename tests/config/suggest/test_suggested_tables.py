"""Tests of what is found in a table, of its label column, and of the suggested config."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from nnclassify.config.run_config import load_config
from nnclassify.config.suggest.document import values_of
from nnclassify.config.suggest.suggest import suggest
from nnclassify.config.suggest.table_facts import table_facts
from nnclassify.config.suggest.table_format import names_columns
from nnclassify.config.suggest.tables import mlp_entries
from nnclassify.data.tables.columns import is_identifier
from nnclassify.data.tables.table_datasets import Csv
from nnclassify.errors import ConfigError, DataError, InputError
from nnclassify.models.mlp import Mlp


def write(header: str, rows: list[str], path: str = "t.csv") -> str:
    Path(path).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def numbers(count: int, label: str = "ab") -> list[str]:
    """Rows of two numbers and a label."""
    rng = random.Random(0)
    return [f"{rng.random():.3f},{rng.random():.3f},{label[index % len(label)]}" for index in range(count)]


def dataset_of(path: str, *overrides: str) -> Csv:
    dataset = load_config(path, overrides).config.dataset
    assert isinstance(dataset, Csv)
    return dataset


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("x,z,kind", "kind"),
        ("x,Label,z", "Label"),
        ("x,y,class", "class"),
        ("Y,z,kind", "kind"),
        ("target,label,x", None),
    ],
)
def test_the_label_is_the_only_candidate(here: Path, header: str, label: str | None) -> None:
    names = header.split(",")
    rows = [",".join("ab"[index % 2] if len(name) > 1 else f"{index}.5" for name in names) for index in range(30)]
    path = write(header, rows)
    if label is None:
        with pytest.raises(InputError, match="may all be the label; choose one with --label"):
            table_facts(path, None)
    else:
        assert dataset_of(path).label == label


def test_a_last_column_of_real_numbers_is_no_label(here: Path) -> None:
    path = write("a,b", [f"{index % 2},{index * 0.37}" for index in range(40)])
    with pytest.raises(InputError, match=r"the last one, 'b', does not look .* may hold classes: a \(2 values\)$"):
        suggest(path)
    assert dataset_of(path, "dataset.label=a").label == "a"


def test_a_refusal_to_guess_names_the_columns_that_may_hold_classes(here: Path) -> None:
    rows = [
        f"id{index},{'abc'[index % 3]},{index % 2},{'' if index == 7 else 'x'},k,{index * 0.37}" for index in range(40)
    ]
    path = write("lesion,dx,sex,site,source,size", rows)
    with pytest.raises(InputError, match=r"; columns that may hold classes: dx \(3 values\), sex \(2 values\)$"):
        suggest(path)
    with pytest.raises(InputError, match=r"the last one, 'b', .* --label; columns: a, b$"):
        suggest(write("a,b", [f"k{index},{index * 0.37}" for index in range(40)]))


def test_the_names_given_to_columns_without_a_header_choose_no_label(here: Path) -> None:
    Path("t.data").write_text(
        "".join(f"{'ab'[i % 2]},{'?' if i == 9 else 'yn'[i % 2]},{'?nyy'[i % 4]}\n" for i in range(40))
    )
    with pytest.raises(InputError, match=r"10 of 40 values missing.* --label; .* hold classes: x1 \(2 values\)$"):
        table_facts("t.data", None)
    assert table_facts("t.data", "x1").classes == {"a": 20, "b": 20}


@pytest.mark.parametrize(
    "row",
    [
        lambda i: f"{'LBR'[i % 3]},{i % 4 + 1},{i // 2 % 4 + 1},{i // 3 % 4 + 1}",  # balance-scale
        lambda i: f"{i % 2 + 1},{20 + i},{i // 3 % 2 + 1},0.{i},{i // 2 % 2 + 1}",  # hepatitis
        lambda i: f"{i % 2},{i // 2 % 2},{i // 3 % 2},{i // 5 % 2}",  # SPECT
        lambda i: f"{'ep'[i % 2]},{'xbs'[i % 3]},{'nbygw'[i % 5]},{'dglmpu'[i % 6]}",  # mushrooms
        lambda i: (
            f"{['no-recurrence', 'recurrence'][i % 2]},{'abc'[i % 3]},{['yes', 'no'][i // 2 % 2]},"
            f"{i % 3},{['yes', 'no'][i // 3 % 2]}"
        ),  # breast-cancer
    ],
)
def test_without_a_header_a_last_column_like_features_is_not_guessed(here: Path, row: Callable[[int], str]) -> None:
    Path("t.data").write_text("".join(f"{row(i)}\n" for i in range(60)))
    with pytest.raises(InputError, match=r"the first column, 'x1', may be the label as well\); .* --label; .*: x1 \("):
        table_facts("t.data", None)


@pytest.mark.parametrize(
    "row",
    [
        lambda i: f"{'xo'[i % 2]},{'xob'[i % 3]},{'xob'[i // 2 % 3]},{['positive', 'negative'][i % 2]}",  # tic-tac-toe
        lambda i: f"A1{i % 4},{i},{i // 2 % 2 + 1},A{i % 3},{i // 3 % 2 + 1}",  # german
        lambda i: f"{i % 4},{i // 2 % 4},{i // 3 % 4},{20 + i},{i % 6 + 1}",  # dermatology
        lambda i: f"{['low', 'high'][i % 2]},{i % 3},{'ab'[i // 2 % 2]},{['acc', 'unacc', 'good'][i % 3]}",  # car
    ],
)
def test_without_a_header_a_last_column_of_other_values_is_the_label(here: Path, row: Callable[[int], str]) -> None:
    Path("t.data").write_text("".join(f"{row(i)}\n" for i in range(60)))
    assert table_facts("t.data", None).label == "label"


def test_a_last_column_that_is_numbered_like_the_features_is_not_guessed(here: Path) -> None:
    path = write("D,X1,X2,X3", [f"{i % 2},{i % 5},{i // 2 % 5},{i // 3 % 5}" for i in range(60)])
    with pytest.raises(InputError, match=r"\(numbered like all columns but 'D'\); choose the label with --label"):
        suggest(path)


def test_without_a_header_numbers_of_rows_are_no_feature(here: Path) -> None:
    rows = [f"{index + 1},{row}" for index, row in enumerate(numbers(60))]
    (told,) = [line for line in suggested_lines(rows[0], rows[1:]) if "numbers the rows" in line]
    assert told == "column 'x1' is not a feature: numbers the rows"


def test_a_label_that_is_missing_in_some_rows_names_the_first(here: Path) -> None:
    rows = numbers(30)
    path = write("a,b,kind", [*rows[:20], ",,", "0.5,0.5,", *rows[20:]])  # the row without any value does not count
    with pytest.raises(InputError, match=r"'kind', .+\(1 of 31 values missing, first in line 23\); choose the label"):
        suggest(path)
    with pytest.raises(InputError, match=r"t.csv: the last column, 'y', does not look like classes \(30 different"):
        suggest(write("x,y", [f"{index},{index * 0.37}" for index in range(30)]))


def test_a_column_of_other_splits_is_no_feature(here: Path) -> None:
    rows = [f"{row[:-1]}{['Train', 'Holdout'][i % 2]},{'ab'[i // 4 % 2]}" for i, row in enumerate(numbers(80))]
    facts = table_facts(write("a,b,split,kind", rows), None)
    assert facts.columns[2].why_ignored == "names splits, but 'Holdout' is none of train, test, validation"
    assert facts.split is None


def test_an_unknown_label_is_refused(here: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'c' \(--label\); columns: a, b, kind"):
        suggest(write("a,b,kind", numbers(30)), "c")


def test_columns_are_told_by_what_they_hold(here: Path) -> None:
    rng = random.Random(0)
    rows = [
        f"p{index},{rng.random()},{['red', 'green', 'blue'][index % 3]},{'yes' if index % 5 else 'no'},"
        f"2024-0{1 + index % 9}-11,same,{'' if index % 7 == 0 else index % 4},{'ab'[index % 2]},{'XY'[index % 2]}"
        for index in range(60)
    ]
    dataset = dataset_of(write("id,size,color,sold,day,unit,stars,label,kind", rows))
    assert dataset.id == "id" and dataset.label == "label"
    assert dataset.categories == {"color": "one_hot", "sold": "yes_no"}
    assert dataset.dates == ["day"] and dataset.missing == "fill"
    assert dataset.ignore == ["unit", "kind"]  # a constant, and the label in other words
    assert dataset.build(0).input_shape == (1 + 4 + 1 + 1 + 2,)


@pytest.mark.parametrize(
    ("marks", "ignored"),
    [
        (["1 0 0", "0 1 0", "0 0 1"], ["k_a", "k_b", "k_c"]),
        (["True False False", "False True False", "False False True"], ["k_a", "k_b", "k_c"]),
        (["1 0 0", "0 1 0", "0 0 0"], ["k_a", "k_b", "k_c"]),  # the last is constant
        (["1 0 0", "0 1 1", "0 1 1"], None),  # properties of some classes
    ],
)
def test_a_label_that_is_also_one_hot_is_no_feature(here: Path, marks: list[str], ignored: list[str] | None) -> None:
    rows = [f"{row * 7 % 11},{marks[row % 3].replace(' ', ',')},{'abc'[row % 3]}" for row in range(60)]
    assert dataset_of(write("x,k_a,k_b,k_c,label", rows)).ignore == ignored


def test_a_label_in_several_columns_is_named(here: Path) -> None:
    rows = [f"{row * 7 % 11},{int(row % 3 == 0)},{int(row % 3 == 1)},{int(row % 3 == 2)}" for row in range(60)]
    with pytest.raises(InputError, match="exactly one of the columns k_a, k_b, k_c is set in each row, like one label"):
        suggest(write("x,k_a,k_b,k_c", rows))
    assert dataset_of(write("x,k_a,k_b,k_c", rows), "dataset.label=k_c").ignore == ["k_a", "k_b"]


def test_names_that_are_all_different_are_not_used(here: Path) -> None:
    rows = [f"name {index},{index % 3}.5,{'ab'[index % 2]}" for index in range(60)]
    facts = table_facts(write("who,x,kind", rows), None)
    assert [(column.name, column.why_ignored) for column in facts.columns if column.why_ignored] == [
        ("who", "a different text in every row")
    ]


def table_without_header(columns: list[list[str]], count: int = 90) -> str:
    """A table of columns that take each of their texts in turn, at different paces."""
    rows = [",".join(texts[row * (13 + 2 * place) // 7 % len(texts)] for place, texts in enumerate(columns))
            for row in range(count)]  # fmt: skip
    return write(rows[0], rows[1:], "t.data")


SMALL, WORDS, REAL = ["1", "2"], ["neptune", "normal", "smurf"], [f"0.{digit}5" for digit in range(9)]


@pytest.mark.parametrize(
    ("columns", "other"),
    [
        ([["1", "2", "3", "4"], SMALL, SMALL, ["1", "2", "3"], SMALL], "x1"),  # lymphography: the label comes first
        ([[*"123"], SMALL, [*"12345678"], [*"12345678"]], "x1"),
        ([REAL, WORDS, REAL, REAL, REAL, WORDS, ["15", "18", "21"]], "x6"),  # NSL-KDD: a difficulty behind the label
        ([REAL, WORDS, REAL, REAL, REAL, REAL, WORDS, ["0", "1"]], "x7"),
        ([REAL, WORDS, REAL, REAL, REAL, WORDS, [*map(str, range(22))]], "x6"),
    ],
)
def test_a_last_column_is_no_label_beside_one_that_may_be(here: Path, columns: list[list[str]], other: str) -> None:
    with pytest.raises(InputError, match=f"column.*, '{other}', may be the label as well"):
        table_facts(table_without_header(columns), None)


@pytest.mark.parametrize(
    "columns",
    [
        [WORDS, REAL, ["A11", "A12"], [*"1234"], ["A201", "A202"], SMALL],  # German credit
        [[*"123"], [*"1234"], [*"12345"], [*"12"]],  # Hayes-Roth
        [REAL, SMALL, SMALL],
        [REAL, REAL, REAL, ["no", "yes"]],
    ],
)
def test_a_last_column_of_classes_is_the_label(here: Path, columns: list[list[str]]) -> None:
    assert table_facts(table_without_header(columns), None).label == "label"


@pytest.mark.parametrize("name", ["Survived", "species", "Class_Label", "is_fraud"])
def test_a_last_column_is_no_label_beside_one_called_like_what_people_predict(here: Path, name: str) -> None:
    rows = [f"{row % 2},{row % 7}.5,{'xyz'[row % 3]}" for row in range(60)]
    with pytest.raises(InputError, match=f"'port', does not look like classes \\('{name}' may be the label as well"):
        table_facts(write(f"{name},fare,port", rows), None)


@pytest.mark.parametrize("large", ["1.7e308", "-1.7e308", "1e200", "1e39"])
@pytest.mark.parametrize("others", [0.5, 1.2e308])
def test_numbers_near_the_limit_of_float64_are_looked_at_without_a_warning(
    here: Path, large: str, others: float
) -> None:
    rows = [f"{row % 7}.5,{large if row % 9 == 0 else others * (row % 4)},{'ab'[row % 2]}" for row in range(80)]
    table = write("a,big,label", [row.replace("inf", "1.79e308") for row in rows])  # a warning is an error in tests
    assert [facts.name for facts in table_facts(table, None).used] == ["a", "big"]
    load_config(table)  # whether it is linear


def test_a_few_whole_numbers_of_many_rows_each_are_codes(here: Path) -> None:
    rows = [f"{index % 5},{index % 80},{index % 3}.5,{'ab'[index % 7 % 2]}" for index in range(600)]
    assert dataset_of(write("code,age,x,kind", rows)).categories == {"code": "one_hot"}


def test_the_largest_numbers_overflow_nowhere(here: Path) -> None:
    table = write("x,big,kind", [f"{index % 9},{(1e308, -1e308)[index % 2]},{'ab'[index % 2]}" for index in range(60)])
    assert "column 'big' is not a feature: says the label 'kind' in other words" in suggest(table).yaml()


def test_columns_with_values_far_apart_get_quantiles(here: Path) -> None:
    rng = np.random.default_rng(0)
    plain, income = rng.normal(size=400), np.exp(2 * rng.normal(size=400))
    ratio = np.where(np.arange(400) % 50, 1 + rng.random(400), -9999)
    prices = [f"${1e3 ** (index % 7):,.0f}" for index in range(400)]
    cells = zip(plain, income, ratio, prices, "aba" * 134, strict=False)
    table = write("x;income;ratio;price;kind", [";".join(map(str, row)) for row in cells])
    dataset = dataset_of(table)
    assert dataset.quantile_transform == ["income", "ratio", "price"] and dataset.numbers == ["price"]
    assert "values far apart: one of price is " in suggest(table).yaml()


def test_codes_by_name_need_few_rows_each(here: Path) -> None:
    rows = [f"{10115 + 37 * (index % 9)},{index % 9},{index % 3}.5,{'ab'[index % 7 % 2]}" for index in range(120)]
    assert dataset_of(write("ZipCode,rooms,x,kind", rows)).categories == {"ZipCode": "one_hot"}


@pytest.mark.parametrize(
    ("names", "drawn", "categories"),
    [
        ("pixel_{}", lambda rng: rng.integers(0, [2, 3] + [17] * 8, (2000, 10)), 0),
        ("q{}", lambda rng: rng.integers(1, 6, (2000, 10)), 0),
        ("{}", lambda rng: rng.poisson(np.linspace(1, 2, 10), (2000, 10)), 0),  # counts
        ("x{}", lambda rng: rng.integers(0, range(3, 13), (2000, 10)), 10),  # codes: as many as there happen to be
        ("base{}", lambda rng: rng.integers(0, 4, (2000, 10)), 10),  # letters
        ("store{}", lambda rng: rng.integers(0, 10, (2000, 10)), 10),
    ],
)
def test_many_columns_on_one_scale_are_numbers(
    here: Path, names: str, drawn: Callable[[np.random.Generator], np.ndarray], categories: int
) -> None:
    values = drawn(np.random.default_rng(0))
    rows = [",".join([*map(str, row), "ab"[index % 7 % 2]]) for index, row in enumerate(values.tolist())]
    header = ",".join([names.format("abcdefghij"[i] if names == "{}" else i) for i in range(10)])
    assert len(dataset_of(write(f"{header},kind", rows)).categories or ()) == categories


@pytest.mark.parametrize(("name", "group"), [("patient_id", "patient_id"), ("patient_age", None)])
def test_rows_of_one_patient_stay_in_one_split(here: Path, name: str, group: str | None) -> None:
    rows = [f"{index // 3},{index % 11}.5,{'ab'[index % 7 % 2]}" for index in range(90)]
    dataset = dataset_of(write(f"{name},x,kind", rows))
    assert dataset.group == group and dataset.build(0).input_shape == (1 if group else 2,)


def test_a_frequent_few_of_many_categories_are_kept(here: Path) -> None:
    rows = [f"{'common' if index % 2 else f'rare {index}'},{index % 3}.5,{'ab'[index % 3 % 2]}" for index in range(200)]
    assert dataset_of(write("word,x,kind", rows)).categories == {"word": 20}


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiter_decimal_comma_and_encoding_are_stated(here: Path, delimiter: str) -> None:
    rows = [delimiter.join([f"{index},5", f"{index % 7},25", ["grün", "blau"][index % 2]]) for index in range(40)]
    Path("t.csv").write_text("\n".join([delimiter.join(["größe", "x", "kind"]), *rows]), encoding="cp1252")
    dataset = dataset_of("t.csv")
    assert (dataset.delimiter, dataset.decimal, dataset.encoding) == (delimiter, ",", "cp1252")
    assert dataset.build(0).class_names == ["blau", "grün"]


def test_a_table_without_a_header_gets_names(here: Path) -> None:
    rows = numbers(40)
    dataset = dataset_of(write(rows[0], rows[1:]))
    assert dataset.columns == ["x1", "x2", "label"]
    assert len(dataset.build(0).train) == 29


def test_a_column_name_that_appears_twice_is_refused(here: Path) -> None:
    with pytest.raises(DataError, match="column 'a' appears twice"):
        suggest(write("a,a,kind", numbers(30)))


def test_a_label_of_one_class_is_refused(here: Path) -> None:
    with pytest.raises(DataError, match=r"column 'kind': only one class \(a\).*--label"):
        suggest(write("a,b,kind", numbers(30, "a")), "kind")


def test_an_empty_table_is_refused(here: Path) -> None:
    with pytest.raises(DataError, match="no rows after the header"):
        suggest(write("a,b,kind", []))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{},345.67", 1345.67),
        ("${}7.5", 17.5),
        ("{}4.5%", 14.5),
        ("€ {}1", 11.0),
        ("{}.2e3 kg", 1200.0),
        ("{}:30", 1.5),
        ("{},345", 1345.0),  # commas separate the columns of this file, so a decimal comma is unlikely
    ],
)
def test_numbers_written_for_people_are_read(here: Path, written: str, value: float) -> None:
    rows = [f'"{written.format(index + 1)}",{index % 7}.5,{"ab"[index % 2]}' for index in range(60)]
    path = write("price,x,kind", rows)
    assert dataset_of(path).numbers == ["price"]
    splits = Csv(path=path, label="kind", numbers=["price"], test=0, validation=0).build(0)
    first = splits.train.select(torch.tensor([0]))[0][0].tolist()
    assert first == pytest.approx([value, 0.5])


def test_numbers_in_several_units_are_left_out_with_the_reason(here: Path) -> None:
    rows = [f"{'$€'[index % 2]}{index + 1},{index % 7}.5,{'ab'[index % 2]}" for index in range(60)]
    found = suggest(write("price,x,kind", rows)).found
    assert any("'price' is not a feature: numbers in several formats, such as '$1'" in line for line in found)


def test_thousands_that_may_be_decimals_are_not_read(here: Path) -> None:
    rows = [f"{index + 1},345;{index % 7};{'ab'[index % 2]}" for index in range(60)]
    assert dataset_of(write("mass;x;kind", rows)).numbers is None
    rows = [f"{index + 1},345;{index % 7}.5;{'ab'[index % 2]}" for index in range(60)]
    assert dataset_of(write("mass;x;kind", rows)).numbers == ["mass"]  # another column has decimal points


@pytest.mark.parametrize("order", [1, -1])
def test_rows_in_order_of_time_are_split_by_it(here: Path, order: int) -> None:
    dates = [f"2024-{month:02}-{day:02}" for month in range(1, 4) for day in range(1, 29)][::order]
    rows = [f"{date},{index % 7}.5,{'ab'[index % 2]}" for index, date in enumerate(dates)]
    assert dataset_of(write("day,x,kind", rows)).time == "day"
    random.Random(0).shuffle(rows)
    assert dataset_of(write("day,x,kind", rows)).time is None


@pytest.mark.parametrize(("last_days", "found"), [(25, "day"), (2, None)])
def test_the_dates_of_each_shop_in_turn_are_split_by_time(here: Path, last_days: int, found: str | None) -> None:
    places = [(shop, day) for shop in range(4) for day in range(1, 29)]
    kinds = ["c" if shop == 3 and day > 28 - last_days else "ab"[day % 2] for shop, day in places]
    rows = [f"2024-01-{day:02},{shop + day % 7}.5,{kind}" for (shop, day), kind in zip(places, kinds, strict=True)]
    assert dataset_of(write("day,x,kind", [*rows, ",,"])).time == found  # the last class is known only in the last shop


def test_a_table_of_texts_without_a_header_is_told(here: Path) -> None:
    rng = random.Random(0)
    rows = [f"{rng.choice('abc')},{rng.choice(['low', 'high'])},{'yn'[index % 2]}" for index in range(60)]
    assert dataset_of(write(rows[0], rows[1:])).columns == ["x1", "x2", "label"]
    assert dataset_of(write("size,price,kind", rows)).columns is None
    with pytest.raises(DataError, match=r"t.csv:62: the header again"):
        suggest(write("size,price,kind", [*rows, "size,price,kind"]))
    assert dataset_of(write(rows[0], rows[1:]), "dataset.label=x1").columns == ["x1", "x2", "x3"]


def test_lines_above_the_header_are_refused(here: Path) -> None:
    rows = [row.replace(",", ";") for row in ("a,b,kind", *numbers(30))]
    for first in ("# exported", "# a; b", "Survey;;"):
        with pytest.raises(DataError, match=r"t.csv:1: .* remove lines above it"):
            suggest(write(first, rows))
    assert dataset_of(write("sep=;", rows)).delimiter == ";"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["a,b,kind", "cm,kg,", *numbers(30)],
            r"t.csv:2: texts above numbers \('cm', 'kg'\), as in a line of units or",
        ),
        (["a,b,kind", "How old?,How tall?,Group", "Q1,Q2,Q3", *numbers(30)], r"t.csv:2: texts above numbers"),
        (["size,mass,result", "a,b,kind", *numbers(30)], r"t.csv:2: texts .* or those above it if it is the header"),
        (
            ["|1x3 Cross validator", *(row.replace(",", ", ") for row in numbers(30))],
            r"t.csv:1: 1 column, but 3 fields",
        ),
        (["a,b,kind", *numbers(9), "A,B,KIND", *numbers(9)], r"t.csv:11: the header again"),
        (["a,b,kind", *numbers(9), "a , b , kind", *numbers(9)], r"t.csv:11: the header again"),
        (["a,b,kind", *(f'1,"say \\"no\\"",{kind}' for kind in "abab")], r't.csv:2: not CSV .* twice, not as \\"$'),
        (['{"a": 1, "kind": "b"}'] * 9, "t.csv: JSON; convert it to CSV"),
        (["[", '  {"a": 1}', "]"], "t.csv: JSON; convert it to CSV"),
        (["<!DOCTYPE html>", "<table>"], "t.csv: HTML or XML"),
        (["% irises", "", "@RELATION iris", "@attribute a numeric"], "t.csv: ARFF"),
        (["-- dump", "CREATE TABLE t (", "a int);"], "t.csv: SQL"),
        (["version https://git-lfs.github.com/spec/v1", "oid sha256:4d7a", "size 12"], "t.csv: a pointer of Git LFS"),
        (["# weather", "# UTF-8", '"a";"b"', *('"x y";"1.5";' for _ in range(9))], "t.csv:1: 1 column, but 2 fields"),
        (["a,b,kind", *numbers(9), "\ufeffa,b,kind", *numbers(9)], r"t.csv:11: the header again"),
        (["a,b,kind", *["1.5,2.5,a", "0.5,2,b"] * 9, "18.0,40.5,Total"], r"t.csv:20: the sums of the rows above"),
        (["name,b,kind", *["x,2.5,0", "y,2,1"] * 9, "Total:,40.5,9"], r"t.csv:20: the sums of the rows above"),
    ],
)
def test_what_is_no_table_with_one_header_is_refused(here: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        suggest(write(lines[0], lines[1:]))


def test_a_column_with_hardly_a_value_or_a_date_of_two_kinds_is_left_out_with_the_reason(here: Path) -> None:
    rng = random.Random(0)
    rows = [
        f"{row},{'n' * (index in (3, 9))},{1 + index % 12:02}/{1 + index % 11:02}/2024"
        for index, row in enumerate(numbers(60))
    ]
    marked = [f"{row},{rng.choice(['', 'x'])},{index}{'*' * (index % 9 == 0)}" for index, row in enumerate(numbers(60))]
    assert [
        (facts.name, facts.why_ignored[:50])
        for facts in table_facts(write("a,b,kind,note,day", rows), "kind").columns[2:]
    ] == [
        ("note", "a value in 2 rows only"),
        ("day", "'12/01/2024' may be a date as %d/%m/%Y or as %m/%d"),
    ]
    (*_, mark, number) = table_facts(write("a,b,kind,mark,n", marked), "kind").columns
    assert mark.column is not None
    assert number.why_ignored.startswith("numbers, but also texts such as '0*'")


def test_a_delimiter_at_the_end_of_each_row_is_a_column_to_be_ignored(here: Path) -> None:
    rows = numbers(30)
    assert dataset_of(write("a,b,kind", [f"{row}," for row in rows])).columns is None
    splits = dataset_of(write("a,b,kind", [f"{row}," for row in rows])).build(0)
    assert splits.input_shape == (2,) and splits.notes == ["t.csv: columns without a name or values are ignored: 4"]
    splits = dataset_of(write("a,b,kind,", rows)).build(0)
    assert splits.input_shape == (2,) and splits.notes == []
    with pytest.raises(DataError, match="4 fields in line 2"):
        suggest(write("a,b,kind", [*(f"{row}," for row in rows[1:]), f"{rows[0]},7"][::-1]))


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("0,1,2,label", "4,5,6,a", True),
        ("2019,2020,size", "4,5,6", True),
        ("0,1,2,kind", "4,5,6,a", True),
        ("0,1,2,3", "0.5,5,6,1", True),
        ("1,2,3,a", "4,5,6,a", False),
        ("5.1,3.5,a", "4.9,3.0,b", False),
        ("5.1,,a", "4.9,3.0,b", False),
        ("5.1,3.5,0", "4.9,3.0,1", False),
    ],
)
def test_a_header_may_hold_numbers(first: str, second: str, names: bool) -> None:
    assert names_columns(first.split(","), [second.split(",")], {"label"}, ".") == names


def test_a_class_may_be_called_none(here: Path) -> None:
    words = ("none", "mild", "severe")
    path = write("x,severity", [f"{index % 7}.5,{words[index % 3]}" for index in range(60)])
    assert dataset_of(path).build(0).class_names == ["mild", "none", "severe"]


def test_a_column_of_splits_is_used_as_such(here: Path) -> None:
    splits = ["train", "train", "Valid", "test"]
    path = write(
        "a,b,split,kind", [f"{row[:-1]}{splits[i % 4]},{'ab'[i // 4 % 2]}" for i, row in enumerate(numbers(80))]
    )
    parts = dataset_of(path).build(0)
    assert parts.validation is not None and parts.test is not None
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [40, 20, 20]
    assert parts.input_shape == (2,)


def test_an_index_without_a_name_is_said_to_be_left_out(here: Path) -> None:
    path = write(",a,b,kind", [f"{index},{row}" for index, row in enumerate(numbers(30))])
    splits = dataset_of(path).build(0)
    assert splits.input_shape == (2,) and "column without a name is an index of the rows" in splits.notes[0]


def test_why_nothing_can_be_learned_is_said(here: Path) -> None:
    with pytest.raises(DataError, match=r"nothing to learn the label 'kind' from \(c: always '1'\)"):
        suggest(write("c,kind", [f"1,{'ab'[index % 2]}" for index in range(30)]))


def test_empty_columns_without_names_are_passed_over(here: Path) -> None:
    path = write("a,b,,kind,,", [f"{row[:-1]},{row[-1]},," for row in numbers(40)])
    assert table_facts(path, None).label == "kind"
    assert dataset_of(path).build(0).input_shape == (2,)


def test_missing_labels_beside_one_class_are_named(here: Path) -> None:
    with pytest.raises(DataError, match=r"only one class \(EU\), and missing labels such as 'NA'; .*--label"):
        suggest(write("x,label", [f"{index % 7}.5,{['NA', 'EU'][index % 2]}" for index in range(30)]))


@pytest.mark.parametrize(
    ("num_rows", "labels", "validation", "select_by"),
    [(200, "ab", 0.1, "log_loss"), (30, "abcdef", 0, "accuracy"), (7000, "ab", 0.1, "accuracy")],
)
def test_little_data_selects_by_the_loss_or_holds_nothing_out(
    num_rows: int, labels: str, validation: float, select_by: str, here: Path
) -> None:
    config = load_config(write("x,z,label", numbers(num_rows, labels))).config
    assert (config.dataset.validation, config.select_by) == (validation, select_by)
    updates = config.epochs * num_rows * 0.72 / config.batch_size
    assert updates > (1900 if num_rows > 100 else 400)  # in at most 300 epochs


@pytest.mark.parametrize(("is_linear", "num_rows"), [(True, 120), (False, 120), (True, 900), (False, 900)])
def test_a_table_takes_hidden_layers_only_where_they_help(here: Path, is_linear: bool, num_rows: int) -> None:
    rng = random.Random(0)
    points = [(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(num_rows)]
    rows = [f"{x:.3f},{z:.3f},{'yn'[(x + z if is_linear else x * z) > 0]}" for x, z in points]
    config = load_config(write("x,z,kind", rows)).config
    assert isinstance(config.model, Mlp) and len(config.model.hidden) == (0 if is_linear else 2)
    assert config.optimizer.name == ("sgd" if is_linear else "adamw")
    few = load_config(write("x,z,kind", ["1,2,a", "2,3,b", "3,4,a", "5,4,b", "6,4,a"])).config  # too few to compare
    assert isinstance(few.model, Mlp) and not few.model.hidden


@pytest.mark.parametrize(
    ("num_examples", "num_features", "hidden", "dropout", "epochs"),
    [(300, 30, 128, 0.2, 107), (300, 31, 64, 0.5, 38), (1_000, 500, 128, 0.3, 96)],  # 2000 * 16 / 300, 700 * 16 / 300
)
def test_few_rows_of_many_columns_take_a_small_network_and_much_dropout(
    num_examples: int, num_features: int, hidden: int, dropout: float, epochs: int
) -> None:
    model, recipe = mlp_entries(num_examples, num_features, 2)
    assert values_of(model) == {"name": "mlp", "hidden": [hidden, hidden], "dropout": dropout}
    assert recipe.epochs == epochs


def test_what_overrides_say_of_the_format_is_used_to_look_at_the_table(here: Path) -> None:
    rows = [f"{index}.5;{'合否'[index % 2]}" for index in range(30)]
    Path("t.csv").write_text("\n".join(["身長;判定", *rows]), encoding="cp932")
    with pytest.raises(DataError, match=r"set dataset\.encoding, such as cp1252, cp1251 \(Cyrillic\), cp932"):
        load_config("t.csv")
    dataset = dataset_of("t.csv", "dataset.encoding=cp932")
    assert (dataset.label, dataset.delimiter, dataset.encoding) == ("判定", ";", "cp932")
    path = write("1,2,a", [f"{index},{index % 4},{'ab'[index % 2]}" for index in range(30)])
    assert dataset_of(path, "dataset.columns=[u, v, kind]").label == "kind"
    with pytest.raises(ConfigError, match=r"dataset.encoding.+text encoding"):
        load_config(path, ["dataset.encoding=no"])


def test_texts_that_differ_in_all_rows_that_have_one_are_no_categories(here: Path) -> None:
    path = write(
        "note,x,kind", [f"{'' if index % 5 else f'text {index}'},{index % 7}.5,a{index % 2}" for index in range(40)]
    )
    assert "t.csv: column 'note' is not a feature: a different text in every row that has one" in suggest(path).found
    assert dataset_of(path).id is None


def test_the_row_names_of_write_table_are_an_index(here: Path) -> None:
    rows = [f'"{index + 1}" {index % 9}.5 "{"ab"[index % 2]}"' for index in range(30)]
    path = write('"length" "kind"', rows, "t.txt")
    splits = dataset_of(path).build(0)
    assert splits.class_names == ["a", "b"] and splits.train.inputs.shape[1] == 1
    assert any("without a name is an index of the rows" in note for note in splits.notes)


def test_the_index_of_filtered_rows_is_none_of_the_features(here: Path) -> None:
    for name in ("", "Unnamed: 0", "__index_level_0__"):
        path = write(f"{name},x,kind", [f"{index * 7 % 31},{index % 9}.5,a{index % 2}" for index in range(30)])
        assert dataset_of(path).build(0).train.inputs.shape[1] == 1, name
    # Measurements below no name are features.
    path = write(",x,kind", [f"{index * 0.37},{index % 9}.5,a{index % 2}" for index in range(30)])
    assert dataset_of(path).build(0).train.inputs.shape[1] == 2


def test_words_that_are_categories_are_not_called_missing(here: Path) -> None:
    rows = [f"{['none', 'low', '-', 'NA'][index % 7 % 4]},{row}" for index, row in enumerate(numbers(70))]
    found = suggest(write("risk,a,b,kind", rows)).found
    assert any("missing values: risk 10 ('NA')" in line for line in found)


def test_codes_that_are_padded_with_zeros_are_categories(here: Path) -> None:
    path = write(
        "plz,x,kind", [f"{['01067', '10115', '80331'][index % 3]},{index}.5,a{index % 2}" for index in range(30)]
    )
    assert dataset_of(path).categories == {"plz": "one_hot"}


def test_limits_of_a_laboratory_are_numbers_unless_they_are_few(here: Path) -> None:
    rows = [
        f"{'<5' if index % 4 == 0 else index + 5.5},{['<1', '1', '2', '>2'][index % 4]},a{index % 2}"
        for index in range(40)
    ]
    dataset = dataset_of(write("crp,size,kind", rows))
    assert dataset.numbers == ["crp"] and dataset.categories == {"size": "one_hot"}


def test_numbers_next_to_a_word_are_no_categories(here: Path) -> None:
    path = write(
        "age,x,kind", [f"{index if index % 4 else 'unknown'},{index % 9}.5,a{index % 2}" for index in range(60)]
    )
    assert any(
        "'age' is not a feature: numbers, but also texts such as 'unknown'" in line for line in suggest(path).found
    )


def test_spaces_around_another_delimiter_separate_nothing(here: Path) -> None:
    path = write(" a ; b ; kind ", [f" {index}.5 ; {index % 4} ; k{index % 2} " for index in range(30)])
    assert dataset_of(path).delimiter == ";" and dataset_of(path).build(0).train.inputs.shape[1] == 2


def test_years_name_columns(here: Path) -> None:
    rows = [f"R{index % 3},{index}.5,{index}.1,{index}.2,k{index % 2}" for index in range(30)]
    dataset = dataset_of(write("Region,2019,2020,2021,Typ", rows))
    assert dataset.label == "Typ" and dataset.columns is None


def test_a_word_for_a_missing_label_is_shown(here: Path) -> None:
    path = write("x,continent", [f"{index}.5,{['NA', 'EU', 'AS'][index % 3]}" for index in range(30)])
    with pytest.raises(InputError, match="10 of 30 values missing, first in line 2: 'NA'"):
        suggest(path)


@pytest.mark.parametrize("is_struct", [True, False])
def test_images_in_a_parquet_file_are_refused(here: Path, is_struct: bool) -> None:
    arrow = pytest.importorskip("pyarrow")
    arrow.parquet = pytest.importorskip("pyarrow.parquet")
    image = b"\x89PNG\r\n\x1a\n\0\0\0"
    images = [{"bytes": image, "path": f"{index}.png"} if is_struct else image for index in range(30)]
    arrow.parquet.write_table(arrow.table({"image": images, "label": [index % 2 for index in range(30)]}), "t.parquet")
    with pytest.raises(DataError, match=r"t.parquet: column 'image' holds encoded images or other bytes; write each"):
        suggest("t.parquet")


def test_bytes_of_a_parquet_file_are_text(here: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    arrow.parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "x": [index / 2 for index in range(30)],
        "kind": [["ä".encode(), b"b"][index % 2] for index in range(30)],
    }
    arrow.parquet.write_table(arrow.table(columns), "t.parquet")
    assert dataset_of("t.parquet").build(0).class_names == ["b", "ä"]


@pytest.mark.parametrize(
    ("name", "is_one"), [("PassengerId", True), ("userID", True), ("Madrid", False), ("grid", False)]
)
def test_names_of_identifiers(name: str, is_one: bool) -> None:
    assert is_identifier(name) == is_one


def suggested_lines(header: str, rows: list[str], **options: str) -> list[str]:
    Path("t.csv").write_text("\n".join([header, *rows]), **{"encoding": "utf-8", **options})
    return [line.removeprefix("t.csv: ") for line in suggest("t.csv").found]


def test_thousands_of_one_column_are_told_from_the_decimals_of_another(here: Path) -> None:
    people = range(900, 1100, 7)
    rows = [f"{n:,};{n % 7}_5;{'ab'[n % 2]}".replace(",", ".").replace("_", ",") for n in people]
    lines = suggested_lines("people;z;label", rows)
    assert "numbers (thousands separated by '.', decimal commas): people" in lines
    splits = dataset_of("t.csv").build(0)
    assert {*splits.train.inputs[:, 0].tolist()} <= {*people}


def test_thousands_that_may_be_decimals_are_told(here: Path) -> None:
    rows = [f"{n:,};{n % 7};{'ab'[n % 2]}".replace(",", ".") for n in range(1100, 3300, 73)]
    told = [line for line in suggested_lines("people;z;label", rows) if "separate thousands" in line]
    assert told == [
        "column 'people': '1.100' is read with a decimal point; if points separate thousands, set "
        "dataset.decimal: ',' and dataset.numbers: [people]"
    ]
    lines = suggested_lines("people;z;label", [*rows, "0.5;1;a"])
    assert not any("separate thousands" in line for line in lines)


def test_whole_numbers_that_are_dates_are_dates(here: Path) -> None:
    rows = [f"2024{1 + n % 12:02}{1 + n % 28:02},{n % 3},{'ab'[n % 2]}" for n in range(40)]
    assert "dates (ISO 8601; days since 1970-01-01): day" in suggested_lines("day,n,label", rows)
    assert "numbers: day" in "; ".join(suggested_lines("day,n,label", [*rows, "20241301,1,a"]))


def test_texts_that_may_mean_something_else_are_told(here: Path) -> None:
    columns = [
        [f"{n * 37:05}" for n in range(40)],
        ["DE", "FR", "NA", "US"] * 10,
        ["Red", "red ", "blue", "green"] * 10,
        [f"0{1 + n % 9}.01.{n + 50}" for n in range(40)],
        ["a", "b", "b", "a", "b"] * 8,
    ]
    rows = [",".join(row) for row in zip(*columns, strict=True)]
    lines = suggested_lines("customer,country,color,born,label", rows)
    assert "missing values: country 10 ('NA')" in lines
    assert "column 'color': 'Red', 'red' differ only in case, spaces or spelling, and are 2 categories" in lines
    assert any(line.startswith("column 'customer': numbers such as '00000' are padded with zeros") for line in lines)
    assert any("(%d.%m.%y; years 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068;" in line for line in lines)


def test_columns_about_the_use_of_the_table_are_told(here: Path) -> None:
    rows = [f"{n * 7 % 31},{n % 5},{n % 13 / 4},{n % 7},{'ab'[n % 2]}" for n in range(80)]
    lines = suggested_lines("store_id,fold,sample_weight,manifold,label", rows)
    assert [line.split(":")[0] for line in lines if "called like weights, folds" in line] == [
        "column 'fold'",
        "column 'sample_weight'",
    ]
    (line,) = [line for line in lines if "called like an identifier" in line]
    assert line.startswith("column 'store_id': whole numbers") and line.endswith("dataset.categories: {store_id: 20}")


def test_one_value_that_is_no_number_does_not_make_a_column_of_numbers_an_identifier(here: Path) -> None:
    rows = [f"{'inf' if n == 5 else n * 1.5},{n % 3},{'ab'[n % 2]}" for n in range(40)]
    (line,) = [line for line in suggested_lines("x,n,label", rows) if "not a feature" in line]
    assert line.startswith("column 'x' is not a feature: numbers, but also texts such as 'inf'")


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_another_alphabet_is_not_taken_for_western_letters(encoding: str, here: Path) -> None:
    rows = [f"{n};{('красный', 'синий')[n % 2]}" for n in range(30)]
    with pytest.raises(DataError, match=r"set dataset.encoding, such as cp1252, cp1251 \(Cyrillic\)"):
        suggested_lines("вес;цвет", rows, encoding=encoding)


def test_durations_of_days_in_parquet_are_hours(here: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    arrow.parquet = pytest.importorskip("pyarrow.parquet")
    hours = [timedelta(hours=7.5 * n) for n in range(40)]
    arrow.parquet.write_table(arrow.table({"d": hours, "label": ["a", "b"] * 20}), "t.parquet")
    assert "t.parquet: numbers (times, in hours): d" in suggest("t.parquet").found
    splits = dataset_of("t.parquet").build(0)
    assert {*splits.train.inputs[:, 0].tolist()} <= {7.5 * n for n in range(40)}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (range(12), "12 different numbers, next to columns of words"),
        (range(2007, 2010), "years, next to columns of words"),
        (range(10), None),
    ],
)
def test_measured_numbers_next_to_words_are_not_guessed_to_be_the_label(
    values: range, why: str | None, here: Path
) -> None:
    path = write("left,months", [f"{'yes' if row % 3 else 'no'},{values[row % len(values)]}" for row in range(60)])
    if why is None:
        assert dataset_of(path).label == "months"
        return
    with pytest.raises(InputError, match=rf"'months', does not look like classes \({why}\).+: left \(2 values\)"):
        suggest(path)
    assert dataset_of(path, "dataset.label=months").label == "months"


@pytest.mark.parametrize("name", ["split", "Usage"])
def test_a_last_column_of_splits_is_not_the_label(name: str, here: Path) -> None:
    uses = ("Training", "Training", "Training", "PublicTest", "PrivateTest")
    path = write(f"a,kind,{name}", [f"{row * 7 % 11}.5,{'xyz'[row % 3]},{uses[row % 5]}" for row in range(60)])
    dataset = dataset_of(path)
    assert (dataset.label, dataset.split) == ("kind", name)
    assert len(dataset.build(0).test or ()) == 24  # two of five


def test_lists_of_numbers_in_a_column_are_named(here: Path) -> None:
    rows = [f"{row % 3},{row},{' '.join(str(row + place) for place in range(9))}" for row in range(30)]
    assert any(
        "'pixels' is not a feature: lists of 9 numbers" in line for line in suggest(write("y,a,pixels", rows)).found
    )


def test_columns_that_are_not_used_for_one_reason_share_a_line(here: Path) -> None:
    header = ",".join(f"c{place}" for place in range(12))
    found = suggest(write(f"a,{header},y", [f"{row * 7 % 31}.5,{'0,' * 12}{row % 2}" for row in range(40)]))
    assert any(
        "columns 'c0', 'c1'," in line and "'c9' and 2 more are not features: always '0'" in line for line in found.found
    )
    assert sum("always '0'" in line for line in found.found) == 1 and "c9 and 2 more: always '0'" in found.yaml()


def test_sparse_tables_are_refused(here: Path) -> None:
    Path("a1a.txt").write_text("+1 1:1 5:0.5 9:1 \n-1 2:1 5:1 7:1 \n" * 20, encoding="utf-8")
    with pytest.raises(DataError, match=r"a1a.txt: LIBSVM's sparse format; convert it to .npz"):
        suggest("a1a.txt")


def test_tabs_that_are_doubled_in_some_rows_separate_columns(here: Path) -> None:
    tabs = ["\t\t" if row % 4 == 1 else "\t" for row in range(30)]
    rows = [f"{row}.5{tabs[row]}{row % 7}\t{row % 3 + 1}" for row in range(30)]
    Path("seeds.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    dataset = dataset_of("seeds.txt")
    assert (dataset.delimiter, dataset.columns, dataset.label) == (" ", ["x1", "x2", "label"], "label")
    assert len(dataset.build(0).train) > 0


def test_a_last_row_that_is_no_sum_is_read(here: Path) -> None:
    rows = ["1.5,2.5,a", "0.5,2,b"] * 9
    assert table_facts(write("a,b,kind", [*rows, "18.0,40.5,a"]), None).num_rows == 19
    assert table_facts(write("a,b,kind", [*rows, "18.0,40,z"]), None).num_rows == 19


def test_values_that_name_splits_tell_the_column_of_splits(here: Path) -> None:
    rows = [f"{row},{('train', 'train', 'val', 'test')[index % 4]}" for index, row in enumerate(numbers(60))]
    assert dataset_of(write("a,b,kind,split_type", rows)).split == "split_type"
    rows = [f"{row},{('train', 'bus')[index // 2 % 2]}" for index, row in enumerate(numbers(60))]
    assert dataset_of(write("a,b,kind,vehicle", rows), "dataset.label=kind").split is None


def test_a_column_with_one_value_in_each_class_is_told(here: Path) -> None:
    rows = [f"{row},{int(index % 3 > 0)},{index // 3 % 2}" for index, row in enumerate(numbers(60, "abc"))]
    told = [line for line in suggested_lines("a,b,label,is_bad,other", rows) if "made from the label" in line]
    assert len(told) == 1 and "with one value in each class: 'is_bad'; list in" in told[0]


def test_fractions_of_seconds_are_part_of_a_date(here: Path) -> None:
    rows = [f"{1 + index * 5 % 28:02}.03.2003 14:55:00.250,{row}" for index, row in enumerate(numbers(60))]
    assert dataset_of(write("when,a,b,kind", rows)).dates == ["when"]


def test_points_that_separate_thousands_next_to_numbers_without_one_are_told(here: Path) -> None:
    rows = [f"{('950', '1.234', '12.000')[index // 2 % 3]},{row}" for index, row in enumerate(numbers(60))]
    told = [line for line in suggested_lines("people,a,b,kind", rows) if "separate thousands" in line]
    assert len(told) == 1 and told[0].startswith("column 'people': '1.234' is read with a decimal point")


def test_keys_that_are_the_same_as_floats_are_categories(here: Path) -> None:
    rows = [f"{2**63 + index // 2 % 7},{row}" for index, row in enumerate(numbers(60))]
    assert "categories: serial" in suggested_lines("serial,a,b,kind", rows)
    rows = [f"{2**63 + index},{row}" for index, row in enumerate(numbers(60))]
    assert any("'serial' is not a feature: whole num" in line for line in suggested_lines("serial,a,b,kind", rows))


def test_numbers_that_may_identify_rows_without_a_header_are_told(here: Path) -> None:
    rows = [f"{1000025 + index * 37 % 1000 - index % 9 // 8},{row}" for index, row in enumerate(numbers(60))]
    (told,) = [line for line in suggested_lines(rows[0], rows[1:]) if "identify the rows" in line]
    assert told.startswith("column 'x1': whole numbers, hardly any twice")


def test_why_hundreds_of_columns_cannot_be_learned_from_is_said_briefly(here: Path) -> None:
    names = ",".join(f"s{index}" for index in range(300))
    rows = [f"{row}," + ",".join(f"{row}{index}" for index in range(299)) for row in ("x", "y", "z")]
    with pytest.raises(
        DataError, match=r"nothing to learn .* \(s0, s1, .* and 290 more: a different text in every row\)"
    ):
        suggest(write(names + ",kind", [f"{row},{kind}" for row, kind in zip(rows, "aba", strict=True)]))
