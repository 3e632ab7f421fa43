"""Tests of `nnclassify lesson`: listed, told, asked, as JSON, and as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nnclassify.cli.main import app
from nnclassify.errors import InputError


def lesson(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(app, ["lesson", *arguments], input=answers, catch_exceptions=False)


def test_lessons_are_listed() -> None:
    assert "  2  softmax-twice " in lesson().stdout
    rows = json.loads(lesson("--json").stdout)["lessons"]
    assert (rows[0]["name"], rows[0]["finding"], rows[0]["found_by"]) == ("relu-before-sigmoid", "NN205", "check")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("softmax-twise", "did you mean 'softmax-twice'"),
        ("--all", "--all: needs --out FOLDER"),
        ("1 --all", "use one or the other"),
        ("--out x", "--out: needs a LESSON"),
        ("--quiz", "--quiz: needs a LESSON"),
        ("1 --out x --hints 2", "--hints: .* remove --out"),
        ("1 --json --quiz", "remove --quiz"),
        ("1 --plot x.xyz", "cannot draw a .xyz file"),
        ("1 --out .", "--out .: not empty"),
        ("1 --out here.txt", "--out here.txt: here.txt is a file; expected a folder"),
    ],
)
def test_options_without_effect_are_refused(here: Path, arguments: str, message: str) -> None:
    (here / "here.txt").touch()
    with pytest.raises(InputError, match=message):
        lesson(*arguments.split())


def test_the_files_of_a_lesson_can_be_tried(here: Path) -> None:
    assert "cd try && nnclassify check broken.yaml" in lesson("two-annotators", "--out", "try").stdout
    assert {path.name for path in (here / "try").iterdir()} >= {"broken.yaml", "fixed.yaml", "new.csv"}
    assert not (here / "try" / "page.md").exists()


@pytest.mark.slow
def test_a_lesson_asks_before_it_tells(here: Path) -> None:
    text = lesson("batch-too-large", "--quiz", "--hints", "1", "--plot", "curves.png", answers="2\nmaybe\n1\n").stdout
    parts = ["batch_size: 2000", "epoch 10/10", "* fixed", "What you see", "Not that one.", "number from 1 to 3"]
    parts += [
        "Right. Learning happens in updates",
        "Hint 1",
        "fault NN403",
        "Why",
        "+batch_size: 32",
        "Further reading",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places and places == sorted(places)
    assert "Hint 2" not in text
    assert (here / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_lesson_is_told_as_json(here: Path) -> None:
    told = json.loads(lesson("renumbered-classes", "--json", "--seed", "1").stdout)
    assert told["broken"]["as_expected"] and told["fixed"]["as_expected"] and told["cause_is_named"]
    assert told["broken"]["figure"] < 0.3 and list(told["broken"]["seeds"]) == ["1"]
    assert "NN119" in [finding["id"] for finding in told["check"]["findings"]]
    assert any("+dataset" in line for line in told["diff"])
