"""Processes that read small image files: in threads of one process, decoders mostly wait for Python's lock.

They are started by name rather than by `multiprocessing`, which imports the main module again: of a user's script that
calls this library, all of it would run in every process. What they cannot do is done by the caller's own process, so
that results never depend on them.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from nnclassify.errors import InputError
from nnclassify.files.images.image_format import file_formats

Result = TypeVar("Result")
ReadAll = Callable[[Sequence[str]], list[Result]]
"""Function that reads files."""

CODE = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from nnclassify.files.images.reading_processes import answer; answer()"
)


@contextmanager
def reading_processes(number: int, read_all: ReadAll[Result]) -> Iterator[ReadAll[Result]]:
    """Yield a function that does as `read_all` in one of several processes, for use in as many threads.

    Args:
        number: The number of processes.
        read_all: Function that can be pickled, and raises nothing that the caller does not know.
    """
    idle: SimpleQueue[_Process] = SimpleQueue()
    started = [process for process in (_start(read_all) for _ in range(number)) if process is not None]
    for process in started:
        idle.put(process)

    def ask(paths: Sequence[str]) -> list[Result]:
        try:
            process = idle.get_nowait()
            found: list[Result] = process.ask(paths)
        except Exception:  # none is left, or whatever pickle makes of the end of a pipe; it is not asked again
            return read_all(paths)
        idle.put(process)
        return found

    try:
        yield ask
    finally:
        for process in started:
            process.end()


class _Process:
    """A process that reads files, at the other end of two pipes.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        # Isolated and without `site`: nothing but this package is imported, and nothing is printed. Paths have the same
        # encoding. A session of its own, since Ctrl-C is for the process that reads, which then ends this one.
        command = [sys.executable, "-ISB", "-X", f"utf8={sys.flags.utf8_mode}", "-c", CODE]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True)
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._questions, self._answers = self._popen.stdin, self._popen.stdout
        self._is_alike: bool | None = None

    def send(self, value: object) -> None:
        """Send a value."""
        pickle.dump(value, self._questions, pickle.HIGHEST_PROTOCOL)
        self._questions.flush()

    def ask(self, paths: Sequence[str]) -> Any:
        """Return what the process answers.

        Raises:
            Exception: It has ended, or would read differently from this one.
        """
        self.send(paths)
        if self._is_alike is None:
            self._is_alike = pickle.load(self._answers) == _settings()
        if not self._is_alike:
            raise ValueError("other settings of Pillow")
        return pickle.load(self._answers)

    def end(self) -> None:
        """End the process. It has nothing to lose, and might not see its pipe close: a fork of this one may hold it."""
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()


def _start(read_all: ReadAll[Any]) -> _Process | None:
    """Start a process; return None where that cannot be done."""
    # In a program that Python is a part of, `sys.executable` may be that program.
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").name.lower().startswith("python"):
        return None
    try:
        process = _Process()
    except OSError:
        return None
    try:
        process.send(sys.path)
        process.send(read_all)
    except Exception:  # it has ended already, or the path holds what cannot be sent
        process.end()
        return None
    return process


def read_files(look: Callable[[str], Result], paths: Sequence[str]) -> list[Result | InputError]:
    """Return what `look` returns of each file, or why the file cannot be read."""
    found: list[Result | InputError] = []
    for path in paths:
        try:
            found.append(look(path))
        except InputError as error:
            found.append(error)
    return found


def answer() -> None:
    """Answer questions from standard input, in a process of `reading_processes`, until there are no more."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a decoder prints is no answer
    warnings.simplefilter("ignore")
    read_all = pickle.load(questions)
    pickle.dump(_settings(), answers)
    with contextlib.suppress(EOFError):
        while True:
            pickle.dump(read_all(pickle.load(questions)), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _settings() -> tuple[object, ...]:
    """Return what decides how files are read, besides them: plug-ins and switches that the user's own code may set."""
    from PIL import Image, ImageFile

    return file_formats(), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
