"""Chromium without a window, for tests of pages. `.ci/run` installs Debian's chromium and chromium-driver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

WIDTHS = [360, 1400]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser(webdriver.Chrome):
    """Chromium without a window, in which a page is opened at a width and in a color scheme."""

    def show(self, page: Path | str, width: int = 1400, scheme: str = "light", media: str = "screen") -> None:
        """Open a page, by its file or its address; errors in the console so far are forgotten."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        settings = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in settings.items()]
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.get(page if isinstance(page, str) else page.resolve().as_uri())
        self.errors()

    def errors(self) -> list[str]:
        """The errors in the console since the last call."""
        return [str(entry["message"]) for entry in self.get_log("browser")]  # type: ignore[no-untyped-call] # selenium's

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return its result."""
        return self.execute_script(script, *arguments)

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def one(self, selector: str) -> WebElement:
        """The first element that a selector finds."""
        return self.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements that a selector finds."""
        return self.find_elements(By.CSS_SELECTOR, selector)


def barriers(browser: Browser) -> list[tuple[str, str]]:
    """What axe-core finds, as the rule and the element."""
    browser.run((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [(one["id"], node["html"][:120]) for one in found["violations"] for node in one["nodes"]]


def started(folder: Path) -> Iterator[Browser]:
    """Yield a browser; skip the test where there is none, unless CI is set.

    Args:
        folder: Where it keeps its profile.
    """
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        assert not os.environ.get("CI"), "no Chromium with chromedriver; .ci/run installs it"
        pytest.skip("no Chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    flags = ["headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run"]
    for flag in [*flags, f"user-data-dir={folder}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Browser(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()
