"""What is computed at the end of a run: each output once, and one key of the result for each analysis."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import config_of, loaded
from torch import Tensor

from nnclassify import run
from nnclassify.data import Examples
from nnclassify.evaluation.features import Features
from nnclassify.inference import analysis
from nnclassify.inference.analysis import FinishedRun
from nnclassify.inference.classifier import Classifier

DIGITS = {"name": "digits", "limit": 120, "validation": 0.2}


@pytest.mark.parametrize(
    ("dataset", "splits"),
    [
        (DIGITS, ["validation", "some of train", "test"]),
        ({**DIGITS, "validation": "test"}, ["test"]),
        ({**DIGITS, "test": 0}, ["validation", "some of train"]),
        ({**DIGITS, "validation": 0, "test": 0}, ["train"]),
    ],
)
def test_the_outputs_of_a_split_are_computed_once(
    dataset: dict[str, object], splits: list[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Examples] = []
    outputs = Classifier.outputs_and_features

    def recorded(classifier: Classifier, examples: Examples) -> tuple[Tensor, Features]:
        asked.append(examples)
        return outputs(classifier, examples)

    monkeypatch.setattr(Classifier, "outputs_and_features", recorded)
    found = run.train(loaded(config_of(dataset=dataset))).components.splits
    names = {id(found.split(name)): name for name in ("train", "validation", "test")}
    assert [names.get(id(examples), "some of train") for examples in asked] == splits


def test_an_analysis_is_one_line_and_a_key_of_the_result(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def num_mistakes(run: FinishedRun) -> int:
        assert run.test is not None
        return int((run.test.evaluation.outputs.argmax(1) != run.test.evaluation.targets).sum())

    monkeypatch.setattr(analysis, "ANALYSES", {**analysis.ANALYSES, "num_mistakes": num_mistakes})
    result = run.train(loaded(config_of(dataset=DIGITS)))
    assert result.test is not None
    recorded = json.loads(result.folder.result.read_text())["num_mistakes"]
    assert recorded == result.test.num_examples - round(result.test.accuracy * result.test.num_examples)
