"""Prediction sets: scores, quantiles and coverage, against MAPIE and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mapie.conformity_scores import APSConformityScore, RAPSConformityScore
from mapie.metrics.classification import classification_coverage_score, classification_mean_width_score
from mapie.utils import _compute_classification_quantile
from torch import Tensor

from nnclassify.evaluation.conformal import (
    FREE_RANKS,
    PENALTY,
    ConformalScores,
    class_scores,
    coverage_of,
    true_scores,
)


class Ones(np.random.RandomState):
    """Draws 1 always, so that MAPIE's randomized score leaves the whole of the true class out."""

    def uniform(self, *args: object, size: int = 1, **options: object) -> np.ndarray:  # type: ignore[override]  # of scores alone
        return np.ones(size)


def drawn(num_classes: int, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    probabilities = (2 * torch.randn(count, num_classes, generator=generator, dtype=torch.float64)).softmax(dim=1)
    return probabilities, probabilities.multinomial(1, generator=generator).squeeze(1)


@pytest.mark.parametrize("num_classes", [3, 4, 12])
def test_scores_quantiles_and_coverage_are_those_of_mapie(num_classes: int) -> None:
    probabilities, targets = drawn(num_classes, 400)
    aps = APSConformityScore()
    aps.classes, aps.random_state = np.arange(num_classes), Ones()
    plain = aps.get_conformity_scores(targets.numpy(), probabilities.numpy(), targets.numpy())
    expected = RAPSConformityScore._regularize_conformity_score(np.array([FREE_RANKS]), PENALTY, plain, aps.cutoff)
    scores = true_scores(probabilities, targets)
    assert scores.numpy() == pytest.approx(expected[:, 0, 0], abs=1e-12)
    kept = ConformalScores.of(scores)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        (limit,) = _compute_classification_quantile(scores.numpy()[:, None], np.array([1 - coverage]))
        assert kept.limit(coverage) == pytest.approx(float(limit), abs=1e-12)
        sets = kept.sets(probabilities, coverage)
        found = coverage_of(sets, targets)
        assert found["coverage"] == pytest.approx(
            float(classification_coverage_score(targets.numpy(), sets.numpy()[:, :, None])[0])
        )
        assert found["mean_size"] == pytest.approx(float(classification_mean_width_score(sets.numpy()[:, :, None])[0]))


def test_the_score_of_a_class_is_what_is_more_probable() -> None:
    assert class_scores(torch.tensor([[0.2, 0.5, 0.3]])).tolist() == [pytest.approx([0.8, 0.0, 0.5])]
    assert class_scores(torch.tensor([[0.5, 0.5]])).tolist() == [[0.0, 0.5]]  # a tie goes to the lower index
    eight = class_scores(torch.full((1, 8), 0.125))[0].tolist()
    assert eight[5:] == pytest.approx([5 / 8 + PENALTY, 6 / 8 + 2 * PENALTY, 7 / 8 + 3 * PENALTY])


def test_sets_cover_new_examples_as_often_as_asked_for() -> None:
    for coverage in (0.7, 0.9, 0.97):
        found = []
        for seed in range(40):
            kept = ConformalScores.of(true_scores(*drawn(6, 200, seed)))
            probabilities, targets = drawn(6, 500, 1000 + seed)
            found.append(coverage_of(kept.sets(probabilities, coverage), targets)["coverage"])
        expected = math.ceil(201 * coverage) / 201  # on average over validation splits of 200 examples
        spread = math.sqrt(coverage * (1 - coverage) * (1 / 202 + 1 / 500) / 40)
        assert abs(np.mean(found) - expected) < 4 * spread


def test_the_most_probable_class_is_in_every_set() -> None:
    probabilities, _ = drawn(5, 300)
    sets = ConformalScores.of(torch.zeros(300)).sets(probabilities, 0.5)
    assert torch.equal(sets.long().argmax(dim=1), probabilities.argmax(dim=1)) and sets.sum() == 300
    assert ConformalScores.of(torch.zeros(9)).limit(0.9) == 0.0
    assert ConformalScores.of(torch.zeros(8)).limit(0.9) == math.inf  # of nine, eight are too few


@pytest.mark.parametrize("count", [1, 7, 100, 1003])
def test_fewer_scores_are_kept_and_their_quantiles_rounded_up(count: int) -> None:
    scores = torch.rand(count, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    every, some = ConformalScores.of(scores), ConformalScores.of(scores, limit=64)
    assert len(some.kept) == min(count, 64) and some.kept[-1] == scores.max()
    for coverage in torch.linspace(0.01, 0.99, 50).tolist():
        assert every.limit(coverage) <= some.limit(coverage) <= every.limit(min(coverage + 1 / 64, 1.0))
