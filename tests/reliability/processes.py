"""Command lines in forked processes: torch is imported once, and each child is a separate process."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import torch
import torchvision.datasets

import nnclassify
from nnclassify import run
from nnclassify.__main__ import main
from nnclassify.cli import main as cli
from nnclassify.cli import text as texts
from nnclassify.inference import predict
from nnclassify.inference.plots import save as plots

WARM = (cli, plots, predict, run, texts, torchvision.datasets)
"""What a command line imports when it runs: here already, so that a child need not."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (minus the signal's number, if one killed it) and what it wrote.

    Attributes:
        code: See there.
        out: What it wrote to stdout.
        errors: What it wrote to stderr.
        cpu_seconds: What it computed.
    """

    code: int
    out: str
    errors: str
    cpu_seconds: float


class Process:
    """A process under way, whose output goes to files."""

    def __init__(self) -> None:
        self.files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - closed in wait
        self.pid = 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, unless it has ended."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60.0) -> Ended:
        """Wait for its end; kill it after a while, which counts as a hang (code -9)."""
        handle = os.pidfd_open(self.pid)
        if not select.select([handle], [], [], seconds)[0]:
            self.kill()
        os.close(handle)
        _, status, used = os.wait4(self.pid, 0)
        texts = []
        for file in self.files:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(os.waitstatus_to_exitcode(status), texts[0], texts[1], used.ru_utime + used.ru_stime)


class Fresh(Process):
    """The real program, started from nothing: Python, torch, and all that a user's process imports."""

    def __init__(self, folder: Path, *command: str) -> None:
        super().__init__()
        environment = {**os.environ, "PYTHONPATH": str(Path(nnclassify.__file__).parent.parent)}
        out, errors = self.files
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=errors)
        self.pid = self.process.pid

    def wait(self, seconds: float = 60.0) -> Ended:
        """As any process; Popen is told, or it would warn of a process that still runs."""
        ended = super().wait(seconds)
        self.process.returncode = ended.code
        return ended


def fresh(folder: Path, *arguments: str) -> Fresh:
    """`python -m nnclassify ARGUMENTS`."""
    return Fresh(folder, sys.executable, "-m", "nnclassify", *arguments)


class Child(Process):
    """A forked process that runs a function in a folder."""

    def __init__(self, work: Callable[[], None], folder: Path) -> None:
        super().__init__()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os._exit(self._run(work, folder))

    def _run(self, work: Callable[[], None], folder: Path) -> int:
        code = 0
        for number, file in enumerate(self.files, 1):
            os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        os.chdir(folder)
        _leave_pytest()
        torch.set_num_threads(1)
        try:
            work()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        return code


def _leave_pytest() -> None:
    """Log and warn as a program of its own does: pytest keeps the one and turns the other into errors."""
    logging.getLogger().handlers.clear()
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def command(*arguments: str) -> Callable[[], None]:
    """`nnclassify ARGUMENTS`, for a child to run."""

    def work() -> None:
        sys.argv = ["nnclassify", *arguments]
        main()

    return work


def call(folder: Path, *arguments: str, seconds: float = 60.0) -> Ended:
    """Run a command line in a folder, to its end."""
    return Child(command(*arguments), folder).wait(seconds)
