"""Tests of the schedules against values by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nnclassify.schedulers import AnyScheduler, Scheduler, ScheduleState


def build(name: str, **options: Any) -> Scheduler:
    built: Scheduler = TypeAdapter(AnyScheduler).validate_python({"name": name, **options})
    return built


def factors(scheduler: Scheduler, epochs: int = 10, steps_per_epoch: int = 10) -> list[float]:
    total = epochs * steps_per_epoch
    return [scheduler.factor(ScheduleState(step, total, steps_per_epoch)) for step in range(total)]


@pytest.mark.parametrize(
    ("name", "options", "step", "expected"),
    [
        ("constant", {}, 57, 1.0),
        ("step", {"every": 3, "gamma": 0.5}, 29, 1.0),
        ("step", {"every": 3, "gamma": 0.5}, 30, 0.5),
        ("step", {"every": 3, "gamma": 0.5}, 90, 0.125),
        ("step", {"every": 30, "gamma": 0.5, "unit": "step"}, 60, 0.25),
        ("multistep", {"milestones": [5, 8], "gamma": 0.1}, 49, 1.0),
        ("multistep", {"milestones": [5, 8], "gamma": 0.1}, 50, 0.1),
        ("multistep", {"milestones": [5, 8], "gamma": 0.1}, 80, 0.01),
        ("exponential", {"gamma": 0.9}, 35, 0.9**3),
        ("exponential", {"gamma": 0.9, "unit": "step"}, 35, 0.9**35),
        ("cosine", {}, 0, 1.0),
        ("cosine", {}, 50, 0.5),
        ("cosine", {"end": 0.2}, 25, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2),
        ("linear", {}, 25, 0.75),
        ("linear", {"end": 0.2}, 50, 0.6),
        ("one_cycle", {}, 0, 0.04),
        ("one_cycle", {}, 15, 0.52),
        ("one_cycle", {}, 30, 1.0),
        ("one_cycle", {"anneal": "linear", "end": 0.0}, 65, 0.5),
    ],
)
def test_factor_by_hand(name: str, options: dict[str, Any], step: int, expected: float) -> None:
    assert factors(build(name, **options))[step] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["constant", "step", "exponential", "cosine", "linear", "one_cycle", "plateau"])
def test_warmup_rises_evenly_from_zero(name: str) -> None:
    assert factors(build(name, warmup=0.5))[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_after_warmup_the_rest_of_the_run_is_the_whole_schedule() -> None:
    warmed = factors(build("linear", warmup=2))
    assert warmed[20] == 1.0
    assert warmed[60] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], 1.0),
        ([1.0, 0.9, 0.8], 1.0),
        ([1.0, 1.0, 1.0], 1.0),  # two epochs without a better one: patience 2 holds
        ([1.0, 1.0, 1.0, 1.0], 0.5),
        ([1.0] * 7, 0.25),
        ([1.0, 0.99995, 0.9999, 0.99985], 0.5),  # less than threshold 1e-3 better
        ([1.0] * 4 + [0.5, 0.5, 0.5], 0.5),
        ([1.0] * 40, 0.1),
    ],
)
def test_plateau_by_hand(losses: list[float], expected: float) -> None:
    scheduler = build("plateau", gamma=0.5, patience=2, threshold=1e-3, end=0.1)
    assert scheduler.factor(ScheduleState(1, 100, 10, losses)) == expected


def test_milestones_must_ascend() -> None:
    with pytest.raises(ValidationError, match="ascending"):
        build("multistep", milestones=[8, 5])
