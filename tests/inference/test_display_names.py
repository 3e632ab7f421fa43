"""Tests of names on a terminal and in plots: one line each, of limited width, whatever characters they contain."""

import pytest

from nnclassify.inference.display_names import num_columns, readable, readable_names


@pytest.mark.parametrize(
    ("text", "columns"), [("cat", 3), ("猫", 2), ("e\u0301", 1), ("a\u200db", 2), ("\N{GRINNING FACE}", 2), ("", 0)]
)
def test_columns_are_those_of_a_terminal(text: str, columns: int) -> None:
    assert num_columns(text) == columns


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("", "''"),
        ("  ", "'  '"),
        ("\u200d", r"'\u200d'"),
        ("a\nb", r"a\nb"),
        ("\x1b[1m", r"\x1b[1m"),
        ("\u200b", r"\u200b"),
        ("abcdefghijklm", "abcde…jklm"),
        ("猫" * 10, "猫猫…猫猫"),
        ("e\u0301" * 20, "e\u0301" * 5 + "…" + "e\u0301" * 4),
    ],
)
def test_a_name_is_shown_on_one_line_and_cut_in_the_middle(name: str, shown: str) -> None:
    assert readable(name, 10) == shown
    assert num_columns(shown) <= 10


def test_names_that_look_alike_when_they_are_cut_are_told_apart() -> None:
    assert readable_names(["a" * 9 + "b" + "z" * 9, "a" * 9 + "c" + "z" * 9, "d"], 5) == ["aa…zz [0]", "aa…zz [1]", "d"]


def test_a_name_of_accents_without_end_is_cut() -> None:
    assert readable("a" + "\u0301" * 1000, 10) == "a" + "\u0301" * 39 + "\N{HORIZONTAL ELLIPSIS}" + "\u0301" * 40
