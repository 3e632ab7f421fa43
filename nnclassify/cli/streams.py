"""Standard output and standard error, made so that no write to them can end a run.

A stream may be closed, full, of an encoding that lacks a character, or without a reader. `__main__` installs these
two before anything else is opened: a file that is opened while descriptor 2 is free would get it, and with it all that
the process writes to standard error.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, TextIO

from nnclassify.errors import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TERMINAL_CONTROLS = "\n\r\t"
"""What may reach a terminal as it is: the ends of lines, and what the progress bar moves with."""


class _Raw(io.RawIOBase):
    """Writes bytes to another raw stream, discards what cannot be written, and remembers why.

    Attributes:
        owner: The stream that the target is from: when nothing refers to it any more, it closes the target.
        failure: The first error of a write; None: all was written.
    """

    def __init__(self, target: Any, owner: object) -> None:
        self.target = target
        self.owner = owner
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """It is for writing alone."""
        return True

    def isatty(self) -> bool:
        """Whether the target is a terminal."""
        return bool(self.target.isatty())

    def fileno(self) -> int:
        """The target's descriptor."""
        return int(self.target.fileno())

    def write(self, data: ReadableBuffer) -> int:
        """Write, or discard: never raises an OSError."""
        try:
            while (written := self.target.write(data)) is None:  # a full pipe that somebody has made non-blocking
                select.select([], [self.target], [])
        except OSError as cause:
            self.failure = self.failure or cause
            return memoryview(data).nbytes
        return int(written)


class _ErrorStream(io.TextIOWrapper):
    """Standard error: escapes control characters in all that is written, including the messages of libraries."""

    def write(self, text: str) -> int:
        """Write text, with control characters escaped."""
        super().write(printable(text, keep=TERMINAL_CONTROLS))
        return len(text)


def install() -> None:
    """Put streams that never fail in the place of `sys.stdout` and `sys.stderr`."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed; the lowest free descriptor is the one that `open` takes
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _stream(sys.stdout, 1, io.TextIOWrapper)
    sys.stderr = _stream(sys.stderr, 2, _ErrorStream)


def _stream(before: TextIO | None, descriptor: int, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    """A stream to where `before` led; `before` is None where Python found the descriptor closed."""
    buffer: Any = io.FileIO(descriptor, "w", closefd=False) if before is None else before.buffer
    raw = getattr(buffer, "raw", buffer)  # unbuffered, Python's buffer is the raw stream itself
    return kind(
        io.BufferedWriter(_Raw(raw, before)),
        encoding="utf-8" if before is None else before.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def has_color() -> bool:
    """Whether results are colored: NO_COLOR forbids it (https://no-color.org), FORCE_COLOR asks for it, in that order;
    without either, on a terminal that knows colors."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(sys.stdout)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor and change colors."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def output_failure() -> OSError | None:
    """Why standard output is not whole; None: it is, or its reader, such as `head`, had read enough."""
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    failure = raw.failure if isinstance(raw, _Raw) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure
