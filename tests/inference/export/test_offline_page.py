"""A test of an exported page as a person uses it, in Chromium."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, started
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

import nnclassify
from nnclassify.inference.export.export import export_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from started(tmp_path_factory.mktemp("profile"))


def _page(root: Path, dataset: dict[str, object], model: dict[str, object], **options: object) -> tuple[Path, Path]:
    config = {"dataset": dataset, "model": model, "epochs": 1, "batch_size": 32, "device": "cpu", **options}
    config |= {"optimizer": {"name": "adam", "lr": 0.01}}
    best = nnclassify.train(config, root, report=False, monitor=False).folder.best
    return best, export_run(best, "html", root / "page.html").path


def _shares(browser: Browser) -> list[float]:
    return [float(share.text.rstrip("%")) / 100 for share in browser.all("#bars .share")]


def test_the_map_follows_the_pointer(browser: Browser, tmp_path: Path) -> None:
    best, page = _page(tmp_path, {"name": "xor"}, {"name": "mlp", "hidden": [4]})
    browser.show(page, width=360)
    before = [field.get_property("value") for field in browser.all(".fields input")]
    ActionChains(browser).move_to_element_with_offset(browser.one("#regions"), 60, -50).perform()
    point = [float(str(field.get_property("value"))) for field in browser.all(".fields input")]
    assert point != [float(str(value)) for value in before]
    (wanted,) = nnclassify.load(best, device="cpu").predict([point])
    assert _shares(browser) == pytest.approx(wanted.probabilities.tolist(), abs=6e-4)
    assert browser.one("#answer").text == wanted.label and browser.errors() == [] and browser.overflow() == 0


def test_a_less_probable_class_is_explained_by_the_threshold(browser: Browser, tmp_path: Path) -> None:
    _, page = _page(tmp_path, {"name": "xor"}, {"name": "mlp", "hidden": [4]}, evaluation={"threshold": 0.9})
    browser.show(page)
    ActionChains(browser).move_to_element_with_offset(browser.one("#regions"), -60, -50).perform()
    first, second = _shares(browser)
    assert browser.one("#answer").text == "0" and first < second  # after one epoch, both are about as probable
    assert browser.one("#note").text == "1 is predicted if its probability is above 90.0%, the threshold."
    assert browser.errors() == []


def test_an_image_is_drawn_or_chosen(browser: Browser, tmp_path: Path) -> None:
    model: dict[str, object] = {"name": "cnn", "blocks": [{"channels": 4, "pool": "max"}]}
    best, page = _page(tmp_path, {"name": "digits", "limit": 300}, model)
    browser.show(page)
    empty = browser.run(SEEN)
    pen = ActionChains(browser).move_to_element_with_offset(browser.one("#drawing"), -60, -90).click_and_hold()
    pen.move_by_offset(110, 0).move_by_offset(-60, 180).release().perform()
    assert sum(_shares(browser)) == pytest.approx(1, abs=6e-3)
    browser.one("button").click()
    assert _shares(browser) == [] and browser.run(SEEN) == empty
    pixels = np.arange(600).reshape(30, 20)
    images = {"half.png": Image.new("L", (20, 30), 90), "deep.png": Image.fromarray((pixels * 6).astype(np.uint16))}
    images["clear.png"] = Image.fromarray(np.stack([pixels % 251, pixels % 256], axis=2).astype(np.uint8), "LA")
    for name, image in images.items():
        image.save(tmp_path / name)
        (wanted,) = nnclassify.load(best, device="cpu").predict(tmp_path / name)
        _give(browser, tmp_path / name, is_dropped=name != "half.png")
        WebDriverWait(browser, 5).until(lambda _: _shares(browser))
        assert _shares(browser) == pytest.approx(wanted.probabilities.tolist(), abs=6e-4)
        assert browser.one("#answer").text == wanted.label and browser.run(SEEN) != empty
    _give(browser, Path(__file__), is_dropped=True)
    WebDriverWait(browser, 5).until(lambda _: not _shares(browser))
    assert browser.one("#answer").text == f"{Path(__file__).name}: not an image that this browser can read."
    assert browser.run(SEEN) == empty and browser.errors() == []


SEEN = "return document.getElementById('seen').toDataURL()"
DROP = """document.getElementById("bars").replaceChildren();
const data = new DataTransfer(), bytes = Uint8Array.from(atob(arguments[1]), (one) => one.charCodeAt(0));
data.items.add(new File([bytes], arguments[0]));
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));"""


def _give(browser: Browser, file: Path, *, is_dropped: bool) -> None:
    """Drop a file on the page, or choose it."""
    if is_dropped:
        browser.run(DROP, file.name, base64.b64encode(file.read_bytes()).decode())
    else:
        browser.one("#file").send_keys(str(file))


def test_values_of_a_table_are_filled_in(browser: Browser, tmp_path: Path) -> None:
    rows = "1.5,red,a\n2.5,blue,b\n,red,a\n3.5,</b>,b\n" * 10
    (tmp_path / "table.csv").write_text(f"weight,color,class\n{rows}")
    dataset = {"name": "csv", "path": str(tmp_path / "table.csv"), "label": "class", "missing": "fill"}
    best, page = _page(tmp_path, {**dataset, "categories": {"color": "one_hot"}}, {"name": "mlp", "hidden": [4]})
    browser.show(page, width=360)
    weight, color = browser.one("#field0"), Select(browser.one("#field1"))
    for row in (["2", "</b>"], ["", "(another)"], [" -1e3", "blue"]):
        weight.clear()
        weight.send_keys(row[0])
        color.select_by_visible_text(row[1])
        (wanted,) = nnclassify.load(best, device="cpu").predict(np.array([row], dtype=object))
        assert browser.one("#answer").text == wanted.label
        assert _shares(browser) == pytest.approx(wanted.probabilities.tolist(), abs=6e-4)
    weight.send_keys(",5")
    assert browser.one("#answer").text == 'weight: found " -1e3,5", expected a number, such as 0.5.'
    assert _shares(browser) == [] and browser.errors() == [] and browser.overflow() == 0
