"""Rows of tables as their files have them, in the columns that matter most."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of
from torch import nn

import nnclassify
from nnclassify.cli.text import evaluation_text
from nnclassify.data import Examples
from nnclassify.evaluation.totals import exact
from nnclassify.inference.attribution import column_influence
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluation_examples import examples_to_evaluate
from nnclassify.inference.explained import explained
from nnclassify.inference.report.examples import read_examples
from nnclassify.inference.report.page import save_report
from nnclassify.inference.table_rows import MAX_COLUMNS, TableRows, table_rows
from nnclassify.training.build import build_components

HEADER = "id;age;income;job;city;start;active;kind;x1;x2;label"
DATASET: dict[str, Any] = {"name": "csv", "path": "t.csv", "id": "id", "categories": "auto", "missing": "fill"}
DATASET |= {"numbers": ["income"], "dates": {"start": {"format": "%d.%m.%Y", "parts": ["month"]}}, "validation": 0}
NUMBERS: dict[str, Any] = {"categories": None, "numbers": None, "dates": None}


def text_of(row: int) -> str:
    """A row with a number that may be missing, in a format of its own, categories, a date, yes or no, and numbers."""
    age, job = ("NA", "1,50", "007")[row % 3], ("nurse", "Köln, Amt", "")[row % 3]
    varied = f"${row},000;{job};city {row % 4};{row % 28 + 1:02}.0{row % 9 + 1}.2024"
    return f"r{row};{age};{varied};{('yes', 'No', 'TRUE')[row % 3]};a;{row},5;{row % 7};{'ab'[row % 2]}"


def written(here: Path) -> dict[str, list[str]]:
    """Write the table, and return its fields by their ids."""
    rows = [text_of(row) for row in range(1, 121)]
    (here / "t.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return {row.split(";")[0]: row.split(";") for row in rows}


def classifier_and_examples(**dataset: Any) -> tuple[Classifier, Examples]:
    """An untrained network on the table, and its test split."""
    built = build_components(config_of(dataset={**DATASET, **dataset}, model={"name": "mlp", "hidden": [4]}))
    parts = built.model.eval(), built.loss_fn, built.transform, built.splits.class_names, built.placement
    assert built.splits.test is not None
    return Classifier(Path("best.pt"), built.config, *parts), built.splits.test


def test_rows_are_shown_as_they_are_written_in_the_file(here: Path) -> None:
    fields, names = written(here), HEADER.split(";")
    classifier, test = classifier_and_examples()
    found = table_rows(classifier, classifier.config.dataset, "test", test, torch.arange(len(test)))
    assert len(found.columns) == MAX_COLUMNS and {*found.columns} < {*names[1:-1]}
    for name, row in zip(test.all_names(), found.named(), strict=True):
        assert row == {column: fields[name][names.index(column)] for column in found.columns}
    influence = column_influence(classifier, test, torch.arange(len(test)))
    ranked = [names[1 + place] for place in sorted(range(9), key=lambda place: -influence[place])]
    assert found.columns == ranked[:MAX_COLUMNS]
    assert influence[names.index("kind") - 1] == 0  # the same in all rows


def test_a_file_that_has_changed_or_is_gone_shows_no_rows(here: Path) -> None:
    written(here)
    classifier, test = classifier_and_examples()
    content, notes = (here / "t.csv").read_text(encoding="utf-8"), list[str]()
    name = test.name_of(0)
    for changed in (content.replace(f"\n{name};", f"\nnew;{name};"), content.replace(",5;", ",25;"), HEADER, None):
        (here / "t.csv").unlink() if changed is None else (here / "t.csv").write_text(changed, encoding="utf-8")
        found = table_rows(classifier, classifier.config.dataset, "test", test, torch.arange(3), notes.append)
        assert found == TableRows()
    assert all(note.startswith("the values of rows are not shown: t.csv") and "\n" not in note for note in notes)
    assert "column 'x1' is now" in notes[1] and "the file has changed since it was read" in notes[0]
    assert "no such file" in notes[3]


def test_a_table_of_no_file_is_shown_by_its_numbers() -> None:
    built = build_components(config_of(dataset={"name": "iris", "validation": 0}))
    parts = built.model.eval(), built.loss_fn, built.transform, built.splits.class_names, built.placement
    test = built.splits.test
    assert test is not None
    found = table_rows(
        Classifier(Path("best.pt"), built.config, *parts), built.config.dataset, "test", test, torch.tensor([2])
    )
    values = dict(zip(built.transform.columns or [], test.select(torch.tensor([2]))[0][0].tolist(), strict=True))
    assert {name: float(text) for name, text in found.named()[0].items()} == values


def test_a_table_of_no_file_is_shown_by_the_numbers_that_quantiles_were_taken_of(here: Path) -> None:
    rows = written(here)
    classifier, test = classifier_and_examples(features=["x1", "x2"], quantile_transform=["x1"], **NUMBERS)
    in_memory = config_of(dataset="iris").dataset
    found = table_rows(classifier, in_memory, "test", test, torch.tensor([2])).named()[0]
    fields = rows[test.name_of(2)]
    assert float(found["x1"]) == pytest.approx(float(fields[8].replace(",", ".")), rel=1e-4)
    assert float(found["x2"]) == float(fields[9])


def test_the_influence_of_a_column_is_what_its_mean_would_change_to_first_order(here: Path) -> None:
    written(here)
    classifier, test = classifier_and_examples(features=["x1", "x2"], **NUMBERS)
    network = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(network.weight)
    with torch.no_grad():
        network.weight[1, 0] = 3.0
    rows = torch.tensor([1, 4])
    classifier = replace(classifier, model=network)
    inputs = classifier.transform(test.select(torch.arange(len(test)))[0], torch.float32)
    chances = network(inputs[rows]).softmax(dim=1)[:, 1].detach()
    errors = chances - test.all_targets()[rows]  # the derivative of the loss by the second output
    expected = (errors * 3.0 * (inputs[rows, 0] - inputs[:, 0].mean())).abs().mean()
    assert column_influence(classifier, test, rows) == pytest.approx([float(expected), 0.0], rel=1e-5)


@pytest.mark.slow
def test_evaluate_and_the_report_show_rows_of_mistakes(here: Path) -> None:
    fields, names = written(here), HEADER.split(";")
    run = nnclassify.train(
        {"dataset": DATASET, "model": {"name": "mlp", "hidden": [4]}, "epochs": 1, "name": "t"}
    ).folder
    shown = read_examples(run.examples)
    for name, values in shown.values.items():
        assert values == [fields[name][names.index(column)] for column in shown.columns]
    classifier = nnclassify.load(str(run.path))
    chosen = examples_to_evaluate(classifier)
    found = explained(classifier, chosen, (), print, with_importance=False)
    assert found.highest and not exact(found.evaluation.predictions, found.evaluation.targets).all()
    for mistake in [*found.highest, *found.lowest]:
        assert mistake.row == {column: fields[mistake.name][names.index(column)] for column in mistake.row}
        assert len(mistake.row) == MAX_COLUMNS
    first, *_ = found.highest
    lines = evaluation_text(run.best, "test", found).splitlines()
    header = next(line for line in lines if line.startswith("mistakes with the highest loss"))
    assert next(iter(first.row)) in header and len(header) <= 120
    page = run.report.read_text(encoding="utf-8")
    assert all(text in page for text in ("Köln, Amt", "(empty)", "<bdi>NA</bdi>"))
    (here / "t.csv").unlink()
    assert save_report(run).read_text(encoding="utf-8") == page


def test_values_of_earlier_releases_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "examples.json").write_text(
        json.dumps({"split": "test", "columns": ["a"], "values": {"7": [1234.5678]}})
    )
    assert read_examples(tmp_path / "examples.json").values == {"7": ["1235"]}
