"""What is computed at the end of a run: each output once, and one key of the result for each analysis."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import config_of, loaded
from torch import Tensor

from nnclassify import run
from nnclassify.data import Examples
from nnclassify.inference import analysis
from nnclassify.inference.analysis import FinishedRun
from nnclassify.inference.classifier import Classifier

DIGITS = {"name": "digits", "limit": 120, "validation": 0.2}


@pytest.mark.parametrize(
    ("dataset", "splits"),
    [
        (DIGITS, ["test", "validation"]),
        ({**DIGITS, "validation": "test"}, ["test"]),
        ({**DIGITS, "test": 0}, ["validation"]),
        ({**DIGITS, "validation": 0, "test": 0}, ["train"]),
    ],
)
def test_the_outputs_of_a_split_are_computed_once(
    dataset: dict[str, object], splits: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Examples] = []
    outputs = Classifier.outputs

    def recorded(classifier: Classifier, examples: Examples) -> Tensor:
        asked.append(examples)
        return outputs(classifier, examples)

    monkeypatch.setattr(Classifier, "outputs", recorded)
    result = run.train(loaded(config_of(dataset=dataset)))
    assert [*map(id, asked)] == [id(result.components.splits.split(name)) for name in splits]


def test_an_analysis_is_one_line_and_a_key_of_the_result(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def num_mistakes(run: FinishedRun) -> int:
        assert run.test is not None
        return int((run.test.evaluation.outputs.argmax(1) != run.test.evaluation.targets).sum())

    monkeypatch.setattr(analysis, "ANALYSES", {**analysis.ANALYSES, "num_mistakes": num_mistakes})
    result = run.train(loaded(config_of(dataset=DIGITS)))
    assert result.test is not None
    recorded = json.loads(result.folder.result.read_text())["num_mistakes"]
    assert recorded == result.test.num_examples - round(result.test.accuracy * result.test.num_examples)
