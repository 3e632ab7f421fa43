"""Tests of table rows to predict: columns are matched by name, and each row has an answer or an error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from nnclassify.data.tables.csv_inputs import inputs_of
from nnclassify.data.tables.csv_rows import CsvFile, CsvFormat
from nnclassify.errors import DataError

NAMES, COMMA = ["a", "b"], CsvFormat()


def read(
    text: str, here: Path, names: list[str] | None = NAMES, written: CsvFormat = COMMA
) -> dict[int, list[float] | str]:
    (here / "r.csv").write_bytes(text.encode(written.encoding))
    return by_line(inputs_of(CsvFile(Path("r.csv"), written), names, 2))


def by_line(found: Iterable[tuple[str, list[float] | DataError]]) -> dict[int, list[float] | str]:
    lines = ((int(name.removeprefix("r.csv:")), row) for name, row in found)
    return {line: str(row) if isinstance(row, DataError) else row for line, row in lines}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", {2: [1, 2]}),
        ("b,x,a\n2,text,1\n", {2: [1, 2]}),  # other columns may be there
        ('"b", "a"\n2, "1"\n\n4, 3\n', {2: [1, 2], 4: [3, 4]}),
        ("1,2\n3,4\n", {1: [1, 2], 2: [3, 4]}),  # no header: in order
        (",2\n3,4", {1: "r.csv:1: column 'a': missing value; fill it in or remove the row", 2: [3, 4]}),
        ("NA,2\n3,4", {1: "r.csv:1: column 'a': found 'NA', a missing value; fill it in or remove the row", 2: [3, 4]}),
        ("oops,2\n3,4", {1: "r.csv:1: column 'a': found 'oops', expected a number", 2: [3, 4]}),
        ("inf,2\n", {1: "r.csv:1: column 'a': found 'inf', expected a finite number; correct it or remove the row"}),
        ("a,b\n1\n3,4", {2: "r.csv:2: 1 values; expected 2, as in the header", 3: [3, 4]}),
        ("1,2,3\n3,4", {1: "r.csv:1: 3 values; expected 2, the network's (a, b)", 2: [3, 4]}),
        ('note,a,b\n"two\r\nlines\x0b\u2028",1,2\nx,3,4', {2: [1, 2], 4: [3, 4]}),
        ("\ufeffa,b\r1,2\r", {2: [1, 2]}),
        ("a,b\n1,2\n , \n3,4\n,\n", {2: [1, 2], 4: [3, 4]}),  # empty rows, as in training
    ],
)
def test_every_row_is_answered_or_an_error(text: str, rows: dict[int, object], here: Path) -> None:
    assert read(text, here) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("B,a\n1,2\n", r"r\.csv:1: no column 'b'; this network takes 2 \(a, b\); found B, a"),
        ("x,y\n1,2\n", r"r\.csv:1: no column 'a', 'b'; this network takes 2 \(a, b\); found x, y"),
        ("a,2020\n1,2\n", r"r\.csv:1: no column 'b'"),
        ("a,b,a\n1,2,3\n", r"r\.csv:1: column 'a' appears twice"),
        ("", r"r\.csv: empty; expected rows of 2 values"),
        ("a,b\n", r"r\.csv: no rows after the header"),
        ('a,b\n1,"2\n', r"r\.csv:2: not CSV \(a quote is not closed\)"),
    ],
)
def test_a_file_that_is_not_the_nets_is_refused(text: str, message: str, here: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(text, here)


def test_files_are_read_as_the_one_trained_on(here: Path) -> None:
    german = CsvFormat(delimiter=";", decimal=",", encoding="latin-1")
    assert read("größe;a;b\nä;0,5;1\n", here, written=german) == {2: [0.5, 1]}
    assert read("1,5;2\n", here, written=german) == {1: [1.5, 2]}
    headless = CsvFormat(columns=("b", "label", "a"))
    assert read("2,x,1\n", here, written=headless) == {1: [1, 2]}
    assert read("1,2\n", here, written=headless) == {1: [1, 2]}
    assert read("a,b\n1,2\n", here, written=headless) == {2: [1, 2]}


def test_a_header_further_down_is_called_so(here: Path) -> None:
    again = "r.csv:3: the header again, as in files that were joined; remove the line"
    assert read("b,a\n1,2\nB, a\n3,4\n", here) == {2: [2, 1], 3: again, 4: [4, 3]}


def test_a_net_without_names_takes_columns_in_order(here: Path) -> None:
    assert read("x,y\n1,2\n", here, names=None) == {2: [1, 2]}
    assert read("1,2\n1,z\n", here, names=None) == {1: [1, 2], 2: "r.csv:2: value 2: found 'z', expected a number"}


def test_an_empty_line_in_one_column_is_a_missing_value(here: Path) -> None:
    (here / "one.csv").write_text("a\n1\n\n3\n\n")
    found = dict(inputs_of(CsvFile(Path("one.csv"), CsvFormat()), ["a"], 1))
    assert list(found) == ["one.csv:2", "one.csv:3", "one.csv:4"] and "missing value" in str(found["one.csv:3"])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("id7,1,2,yes\n", {1: [1, 2]}),  # all columns of the training file
        ("id7,1,2\n", {1: [1, 2]}),  # without the label
        ("1,2\n", {1: [1, 2]}),  # the features alone
        ("id7,1,2,yes,more\n", {1: "r.csv:1: 5 values; expected 2, the network's (x2, x3)"}),
    ],
)
def test_rows_of_a_file_without_a_header_may_have_columns_that_are_not_used(
    text: str, rows: dict[int, object], here: Path
) -> None:
    Path("r.csv").write_text(text, encoding="utf-8")
    table = CsvFile(Path("r.csv"), CsvFormat(columns=("x1", "x2", "x3", "label")))
    assert by_line(inputs_of(table, ["x2", "x3"], 2, expected=["label", "x1"])) == rows


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b,who,a\n2,892,1\n2, Ann ,1\n2,,1\n", ["892", "Ann", "r.csv:4"]),
        ("who,a,b\n7,1\n8,1,x\n", ["r.csv:2", "r.csv:3"]),  # errors name the line
        ("a,b\n1,2\n", ["r.csv:2"]),
        ("1,2\n", ["r.csv:1"]),
    ],
)
def test_rows_are_called_by_their_identifier(text: str, names: list[str], here: Path) -> None:
    Path("r.csv").write_text(text, encoding="utf-8")
    found = inputs_of(CsvFile(Path("r.csv"), COMMA), NAMES, 2, expected=["label", "who"], identifier="who")
    assert [name for name, _ in found] == names
