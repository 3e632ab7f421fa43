"""Compare confidence intervals of proportions with those of scipy."""

from __future__ import annotations

import pytest
from scipy import stats

from nnclassify.evaluation.intervals import wilson_interval


@pytest.mark.parametrize(("num_correct", "count"), [(0, 10), (10, 10), (7, 10), (981, 1000), (1, 1), (0, 1)])
def test_wilson_interval_is_that_of_scipy(num_correct: int, count: int) -> None:
    expected = stats.binomtest(num_correct, count).proportion_ci(method="wilson")
    assert wilson_interval(num_correct, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson_interval(0, 0)
