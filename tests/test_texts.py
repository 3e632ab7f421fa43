"""What a terminal, a spreadsheet or a script reads: one line per input and problem, whatever stands in names."""

import csv

import pytest

from nnclassify.errors import ConfigError, DataError, printable
from nnclassify.predict import Prediction
from nnclassify.texts import predictions_csv, predictions_text, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x7f\x85", r"\x1b[31mred\x7f\x85"),
        ("cat\u202etac", r"cat\u202etac"),
        ("a\u2028b", r"a\u2028b"),
        ("caf\udce9.png", r"caf\xe9.png"),  # a byte that is no UTF-8
        ("\ud800", r"\ud800"),
        ("café, 猫, می\u200cرویم", "café, 猫, می\u200cرویم"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_error_is_one_line_per_problem() -> None:
    assert DataError("a\nb: empty").lines == [r"a\nb: empty"]
    assert ConfigError(["a\nb: found 1", "c: found 2"]).lines == [r"a\nb: found 1", "c: found 2"]


def test_a_label_with_a_newline_makes_one_line_per_input() -> None:
    predictions = [Prediction("a\nb.png", (("c\nd", 0.75), ("e", 0.25))), Prediction("f.png", (("e", 1.0),))]
    assert predictions_text(predictions).splitlines() == [r"a\nb.png: c\nd 75.00%, e 25.00%", "f.png: e 100.00%"]
    assert len(predictions_csv(predictions).splitlines()) == 4
    assert table(["", "c\nd"], [["e", "1"]]).splitlines() == [r"   c\nd", "e     1"]


@pytest.mark.parametrize(
    ("label", "cell"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+", "'+"), ("-", "'-"), ("\t=1", r"\t=1"), ("＝1", "'＝1"),  # noqa: RUF001
     ("-1", "-1"), ("+1e3", "+1e3"), ("-1,50", "-1,50"), ("-1+cmd|x", "'-1+cmd|x"), ("a=1", "a=1"), ("", "")],
)  # fmt: skip
def test_no_cell_of_the_csv_is_a_formula(label: str, cell: str) -> None:
    _, row = csv.reader(predictions_csv([Prediction(label, ((label, 0.5),))]).splitlines())
    assert row == [cell, cell, "0.500000"]
