"""Tests of printed text: one line per input and problem, whatever characters names contain."""

from pathlib import Path
from typing import Any

import pytest
import torch

from nnclassify.cli.table import table
from nnclassify.cli.text import comparison_text, evaluation_text, prediction_line, prediction_rows
from nnclassify.data import Examples
from nnclassify.errors import ConfigError, DataError, printable, root_cause
from nnclassify.evaluation.confusion import class_reports
from nnclassify.evaluation.slices import Slice
from nnclassify.inference.compare import ComparedRun
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.explained import ExplainedEvaluation
from nnclassify.inference.failures import Mistake
from nnclassify.inference.predict import Prediction
from nnclassify.inference.predictions import Predicted


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
    assert [*map(prediction_line, predictions)] == [r"a\nb.png: c\nd 75.0%, e 25.0%", "f.png: e 100.0%"]
    rows = list(prediction_rows(predictions))
    assert rows[1] == [r"a\nb.png", r"c\nd", "0.750000"] and len(rows) == 4
    assert table(["", "c\nd"], [["e", "1"]]).splitlines() == [r"   c\nd", "e     1"]


@pytest.mark.parametrize(
    ("label", "cell"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+", "'+"), ("-", "'-"), ("\t=1", r"\t=1"), ("＝1", "'＝1"),  # noqa: RUF001
     ("-1", "-1"), ("+1e3", "+1e3"), ("-1,50", "-1,50"), ("-1+cmd|x", "'-1+cmd|x"), ("a=1", "a=1"), ("", "")],
)  # fmt: skip
def test_no_cell_of_the_csv_is_a_formula(label: str, cell: str) -> None:
    _, row = prediction_rows([Prediction(label, ((label, 0.5),))])
    assert row == [cell, cell, "0.500000"]


def evaluated(confusion: list[list[int]], class_names: list[str], **failures: Any) -> str:
    reports, none = class_reports(confusion, class_names), torch.empty(0)
    metrics = {"loss": 1.0, "accuracy": 0.5}
    evaluation = Evaluation(9, metrics, {"accuracy": (0.1, 0.9)}, reports, confusion, none, none, none, none, none)
    scores = {"ece": 0.123, "brier": 0.25, "log_loss": 0.5}
    calibration: Any = {"temperature": None, "threshold": None, "reason": "no split", "before": scores}
    predicted = Predicted("test", Examples(none, none, none), evaluation)
    return evaluation_text(Path("best.pt"), "test", ExplainedEvaluation(predicted, calibration, **failures))


def test_a_confusion_matrix_has_numbers_over_its_columns_where_names_are_too_wide() -> None:
    assert "     cat  dog\ncat    3    1\ndog    0    2" in evaluated([[3, 1], [0, 2]], ["cat", "dog"])
    lines = evaluated([[3, 1], [0, 2]], ["a\nb", "x" * 300]).splitlines()
    assert max(map(len, lines)) <= 100 and any(line.startswith(r"a\nb ") for line in lines)
    wide = evaluated(torch.eye(10, dtype=torch.int64).tolist(), ["猫" * 6 + str(i) for i in range(10)])
    assert "1  2  3  4" in wide and "10 猫猫猫猫猫猫9" in wide


def test_of_many_classes_the_worst_and_the_largest_confusions_are_told() -> None:
    confusion = [[10 * (row == column) for column in range(1000)] for row in range(1000)]
    confusion[7][7], confusion[7][8] = 1, 9
    confusion[5][5], confusion[5][6] = 0, 3
    lines = evaluated(confusion, [f"c{number}" for number in range(1000)]).splitlines()
    assert len(lines) < 40 and "and 980 more; --json has all" in lines
    worst = lines.index("classes with the lowest f1")
    assert [line.split()[0] for line in lines[worst + 2 : worst + 4]] == ["c5", "c7"]
    assert [line.split() for line in lines[-4:-2]] == [
        ["c7", "->", "c8", "9", "90.0%"],
        ["c5", "->", "c6", "3", "100.0%"],
    ]


def test_the_slices_with_most_avoidable_mistakes_are_told() -> None:
    slices = [Slice("color", f"c{number}", 40, 10, 160, 150, 0.5**number, ("a.png",)) for number in range(12)]
    mistakes = [Mistake("b.png", "cat", "dog", 0.75, 1.5)]
    lines = evaluated([[3, 1], [0, 2]], ["cat", "dog"], highest=mistakes, slices=slices).splitlines()
    assert lines[-12].split()[-6:] == ["examples", "correct", "others", "p", "worst", "mistake"]
    assert lines[-11].split() == ["color=c0", "40", "25.0%", "93.8%", "1", "a.png"]
    assert lines[-14].split() == ["b.png", "dog", "75.0%", "cat", "1.500"]
    assert lines[-1] == "and 2 more; --json has all"
    assert evaluated([[3, 1], [0, 2]], ["cat", "dog"], highest=mistakes).splitlines()[-1].startswith("no slice")
    assert evaluated([[3, 0], [0, 2]], ["cat", "dog"]).splitlines()[-1] == "no mistakes"


def test_a_comparison_has_a_row_per_run_where_there_are_more_runs_than_keys() -> None:
    def runs(number: int) -> list[ComparedRun]:
        shares = {"train": 0.5, "validation": None, "test": None}
        unknown: dict[str, dict[str, float]] = {"validation": {}, "test": {}}
        return [
            ComparedRun(f"run-{n}", {"lr": n, "name": None}, 1, 2, 3.0, shares, "accuracy", unknown, [])
            for n in range(number)
        ]

    assert comparison_text(runs(2)).splitlines()[-3:] == [
        "      run-0  run-1",
        "lr        0      1",
        "name      -      -",
    ]
    assert comparison_text(runs(3)).splitlines()[-4:-2] == ["       lr  name", "run-0   0     -"]


def test_folds_of_a_config_have_a_mean_and_a_standard_deviation() -> None:
    known: dict[str, dict[str, float]] = {"validation": {}, "test": {}}
    runs = [
        ComparedRun(
            *(f"run-{fold}", {"dataset.fold": fold}, 1, 2, 3.0, {"train": 0.9, "validation": None, "test": accuracy}),
            *("accuracy", known, []),
        )
        for fold, accuracy in ((1, 0.7), (2, 0.8), (3, 0.9))
    ]
    lines = comparison_text(runs).splitlines()
    place = next(row for row, line in enumerate(lines) if line.startswith("mean (standard deviation)"))
    assert lines[place + 1].split("  ")[0] == "run-1 and 2 more"
    assert lines[place + 1].split()[-6:] == ["90.0%", "(0.0%)", "-", "80.0%", "(10.0%)", "-"]
    assert "mean" not in comparison_text(runs[:1])


def test_columns_of_wide_characters_are_aligned() -> None:
    assert table(["", "n"], [["猫", "1"], ["cat", "22"]]).splitlines() == ["      n", "猫    1", "cat  22"]


def test_the_root_cause_is_the_error_that_came_first() -> None:
    first, between, last = ValueError("first"), TypeError("between"), RuntimeError("last")
    last.__cause__, between.__context__ = between, first
    assert [root_cause(error) for error in (last, first)] == [first, first]
