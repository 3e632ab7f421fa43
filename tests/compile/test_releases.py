"""Tests that the torch releases in CI are those that can be installed."""

from __future__ import annotations

import tomllib

from conftest import ROOT


def test_the_oldest_and_the_newest_release_that_are_tested_bound_the_requirement() -> None:
    rows = [line.split() for line in (ROOT / ".ci" / "releases").read_text().splitlines() if line[0] != "#"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, tested in zip(("torch", "torchvision"), zip(*rows, strict=True), strict=True):
        (oldest, newest), requirement = (
            [tuple(map(int, release.split(".")[:2])) for release in (tested[0], tested[-1])],
            next(text for text in project["dependencies"] if text.startswith(f"{name}>")),
        )
        assert requirement == f"{name}>={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
