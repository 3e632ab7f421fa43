"""Tests of table splits by a column of groups or times, and of folds."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import config_of

from nnclassify.data import Examples, Splits
from nnclassify.errors import ConfigError, DataError

Rows = list[tuple[str, str]]


def table_of(column: str, cells: list[str]) -> str:
    """One feature, a column of these cells, and two classes in turn."""
    return "\n".join([f"x,{column},label", *(f"{row},{cell},{'ab'[row % 2]}" for row, cell in enumerate(cells))])


def splits_of(text: str, here: Path, **options: Any) -> Splits:
    (here / "t.csv").write_text(text)
    splits: Splits = config_of(dataset={"name": "csv", "path": "t.csv", **options}).dataset.build(0)
    return splits


def rows_of(examples: Examples | None) -> list[int]:
    """The row of each example, which is its only feature."""
    assert examples is not None
    return [int(value) for value in examples.inputs[examples.indices, 0]]


def test_no_patient_of_a_table_is_in_two_splits(here: Path) -> None:
    cells = [f"P{number}" for number in np.random.default_rng(0).integers(0, 1000, 4000)]
    splits = splits_of(table_of("patient", cells), here, group="patient", validation=0.1)
    parts = [{cells[row] for row in rows_of(part)} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == len(set(cells)) > 950
    assert splits.feature_names == ["x"]
    assert abs(len(splits.train) - 0.8 * 0.9 * 4000) < 15
    assert abs(splits.class_counts()[0] - splits.class_counts()[1]) < 15


def test_each_patient_is_tested_in_one_fold(here: Path) -> None:
    cells = [f"P{row % 20}" for row in range(100)]
    folds = [splits_of(table_of("p", cells), here, group="p", folds=4, fold=fold) for fold in range(1, 5)]
    tested = [rows_of(splits.test) for splits in folds]
    assert sorted(itertools.chain(*tested)) == list(range(100))
    assert [len({cells[row] for row in rows}) for rows in tested] == [5, 5, 5, 5]
    for splits, rows in zip(folds, tested, strict=True):
        assert not {cells[row] for row in rows} & {cells[row] for row in rows_of(splits.train)}


@pytest.mark.slow
def test_the_groups_of_a_split_are_the_same_in_every_process(here: Path) -> None:
    text = table_of("p", [f"P{row % 30}" for row in range(120)])
    expected = splits_of(text, here, group="p").test
    code = (
        "from nnclassify.data.tables.table_datasets import Csv; splits = Csv(path='t.csv', group='p').build(0); "
        "print(splits.test.all_names())"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert expected is not None and found == [f"{expected.all_names()}\n"] * 2


DAYS = [f"2024-{1 + row // 28:02}-{1 + row % 28:02}" for row in range(100)]


@pytest.mark.parametrize(
    "cells",
    [
        DAYS,
        [str(row) for row in range(100)],
        [f"{day[8:]}.{day[5:7]}.{day[:4]}" for day in DAYS],
        [f"{day} 1{row % 9}:00" for row, day in enumerate(DAYS)],
    ],
)
def test_the_newest_rows_are_the_test_split_and_the_newest_of_the_others_validation(
    cells: list[str], here: Path
) -> None:
    order = np.random.default_rng(0).permutation(100)
    text = table_of("day", [cells[place] for place in order])
    splits = splits_of(text, here, time="day", validation=0.1)
    parts = [sorted(order[row] for row in rows_of(part)) for part in (splits.train, splits.validation, splits.test)]
    assert parts == [[*range(72)], [*range(72, 80)], [*range(80, 100)]]
    assert splits.feature_names == ["x"]


def test_rows_of_the_same_day_are_in_one_split_and_a_note_says_what_that_costs(here: Path) -> None:
    splits = splits_of(table_of("day", ["1"] * 6 + ["2"] * 4), here, time="day", validation=0)
    assert rows_of(splits.test) == [6, 7, 8, 9]
    told = "t.csv: 40% of the examples are held out for test, not 20%: examples of the same time are not divided"
    assert told in splits.notes


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (["p", "", "q", "q"], {"group": "c"}, r"^t\.csv:3: column 'c': no group; fill it in or remove the row$"),
        (["p"] * 4, {"group": "c"}, r"^dataset\.group: 1 group of 4 examples, none of which can be held out"),
        (["p"] * 4, {"group": "day"}, r"^t\.csv:1: no column 'day' \(dataset\.group\); columns: x, c, label$"),
        (["1", "soon", "2", "3"], {"time": "c"}, r"^t\.csv:.*: found '.+', expected a date or a number"),
        (["1", "", "2", "3"], {"time": "c"}, r"^t\.csv:3: column 'c': no time; fill it in or remove the row$"),
        (["1.2.24", "3.2.24", "", "x"], {"time": "label"}, r"^dataset\.time: 'label' is also the label or a feature"),
        (["01/02/2024", "03/04/2024"] * 2, {"time": "c"}, r"^t\.csv: column 'c': '01/02/2024' may be a date as"),
        (
            ["1", "9", "2", "8"],
            {"time": "c", "test": 0.5},
            r"^dataset\.time: all examples of class b are in the newest 50",
        ),
        (["7"] * 4, {"time": "c"}, r"^dataset\.time: all 4 examples have the same time"),
        (["p", "q", "p", "q"], {"group": "c", "folds": 3}, r"^dataset\.folds: 3 folds of 2 groups; expected at least"),
        (["p", "q", "r", "q"], {"group": "c", "folds": 2}, r"^dataset\.folds: only one group of class b; expected"),
    ],
)
def test_what_cannot_be_split_is_refused(cells: list[str], options: dict[str, Any], message: str, here: Path) -> None:
    ignored = {} if "c" in options.values() or "day" in options.values() else {"ignore": ["c"]}
    with pytest.raises(DataError, match=message):
        splits_of(table_of("c", cells), here, **options, **ignored)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": "t", "group": "g"}, "time: set together with group"),
        ({"time": "t", "folds": 5}, "folds: set together with time"),
        ({"folds": 5, "test": "test.csv"}, r"test: found test\.csv with folds: 5"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(dataset={"name": "csv", "path": "t.csv", **options})


def test_groups_and_older_rows_of_given_splits_are_named(here: Path) -> None:
    (here / "test.csv").write_text(table_of("c", ["3", "9"]))
    text = table_of("c", [str(1 + row // 2) for row in range(8)])
    by_group = splits_of(text, here, group="c", test="test.csv", validation=0)
    assert "t.csv: 1 group in both train and test (dataset.group): 3" in by_group.notes
    by_time = splits_of(text, here, time="c", test="test.csv", validation=0)
    assert "t.csv: 1 of 2 test examples are not newer than all of train (dataset.time)" in by_time.notes


def test_a_column_of_splits_may_leave_validation_to_the_groups(here: Path) -> None:
    rows = [f"{row},{row // 4},{'test' if row >= 40 else 'train'},{'ab'[row % 2]}" for row in range(48)]
    splits = splits_of("\n".join(["x,g,s,label", *rows]), here, group="g", split="s", validation=0.2)
    assert rows_of(splits.test) == [*range(40, 48)]
    validation = rows_of(splits.validation)
    assert len(validation) == 8 and {row // 4 for row in validation}.isdisjoint(
        row // 4 for row in rows_of(splits.train)
    )


def test_a_column_names_splits_in_the_words_of_the_user(here: Path) -> None:
    cells = ["Training", "Trainingsdaten", "Validierung", "Testdaten"] * 5
    splits = splits_of(table_of("part", cells), here, split="part")
    parts = [rows_of(part) for part in (splits.train, splits.validation, splits.test)]
    assert parts == [[row for row in range(20) if row % 4 in of] for of in ((0, 1), (2,), (3,))]
