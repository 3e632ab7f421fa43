"""Processes that tests start, look for and wait for.

`nnclassify_in` forks from a process that has imported what commands import late: that takes longer than most commands.
tests/integration/test_streams.py starts programs that are not forked, also with warnings as errors.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SECONDS = 300
"""After which a process is killed."""
if sys.platform == "win32":
    PROCESSES = multiprocessing.get_context("spawn")
else:
    PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["nnclassify.run", "nnclassify.inference.plots.save", "sklearn.datasets"])


def nnclassify_in(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The finished process of `nnclassify ARGUMENTS` in a folder: its exit code, stdout and stderr."""
    words = [*map(str, arguments)]
    with tempfile.TemporaryDirectory() as place:
        outputs = [Path(place) / name for name in ("stdout", "stderr")]
        process = PROCESSES.Process(target=_run, args=(words, folder.resolve(), outputs, {**os.environ}))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, SECONDS)
        stdout, stderr = (path.read_text(encoding="utf-8") for path in outputs)
        return subprocess.CompletedProcess(words, process.exitcode, stdout, stderr)


def forked(work: Callable[[], int], seconds: int = 20) -> int:
    """The exit code of a fork of this process: what the work returns there, or that of SIGALRM if it takes too long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on, of a fork beside threads
        child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(arguments: list[str], folder: Path, outputs: Sequence[Path], environment: Mapping[str, str]) -> None:
    """The work of the process. Warnings are errors."""
    from nnclassify.__main__ import main

    for stream, path in zip((1, 2), outputs, strict=True):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    warnings.simplefilter("error")
    sys.argv = ["nnclassify", *arguments]
    main()


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes that stand in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], object]) -> None:
    """Return when a condition holds; fail if it does not within minutes."""
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within four minutes"
        time.sleep(0.01)


def ended_or_lengths(paths: Sequence[str]) -> list[int]:
    """Return the lengths of texts; end the process that was started for reading them where one is `end`."""
    if "end" in paths and "pytest" not in sys.modules:
        os._exit(1)
    return [len(path) for path in paths]


def own_process(paths: Sequence[str]) -> list[int]:
    """Return the number of the process that this is called in, for each path."""
    return [os.getpid() for _ in paths]
