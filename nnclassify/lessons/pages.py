"""The pages of the lessons: Markdown with a front matter in YAML, beside the configs in a folder per lesson."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from nnclassify.config.run_config import MetricName
from nnclassify.config.yaml_reader import read_text
from nnclassify.errors import InputError, suggestion
from nnclassify.settings import FINDING_PATTERN, PositiveInt, Settings, Switch

COURSE = Path(__file__).parent / "course"
"""The folder of the lessons: a folder per lesson, and `contents.yaml`, which orders them in chapters."""
SECTIONS = ("What you see", "Why", "How to recognize it", "The fix", "Further reading")
"""The headings of every page, in order."""
Text = Annotated[str, Field(min_length=1)]


class Choice(Settings):
    """An answer to choose from."""

    text: Text
    """The cause that it names."""
    right: Switch = False
    """Whether it is the cause."""
    why: Text
    """Why it is, or why not."""


class Front(Settings):
    """The front matter of a page: what a lesson shows, and what its test holds it to."""

    title: Text
    """The failure in a few words."""
    summary: Text
    """What goes wrong, in one line."""
    finding: Annotated[str, Field(pattern=FINDING_PATTERN)] | None
    """The finding that names the cause; null where there is no fault in the config, which is the point."""
    found_by: Literal["check", "train"] = "check"
    """The command that reports the finding: `check` before training, or the monitor of `train`."""
    measure: Literal["test", "kept", "one_by_one", "counted"] = "test"
    """How a network is judged, always after the last epoch: by a metric on the test split; by the fraction of the test
    accuracy that is kept on `new.csv`; by a metric on test examples that are predicted one at a time; or by a function
    `accuracy` of somebody's own, in `broken_accuracy.py` and `fixed_accuracy.py`."""
    metric: MetricName = "accuracy"
    """The metric."""
    seeds: PositiveInt = 1
    """The number of seeds to train with; the worst of them is judged."""
    broken_below: Annotated[float, Field(gt=0, le=1)]
    """The broken config stays below this."""
    fixed_above: Annotated[float, Field(gt=0, le=1)]
    """The fixed config gets above this."""
    question: Text
    """What the quiz asks."""
    choices: Annotated[list[Choice], Field(min_length=3, max_length=5)]
    """The answers to choose from, one of which is right."""
    hints: Annotated[list[Text], Field(min_length=2)]
    """Hints, from the vaguest to the one that nearly gives it away."""


class Chapter(Settings):
    """A chapter of the course."""

    title: Text
    """Its title."""
    lessons: Annotated[list[Text], Field(min_length=1)]
    """The names of its lessons, in order."""


class Contents(Settings):
    """The order of the lessons."""

    chapters: list[Chapter]
    """The chapters, in order."""


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        number: Its number in the course, from 1.
        name: The name of its folder.
        chapter: The title of its chapter.
        front: Its front matter.
        story: The Markdown before the first heading: who wrote the config, and why.
        sections: The Markdown under each heading of `SECTIONS`.
        folder: The folder of its configs.
    """

    number: int
    name: str
    chapter: str
    front: Front
    story: str
    sections: dict[str, str]
    folder: Path

    def text(self, kind: str) -> str:
        """Return the text of a config, `broken` or `fixed`."""
        return (self.folder / f"{kind}.yaml").read_text(encoding="utf-8")

    def diff(self) -> list[str]:
        """Return the lines of a unified diff from each broken file to the fixed one, Python files first."""
        return [line for broken in reversed(self.broken_files()) for line in self._diff_of(broken)]

    def broken_files(self) -> list[Path]:
        """Return the files that have a fixed twin, the config first."""
        return sorted(self.folder.glob("broken*"), key=lambda path: (path.suffix != ".yaml", path.name))

    def _diff_of(self, broken: Path) -> Iterator[str]:
        fixed = broken.with_name(broken.name.replace("broken", "fixed", 1))
        before, after = (path.read_text(encoding="utf-8").splitlines() for path in (broken, fixed))
        yield from difflib.unified_diff(before, after, broken.name, fixed.name, lineterm="")


@cache
def contents() -> Contents:
    """Return the chapters of the course."""
    path = COURSE / "contents.yaml"
    return Contents.model_validate(read_text(path.read_text(encoding="utf-8"), str(path)).data)


@cache
def lessons() -> dict[str, Lesson]:
    """Return all lessons by name, in order."""
    ordered = [(chapter.title, name) for chapter in contents().chapters for name in chapter.lessons]
    return {name: _read(number, name, chapter) for number, (chapter, name) in enumerate(ordered, 1)}


def find_lesson(name: str) -> Lesson:
    """Return a lesson by name or number.

    Raises:
        InputError: There is none.
    """
    known = lessons()
    by_number = {str(lesson.number): lesson for lesson in known.values()}
    found = known.get(name) or by_number.get(name)
    if found is None:
        hint = suggestion(name, known) or "; `nnclassify lesson` lists them"
        raise InputError(f"{name or 'LESSON'}: no lesson of that name{hint}")
    return found


def listing() -> str:
    """Return the chapters, with a line per lesson: its number, its name and its summary."""
    known = lessons()
    width = max(map(len, known))
    lines: list[str] = []
    for chapter in contents().chapters:
        lines += ["", chapter.title]
        lines += [
            f"{known[name].number:>3}  {name.ljust(width)}  {known[name].front.summary}" for name in chapter.lessons
        ]
    return "\n".join(lines[1:])


_PAGE = re.compile(r"---\n(?P<front>.*?)\n---\n(?P<story>.*?)(?=^## )(?P<rest>.*)", re.DOTALL | re.MULTILINE)


def _read(number: int, name: str, chapter: str) -> Lesson:
    path = COURSE / name / "page.md"
    found = _PAGE.fullmatch(path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{path}: expected a front matter between lines of ---, a story, and sections")
    parts = re.split(r"^## (.+)\n", found["rest"], flags=re.MULTILINE)[1:]
    sections = {heading: text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}
    if tuple(sections) != SECTIONS:
        raise ValueError(f"{path}: sections {', '.join(sections)}; expected {', '.join(SECTIONS)}")
    try:
        front = Front.model_validate(read_text(found["front"], str(path)).data)
    except ValidationError as cause:
        raise ValueError(f"{path}: {cause}") from cause
    if sum(choice.right for choice in front.choices) != 1:
        raise ValueError(f"{path}: expected one right choice")
    return Lesson(number, name, chapter, front, found["story"].strip(), sections, COURSE / name)
