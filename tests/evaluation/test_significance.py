"""Tests of differences between accuracies, against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.stats import contingency_tables, multitest

from nnclassify.evaluation import significance
from nnclassify.evaluation.significance import (
    corrected_t_test,
    difference_interval,
    holm,
    mcnemar,
    mcnemar_between_seeds,
    mcnemar_of_groups,
    mean_interval,
)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (0, 1), (3, 9), (20, 21), (150, 90), (4000, 3800)])
def test_mcnemar_is_that_of_statsmodels(only_first: int, only_second: int) -> None:
    expected = contingency_tables.mcnemar([[100, only_first], [only_second, 7]], exact=True).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(min(1.0, expected), rel=1e-9)
    assert mcnemar(only_second, only_first) == mcnemar(only_first, only_second)


def test_mcnemar_between_seeds_allows_for_more_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = contingency_tables.mcnemar([[0, 120], [180, 0]], exact=False, correction=True)
    statistic = expected.statistic / significance.SEED_VARIANCE
    assert mcnemar_between_seeds(120, 180) == pytest.approx(special.gammaincc(1 / 2, statistic / 2))  # chi-squared(1)
    assert mcnemar_between_seeds(120, 180) == mcnemar_between_seeds(180, 120) > mcnemar(120, 180)
    assert mcnemar_between_seeds(0, 0) == mcnemar_between_seeds(3, 4) == 1
    monkeypatch.setattr(significance, "SEED_VARIANCE", 1)
    assert mcnemar_between_seeds(120, 180) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("only_first", "only_second", "count"), [(60, 30, 400), (5, 12, 100), (30, 10, 1000)])
def test_the_interval_is_that_of_a_paired_bootstrap(only_first: int, only_second: int, count: int) -> None:
    first = np.repeat([1, 0, 1], [only_first, only_second, count - only_first - only_second])
    second = np.repeat([0, 1, 1], [only_first, only_second, count - only_first - only_second])
    found = stats.bootstrap(
        (first, second),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=9999,
        batch=500,
        rng=np.random.default_rng(1),
    ).confidence_interval
    interval = difference_interval(only_first, only_second, count)
    assert interval == pytest.approx((found.low, found.high), abs=0.07 * (found.high - found.low))
    assert interval == difference_interval(only_first, only_second, count)


def test_networks_that_are_right_on_the_same_examples_do_not_differ() -> None:
    assert difference_interval(0, 0, 10) == (0, 0) and mcnemar(0, 0) == 1


def test_the_t_test_without_shared_examples_is_that_of_scipy() -> None:
    first, second = np.array([0.91, 0.94, 0.90, 0.95]), np.array([0.89, 0.91, 0.905, 0.92])
    expected = stats.ttest_rel(first, second)
    p_value, interval = corrected_t_test([*(first - second)], 0)
    assert p_value == pytest.approx(expected.pvalue)
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_t_test_is_corrected_for_shared_training_examples() -> None:
    differences = [0.02, 0.01, 0.03, 0.02, 0.00]  # mean 0.016, variance 0.00013
    t_squared = 0.016**2 / ((1 / 5 + 1 / 4) * 0.00013)  # Nadeau and Bengio, 2003, section 4.2
    assert corrected_t_test(differences, 1 / 4)[0] == pytest.approx(special.betainc(4 / 2, 1 / 2, 4 / (4 + t_squared)))


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    accuracies = [0.81, 0.84, 0.80, 0.85, 0.83]  # mean 0.826, variance 0.00043
    expected = stats.ttest_1samp(accuracies, 0).confidence_interval(0.95)
    assert mean_interval(accuracies, 0) == pytest.approx((expected.low, expected.high))
    margin = special.stdtrit(4, 0.975) * ((1 / 5 + 1 / 4) * 0.00043) ** 0.5  # Nadeau and Bengio
    assert mean_interval(accuracies, 1 / 4) == pytest.approx((0.826 - margin, 0.826 + margin))
    margin = special.stdtrit(1, 0.975) * ((1 / 2 + 1 / 4) * 0.0002) ** 0.5
    assert mean_interval([0.98, 1.0], 1 / 4) == pytest.approx((0.99 - margin, 1.0))  # not above 100%
    assert mean_interval([0.9, 0.9], 0) is mean_interval([0.9], 0) is None


def test_the_interval_of_a_mean_over_seeds_covers_it() -> None:
    drawn = np.random.default_rng(0).normal(0.8, 0.02, (2000, 5)).tolist()
    covered = [low <= 0.8 <= high for low, high in filter(None, (mean_interval(runs, 0) for runs in drawn))]
    assert np.mean(covered) == pytest.approx(0.95, abs=1.96 * (0.95 * 0.05 / 2000) ** 0.5)


@pytest.mark.parametrize("values", [[0.01, 0.04, 0.03], [0.04, 0.04, 0.001, 0.9], [0.2], []])
def test_holm_is_that_of_statsmodels(values: list[float]) -> None:
    expected = multitest.multipletests(values, method="holm")[1] if values else []
    assert holm(values) == pytest.approx([*expected])


def test_mcnemars_test_of_groups_is_that_of_single_examples_without_its_correction_where_each_is_a_group() -> None:
    # McNemar without continuity correction: (12 - 4)^2 / 16 = 4, chi-squared with 1 degree of freedom.
    assert mcnemar_of_groups([1] * 12 + [-1] * 4) == pytest.approx(special.chdtrc(1, 4))
    assert mcnemar_of_groups([12, -4]) == pytest.approx(special.chdtrc(1, 8**2 / (12**2 + 4**2)))
    assert mcnemar_of_groups([0, 0]) == 1
