"""Risk by coverage: by hand, and the guarantee in a simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from nnclassify.evaluation.selective import SIGNIFICANCE, RiskCoverage


def test_errors_are_counted_by_confidence_and_equal_ones_together() -> None:
    curve = RiskCoverage.of(torch.tensor([0.9, 0.5, 0.9, 0.7]), torch.tensor([True, False, False, True]))
    assert curve.thresholds.tolist() == [pytest.approx(0.9), pytest.approx(0.7), 0.5]
    assert curve.answered.tolist() == [2, 3, 4] and curve.errors.tolist() == [1, 1, 2]
    assert curve.points() == [(0.5, 0.5), (0.75, 1 / 3), (1.0, 0.5)]
    assert curve.area() == pytest.approx((2 * 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_the_area_is_the_mean_error_of_all_that_are_as_confident() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.integers(50, 100, 300) / 100, rng.random(300) < 0.8
    errors = [1 - correct[confidence >= one].mean() for one in confidence]
    assert RiskCoverage.of(torch.from_numpy(confidence), torch.from_numpy(correct)).area() == pytest.approx(
        np.mean(errors)
    )


def test_a_thinned_curve_keeps_points_of_the_curve_and_its_end() -> None:
    generator = torch.Generator().manual_seed(0)
    curve = RiskCoverage.of(torch.rand(1000, generator=generator), torch.rand(1000, generator=generator) < 0.9)
    thinned = curve.thinned(64)
    assert len(thinned.thresholds) == 64 and set(thinned.points()) < set(curve.points())
    assert thinned.points()[-1] == curve.points()[-1] and len(curve.thinned(5000).thresholds) == 1000


def test_the_bound_is_that_of_scipy() -> None:
    curve = RiskCoverage.of(torch.ones(200), torch.arange(200) >= 13)
    expected = binomtest(13, 200, alternative="less").proportion_ci(1 - SIGNIFICANCE, "exact").high
    assert curve.lowest_risk() == pytest.approx(expected)
    assert curve.threshold_for(expected + 1e-9) == 1.0 and curve.threshold_for(expected - 1e-9) is None


def test_the_lowest_risk_is_the_lowest_that_is_found_though_the_risk_rises_and_falls() -> None:
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        curve = RiskCoverage.of(torch.rand(50, generator=generator), torch.rand(50, generator=generator) < 0.6)
        lowest = curve.lowest_risk()
        assert curve.threshold_for(lowest) is not None and curve.threshold_for(lowest - 1e-9) is None


def test_the_risk_of_the_threshold_is_kept_in_95_of_100_splits() -> None:
    kept = []
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        confidence = 0.5 + 0.5 * torch.rand(400, generator=generator, dtype=torch.float64)
        correct = torch.rand(400, generator=generator, dtype=torch.float64) < confidence
        threshold = RiskCoverage.of(confidence, correct).thinned().threshold_for(0.1)
        # Above a threshold t, the mean confidence is (1 + t) / 2.
        kept.append(threshold is None or 1 - (1 + threshold) / 2 <= 0.1)
    assert np.mean(kept) >= 1 - SIGNIFICANCE and sum(kept) > 0
