"""The page of a server in Chromium: files, a drawing, typed values, the decision map; and its API by schemathesis."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import schemathesis
import uvicorn
from browser import WIDTHS, Browser, barriers
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import just, lists
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.wait import WebDriverWait

from nnclassify.inference.classifier import Classifier
from nnclassify.inference.predict import Caution
from nnclassify.serve.command import Settings, guarded_app
from nnclassify.serve.metrics import Metrics
from nnclassify.serve.workers import listening_socket, url_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
Serving = Callable[[str], str]


@pytest.fixture(scope="module")
def serving(network: Callable[[str], Classifier]) -> Iterator[Serving]:
    """`serving(network)`: the address of a server, which runs in a thread."""
    with ExitStack() as ends:

        def start(name: str) -> str:
            app = guarded_app(network(name), Settings(caution=Caution(0.999)), Metrics(network(name).class_names), str)
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
            listener = listening_socket("127.0.0.1", 0)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            ends.callback(thread.join)
            ends.callback(setattr, server, "should_exit", True)
            while not server.started:
                time.sleep(0.01)
            return url_of(listener)

        yield start


def result(browser: Browser, selector: str) -> str:
    """The text of the result, once there is one."""
    found = WebDriverWait(browser, 20).until(lambda _: browser.all(f"#result[aria-busy=false] {selector}"))
    return str(found[0].text)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_chosen_file_and_a_drawing_get_bars(browser: Browser, serving: Serving, width: int) -> None:
    browser.show(serving("digits"), width)
    WebDriverWait(browser, 20).until(lambda _: browser.all(".pad"))
    browser.one("#file").send_keys(str(ROOT / "docs/seven.png"))
    assert result(browser, ".label") == "unsure"
    assert len(browser.all(".bars tbody tr")) == 10
    pad = browser.one(".pad")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", pad)
    pen = ActionChains(browser).move_to_element_with_offset(pad, -40, -60).click_and_hold()
    pen.move_by_offset(80, 0).move_by_offset(-40, 110).release().perform()
    WebDriverWait(browser, 20).until(lambda _: result(browser, ".name") == "drawing.png")
    assert browser.overflow() == 0 and barriers(browser) == [] and browser.errors() == []


DROP = """
const data = new DataTransfer();
data.items.add(new File([arguments[0]], arguments[1]));
document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true }));
"""


def test_a_dropped_file_that_is_no_image_is_an_error(browser: Browser, serving: Serving) -> None:
    browser.show(serving("digits"), 360)
    WebDriverWait(browser, 20).until(lambda _: browser.all("#file"))
    browser.run(DROP, "text", "<b>notes</b>.txt")
    assert result(browser, ".problem").startswith("<b>notes</b>.txt: not a readable image")
    assert browser.overflow() == 0 and barriers(browser) == []


def test_a_point_of_the_decision_map_and_typed_values(browser: Browser, serving: Serving) -> None:
    browser.show(serving("moons"))
    plane = WebDriverWait(browser, 20).until(lambda _: browser.all(".plane"))[0]
    plane.click()
    assert result(browser, ".label")
    chosen = browser.one("#column-0").get_attribute("value")
    assert chosen is not None and float(chosen) != 0
    browser.one("#column-0").clear()
    browser.one("#column-0").send_keys("wide")
    browser.one("form .button").click()
    assert "found 'wide'" in WebDriverWait(browser, 20).until(lambda _: browser.all(".problem"))[0].text
    assert barriers(browser) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_description_of_the_api_has_no_barriers(browser: Browser, serving: Serving, scheme: str) -> None:
    browser.show(serving("iris") + "/docs", 360, scheme)
    WebDriverWait(browser, 20).until(lambda _: len(browser.all(".operation")) == 4)
    assert browser.overflow() == 0 and barriers(browser) == [] and browser.errors() == []


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """An array as a NumPy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [
        ("digits", "image/png", (ROOT / "docs/seven.png").read_bytes()),
        ("iris", "text/csv", b"5.1,3.5,1.4,0.2\n"),
        ("people", "text/csv", b"age,city,size,member,since\n41,Rome,small,yes,2020-01-31\n"),
        ("signals", "application/octet-stream", npy(np.ones((2, 5)))),
        ("tags", "text/csv", b"1,2\n"),
    ],
    ids=["digits", "iris", "people", "signals", "tags"],
)
def test_requests_drawn_from_the_openapi_document(serving: Serving, name: str, media_type: str, content: bytes) -> None:
    files: Any = lists(just(content), min_size=1, max_size=3)  # which no schema can describe
    schemathesis.openapi.media_type(media_type, files)
    schema = schemathesis.openapi.from_url(f"{serving(name)}/openapi.json")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        _ask(found.ok())


def _ask(operation: APIOperation[Any, Any, Any, Any]) -> None:
    @settings(max_examples=25, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate()

    ask()
