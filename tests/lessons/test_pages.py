"""Tests of the pages of the lessons: whole, true to the names in the product, and in the order of the contents."""

from __future__ import annotations

import re

import pytest

from nnclassify.diagnosis.pages import PAGES
from nnclassify.errors import InputError
from nnclassify.lessons.pages import COURSE, Lesson, find_lesson, lessons, listing
from nnclassify.lessons.training import load

LESSONS = [pytest.param(lesson, id=name) for name, lesson in lessons().items()]


def test_every_folder_is_a_lesson_in_the_contents() -> None:
    folders = {path.name for path in COURSE.iterdir() if path.is_dir()}
    assert folders == {*lessons()}
    assert len(folders) >= 25
    assert [lesson.number for lesson in lessons().values()] == list(range(1, len(folders) + 1))


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_page_is_whole(lesson: Lesson) -> None:
    assert lesson.front.finding is None or lesson.front.finding in PAGES
    assert lesson.front.broken_below <= lesson.front.fixed_above
    assert len(lesson.front.summary) <= 90
    assert all(lesson.sections.values())
    changed = [line for line in lesson.diff() if re.match(r"[-+](?![-+])", line)]
    assert 0 < len(changed) <= 8, "the twin differs in the cause alone"


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_configs_are_ordinary_ones(lesson: Lesson) -> None:
    broken, fixed = (load(lesson, kind, seed=3) for kind in ("broken", "fixed"))
    assert broken.notes == fixed.notes == ()
    assert (broken.config.seed, broken.source.file) == (3, "broken.yaml")


def test_a_lesson_is_found_by_name_and_by_number() -> None:
    assert find_lesson("1") is find_lesson("relu-before-sigmoid")
    with pytest.raises(InputError, match="no lesson of that name; did you mean 'softmax-twice'"):
        find_lesson("softmax-twise")
    assert "  1  relu-before-sigmoid " in listing()
