"""Tests of valid and invalid CSV files, of scikit-learn's tables, and of the digits dataset."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import torch
from builders import config_of
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnclassify.data import Splits
from nnclassify.data.labels import label_notes, sorted_labels
from nnclassify.data.tables.columns import flat_notes, marker_notes
from nnclassify.data.tables.csv_rows import CsvFormat
from nnclassify.data.tables.table_files import open_table
from nnclassify.errors import DataError, NNClassifyError
from nnclassify.runs.checkpoint import content_digest, load_checkpoint

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


def test_points_where_commas_were_expected_are_not_taken_for_thousands(here: Path) -> None:
    with pytest.raises(DataError, match=r"t.csv:2: .+ found '1.250', expected a number; for decimal points, set"):
        read(GOOD.replace(",", ";").replace("1;", "1.250;"), here, delimiter=";", decimal=",")


def test_features_and_delimiter(here: Path) -> None:
    splits = read(GOOD.replace(",", ";"), here, features=["green"], delimiter=";")
    assert splits.train.inputs.tolist() == [[2], [4], [6], [8]]


def after(name: str, values: list[str]) -> str:
    """The good table behind another column."""
    rows = [f"{value},{row}" for value, row in zip([name, *values], GOOD.splitlines(), strict=True)]
    return "\n".join(rows)


AS_MEANT = [[1, 2], [3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (GOOD.replace(",", ", ").replace("dark", '"dark"'), {}),
        (GOOD.replace(",", ";"), {"delimiter": ";"}),
        (GOOD.replace(",", "\t"), {"delimiter": r"\t"}),
        (GOOD.replace(",", "\t"), {"delimiter": "tab"}),
        (GOOD.replace(",", "|"), {"delimiter": "|"}),
        (GOOD.replace(",", ", "), {"delimiter": ", "}),
        (GOOD.replace(",", ";").replace("1;", "1,0;"), {"delimiter": ";", "decimal": ","}),
        (GOOD.encode("utf-16"), {"encoding": "utf-16"}),
        (GOOD.encode("utf-16-le"), {"encoding": "utf-16"}),
        (("\ufeff" + GOOD).encode("utf-16-be"), {"encoding": "utf-16-be"}),
        (GOOD.split("\n", 1)[1], {"columns": ["red", "green", "shade"]}),
        (GOOD.replace("\n", "\r"), {}),
        (GOOD.replace("\n", ",\n"), {}),  # a nameless column without a value
        (GOOD + ",,\n", {}),
        (GOOD.replace("1,2", '"1", 2.0').replace("5,6", "+5,6e0"), {}),
        (after("text", ['"a\r\nb\x0b\u2028\x85"'] * 4), {"features": ["red", "green"]}),
        (after("text", ["z" * 140_000] * 4), {"features": ["red", "green"]}),
        (after("", ["0", "1", "2", "3"]), {}),
    ],
)
def test_a_table_is_read_as_its_maker_meant_it(text: str | bytes, options: dict[str, object], here: Path) -> None:
    splits = read(text, here, **options)
    assert splits.train.inputs.tolist() == AS_MEANT
    assert (splits.class_names, splits.train.targets.tolist()) == (["dark", "light"], [0, 1, 0, 1])


def labeled(*labels: str) -> str:
    """A table of fifty rows with these labels in turn, and a column of noise."""
    return "x,shade\n" + "".join(f"{row * 37 % 101},{labels[row % len(labels)]}\n" for row in range(50))


@pytest.mark.parametrize(
    ("labels", "classes", "note"),
    [
        (("1", "1.0", "0", "1"), ["0", "1"], "labels '1', '1.0' are the same number and are used as one class: '1'"),
        (("01", "+1", "1e0", "1", "1", "2"), ["1", "2"], "labels '+1', '01', '1', '1e0' are the same number"),
        (("12345678901234567890", "12345678901234567891"), ["12345678901234567890", "12345678901234567891"], None),
        (("cat", "cat ", "dog"), ["cat", "dog"], "'cat ' is taken as 'cat'"),
        (("caf\u00e9", "cafe\u0301", "dog"), ["caf\u00e9", "dog"], "'cafe\\u0301' is taken as 'caf\u00e9'"),
        (("Cat", "cat", "dog"), ["Cat", "cat", "dog"], "labels 'Cat', 'cat' differ only in case, spaces or spelling"),
        (("cat\u200b", "cat", "dog"), ["cat", "cat\u200b", "dog"], "differ only in case, spaces or spelling"),
        (("True", "true", "0"), ["0", "True", "true"], "labels 'True', 'true' differ only in case"),
        (("none", "some"), ["none", "some"], "class 'none' may mark missing labels"),
        (("unknown", "some"), ["some", "unknown"], "class 'unknown' may mark missing labels"),
        (("+", "-"), ["+", "-"], None),
        (("'a'", "'b'"), ["'a'", "'b'"], "single quotes are kept"),
        (("0", "1", "10", "9"), ["0", "1", "9", "10"], None),
    ],
)
def test_spellings_of_labels(labels: tuple[str, ...], classes: list[str], note: str | None, here: Path) -> None:
    splits = read(labeled(*labels), here)
    assert splits.class_names == classes
    assert [found for found in splits.notes if note is None or note not in found] == []
    assert len(splits.notes) == (note is not None)


@pytest.mark.parametrize(
    ("header", "row", "note"),
    [
        (
            ",x,shade",
            "{i},{x},{c}",
            "the column without a name is an index of the rows and is not used as a feature",
        ),
        ("Unnamed: 0,x,shade", "{i},{x},{c}", "the column named 'Unnamed: 0' is an index of the rows"),
        ("index,x,shade", "{i},{x},{c}", "column 'index' numbers the rows; if it is not a property"),
        ("id,x,shade", "{i}7,{x},{c}", "column 'id' has a different value in every row"),
        ("y,x,shade", "{i2}.5,{x},{c}", "column 'y' reveals the label"),
        ("x,isa,isb,isc,shade", "{x},{is3[0]},{is3[1]},{is3[2]},{i3}", "column 'isb' reveals the label"),
        ("x,isb,isc,shade", "{x},{is3[1]},{is3[2]},{i3}", "column 'isc' reveals the label"),
        ("x,isa,isb,shade", "{x},{is3[0]},{is3[1]},{is3[2]}", "column 'isa' reveals the label"),
        ("y,x,shade", "{big},{x},{c}", "column 'y': next to 3e+38 in line 2, all other values are practically equal"),
    ],
)
def test_columns_that_should_not_be_learned_from_are_told(header: str, row: str, note: str, here: Path) -> None:
    rows = [
        row.format(
            i=i,
            i2=i % 2,
            i3=i % 3,
            is3=[int(i % 3 == k) for k in range(3)],
            x=i * 37 % 53,
            c=["dark", "light"][i % 2],
            big=i * 7 % 11 if i else "3e38",
        )
        for i in range(40)
    ]
    splits = read("\n".join([header, *rows]), here)
    assert sum(note in found for found in splits.notes) == 1
    assert len(splits.notes) == max(1, note.endswith("reveals the label") * header.count("is"))


def test_a_column_that_differs_by_rounding_alone_is_told() -> None:
    values = np.array([[1e6, 1e6, 5.0], [1e6 + 1e-9, 1e6 + 1e-3, 5.0]] * 5)
    (note,) = flat_notes(["a", "b", "c"], values)
    assert note.startswith("column 'a': values from 1000000 to 1000000.000000001 differ by rounding alone")


def test_a_number_that_stands_for_a_missing_value_is_told() -> None:
    values = np.array([[1, -999, 99, 99], [5, 5, 40, 99], [999, -999, 10, 98], [999, 7, 80, 90], [2, np.nan, 99, 99]])
    first, second = marker_notes(["a", "b", "c", "d"], values)
    assert first == (
        "column 'a': 999 in 2 rows, far from all other values (1 to 5): if it stands for a missing value, leave the "
        "field empty"
    )
    assert second.startswith("column 'b': -999 in 2 rows, far from all other values (5 to 7)")


def test_columns_beyond_the_first_ten_are_counted() -> None:
    values = np.repeat(np.array([[1.0], [2.0], [-999.0], [-999.0]]), 13, axis=1)
    notes = marker_notes([f"c{index}" for index in range(13)], values)
    assert [notes[9][:12], *notes[10:]] == ["column 'c9':", "and 3 more such columns"]


def test_an_index_is_no_feature_and_others_are(here: Path) -> None:
    splits = read(",x,shade\n" + "".join(f"{i},{i % 7},{i // 20}\n" for i in range(40)), here)
    assert (splits.feature_names, splits.input_shape) == (["x"], (1,))


def test_all_bad_columns_are_told_at_once(here: Path) -> None:
    names = [f"c{index:02}" for index in range(44)]
    text = "\n".join([",".join([*names, "x", "shade"]), *[",".join(["text"] * 44 + ["1", label]) for label in "ab"]])
    with pytest.raises(DataError) as caught:
        read(text, here)
    lines = caught.value.lines
    assert lines[0] == "t.csv:2: column 'c00': found 'text', expected a number (2 such rows)"
    assert lines[10] == (
        "t.csv: and 34 more columns; to use only the other columns, set dataset.features: [x]; "
        "to learn from columns of text too, set dataset.categories: auto"
    )
    assert len(lines) == 11


def test_the_columns_that_may_be_used_are_those_that_the_config_learns_from(here: Path) -> None:
    text = "size,x,who,cabin,shade\n" + "S,1,a,C1,p\nM,2,b,C2,q\n"
    options = {"categories": {"size": ["S", "M"]}}
    with pytest.raises(DataError, match=r"set dataset\.features: \[size, x\]"):
        read(text, here, **options)
    with pytest.raises(DataError, match=r"set dataset\.ignore: \[who, cabin\]"):
        read(text, here, **options, ignore=["who"])
    assert read(text, here, **options, ignore=["who", "cabin"]).feature_names == ["size", "x"]


def test_numeric_labels_are_in_numeric_order() -> None:
    assert sorted_labels(["10", "9", "2"]) == ["2", "9", "10"]
    assert sorted_labels(["b", "10", "a"]) == ["10", "a", "b"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD.replace(",", ";"), "delimiter: ';'"),
        (GOOD.replace(",", "\t"), 'delimiter: "\\t"'),
        (GOOD.replace(",", "|"), "delimiter: '|'"),
        (GOOD.replace(",", ";").replace("1;", "1,0;"), "delimiter: ';', decimal: ','"),
        (GOOD.encode("utf-16"), "encoding: 'utf-16'"),
        (GOOD.encode("utf-16-le"), "encoding: 'utf-16-le'"),
        (GOOD.encode("utf-16-be"), "encoding: 'utf-16-be'"),
        (GOOD.encode("utf-32"), "encoding: 'utf-32'"),
        (("größe," + GOOD.replace("\n", "\n0,").removesuffix("0,")).encode("cp1252"), "encoding: 'cp1252'"),
        (GOOD.replace(",", ";").encode("utf-16"), "encoding: 'utf-16', delimiter: ';'"),
        (gzip.compress(GOOD.encode(), mtime=0), None),
        (bz2.compress(GOOD.encode()), None),
        (lzma.compress(GOOD.encode()), None),
    ],
)
def test_how_a_file_is_written_is_recognized_and_said(text: str | bytes, found: str | None, here: Path) -> None:
    splits = read(text, here, features=["red", "green"])
    assert splits.train.inputs.tolist() == AS_MEANT
    assert splits.notes == ([] if found is None else [f"t.csv: recognized: {found}"])


WITH_HALVES = "größe,green,shade\n0.5,2,x\n1.5,4,y\n2.5,6,x\n"
GERMAN = WITH_HALVES.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (GERMAN.encode("cp1252"), WITH_HALVES.encode()),
        (GERMAN.encode(), WITH_HALVES.replace(",", ";").encode("utf-8-sig")),
        (GERMAN.encode("utf-16"), WITH_HALVES.replace("\n", "\r\n").encode("cp1252")),
        (WITH_HALVES.replace(",", "\t").encode("utf-16"), GERMAN.replace("\n", "\r").encode("cp1252")),
        (WITH_HALVES.encode(), GERMAN.replace(";", "\t").encode("utf-16")),
    ],
)
def test_a_file_of_a_split_may_be_written_in_another_way(own: bytes, other: bytes, here: Path) -> None:
    (here / "v.csv").write_bytes(other)
    splits = read(own, here, validation="v.csv", test=0)
    assert splits.validation is not None
    assert splits.validation.inputs.tolist() == splits.train.inputs.tolist() == [[0.5, 2], [1.5, 4], [2.5, 6]]
    assert splits.feature_names == ["größe", "green"]
    assert any(note.startswith("v.csv: recognized: ") for note in splits.notes)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "ascii"])
def test_text_that_is_the_same_in_both_encodings_is_as_written(encoding: str, here: Path) -> None:
    (here / "t.csv").write_bytes(b"a,label\n1,x\n")
    assert open_table(Path("t.csv"), CsvFormat(encoding=encoding))[1:] == ({}, [])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (GOOD.replace(",", ";"), {"delimiter": ","}, r"t.csv:1: columns are separated by ';', not ','; set dataset"),
        (
            GOOD.replace(",", "\t"),
            {"delimiter": ","},
            r"""separated by '\\t', not ','; set dataset.delimiter: "\\t"$""",
        ),
        (GOOD.encode("utf-16"), {"encoding": "utf-8"}, r"t.csv: UTF-16 text; set dataset.encoding: utf-16"),
        (
            GOOD.replace(",", ";").replace("1;", "1,0;"),
            {"decimal": "."},
            r"found '1,0', expected a number; for decimal",
        ),
        (GOOD.replace(",", ";").replace("1;", "1,000;"), {}, r"found '1,000', expected a number; for a decimal comma"),
    ],
)
def test_what_the_config_states_is_taken_as_it_is(
    text: str | bytes, options: dict[str, str], message: str, here: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(text, here, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("3,4", "3,"), r"t.csv:3: column 'green': missing value; fill it in"),
        (GOOD.replace("3,4", "3,x4"), r"t.csv:3: column 'green': found 'x4', expected a number"),
        (GOOD.replace("3,4", "3,nan"), r"t.csv:3: column 'green': found 'nan', a missing value; fill it in"),
        (GOOD.replace("3,4", "3,1e999"), r"t.csv:3: column 'green': found '1e999', expected a finite number"),
        (GOOD.replace("3,4", "3,4,5"), r"t.csv:3: 4 values; expected 3, as in the header"),
        (GOOD.replace("3,4,", ""), r"t.csv:3: 1 value; expected 3, as in the header; correct or remove"),
        (GOOD.replace("5,6,dark", "5,6,"), r"t.csv:4: column 'shade': no label; fill it in"),
        (GOOD.replace("shade", "shades"), r"t.csv:1: no column 'shade' \(dataset.label\); did you mean 'shades'\?"),
        (GOOD.replace("green", "red"), r"t.csv:1: column 'red' appears twice"),
        ("", r"t.csv: empty; expected a header line"),
        ("red,shade\n", r"t.csv: no rows after the header; expected"),
        ("shade\ndark\nlight\n", r"t.csv: no feature column other than the label"),
        (GOOD.replace("light", "dark"), r"csv: only one class \(dark\); expected at least two"),
        (GOOD + '"open', r"t.csv:6: not CSV"),
        (
            GOOD.split("\n", 1)[1],
            r"t.csv:1: row 1 looks like data .+ name the columns: dataset.columns: \[x1, x2, shade\]",
        ),
        ("# made by hand\n" + GOOD, r"t.csv:1: a comment, '# made by hand'"),
        (GOOD.replace("3,4", "3,NA"), r"t.csv:3: column 'green': found 'NA', a missing value"),
        (GOOD.replace("3,4", "3,?"), r"t.csv:3: column 'green': found '\?', a missing value"),
        (GOOD.replace("3,4", '3,"4,5"'), r"found '4,5', expected a number; for decimal commas, set dataset.decimal"),
        (GOOD.replace("3,4", '3,"4,500.1"'), r"found '4,500.1', expected a number; write it without thousands"),
        (GOOD.replace("3,4", "3,4%"), r"found '4%', expected a number; write it without the percent sign"),
        (GOOD.replace("3,4", "3,(4)"), r"found '\(4\)', expected a number; write negative numbers with a minus sign"),
        (GOOD.replace("3,4", "3,$4"), r"found '\$4', expected a number; write it without the currency sign"),
        (GOOD.replace("3,4", "3,2024-01-31"), r"found '2024-01-31', expected a number; a date"),
        (GOOD.replace("3,4", "3,1_000"), r"found '1_000', expected a number; write it without underscores"),
        (GOOD.replace("3,4", "3,0x10"), r"found '0x10', expected a number; write it as a decimal number"),
        (GOOD.replace("3,4", "3,\uff14"), r"expected a number in ASCII characters \(U\+FF14 is not\)"),
        (GOOD.replace("3,4", "3,\u22124"), r"expected a number in ASCII characters \(U\+2212 is not\)"),
        (GOOD.replace("dark", "nan"), r"t.csv:2: column 'shade': 'nan' looks like a missing label.+\(2 such rows\)"),
        (GOOD.replace("dark", "N/A"), r"t.csv:2: column 'shade': 'N/A' looks like a missing label"),
        (GOOD.replace("dark", r"\N"), r"t.csv:2: column 'shade': '\\\\N' looks like a missing label"),
        (GOOD.replace("dark", "#REF!"), r"t.csv:2: column 'shade': '#REF!' looks like a missing label"),
        (GOOD.replace("dark", "NaT"), r"t.csv:2: column 'shade': 'NaT' looks like a missing label"),
        (b"PK\x03\x04", r"t.csv: a zip archive or an Excel workbook; save it as CSV"),
        (
            "a,shade\n" + "".join(f"1,{row}.5\n" for row in range(30)),
            r"30 different numbers in 30 rows: looks",
        ),
        ("a,shade\n" + "".join(f"1,n{row}\n" for row in range(30)), r"30 classes for 30 rows: almost every row"),
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


def test_a_path_that_is_no_file_says_what_it_is(here: Path) -> None:
    (here / "t.csv").mkdir()
    for path, message in [
        ("t.csv", r"t\.csv: a folder; expected"),
        ("x" * 300, r"cannot be read \(File name too long\)"),
    ]:
        with pytest.raises(NNClassifyError, match=message):
            config_of(dataset={"name": "csv", "path": path}).dataset.build(0)


@given(
    text=st.text(max_size=80) | st.text(alphabet='a1,."\n\r ;-e', max_size=80).map("red,green,shade\n".__add__),
    options=st.sampled_from([{}, {"categories": "auto"}, {"categories": "auto", "missing": "fill"}]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused_in_one_line(text: str, options: dict[str, Any], here: Path) -> None:
    try:
        splits = read(text.encode("utf-8", "surrogatepass"), here, **options)
    except DataError as error:
        assert all(line.startswith("t.csv") and "\n" not in line for line in error.lines)
    else:
        assert splits.num_classes >= 2 and splits.train.inputs.isfinite().all()


def test_the_label_is_no_feature_and_every_name_that_is_absent_is_told(here: Path) -> None:
    with pytest.raises(DataError, match=r"^dataset\.features: 'shade' is the label, which reveals the answer"):
        read(GOOD, here, features=["red", "shade"])
    with pytest.raises(DataError, match=r"no column 'x'.+\n.+no column 'y'"):
        read(GOOD, here, features=["x", "y"])


@pytest.mark.slow
def test_nothing_follows_the_hash_seed_of_a_process(here: Path) -> None:
    """Two processes whose sets are in another order end in the same classes and the same weights."""
    labels = ["b", "a", "10", "9", "\u00e9", "z z"]
    (here / "t.csv").write_text("x,y,label\n" + "".join(f"{i % 7},{i % 5},{labels[i % 6]}\n" for i in range(60)))
    (here / "c.yaml").write_text("dataset: {name: csv, path: t.csv}\nmodel: {name: mlp, hidden: [4]}\nepochs: 3\n")
    command = [sys.executable, "-m", "nnclassify", "train", "c.yaml", "--no-plots", "--set", "compile=off"]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        subprocess.run([*command, "--set", f"name=s{seed}"], env=environment, check=True, capture_output=True)
    first, second = (load_checkpoint(here / f"checkpoints/s{seed}/best.pt") for seed in ("1", "2"))
    assert first.class_names == second.class_names == ["10", "9", "a", "b", "z z", "\u00e9"]
    assert content_digest(first.model) == content_digest(second.model)


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


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_embedded_tables_are_what_scikit_learn_loads(name: str) -> None:
    raw: Any = config_of(dataset=name).dataset.read(0)
    bunch = getattr(sklearn.datasets, f"load_{name}")()
    assert np.array_equal(raw.train.inputs.numpy(), bunch.data)
    assert np.array_equal(raw.train.targets, bunch.target)
    assert raw.class_names == list(bunch.target_names) and raw.feature_names == list(bunch.feature_names)


def test_embedded_digits_are_what_scikit_learn_loads() -> None:
    raw: Any = config_of(dataset="digits").dataset.read(0)
    bunch = sklearn.datasets.load_digits()
    assert np.array_equal(raw.train.inputs[:, 0].numpy(), np.rint(bunch.images * (255 / 16)))
    assert np.array_equal(raw.train.targets, bunch.target)


def test_digits_are_uint8_from_0_to_255() -> None:
    inputs = config_of(dataset="digits").dataset.build(0).train.inputs
    assert inputs.dtype == torch.uint8
    assert (int(inputs.min()), int(inputs.max())) == (0, 255)


def test_labels_that_join_others_are_noted() -> None:
    (note,) = label_notes(["big", "red", "red;big", "old, wise"])
    assert note.startswith(
        "classes such as 'red;big' join others: if an example may have several classes, write a column"
    )
    assert label_notes(["rock", "rock and roll", "R&B"]) == []
    tags = ["clear", "hazy", "clear water", "hazy water", "clear road", "hazy road", "water road", "clear water road"]
    assert label_notes(tags)[0].startswith("classes such as 'clear water' share their words: if an example may")
    assert label_notes([f"apple red {number}" for number in range(9)]) == []
