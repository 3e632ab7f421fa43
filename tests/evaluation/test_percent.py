"""Tests of how percentages are written."""

import pytest

from nnclassify.evaluation.percent import percent


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.4921, "49.2%"), (0.99249, "99.2%"), (1.0, "100.0%"), (0.0, "0.0%"), (1 / 3, "33.3%")]
)
def test_a_percentage_has_one_decimal_and_no_space(fraction: float, text: str) -> None:
    assert percent(fraction) == text
