"""Tests that the paths, links and modules in the documents exist."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main
from conftest import ROOT

from nnclassify.cli.main import app

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "REFERENCE.md",
    "tests/reliability/RESULTS.md",
    *sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.md")]),
]
START = r"(?<![\w/.:<-])"
PATHS = re.compile(
    START + r"(?:(?:nnclassify|tests|benchmarks|configs|docs|\.ci|\.github)/[\w./-]*[\w/-]|[\w/-]+\.py\b)"
)
OF_USERS = {
    name
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    for name in re.findall(r"^```\w+ title=\"(.+)\"$", path.read_text(encoding="utf-8"), re.MULTILINE)
}
"""Files that a page has its reader write."""
LINKS = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?(?: \"[^\"]*\")?\)")
INLINE = re.compile(r"`(nnclassify [^`]+)`")
HEADINGS = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCES = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MODULES = re.compile(r"python -m ((?:benchmarks|nnclassify)[\w.]*)")


def missing(text: str, folder: Path = ROOT) -> set[str]:
    """Paths that are neither in the repository nor in the package, links from a document in `folder` that lead nowhere,
    and modules that `python -m` does not find."""
    paths = {
        path
        for path in PATHS.findall(text)
        if not any((place / path).exists() for place in (ROOT, ROOT / "nnclassify", folder)) and path not in OF_USERS
    }
    paths |= {path for path, _ in LINKS.findall(text) if not (folder / path).exists()}
    return paths | {module for module in MODULES.findall(text) if find_spec(module) is None}


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a document."""
    headings = HEADINGS.findall(FENCES.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def lost_anchors(path: Path) -> set[str]:
    """Links of a document to headings that are not there."""
    links = [(file, anchor) for file, anchor in LINKS.findall(path.read_text(encoding="utf-8")) if anchor]
    targets = {file: path.parent / file if file else path for file, _ in links}
    return {
        f"{file}#{anchor}" for file, anchor in links if anchor not in anchors(targets[file].read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_a_document_names_exists(name: str) -> None:
    path = ROOT / name
    assert missing(path.read_text(encoding="utf-8"), path.parent) == set()


def test_contributing_leads_into_every_folder_of_the_package_in_short_cells() -> None:
    text, package = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), ROOT / "nnclassify"
    listed = [Path(path) for path in re.findall(r"(?<=`)[\w/]+/(?=`)", text)]
    lost = [
        path
        for path in listed
        if path != Path("build/site") and not any((at / path).is_dir() for at in (ROOT, package))
    ]
    assert lost == []
    folders = {path.parent.relative_to(package) for path in package.rglob("*.py") if "course" not in path.parts}
    assert folders - {Path(path).parent for path in PATHS.findall(text)} - {*listed} == set()
    cells = [cell for line in text.splitlines() if line.startswith("| ") for cell in line.split(" | ")]
    assert max(map(len, cells)) <= 150


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_heading(name: str) -> None:
    assert lost_anchors(ROOT / name) == set()


@cache
def command_line() -> Any:
    """All commands with their options."""
    return typer.main.get_command(app)


def unknown_commands(text: str) -> set[str]:
    """Commands in a sentence, or their options, that the command line does not have. Those in blocks are run."""
    unknown = set()
    for words in (found.split() for found in INLINE.findall(FENCES.sub("", text))):
        command: Any = command_line()
        rest = words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        options = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)} | {"--help"}
        is_known = not (rest and hasattr(command, "commands") and re.match(r"[a-z]", rest[0]))
        if not is_known or not {word for word in rest if word.startswith("--")} <= options:
            unknown.add(" ".join(words))
    return unknown


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_a_sentence_exists(name: str) -> None:
    assert unknown_commands((ROOT / name).read_text(encoding="utf-8")) == set()


def test_an_unknown_command_is_found() -> None:
    text = "`nnclassify trian x`, `nnclassify train --gone`, `nnclassify configs\nshow NAME`, `nnclassify --help`"
    assert unknown_commands(text) == {"nnclassify trian x", "nnclassify train --gone"}


def test_a_heading_that_is_gone_is_found(here: Path) -> None:
    (here / "a.md").write_text("# What ships?\n\n[1](#what-ships), [2](b.md#x), [3](b.md#the-y)\n\n```\n# z\n```\n")
    (here / "b.md").write_text("## The `y`\n")
    assert lost_anchors(here / "a.md") == {"b.md#x"}


def test_a_path_that_is_gone_is_found() -> None:
    text = "see `run.py`, `models/`, `runs/gone.py`, [it](docs/gone.png), [GONE](GONE.md), `tests/data/`"
    text += " and `python -m benchmarks.gone`"
    assert missing(text) == {"runs/gone.py", "docs/gone.png", "benchmarks.gone", "GONE.md"}
