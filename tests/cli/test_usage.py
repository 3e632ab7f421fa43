"""A wrong command line is one line, as every other error."""

import sys
from pathlib import Path

import pytest

from nnclassify.cli.main import main


def printed(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """Return the exit code of a wrong command line, and what it prints."""
    monkeypatch.setattr(sys, "argv", line.split(" "))
    monkeypatch.setattr(sys.modules["__main__"], "__package__", "")  # otherwise the program is `python -m pytest`
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train --nope", "error: nnclassify train: No such option: --nope"),
        ("trian x", "error: nnclassify: No such command 'trian'"),
        ("configs nope", "error: nnclassify configs: No such command 'nope'"),
        ("predict", "error: nnclassify predict: Missing argument 'INPUT' (see nnclassify predict -h)\n"),
        ("runs x y", "error: nnclassify runs: Got unexpected extra argument"),
        ("predict x --top-k a", "error: nnclassify predict: Invalid value for '--top-k'"),
        ("train xor_2 --epochs", "error: Option '--epochs' requires an argument"),
        ("train --a\x1bb", "error: nnclassify train: No such option: --a\\x1bb"),
    ],
)
def test_wrong_usage_is_one_line(
    line: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, error = printed(f"nnclassify {line}", monkeypatch, capsys)
    assert (code, output) == (2, "")
    assert error.startswith(expected) and error.count("\n") == 1


@pytest.mark.parametrize("command", ["predict", "train", "init", "audit"])
def test_a_file_that_looks_like_options_is_told_from_them(
    command: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("-dash.csv").touch()
    found = printed(f"nnclassify {command} -dash.csv", monkeypatch, capsys)
    assert found == (2, "", "error: -dash.csv: would be read as options; for the file, write ./-dash.csv\n")
    _, _, error = printed(f"nnclassify {command} -- -dash.csv", monkeypatch, capsys)
    assert "would be read as options" not in error


def test_no_command_at_all_is_helped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, output, error = printed("nnclassify", monkeypatch, capsys)  # exit code and stream: as click's release has it
    assert (output + error).startswith("Usage: nnclassify [OPTIONS] COMMAND")
