"""The site of README and docs/, as `.ci/site` builds it."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]  # built once

LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^\s\"'>]+")
LOADED_BY_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\s]+")


@pytest.fixture(scope="module")
def site() -> Path:
    if find_spec("zensical") is None:
        pytest.skip("no zensical: pip install -e .[docs]")
    done = subprocess.run(["bash", ".ci/site"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    return ROOT / "build" / "site"


def test_every_page_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in ROOT.glob("docs/*.md"):
        built = page.relative_to(ROOT).with_suffix(".html")
        assert (site / built).exists()
        assert f'href="{built.as_posix()}"' in home


def test_the_reference_has_every_command_and_every_key(site: Path) -> None:
    commands = (site / "docs" / "commands.html").read_text(encoding="utf-8")
    assert "nnclassify train" in commands and "--resume" in commands
    assert "clip_grad_norm" in (site / "REFERENCE.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_the_network(site: Path) -> None:
    loaded = {
        (path.name, text)
        for path in site.rglob("*")
        if path.suffix in {".html", ".css"}
        for text in (LOADED if path.suffix == ".html" else LOADED_BY_STYLES).findall(path.read_text(encoding="utf-8"))
    }
    assert loaded == set()
