"""What a notebook shows: figures as they are, and every name escaped."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import nnclassify
from nnclassify.errors import InputError
from nnclassify.inference.evaluate import Evaluation
from nnclassify.inference.predict import Predictions
from nnclassify.inference.report.card import MAX_ROWS, Card, Confusions, Table

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


def text_of(html: str) -> str:
    """The text of HTML, without its styles and tags."""
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)).split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    root = tmp_path_factory.mktemp("runs")
    changes: list[dict[str, Any]] = [{"epochs": 3}, {"epochs": 2, "optimizer.lr": 0.5, "name": "fast"}]
    config = {"name": "rgb", "dataset": {"name": "rgb", "num_examples": 80}, "model": "mlp"}
    return [nnclassify.train(config, root, change, report=False) for change in changes]


def test_every_text_of_a_card_is_escaped() -> None:
    table = Table.of(HOSTILE, ["", HOSTILE], [[HOSTILE, HOSTILE], ["share", 0.5]])
    confusions = Confusions.of(HOSTILE, [HOSTILE, "b"], [[3, 1], [0, 2]])
    html = Card(HOSTILE, [HOSTILE], HOSTILE, [table], confusions=confusions, notes=[HOSTILE]).html()
    assert "<img" not in html
    assert "\x1b" not in html
    assert html.count("&lt;img src=x") == 11
    assert "width: 50.0%" in html


def test_only_some_rows_and_classes_are_shown() -> None:
    table = Table.of("", ["n"], [[str(row)] for row in range(MAX_ROWS + 1234)])
    assert "1,234 more are not shown." in text_of(Card("", tables=[table]).html())
    assert Confusions.of("", ["c"] * 21, [[0] * 21] * 21) is None


def test_a_run_is_shown_by_its_figures_and_curves(runs: list[Any]) -> None:
    html = runs[0]._repr_html_()
    accuracy = f"{runs[0].test.accuracy:.1%}"
    assert f"accuracy {runs[0].figures()['train']['accuracy']:.1%}" in text_of(html)
    assert accuracy in text_of(html)
    assert html.count("<figure>") >= 2
    assert repr(runs[0]).startswith(f"RunResult({str(runs[0].folder.path)!r}, epochs=3, test_accuracy=")
    assert repr(runs[0]).endswith(f"test_accuracy={accuracy})")


def test_runs_are_shown_side_by_side(runs: list[Any]) -> None:
    compared = nnclassify.compare("rgb", "fast", root=runs[0].folder.path.parent)
    assert [run.name for run in compared] == ["rgb", "fast"]
    assert [run.epochs for run in compared[:2]] == [3, 2]
    told = text_of(compared._repr_html_())
    assert "optimizer.lr 0.001 0.5" in told
    assert "epochs 3 2" in told
    assert f"{compared.differences[0].sentence()}." in told
    assert compared.figures()["runs"][1]["name"] == "fast"
    with pytest.raises(InputError, match="compare: no runs"):
        nnclassify.compare()


def test_a_classifier_and_its_answers_are_shown(runs: list[Any]) -> None:
    classifier = runs[0].classifier
    assert "classes 2: dark, light" in text_of(classifier._repr_html_())
    assert repr(classifier).endswith("model='mlp', classes=['dark', 'light'])")
    predictions = classifier.predict([[1.0, 2.0, 3.0], "1,2"])
    told = text_of(predictions._repr_html_())
    assert f"inputs[0] {predictions[0].label} {predictions[0].probability:.1%}" in told
    assert "1,2: 2 values; this network takes 3" in told and "prediction set" not in told
    far = replace(predictions[0], classes=("dark", "light"), unsure=True, unlike=True)
    shown = Predictions([far, predictions[1]], classifier.classes)
    assert "dark, light unsure, unlike the training data" in text_of(shown._repr_html_())


def test_an_evaluation_is_shown_with_its_classes(runs: list[Any]) -> None:
    found: Evaluation = nnclassify.evaluate(runs[0].classifier, "test")
    told = text_of(found._repr_html_())
    assert f"test split · {found.num_examples} examples" in told
    assert f"dark {found.classes[0].support}" in told
    assert repr(found).startswith("Evaluation(split='test', num_examples=")


def test_the_history_is_a_data_frame(runs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    frame = runs[0].history_frame()
    assert list(frame.index) == [1, 2, 3]
    assert list(frame["train_loss"]) == [row.train_loss for row in runs[0].rows]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pandas is not installed; run: pip install 'nnclassify\[notebook\]'"):
        runs[0].history_frame()


def test_a_run_whose_folder_is_gone_is_still_shown(tmp_path: Path) -> None:
    from nnclassify.inference.report.notebook import run_card
    from nnclassify.runs.folder import RunFolder

    assert "Run gone" in text_of(run_card(RunFolder(tmp_path / "gone")).html())
