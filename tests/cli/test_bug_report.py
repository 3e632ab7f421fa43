"""Tests of bug reports: an unexpected error prints one line, sets the exit code and writes a file to send."""

import errno
import os
from pathlib import Path

import pytest

from nnclassify.cli import main as cli
from nnclassify.cli.bug_report import report
from nnclassify.errors import TrainingError


def ended(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command that raises an error."""

    def command(*, standalone_mode: bool) -> None:
        raise error

    monkeypatch.setattr(cli, "app", command)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_a_bug_is_one_line_and_a_file_with_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ended(ZeroDivisionError("by\n\x1bzero"), monkeypatch) == 1
    (kept,) = tmp_path.rglob("*.txt")
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert output.out == "" and line.startswith("error: a bug in nnclassify ") and line.endswith(str(kept))
    assert "ZeroDivisionError" in line and "Traceback" in kept.read_text()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EMFILE, "Too many open files", "a.pt"), "too many open files ([Errno 24] Too many open files: "),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), "too many open files (libx.so: "),
        (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), "too many open files ([Errno 23] Too many open files in "),
        (MemoryError(), "out of memory (MemoryError); use a smaller batch_size, "),
        (RuntimeError("can't start new thread"), "no more threads (can't start new thread); allow more, "),
    ],
)
def test_a_limit_of_the_system_is_no_bug(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error, monkeypatch) == 3
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"error: {line}")


def test_a_report_that_the_cache_cannot_take_goes_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert str(tmp_path / "temporary/nnclassify-bug-") in report(ValueError("x"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file/below"))
    assert report(ValueError("x")).endswith("please report it: the traceback could not be saved")


@pytest.mark.parametrize(
    ("error", "code", "start"),
    [
        (MemoryError(), 3, "error: out of memory (MemoryError); use a smaller batch_size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 3, "error: out of memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), 3, "error: out of memory"),
        (TrainingError("a\nb"), 3, r"error: a\nb"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_what_is_no_bug_asks_for_no_report(
    error: BaseException, code: int, start: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error, monkeypatch) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(start)
