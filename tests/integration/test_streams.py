"""Tests of standard output and standard error: closed, full, without a reader, or of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAM = f"'{sys.executable}' -W error -m nnclassify"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has /dev/full")


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line of the shell, in which {nnclassify} is the program."""
    return subprocess.run(
        ["bash", "-c", command.format(nnclassify=PROGRAM)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@needs_full
def test_a_full_standard_output_is_one_line_and_exit_code_3(here: Path) -> None:
    done = shell("{nnclassify} configs >/dev/full", here)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: standard output: not written ([Errno 28] No space left on device); ")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("{nnclassify} configs <&- >&- 2>&-", 0),
        ("{nnclassify} configs show nope 2>&-", 2),
        pytest.param("{nnclassify} configs >&-", 0, marks=pytest.mark.slow),
        pytest.param("{nnclassify} configs | head -n 1", 0, marks=pytest.mark.slow),
        pytest.param("{nnclassify} configs show nope 2>/dev/full", 2, marks=[pytest.mark.slow, needs_full]),
        pytest.param(
            "({nnclassify} configs show nope; echo $? >code) 2>&1 | true; exit $(cat code)", 2, marks=pytest.mark.slow
        ),
    ],
)
def test_a_closed_stream_changes_no_exit_code(command: str, code: int, here: Path) -> None:
    done = shell(f"set -o pipefail; {command}", here)
    assert (done.returncode, done.stderr) == (code, "")
    assert "error" not in done.stdout  # errors never go to standard output


def test_what_keeps_a_file_open_is_imported_after_the_streams_are_replaced(here: Path) -> None:
    """libffi, which ctypes loads, does so where it is built with static trampolines: it was given standard output's
    descriptor."""
    code = (
        "import sys, nnclassify.__main__; print(*{'ctypes', 'mmap', 'socket', 'nnclassify.process'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "\n")


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252:strict"}])
def test_what_the_encoding_lacks_is_an_escape(environment: dict[str, str], here: Path) -> None:
    (here / "猫.yaml").write_text("dataset: [\n")
    done = shell("{nnclassify} train 猫.yaml", here, **environment)
    assert done.returncode == 2 and done.stderr.startswith(r"error: \u732b.yaml:2: not YAML")


@pytest.mark.slow
def test_control_characters_reach_no_terminal(here: Path) -> None:
    done = shell(r"{nnclassify} configs show $'a\nb\x1b[31m'; {nnclassify} $'--\x1b[31m'", here)
    first, *usage = done.stderr.splitlines()
    assert first.startswith(r"error: a\nb\x1b[31m: no shipped config")
    assert "\x1b" not in done.stderr and r"--\x1b[31m" in usage[-1]


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&-", pytest.param("2>/dev/full", marks=needs_full), "2> >(true)"])
def test_training_goes_on_without_standard_error(redirection: str, here: Path) -> None:
    (here / "a.yaml").write_text("dataset: xor\nmodel: mlp\nepochs: 30\ncompile: 'off'\n")
    done = shell(f"{{nnclassify}} train a.yaml --no-plots {redirection}", here)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("run: checkpoints/a")
    assert len((here / "checkpoints/a/history.jsonl").read_text().splitlines()) == 30


@pytest.mark.slow
def test_the_plotting_backend_of_another_program_is_not_asked_for(here: Path) -> None:
    (here / "a.yaml").write_text("dataset: xor\nmodel: mlp\nepochs: 2\ncompile: 'off'\n")
    done = shell("{nnclassify} train a.yaml --no-report", here, MPLBACKEND="of_a_notebook")
    assert done.returncode == 0, done.stderr
    assert (here / "checkpoints/a/plots/curves.png").is_file()


@pytest.mark.slow
def test_a_folder_that_is_gone_is_a_message(here: Path) -> None:
    done = shell("mkdir gone && cd gone && rmdir ../gone && {nnclassify} evaluate", here)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: the current folder cannot be used ([Errno 2]")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert shell("{nnclassify} train iris_mlp epochs=30", folder).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("printf '5.1,3.5,1.4,0.2\\n7,3,6,2\\n' | {nnclassify} predict -", 0, "stdin:1: setosa ; stdin:2: virginica "),
        ("printf '5.1,3.5,1.4\\n' | {nnclassify} predict -", 2, "stdin:1: 3 values; expected 4"),
        ("{nnclassify} predict - <&-", 2, "error: -: stdin is closed; expected a file"),
        (
            "{nnclassify} predict - 0>/dev/null",
            2,
            "error: -: stdin cannot be read (Bad file descriptor); expected a file",
        ),
        ("{nnclassify} predict - - </dev/null", 2, "error: -: stands for stdin, which can be read only once"),
    ],
)
def test_predict_reads_a_table_from_standard_input(command: str, code: int, told: str, trained: Path) -> None:
    done = shell(command, trained)
    assert done.returncode == code
    assert all(part in done.stdout + done.stderr for part in told.split(" ; "))
    assert len(done.stdout.splitlines()) == (2 if code == 0 else 0)
