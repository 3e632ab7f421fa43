"""Where a classifier fails: mistakes by name, and slices by columns that are no features."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of
from torch import Tensor

from nnclassify.data import Examples
from nnclassify.errors import DataError
from nnclassify.evaluation.confusion import class_reports, confusion_matrix
from nnclassify.evaluation.slices import Property
from nnclassify.inference.classifier import Classifier
from nnclassify.inference.evaluate import Evaluation, evaluate
from nnclassify.inference.failures import Mistake, named_mistakes, slices_of, slicing_properties
from nnclassify.inference.predictions import Predicted
from nnclassify.training.build import build_components


def predicted(probabilities: list[list[float]], targets: Tensor, losses: list[float]) -> Predicted:
    """What was predicted for examples whose names are their rows."""
    shares, none = torch.tensor(probabilities), torch.empty(0)
    is_multi_hot = targets.ndim == 2
    answers = (shares >= 0.5).long() if is_multi_hot else shares.argmax(1)
    counts = [] if is_multi_hot else confusion_matrix(answers, targets, shares.shape[1])
    reports = [] if is_multi_hot else class_reports(counts, ["cat", "dog"])
    evaluation = Evaluation(
        *(len(shares), {}, {}, reports, counts, torch.tensor(losses), shares, none, targets, answers),
        is_multi_hot=is_multi_hot,
    )
    return Predicted("test", Examples(torch.zeros(len(shares), 1), targets, torch.arange(len(shares))), evaluation)


def test_mistakes_are_named_with_the_highest_and_the_lowest_loss() -> None:
    rows = [[0.9, 0.1]] * 2 + [[0.4, 0.6]] * 12
    found = predicted(rows, torch.zeros(14, dtype=torch.int64), [9.0, 9.0, *map(float, range(12))])
    highest, lowest = named_mistakes(found, ["cat", "dog"])
    assert highest[0] == Mistake("13", "cat", "dog", highest[0].probability, 11.0)
    assert highest[0].probability == pytest.approx(0.6)
    assert [mistake.name for mistake in highest] == [str(row) for row in range(13, 3, -1)]
    assert [mistake.name for mistake in lowest] == ["2", "3"]


def test_mistakes_of_multi_hot_predictions_list_their_classes() -> None:
    rows = [[0.9, 0.8], [0.1, 0.2]]
    (first, second), _ = named_mistakes(predicted(rows, torch.tensor([[1, 0], [0, 1]]), [2.0, 1.0]), ["cat", "dog"])
    assert (first.true, first.predicted, round(first.probability, 2)) == ("cat", "cat, dog", 0.8)
    assert (second.true, second.predicted, round(second.probability, 2)) == ("dog", "no class", 0.2)


TABLE: dict[str, Any] = {"name": "csv", "path": "t.csv", "features": ["x"], "validation": 0}


def classified() -> tuple[Classifier, Predicted]:
    """A network that always answers yes, on rows of which those of site b mostly are no."""
    sites = np.repeat(["a", "b", ""], [60, 60, 30])
    labels = ["no" if site == "b" and row % 4 else "yes" for row, site in enumerate(sites)]
    rows = (f"{row},{site},{label}\n" for row, (site, label) in enumerate(zip(sites, labels, strict=True)))
    Path("t.csv").write_text("x,site,label\n" + "".join(rows))
    built = build_components(config_of(dataset=TABLE, model={"name": "mlp", "hidden": []}))
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.zero_()
        built.model.get_submodule("output_linear").bias.copy_(torch.tensor([0.0, 1.0]))  # type: ignore[operator]
    names = built.splits.class_names
    classifier = Classifier(
        Path("best.pt"), built.config, built.model.eval(), built.loss_fn, built.transform, names, built.placement
    )
    assert built.splits.test is not None and names == ["no", "yes"]
    return classifier, Predicted("test", built.splits.test, evaluate(classifier, built.splits.test))


def test_a_column_that_is_no_feature_divides_the_examples(here: Path) -> None:
    classifier, found = classified()
    properties = partial(slicing_properties, classifier, "test", found.examples, classifier.config.dataset)
    assert "site" not in {part.name for part in slices_of(found, properties())}
    slices = slices_of(found, properties(by=["site", "x"]))
    (part,) = [part for part in slices if part.name == "site"]
    assert part.value == "b" and part.accuracy < 0.5 and part.accuracy_of_others == 1
    assert part.num_examples + part.num_others < len(found.examples)  # a row without a site is neither


def test_words_such_as_none_are_values_of_a_column_of_words(here: Path) -> None:
    kinds, levels = ["none", "-", "NA", "high"], ["1", "none", "", "2.5"]
    rows = [f"{row},{kinds[row % 4]},{levels[row % 4]},{'ab'[row % 2]}\n" for row in range(80)]
    Path("t.csv").write_text("x,kind,level,label\n" + "".join(rows))
    dataset = config_of(dataset=TABLE).dataset
    (test,) = [dataset.build(0).test]
    assert test is not None
    texts = dataset.column_texts("kind", "test", test)
    assert {*texts} == {"none", "-", "", "high"}
    assert {*Property.of_texts("kind", texts).labels} == {"none", "-", "high"}
    numbers = Property.of_texts("level", dataset.column_texts("level", "test", test))
    assert "none" not in numbers.labels and "high" not in numbers.labels


def test_a_column_that_is_not_there_is_named(here: Path) -> None:
    classifier, found = classified()
    with pytest.raises(DataError, match=r"t\.csv: no column 'sites'.*did you mean 'site'.*columns: x, site, label"):
        slicing_properties(classifier, "test", found.examples, classifier.config.dataset, ["sites"])
    digits = config_of(dataset={"name": "digits"}).dataset
    with pytest.raises(DataError, match="no table in a file"):
        slicing_properties(classifier, "test", found.examples, digits, ["site"])
