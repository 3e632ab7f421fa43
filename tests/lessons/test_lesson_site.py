"""The site of the lessons, opened in Chromium: it fits, opens its answers, leads on, and can be read by everybody."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from browser import Browser

from nnclassify.errors import InputError
from nnclassify.lessons.outcome import outcome
from nnclassify.lessons.pages import contents, find_lesson, lessons
from nnclassify.lessons.site import copy_files, index_page, lesson_page, write_site

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
NAME, BEFORE, AFTER = "renumbered-classes", "labels-one-row-off", "mirrored-letters"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first page, and one lesson."""
    folder = tmp_path_factory.mktemp("course")
    chapters = [(chapter, [lessons()[name] for name in chapter.lessons]) for chapter in contents().chapters]
    (folder / "index.html").write_text(index_page(chapters))
    lesson = find_lesson(NAME)
    page = lesson_page(outcome(lesson), find_lesson(BEFORE), find_lesson(AFTER))
    (folder / f"{NAME}.html").write_text(page)
    copy_files(lesson, folder / "files" / NAME)
    return folder


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_have_no_barriers(browser: Browser, site: Path, width: int, scheme: str) -> None:
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    for page in ("index.html", f"{NAME}.html"):
        browser.show(site / page, width, scheme)
        browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert (browser.errors(), browser.overflow()) == ([], 0)
        browser.run(axe)
        found = browser.execute_async_script("axe.run().then(arguments[0])")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []


def test_answers_open_one_by_one_and_links_lead_somewhere(browser: Browser, site: Path) -> None:
    browser.show(site / f"{NAME}.html")
    assert "Right." not in browser.one("main").text and "NN119" not in browser.one("main").text
    browser.all("summary")[1].click()
    assert "Right." in browser.one("main").text and "Not that one." not in browser.one("main").text
    assert [len(browser.all(f".chart .line.run-{number}")) for number in (0, 1)] == [6, 6]  # three, with their legends
    links = {link.get_dom_attribute("href") for link in browser.all("a")}
    assert {"index.html", f"{BEFORE}.html", f"{AFTER}.html", f"files/{NAME}/broken.yaml"} <= links
    assert all((site / str(link)).exists() for link in links if str(link).startswith("files/"))


def test_the_first_page_leads_to_every_lesson(browser: Browser, site: Path) -> None:
    browser.show(site / "index.html")
    assert [link.get_dom_attribute("href") for link in browser.all(".contents a")] == [
        f"{name}.html" for name in lessons()
    ]


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="not empty; name a new folder"):
        write_site(tmp_path)
