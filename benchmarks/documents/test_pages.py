"""README and the pages of docs/, run as written: commands, Python and YAML, with what they print and draw.

`python -m benchmarks.documents` runs them too, and `--images` makes the images of the pages again.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import nnclassify
from benchmarks.documents.pages import ROOT, Command, blocks, images, pages
from benchmarks.documents.runner import WIDTH, missing_images, prepare, run
from nnclassify.config.yaml_reader import parse_yaml

MAX_IMAGE_BYTES = 250_000
"""Of an image in full color at `WIDTH`: eighteen photographs take 216 kB, and plots of curves 30 to 120 kB."""
IDS = {path.name: path for path in pages()}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked from a process that has imported torch")
@pytest.mark.parametrize("name", IDS)
def test_a_page_runs_as_written(name: str, tmp_path: Path) -> None:
    shell = prepare(tmp_path / "page")
    for ran in run(IDS[name], shell):
        assert ran.problem is None, f"{name}:{ran.command.line}: {ran.command.text}: {ran.problem}\n{ran.printed}"
    assert missing_images(IDS[name], shell) == []


@pytest.mark.parametrize("name", IDS)
def test_yaml_is_a_part_of_a_config_and_shell_scripts_parse(name: str) -> None:
    for block in blocks(IDS[name]):
        if block.language == "yaml" and block.title is None:
            part = parse_yaml(block.text, name)
            nnclassify.load_config({"dataset": "iris", "model": {"name": "mlp", "hidden": [4]}, **part})
        elif block.language == "bash":
            done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", IDS)
def test_images_are_small_and_say_what_they_are_made_from(name: str) -> None:
    for image, source in images(IDS[name]).items():
        assert source is not None, f"{image}: made by no command"
        assert image.stat().st_size < MAX_IMAGE_BYTES
        with Image.open(image) as opened:
            assert opened.width <= WIDTH


def test_every_image_is_on_a_page() -> None:
    shown = {image for page in pages() for image in images(page)}
    assert set((ROOT / "docs" / "images").iterdir()) == shown


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        (["accuracy 99.4%, 13.9 s"], "accuracy  98.7%, 4 s\n", True),
        (["accuracy 99.4%"], "accuracy 99.4%\nloss 0.1\n", False),
        (["...", "test: 1"], "a\nb\ntest: 2\n", True),
        (["..."], "", True),
        (["error: a.yaml:2: found 3"], "error: a.yaml:2: found 4\n", False),
        (["error: a.yaml:2: found 3"], "error: a.yaml:2: found 3\n", True),
        (["name x5"], "name x6\n", False),
    ],
)
def test_output_is_compared_but_for_numbers_that_depend_on_the_machine(
    shown: list[str], printed: str, fits: bool
) -> None:
    assert Command("nnclassify train", shown, 1).fits(printed) is fits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nnclassify train a.yaml 'b={c: 1}' # d", ["train", "a.yaml", "b={c: 1}"]),
        ("nnclassify runs | head", None),
        ("cat a.yaml", None),
    ],
)
def test_what_needs_a_shell_is_given_to_one(text: str, words: list[str] | None) -> None:
    assert Command(text, [], 1).arguments() == words
