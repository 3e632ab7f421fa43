"""Tests that the paths and commands in the documents exist."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    *sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]),
]
START = r"(?<![\w/.:<-])"
PATHS = re.compile(
    START + r"(?:(?:nnclassify|tests|benchmarks|configs|docs|\.ci|\.github)/[\w./-]*[\w/-]|[\w/-]+\.py\b)"
)
OF_USERS = {"net.py"}
"""Files that a document's example has a user write."""
LINKS = re.compile(r"\]\(([\w./-]+)(?:#[\w-]+)?\)")
MODULES = re.compile(r"python -m ((?:benchmarks|nnclassify)[\w.]*)")


def missing(text: str, folder: Path = ROOT) -> set[str]:
    """Paths that are neither in the repository nor in the package, links from a document in `folder` that lead nowhere,
    and modules that `python -m` does not find."""
    paths = {
        path
        for path in PATHS.findall(text)
        if not (ROOT / path).exists() and not in_package(path) and path not in OF_USERS
    }
    paths |= {path for path in LINKS.findall(text) if not (folder / path).exists()}
    return paths | {module for module in MODULES.findall(text) if find_spec(module) is None}


def in_package(path: str) -> bool:
    return (ROOT / "nnclassify" / path).exists()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_a_document_names_exists(name: str) -> None:
    path = ROOT / name
    assert missing(path.read_text(encoding="utf-8"), path.parent) == set()


def test_a_path_that_is_gone_is_found() -> None:
    text = "see `run.py`, `models/`, `runs/gone.py`, [it](docs/gone.png), [GONE](GONE.md), `tests/data/`"
    text += " and `python -m benchmarks.gone`"
    assert missing(text) == {"runs/gone.py", "docs/gone.png", "benchmarks.gone", "GONE.md"}
