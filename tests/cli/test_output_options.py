"""Tests of the files and folders that options such as `--out` name."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nnclassify.cli.main import app
from nnclassify.cli.outputs import check_output, check_plot
from nnclassify.errors import InputError
from nnclassify.files.paths import check_new_folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an input, a checkpoint, an image, and links that lead nowhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("rows.csv", "best.pt", "cat.png"):
        Path(name).write_text("precious")
    Path("nowhere").symlink_to("gone/away")
    Path("loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("best.pt", r"--out best\.pt: exists, and is not a \.csv file; name another file, such as p\.csv"),
        ("rows.csv", r"--out rows\.csv: an input, which would be lost; name another file"),
        ("../{here}/rows.csv", "an input, which would be lost"),
        ("gone/p.csv", r"--out gone/p\.csv: expected a file, such as p\.csv, in a folder that exists"),
        ("rows.csv/p.csv", "in a folder that exists"),
        (".", "in a folder that exists"),
        ("n" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_a_file_that_cannot_be_written_or_would_be_lost(path: str, message: str, here: Path) -> None:
    with pytest.raises(InputError, match=message):
        check_output("--out", Path(path.format(here=here.name)), "p.csv", ["1,2,3", "rows.csv"])


def test_an_image_is_an_input_and_a_file_of_its_kind_is_replaced(here: Path) -> None:
    for read in ("cat.png", "."):
        with pytest.raises(InputError, match=r"cat\.png: an input, which would be lost"):
            check_plot("--plot", here / "cat.png", "p.png", ["loop", read])
    check_plot("--plot", here / "new.png", "p.png", ["."])
    check_plot("--plot", Path("cat.png"), "p.pdf")
    check_output("--out", Path("rows.csv"), "p.csv")
    check_output("--out", Path("new.txt"), "p.csv")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("rows.csv", r"--out rows\.csv: rows\.csv is a file; expected a folder, or a name for a new one"),
        ("rows.csv/a/b", r"rows\.csv is a file"),
        ("nowhere", "nowhere is a link to nothing"),
        ("nowhere/a", "nowhere is a link to nothing"),
        ("/dev/null", "/dev/null is a file"),
        ("n" * 300, "File name too long"),
        ("loop/a", "Too many levels of symbolic links"),
    ],
)
def test_a_folder_that_cannot_be_created(path: str, message: str, here: Path) -> None:
    with pytest.raises(InputError, match=message):
        check_new_folder("--out", Path(path))
    check_new_folder("--out", here / "a" / "b")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["audit", "run.yaml", "--out", "."], "--out audit.csv"),
        (["preview", "images.yaml", "--out", "images/cat.png"], "--out images/cat.png"),
        (["learning-curve", "images.yaml", "--plot", "images/cat.png"], "--plot images/cat.png"),
    ],
)
def test_what_the_config_reads_is_an_input(command: list[str], option: str, here: Path) -> None:
    Path("audit.csv").write_text("a,label\n1,x\n2,y\n")
    Path("images").mkdir()
    Path("images/cat.png").touch()
    for name, data in (("run", "{name: csv, path: audit.csv}"), ("images", "{name: folder, root: images}")):
        Path(f"{name}.yaml").write_text(f"dataset: {data}\nmodel: mlp\n")
    refused = CliRunner().invoke(app, command).exception
    assert isinstance(refused, InputError)
    assert str(refused) == f"{option}: an input, which would be lost; name another file"
