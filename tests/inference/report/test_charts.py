"""The geometry of curves, and the surest examples."""

from __future__ import annotations

import math

import pytest

from nnclassify.inference.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    line_chart,
    thinned,
)
from nnclassify.inference.report.confidence import surest


def test_a_line_spans_the_chart() -> None:
    chart = line_chart("loss", [1, 2, 3], [Series("training", "train", [2.0, 1.0, 0.0])])
    assert chart is not None
    assert chart.xs == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert chart.lines[0].places == [TOP, (TOP + HEIGHT - BOTTOM) / 2, HEIGHT - BOTTOM]
    assert [tick.label for tick in chart.y_ticks] == ["0", "0.5", "1", "1.5", "2"]
    assert chart.readout() == "epoch 3: training 0"


def test_values_that_are_not_finite_leave_a_gap() -> None:
    chart = line_chart("loss", [1, 2, 3, 4], [Series("training", "train", [1.0, math.nan, None, 2.0])])
    assert chart is not None
    assert [place is None for place in chart.lines[0].places] == [False, True, True, False]
    assert chart.lines[0].path.count("M") == 2
    assert line_chart("loss", [1], [Series("training", "train", [math.inf])]) is None


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1.0, 1.0], [1e-9, 1e9], [-3.0, 1e-300], [1e300, 1.7e308]])
def test_every_range_of_values_has_ticks_that_rise(values: list[float]) -> None:
    chart = line_chart("loss", [*range(1, len(values) + 1)], [Series("x", "train", values)], may_be_log=True)
    assert chart is not None
    places = [tick.place for tick in chart.y_ticks]
    assert places == sorted(places, reverse=True)
    assert 2 <= len(places) <= 8
    assert all(TOP - 1 <= place <= HEIGHT - BOTTOM + 1 for place in chart.lines[0].places if place is not None)


def test_many_epochs_are_thinned() -> None:
    kept = thinned(100_000, keep=[77_777])
    assert {0, 77_777, 99_999} <= set(kept)
    assert len(kept) <= 402
    assert thinned(5) == [0, 1, 2, 3, 4]


def test_the_surest_examples_are_those_with_the_highest_confidence() -> None:
    found = surest([0.9, 0.5, 0.7, 0.6], [True, False, True, False], [1.0, 0.5, 0.25, 0.01])
    assert [(one["lowest"], one["accuracy"]) for one in found] == [(0.5, 0.5), (0.7, 1.0), (0.9, 1.0), (0.9, 1.0)]
