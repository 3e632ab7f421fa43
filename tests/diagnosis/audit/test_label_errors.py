from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import config_of, loaded
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from nnclassify.diagnosis.audit.label_errors import confident_joint, label_errors, label_quality
from nnclassify.diagnosis.audit.labels import wrong_labels
from nnclassify.diagnosis.audit.material import Material
from nnclassify.diagnosis.audit.probabilities import boosted_probabilities, fold_of_each, linear_probabilities
from nnclassify.diagnosis.audit.progress import Progress
from nnclassify.seeds import torch_rng

Array = np.ndarray[Any, np.dtype[np.float64]]


def noisy(seed: int, num_classes: int, count: int = 600) -> tuple[Array, Any, Any]:
    """Probabilities, labels of which some are wrong, and which these are."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, num_classes, count)
    probabilities = rng.dirichlet(np.full(num_classes, 0.5), count)
    probabilities[np.arange(count), targets] += 1.5 * rng.random(count)
    is_wrong = rng.random(count) < 0.1
    given = np.where(is_wrong, (targets + rng.integers(1, num_classes, count)) % num_classes, targets)
    return probabilities / probabilities.sum(axis=1, keepdims=True), given, is_wrong


@pytest.mark.parametrize("seed", range(4))
def test_label_errors_are_those_of_cleanlab(seed: int) -> None:
    probabilities, given, _ = noisy(seed, num_classes=2 + 2 * seed)
    assert (confident_joint(probabilities, given) == compute_confident_joint(given, probabilities)).all()
    theirs = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    assert label_errors(probabilities, given).tolist() == theirs.tolist()
    assert np.allclose(label_quality(probabilities, given), get_label_quality_scores(given, probabilities))


def test_a_class_without_examples_and_one_with_one_are_left_alone() -> None:
    probabilities, given, _ = noisy(0, num_classes=4)
    given = np.where(given >= 2, 0, given)
    given[7] = 3
    assert confident_joint(probabilities, given)[2].tolist() == [0, 0, 0, 0]
    assert 7 not in label_errors(probabilities, given)


def test_equal_examples_are_in_one_fold() -> None:
    contents = np.repeat(np.arange(50), 3)
    folds = fold_of_each(np.repeat(np.arange(5), 30), contents).reshape(50, 3)
    assert (folds == folds[:, :1]).all() and np.bincount(folds[:, 0]).tolist() == [10] * 5


@pytest.mark.parametrize(
    "classify", [linear_probabilities, pytest.param(boosted_probabilities, marks=pytest.mark.slow)]
)
def test_probabilities_are_out_of_fold_and_find_flipped_labels(classify: Any) -> None:
    """Three clusters that hardly overlap, with one label in twenty flipped; of noise alone, nothing can be known."""
    import torch

    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 400)
    inputs = torch.randn(400, 4, generator=torch_rng(0, "test")) + 4 * torch.eye(4)[torch.from_numpy(targets)]
    flipped = rng.permutation(400)[:20]
    given = targets.copy()
    given[flipped] = (given[flipped] + 1) % 3
    found = label_errors(classify(inputs, given, 3, np.arange(400)).double().numpy(), given)
    assert len({*found.tolist()} & {*flipped.tolist()}) >= 18 and len(found) <= 30
    noise = classify(torch.randn(400, 4), given, 3, np.arange(400))
    assert float((noise.argmax(dim=1).numpy() == given).mean()) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("validation", [0, 0.2])
def test_the_network_of_the_config_finds_flipped_labels_in_all_splits(validation: float) -> None:
    blobs = {"name": "blobs", "num_examples": 200, "num_test": 60, "std": 0.5, "validation": validation}
    config = config_of(dataset=blobs, epochs=8)
    splits, flipped = config.dataset.build(0), set[tuple[str, str]]()
    for split in ("train", "test"):
        part = splits.split(split)
        assert part is not None
        part.targets[part.indices[:5]] = (part.targets[part.indices[:5]] + 1) % 3
        flipped |= {(name, split) for name in part.all_names()[:5]}
    material = Material(loaded(config), splits, Progress(), with_network=True)
    flags = wrong_labels(material).flags
    assert len(flipped & {material.name(flag.row) for flag in flags if flag.row is not None}) >= 8 and len(flags) <= 12
    assert flags[0].detail == "the network of the config"
