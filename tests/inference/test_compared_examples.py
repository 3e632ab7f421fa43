"""Tests of how the examples of compared runs are matched by name."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders import config_of, loaded

from nnclassify import run
from nnclassify.cli.text import comparison_text
from nnclassify.inference.compare import compare
from nnclassify.inference.predictions import read_correct
from nnclassify.runs.folder import RunFolder


def trained(name: str, **values: Any) -> RunFolder:
    return run.train(replace(loaded(config_of(**values)), name=name)).folder


def table(*rows: str) -> dict[str, Any]:
    Path("t.csv").write_text("\n".join(["a,b,label", *rows, ""]))
    return {"name": "csv", "path": "t.csv", "test": 0.3, "validation": 0}


ROWS = [f"{row % 10},{row * 7 % 13},{'low' if row % 10 < 5 else 'high'}" for row in range(60)]


def test_examples_that_only_one_run_gets_right_are_named(here: Path) -> None:
    folders = [trained(name, dataset=table(*ROWS), epochs=epochs) for name, epochs in (("short", 1), ("long", 30))]
    answers = []
    for folder in folders:
        with folder.predictions.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
        answers.append({row["name"]: row["true"] == row["predicted"] for row in rows})
        assert read_correct(folder.predictions, "test") == answers[-1]
    notes: list[str] = []
    first, second = compare(["short", "long"], notes.append)
    short, long = answers
    assert first.examples is None and second.examples is not None and notes == []
    assert second.examples.num_common == len(short) == 18
    assert second.examples.only_here == [name for name in long if long[name] and not short[name]] != []
    assert second.examples.only_first == [name for name in long if short[name] and not long[name]]
    assert "correct only in short" in comparison_text([first, second])
    assert second.figures()["examples"] is second.examples


def test_other_folds_are_named_together(here: Path) -> None:
    for fold in (1, 2, 3):
        dataset = {key: value for key, value in table(*ROWS).items() if key != "test"}
        trained(f"fold{fold}", dataset={**dataset, "folds": 3, "fold": fold})
    notes: list[str] = []
    compare(["fold1", "fold2", "fold3"], notes.append)
    assert notes == ["fold2, fold3: another seed or fold than fold1, so other test examples"]


def test_a_test_split_that_is_not_that_of_the_first_run_is_told_by_name(here: Path) -> None:
    trained("before", dataset=table(*ROWS))
    trained("after", dataset=table("5,5,high", *ROWS))
    trained("other", dataset={"name": "blobs", "num_examples": 30, "num_test": 9})
    notes: list[str] = []
    compared = compare(["before", "after", "other"], notes.append)
    assert notes[0].startswith("after: its test split is not that of before: ") and " added (" in notes[0]
    assert notes[1].startswith(
        "other: its test split is not that of before: 9 examples added (test/0, test/1, test/2 and"
    )
    assert compared[2].examples is None
    (Path("checkpoints") / "before" / "manifest.csv").unlink()  # as of a run of an earlier release
    notes.clear()
    assert compare(["before", "after"], notes.append)[1].examples is None and notes == []


def test_other_data_is_not_called_another_seed(here: Path) -> None:
    trained("before", dataset=table(*ROWS))
    trained("other", dataset={"name": "blobs", "num_examples": 30, "num_test": 9}, seed=1)
    notes: list[str] = []
    compare(["before", "other"], notes.append)
    assert [note.partition(": ")[2][:38] for note in notes] == ["its test split is not that of before: "]


def test_that_single_runs_are_compared_as_if_groups_were_not_is_told(here: Path) -> None:
    rows = [f"{value % 13},p{value // 6},{'low' if value % 13 < 6 else 'high'}" for value in range(90)]
    Path("groups.csv").write_text("\n".join(["a,patient,label", *rows]))
    for name, hidden in (("one", 3), ("other", 4)):
        dataset = {"name": "csv", "path": "groups.csv", "group": "patient", "test": 0.4, "validation": 0}
        trained(name, dataset=dataset, model={"name": "mlp", "hidden": [hidden]})
    notes: list[str] = []
    compare(["one", "other"], notes.append)
    assert len(notes) == 1 and notes[0].startswith("the test examples are in groups (dataset.group), but are compared")
