"""The page about a run, opened from its file in Chromium: what a reader can do with it, and whether everybody can.

`.ci/run` installs Debian's chromium and chromium-driver. Without a browser these tests are skipped, unless CI is set.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import WIDTHS, Browser, barriers
from run_folders import write_answers, write_run
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

import nnclassify
from nnclassify.inference.report.examples import MAX_IMAGES, _small
from nnclassify.inference.report.page import save_report

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]  # started once

MAX_MILLISECONDS = 1000
"""Of the time in which a page must open."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run on images that makes mistakes."""
    config = {"dataset": "digits", "model": {"name": "mlp", "hidden": [16]}, "epochs": 4}
    return nnclassify.train(config, root=tmp_path_factory.mktemp("runs")).folder.report


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page as large as that of `cifar_cnn`: 10,000 test images, a third of them mistakes, and all small images."""
    run = write_run(tmp_path_factory.mktemp("large") / "run", epochs=10, result={"test": {"accuracy": 0.68}})
    generator = np.random.default_rng(0)
    true, guessed = generator.integers(0, 10, (2, 10_000))
    predicted = np.where(generator.uniform(size=10_000) < 0.65, true, guessed)
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    shares = generator.uniform(0.3, 1, 10_000)
    answers = zip(true.tolist(), predicted.tolist(), shares.tolist(), strict=True)
    rows = [(f"test/{classes[one]}/{n:04}.jpg", one, other, share) for n, (one, other, share) in enumerate(answers)]
    write_answers(run, classes, rows)
    wrong = [row[0] for row in rows if row[1] != row[2]][:MAX_IMAGES]
    images = {name: _small(torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)) for name in wrong}
    run.examples.write_text(f'{{"split": "test", "images": {str(images).replace(chr(39), chr(34))}}}')
    return save_report(run)


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_an_error_and_fits_the_width(browser: Browser, page: Path, width: int) -> None:
    browser.get("about:blank")
    browser.errors()
    browser.show(page, width)
    browser.get(page.resolve().as_uri())
    assert browser.errors() == []
    assert browser.overflow() == 0
    loaded = browser.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def test_a_page_like_that_of_cifar_cnn_opens_in_a_second(browser: Browser, large: Path) -> None:
    times = []
    for _ in range(3):
        browser.show(large)
        times.append(browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
    assert min(times) < MAX_MILLISECONDS
    assert len(large.read_bytes()) < 1_500_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_has_nobarriers(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.show(page, width, scheme)
    browser.one(".cell").click()
    for details in browser.all("summary"):
        details.click()
    assert barriers(browser) == []


def test_tables_sort_by_a_heading(browser: Browser, page: Path) -> None:
    browser.show(page)
    heading = browser.all("#class-table th button")[2]
    heading.click()
    assert _column(browser, 2) == sorted(_column(browser, 2), reverse=True)
    heading.send_keys(Keys.ENTER)
    assert _column(browser, 2) == sorted(_column(browser, 2))
    assert browser.all("#class-table th[aria-sort]")[0].get_attribute("aria-sort") == "ascending"
    assert len(set(_column(browser, 2))) > 3


def _column(browser: Browser, number: int) -> list[float]:
    rows = "[...document.querySelectorAll('#class-table tbody tr')]"
    values = browser.run(f"return {rows}.map((row) => row.cells[{number}].dataset.value)")
    return [float(value) for value in values]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_cell_opens_its_images(browser: Browser, page: Path, width: int) -> None:
    browser.show(page, width)
    cell = browser.one(".cell:not(.right)")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", cell)
    cell.send_keys(Keys.ENTER)
    opened = browser.one("#opened")
    assert opened.is_displayed()
    assert re.fullmatch("[0-9] taken for [0-9]", browser.one("#opened-title").text)
    assert browser.switch_to.active_element.get_attribute("id") == "opened-title"
    assert len(browser.all("#opened .example, #opened-others li")) == int(cell.text)
    assert browser.run("return document.querySelector('#opened img').naturalWidth") == 8
    assert browser.overflow() == 0


def test_curves_are_read_by_pointer_and_by_keyboard(browser: Browser, page: Path) -> None:
    browser.show(page)
    plot, readout = browser.one(".plot"), browser.one(".readout")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", plot)
    ActionChains(browser).move_to_element_with_offset(plot, -plot.size["width"] // 2 + 60, 0).perform()
    assert readout.text.startswith("epoch 1: training ")
    ActionChains(browser).move_to_element_with_offset(plot, plot.size["width"] // 2 - 12, 0).perform()
    assert readout.text.startswith("epoch 4: training ")
    plot.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert readout.text.startswith("epoch 2: training ")
    assert plot.get_attribute("aria-valuenow") == "2"


def test_colors_follow_the_system_until_the_reader_chooses(browser: Browser, page: Path) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    browser.show(page, scheme="dark")
    dark = browser.run(background)
    browser.one("#theme").click()
    assert browser.run(background) == "rgb(255, 255, 255)" != dark
    browser.show(page, scheme="dark", media="print")
    assert browser.run(background) == "rgb(255, 255, 255)"


def test_names_that_are_code_stay_text(browser: Browser, tmp_path: Path) -> None:
    names = [
        "</script><script>document.title = 1</script>",
        "<img src=x onerror='document.title = 2'>",
        "\u202ea`b`",
        "z" * 500,
    ]
    run = write_run(tmp_path, result={"test": {"accuracy": 0.1}})
    write_answers(run, names, [(f"{name}.png", index, 3 - index, 0.9) for index, name in enumerate(names)])
    browser.show(save_report(run), 360)
    for cell in browser.all(".cell"):
        browser.run("arguments[0].click()", cell)
    assert "nnclassify report" in browser.title
    assert "<img src=x" in browser.one(".matrix").text
    assert browser.errors() == []
    assert browser.overflow() == 0


def test_several_runs_have_no_barriers_and_fit_the_width(browser: Browser, page: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "another run with a long name", result={"test": {"accuracy": 0.1}})
    compared = nnclassify.report(page.parent, other.path, out=tmp_path / "both.html")
    for width in WIDTHS:
        browser.show(compared, width)
        assert browser.overflow() == 0
        assert barriers(browser) == []
    assert browser.errors() == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_a_notebook_shows_fits_and_takes_its_colors(
    browser: Browser, tmp_path: Path, width: int, theme: str
) -> None:
    root = tmp_path / "runs"
    config = {"name": "a_run", "dataset": {"name": "rgb", "num_examples": 80}, "model": "mlp", "epochs": 2}
    result = nnclassify.train(config, root, report=False)
    compared = nnclassify.compare(result.folder.path, result.folder.path)
    shown: list[Any] = [result, compared, result.classifier, result.test, result.classifier.predict([[1.0, 2.0, 3.0]])]
    paper, ink = ("rgb(255, 255, 255)", "rgb(0, 0, 0)")[:: 1 if theme == "light" else -1]
    cards = "".join(f"<div>{one._repr_html_()}</div>" for one in shown)
    page = tmp_path / "notebook.html"
    head = f"<!doctype html><meta charset=utf-8><style>body {{ background: {paper}; color: {ink} }}</style>"
    page.write_text(head + cards, encoding="utf-8")
    browser.show(page, width, theme)
    assert browser.overflow() == 0
    assert browser.errors() == []
    assert len(browser.all(".nnclassify-card")) == len(shown)
    assert browser.one(".nnclassify-card td").value_of_css_property("color").removeprefix("rgba(") != paper
    assert browser.one(".nnclassify-card .line.train").value_of_css_property("stroke") == ink
