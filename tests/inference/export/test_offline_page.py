"""A test of an exported page as a person uses it, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, started
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.support.wait import WebDriverWait

import nnclassify
from nnclassify.inference.export.export import export_run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from started(tmp_path_factory.mktemp("profile"))


def _page(root: Path, dataset: dict[str, object], model: dict[str, object]) -> tuple[Path, Path]:
    config = {"dataset": dataset, "model": model, "epochs": 1, "batch_size": 32, "device": "cpu"}
    config |= {"optimizer": {"name": "adam", "lr": 0.01}}
    best = nnclassify.train(config, root, report=False, monitor=False).folder.best
    return best, export_run(best, "html", root / "page.html").path


def _shares(browser: Browser) -> list[float]:
    return [float(share.text.rstrip("%")) / 100 for share in browser.all("#bars .share")]


@pytest.mark.slow
def test_the_map_follows_the_pointer(browser: Browser, tmp_path: Path) -> None:
    best, page = _page(tmp_path, {"name": "xor"}, {"name": "mlp", "hidden": [4]})
    browser.show(page, width=360)
    before = [field.get_property("value") for field in browser.all("input[type=number]")]
    ActionChains(browser).move_to_element_with_offset(browser.one("#regions"), 60, -50).perform()
    point = [float(str(field.get_property("value"))) for field in browser.all("input[type=number]")]
    assert point != [float(str(value)) for value in before]
    (wanted,) = nnclassify.load(best, device="cpu").predict([point])
    assert _shares(browser) == pytest.approx(wanted.probabilities.tolist(), abs=6e-4)
    assert browser.one("#answer").text == wanted.label and browser.errors() == [] and browser.overflow() == 0


@pytest.mark.slow
def test_an_image_is_drawn_or_chosen(browser: Browser, tmp_path: Path) -> None:
    model: dict[str, object] = {"name": "cnn", "blocks": [{"channels": 4, "pool": "max"}]}
    best, page = _page(tmp_path, {"name": "digits", "limit": 300}, model)
    browser.show(page)
    pen = ActionChains(browser).move_to_element_with_offset(browser.one("#drawing"), -60, -90).click_and_hold()
    pen.move_by_offset(110, 0).move_by_offset(-60, 180).release().perform()
    assert sum(_shares(browser)) == pytest.approx(1, abs=6e-3)
    image = tmp_path / "half.png"
    Image.new("L", (20, 30), 90).save(image)
    drawn = _shares(browser)
    browser.one("#file").send_keys(str(image))
    WebDriverWait(browser, 5).until(lambda _: _shares(browser) != drawn)
    (wanted,) = nnclassify.load(best, device="cpu").predict(Image.open(image))
    assert _shares(browser) == pytest.approx(wanted.probabilities.tolist(), abs=6e-4)
    assert browser.one("#answer").text == wanted.label and browser.errors() == []
