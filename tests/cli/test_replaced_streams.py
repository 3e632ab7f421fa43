"""Tests of the streams of the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT

from nnclassify.cli.streams import has_color

REPLACED = """
import gc, os, sys
from nnclassify.cli import streams
sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
streams.install()
gc.collect()
print("out")
print("\\x1b[2J", file=sys.stderr)
"""


def test_streams_that_nothing_else_refers_to_are_still_written() -> None:
    done = subprocess.run([sys.executable, "-c", REPLACED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "\\x1b[2J\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "on_a_terminal", "elsewhere"),
    [
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, False),  # empty is the same as not set
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_color(
    environment: dict[str, str], on_a_terminal: bool, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for stream, colored in ((Terminal(), on_a_terminal), (io.StringIO(), elsewhere)):
        monkeypatch.setattr(sys, "stdout", stream)
        assert has_color() == colored


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_nothing_on_a_terminal_is_an_escape_sequence(change: dict[str, str], here: Path) -> None:
    import pty  # which Windows lacks

    train = ["train", "xor_1", "--epochs", "2", "--no-plots"]
    for arguments in (["--help"], ["train", "--help"], ["train", "--nope"], train, ["runs"]):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **change}
        command = [sys.executable, "-m", "nnclassify", *arguments]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            written = b"".join(iter(partial(_read, ours), b""))
        os.close(ours)
        assert written and b"\x1b" not in written
        assert process.returncode == (2 if "--nope" in arguments else 0)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so of a terminal that nobody has open any more
        return b""
