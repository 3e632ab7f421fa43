"""Tests that every lesson is true: the broken config fails, the fixed one learns, and the tool names the cause.

One seed; `python -m benchmarks.lessons` takes three, and measures the time.
"""

from __future__ import annotations

import pytest

from nnclassify.lessons.outcome import outcome, result_text
from nnclassify.lessons.pages import find_lesson, lessons

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [*lessons()])
def test_the_lesson_is_true(name: str) -> None:
    told = outcome(find_lesson(name))
    results = result_text(told.lesson, told.broken), result_text(told.lesson, told.fixed)
    assert told.broken_fails, results
    assert told.fixed_learns, results
    assert told.cause_is_named, [finding.id for finding in told.findings]
