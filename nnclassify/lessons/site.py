"""Writes all lessons as a site of static pages, for a class: offline, without scripts, light or dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnclassify.errors import InputError
from nnclassify.files.atomic_write import save_error, write_text
from nnclassify.files.paths import check_new_folder
from nnclassify.inference.report.templating import HERE as REPORT
from nnclassify.inference.report.templating import environment, page
from nnclassify.lessons.curves import charts_of, curves_of
from nnclassify.lessons.outcome import Outcome, command_text, outcome, result_text
from nnclassify.lessons.pages import Chapter, Lesson, contents, lessons

if TYPE_CHECKING:
    from markupsafe import Markup

HERE = Path(__file__).parent
FILES = "files"
"""The folder of the site with the configs and data of each lesson."""


def write_site(out: Path, seed: int = 0, note: Callable[[str], None] = lambda text: None) -> Path:
    """Write the site, with curves of runs that are trained now, and return the path of its first page.

    Args:
        out: The folder, which is created.
        seed: Added to the seeds of the configs.
        note: Called with each lesson before it is trained, on one line.

    Raises:
        InputError: The folder exists and is not empty.
        SaveError: A file could not be written.
    """
    _make_empty(out)
    known = list(lessons().values())
    for place, lesson in enumerate(known):
        note(f"lesson {lesson.number} of {len(known)}: {lesson.front.title}")
        before, after = known[place - 1] if place else None, known[place + 1] if place + 1 < len(known) else None
        write_text(out / f"{lesson.name}.html", lesson_page(outcome(lesson, seed), before, after))
        copy_files(lesson, out / FILES / lesson.name)
    chapters = [(chapter, [lessons()[name] for name in chapter.lessons]) for chapter in contents().chapters]
    write_text(out / "index.html", index_page(chapters))
    return out / "index.html"


def copy_files(lesson: Lesson, out: Path) -> list[Path]:
    """Copy the configs and data of a lesson into a folder, which is created, and return the paths of the copies.

    Raises:
        InputError: The folder exists and is not empty.
        SaveError: A file could not be written.
    """
    _make_empty(out)
    written = []
    for source in sorted(lesson.folder.iterdir()):
        if source.is_file() and source.name != "page.md":
            try:
                written.append(Path(shutil.copyfile(source, out / source.name)))
            except OSError as cause:
                raise save_error(out / source.name, cause) from cause
    return written


def _make_empty(out: Path) -> None:
    """Create a folder, unless it is there and empty."""
    check_new_folder("--out", out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError(f"--out {out}: not empty; name a new folder")
    except OSError as cause:
        raise save_error(out, cause) from cause


def index_page(chapters: list[tuple[Chapter, list[Lesson]]]) -> str:
    """Return the first page, which lists the lessons by chapter."""
    return _rendered("index.html.j2", "Networks that do not learn", chapters=chapters)


def lesson_page(told: Outcome, before: Lesson | None, after: Lesson | None) -> str:
    """Return the page of a lesson, with links to the lessons before and after it."""
    lesson = told.lesson
    return _rendered(
        "lesson.html.j2",
        lesson.front.title,
        lesson=lesson,
        before=before,
        after=after,
        files=sorted(path.name for path in lesson.folder.iterdir() if path.is_file() and path.name != "page.md"),
        broken=[(path.name, path.read_text(encoding="utf-8")) for path in lesson.broken_files()],
        charts=charts_of(curves_of(lesson, told.broken[0], told.fixed[0])),
        results={"broken": result_text(lesson, told.broken), "fixed": result_text(lesson, told.fixed)},
        command="check" if lesson.front.found_by == "check" else "train",
        found=command_text(lesson, told.broken, told.diagnosis, color=False),
        diff=lesson.diff(),
    )


def _rendered(template: str, title: str, **views: Any) -> str:
    css = (REPORT / "report.css").read_text(encoding="utf-8") + (HERE / "templates/lessons.css").read_text("utf-8")
    templates = environment(HERE / "templates", REPORT / "templates")
    templates.filters |= {"markdown": _as_html, "inline_markdown": _as_inline_html, "with_code": str}
    return page(templates.get_template(template), css, views={**views, "title": title})


@cache
def _reader() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _as_html(text: str) -> Markup:
    """Return Markdown as HTML; HTML in it is escaped."""
    from markupsafe import Markup

    return Markup(_reader().render(text))


def _as_inline_html(text: str) -> Markup:
    """Return a line of Markdown as HTML without a paragraph around it."""
    from markupsafe import Markup

    return Markup(_reader().renderInline(text))
