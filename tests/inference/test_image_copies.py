"""Tests of image copies by predicted class: complete, never overwriting, with folder names valid on any system."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnclassify.errors import InputError
from nnclassify.inference.image_copies import ImageCopies, folder_names
from nnclassify.inference.predict import Prediction


def answer(path: str, *labels: str) -> Prediction:
    return Prediction(path, tuple((label, 0.5) for label in labels), labels=labels, file=Path(path))


def made(here: Path, *paths: str) -> None:
    for path in paths:
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_bytes(path.encode())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", "süß 🍏"], ["cat", "süß 🍏"]),
        (["a/b", "a:b", "A_b"], ["a_b", "a_b (2)", "A_b (3)"]),
        (["..", "", "con", "nul.txt"], ["_", "_ (2)", "con_", "nul.txt_"]),
        (["x. ", "tab\tx"], ["x", "tab_x"]),
    ],
)
def test_folder_names_are_valid_everywhere_and_unique(names: list[str], expected: list[str]) -> None:
    assert folder_names(names) == expected
    assert len(folder_names(["ß" * 300])[0].encode()) <= 200


def _no_hard_links(self: Path, target: Path) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_nothing_is_overwritten(here: Path, monkeypatch: pytest.MonkeyPatch, has_hard_links: bool) -> None:
    if not has_hard_links:
        monkeypatch.setattr(Path, "hardlink_to", _no_hard_links)
    made(here, "in/1.png", "in/deep/1.png", "out/cat/1.png")
    copies = ImageCopies(Path("out"), ["cat", "dog"], ["in"])
    for path in ("in/1.png", "in/deep/1.png"):
        copies.add(answer(path, "cat"))
    found = {path.name: path.read_text() for path in Path("out/cat").iterdir()}
    assert found == {"1.png": "out/cat/1.png", "1 (2).png": "in/1.png", "1 (3).png": "in/deep/1.png"}
    assert (copies.num_copied, copies.num_uncopied) == (2, 0)


def test_an_image_of_several_classes_is_in_each_folder_and_one_of_none_in_no_folder(here: Path) -> None:
    made(here, "1.png")
    copies = ImageCopies(Path("out"), ["cat", "dog"], ["1.png"])
    for prediction in (answer("1.png", "cat", "dog"), answer("1.png"), Prediction("x", error="x: damaged")):
        copies.add(prediction)
    assert sorted(map(str, Path("out").rglob("*.png"))) == ["out/cat/1.png", "out/dog/1.png"]
    assert (copies.num_copied, copies.num_uncopied) == (1, 1)


def test_links_are_copied_as_files_and_never_followed_out_of_the_folder(here: Path) -> None:
    made(here, "real/1.png", "elsewhere/keep.png")
    Path("1.png").symlink_to("real/1.png")
    Path("out").mkdir()
    copies = ImageCopies(Path("out"), ["cat", "dog"], ["1.png"])
    copies.add(answer("1.png", "cat"))
    assert not Path("out/cat/1.png").is_symlink() and Path("out/cat/1.png").read_text() == "real/1.png"
    Path("out/dog").symlink_to(here / "elsewhere")
    with pytest.raises(InputError, match="out/dog: a link or a file"):
        copies.add(answer("1.png", "dog"))
    assert [path.name for path in Path("elsewhere").iterdir()] == ["keep.png"]


def test_a_folder_within_the_inputs_is_refused(here: Path) -> None:
    made(here, "in/1.png", "file")
    Path("link").symlink_to("in")
    for folder in ("in", "in/sorted/new", "link/sorted", "in/../in/x"):
        with pytest.raises(InputError, match="lies within the input in"):
            ImageCopies(Path(folder), ["cat"], ["in"])
    with pytest.raises(InputError, match="--copy-to file: file is a file"):
        ImageCopies(Path("file"), ["cat"], ["in"])


def test_an_interrupted_copy_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(here, "1.png")

    def interrupt(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copy2", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ImageCopies(Path("out"), ["cat"], ["1.png"]).add(answer("1.png", "cat"))
    assert list(Path("out/cat").iterdir()) == []
