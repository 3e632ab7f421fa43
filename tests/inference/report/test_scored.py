"""What is read from `predictions.csv`, and which examples a page shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_folders import write_answers, write_run
from sklearn.metrics import precision_recall_fscore_support

from nnclassify.inference.report.classes import class_rows, matrix
from nnclassify.inference.report.scored import MAX_LISTED, MAX_RIGHT, Scored, read_scored


def scored_of(folder: Path, classes: list[str], answers: list[tuple[str, int, int, float]]) -> Scored:
    run = write_run(folder)
    write_answers(run, classes, answers)
    found = read_scored(run.predictions)
    assert found is not None
    return found


def test_examples_are_read_with_their_classes(tmp_path: Path) -> None:
    found = scored_of(tmp_path, ["=1+1", "b"], [("x, y", 0, 1, 0.9), ("z", 1, 1, 0.8)])
    assert found.class_names == ["=1+1", "b"]  # the file has an apostrophe, for spreadsheets
    assert (found.names, found.true, found.predicted) == (["x, y", "z"], [(0,), (1,)], [(1,), (1,)])
    assert found.confidences == [0.9, 0.8]
    assert found.is_correct == [False, True]
    assert found.counts == {(0, 1): 1, (1, 1): 1}


def test_multi_hot_examples_have_any_number_of_classes(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    run.predictions.write_text(
        "split,name,true(a),true(b),predicted(a),predicted(b),p(a),p(b),loss\n"
        "test,one,1,1,1,0,0.9,0.4,0.7\ntest,two,0,0,0,0,0.1,0.2,0.2\n"
    )
    found = read_scored(run.predictions)
    assert found is not None
    assert found.is_multi_hot
    assert (found.true, found.predicted) == ([(0, 1), ()], [(0,), ()])
    assert found.confidences == [0.6, 0.8]  # of the least certain decision
    assert found.is_correct == [False, True]


def test_validation_examples_stand_in_for_a_test_split(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_answers(run, ["a", "b"], [("x", 0, 0, 0.7)], split="validation")
    found = read_scored(run.predictions)
    assert found is not None
    assert found.split == "validation"


@pytest.mark.parametrize(
    "content", ["", "split,name\n", "a,b\n1,2\n", "split,name,true,predicted,p(a),loss\ntest,x,q,a,1,0\n"]
)
def test_a_file_that_is_no_table_of_predictions_is_left_out(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path)
    run.predictions.write_text(content)
    assert read_scored(run.predictions) is None


def test_mistakes_are_ranked_and_listed_by_cell(tmp_path: Path) -> None:
    answers = [(f"wrong {number}", 0, 1, 0.5 + number / 100) for number in range(40)]
    answers += [(f"right {number}", 1, 1, 0.6) for number in range(20)]
    found = scored_of(tmp_path, ["a", "b"], answers)
    assert [found.names[row] for row in found.highest[:2]] == ["wrong 39", "wrong 38"]
    assert [found.names[row] for row in found.lowest[:2]] == ["wrong 0", "wrong 1"]
    assert not set(found.highest) & set(found.lowest)
    assert {at: len(rows) for at, rows in found.listed.items()} == {(0, 1): 40, (1, 1): MAX_RIGHT}


def test_no_more_examples_are_listed_than_a_page_holds(tmp_path: Path) -> None:
    answers = [(str(number), number % 3, (number + 1) % 3, 0.9) for number in range(MAX_LISTED + 300)]
    found = scored_of(tmp_path, ["a", "b", "c"], answers)
    counts = [len(rows) for rows in found.listed.values()]
    assert sum(counts) == MAX_LISTED
    assert max(counts) - min(counts) <= 1


def test_the_figures_of_classes_are_those_of_scikit_learn(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 4, (2, 200))
    found = scored_of(
        tmp_path,
        list("abcd"),
        [(str(n), int(t), int(p), 0.7) for n, (t, p) in enumerate(zip(true, predicted, strict=True))],
    )
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted)
    rows = class_rows(found)
    assert [row.precision for row in rows] == pytest.approx(precision)
    assert [row.recall for row in rows] == pytest.approx(recall)
    assert [row.f1 for row in rows] == pytest.approx(f1)
    assert [row.support for row in rows] == support.tolist()


def test_a_matrix_of_many_classes_shows_those_with_the_most_mistakes(tmp_path: Path) -> None:
    classes = [f"class {number}" for number in range(1000)]
    answers = [(str(number), number, number, 0.9) for number in range(0, 1000, 20)]
    answers += [("x", 700, 3, 0.9), ("y", 700, 3, 0.8), ("z", 5, 999, 0.9)]
    found = matrix(scored_of(tmp_path, classes, answers))
    assert {3, 5, 700, 999} <= set(found.classes)
    assert len(found.classes) == 20
    assert found.num_left_out == 980
    assert [(one.at, one.count) for one in found.largest] == [((700, 3), 2), ((5, 999), 1)]
