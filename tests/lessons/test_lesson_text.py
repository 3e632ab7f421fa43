"""Tests of a lesson as text, and of its curves as characters."""

from __future__ import annotations

from nnclassify.lessons.curves import Curves, charts_of, progress_bar, text_plot
from nnclassify.lessons.pages import find_lesson
from nnclassify.lessons.text import diff_text, markdown_text, question_text


def test_markdown_is_wrapped_but_not_its_code() -> None:
    text = markdown_text(f"{'word ' * 20}\nand *Deep Learning* by [them](https://x.org)\n\n    a  =  b * c")
    assert text.splitlines() == ["word " * 16 + "word", *text.splitlines()[1:]]
    assert text.splitlines()[1:] == ["word word word and Deep Learning by them (https://x.org)", "", "    a  =  b * c"]


def test_the_columns_of_a_table_are_aligned() -> None:
    assert markdown_text("| p | slope |\n| --- | --- |\n| 0.25 | -1 |") == "    p      slope\n    0.25   -1"


def test_a_diff_is_colored_by_its_signs() -> None:
    assert diff_text(["-a", "+b", " c"], color=True) == "    \x1b[31m-a\x1b[0m\n    \x1b[32m+b\x1b[0m\n     c"
    assert diff_text(["-a"], color=False) == "    -a"


def test_curves_are_drawn_at_their_height() -> None:
    lines = text_plot(Curves("test accuracy", {"broken": [0.5, 0.5], "fixed": [0.0, 1.0]})).splitlines()
    assert lines[1] == " 100% |" + " " * 30 + "*" * 30
    assert lines[6] == "  50% |" + "x" * 60
    assert lines[11] == "   0% |" + "*" * 30
    assert lines[-1].strip() == "x broken   * fixed"


def test_values_that_are_missing_or_not_finite_are_not_drawn() -> None:
    curves = Curves("loss", {"broken": [0.5, None], "fixed": [float("inf"), float("nan")]}, is_share=False)
    assert text_plot(curves).splitlines()[6] == "  50% |" + "x" * 30
    assert "*" not in "".join(text_plot(curves).splitlines()[:-1])
    (chart,) = charts_of([curves])
    assert [line.name for line in chart.lines] == ["broken"]


def test_a_bar_stays_within_its_width() -> None:
    assert progress_bar(0.5, 4) == "|##  | 50.0%"
    assert progress_bar(1.5, 4) == "|####| 150.0%"


def test_a_question_numbers_its_answers() -> None:
    text = question_text(find_lesson("one-unit-on-xor"))
    assert text.startswith("Accuracy stops at exactly 75%. What is the cause?\n  1. The network is stuck")
    assert "\n  4. XOR needs a sigmoid." in text
