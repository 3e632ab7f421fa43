"""Commands as a reader types them, each in a process of its own.

A process of `nnclassify` is forked from one that has imported torch, which takes longer than most commands.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.documents.pages import ROOT, Command

SECONDS = 600
"""After which a command is killed."""
PRELOADED = ["torch", "torchvision.datasets", "nnclassify.run", "nnclassify.inference.plots.save", __name__]
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(PRELOADED)


class Shell:
    """A folder in which commands run, with an environment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder.parent / f"{folder.name}.out"
        programs = folder.parent / "bin"
        programs.mkdir(exist_ok=True)
        program = programs / "nnclassify"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nnclassify "$@"\n')
        program.chmod(0o755)
        path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PYTHONPATH": str(ROOT), "PATH": path, "COLUMNS": "120", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
        self.environment = {**os.environ, **own, "XDG_DATA_HOME": str(folder.parent / "data-home")}

    def run(self, command: Command) -> tuple[int, str]:
        """Run a command of a page; return its exit code and what a terminal would show."""
        arguments = command.arguments()
        if arguments is None:
            return self.bash(command.text)
        process = FORKED.Process(target=_forked, args=(arguments, self.folder, self.output, self.environment))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        assert process.exitcode is not None
        return process.exitcode, self.output.read_text(encoding="utf-8")

    def bash(self, text: str) -> tuple[int, str]:
        """Run a line that needs a shell."""
        return self._finish(["bash", "-c", text])

    def python(self, code: str) -> tuple[int, str]:
        """Run Python code."""
        return self._finish([sys.executable, "-W", "error", "-c", code])

    def _finish(self, command: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout


def _forked(arguments: list[str], folder: Path, output: Path, environment: Mapping[str, str]) -> None:
    """The work of a forked process: `nnclassify ARGUMENTS`."""
    from nnclassify.__main__ import main

    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", encoding="utf-8") for stream in (1, 2))
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["nnclassify", *arguments]
    main()
