"""Standard output and standard error that never fail, so that a failed write cannot end a run.

A stream may be closed, full, without a reader, or of an encoding that lacks a character. `__main__` installs these
streams before any file is opened: a file opened while descriptor 2 is free would get that descriptor, and with it
everything that the process writes to standard error.
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
"""The control characters that are not escaped: line ends, and those that the progress bar needs."""


class _Raw(io.RawIOBase):
    """Writes bytes to another raw stream, discards what cannot be written, and remembers why.

    Attributes:
        owner: The stream that the target belongs to; a reference keeps it from closing the target.
        failure: The first error of a write, or None.
    """

    def __init__(self, target: Any, owner: object) -> None:
        self.target = target
        self.owner = owner
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the target is a terminal."""
        return bool(self.target.isatty())

    def fileno(self) -> int:
        """Return the file descriptor of the target."""
        return int(self.target.fileno())

    def write(self, data: ReadableBuffer) -> int:
        """Write data, or discard it if that fails; never raises an OSError."""
        try:
            while (written := self.target.write(data)) is None:  # a full pipe that was made non-blocking
                select.select([], [self.target], [])
        except OSError as cause:
            self.failure = self.failure or cause
            return memoryview(data).nbytes
        return int(written)


class _ErrorStream(io.TextIOWrapper):
    """Standard error, with control characters escaped, also in the messages of libraries."""

    def write(self, text: str) -> int:
        """Write text with control characters escaped."""
        super().write(printable(text, keep=TERMINAL_CONTROLS))
        return len(text)


def install() -> None:
    """Replace `sys.stdout` and `sys.stderr` with streams that never fail."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed; `open` returns the lowest free descriptor
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _stream(sys.stdout, 1, io.TextIOWrapper)
    sys.stderr = _stream(sys.stderr, 2, _ErrorStream)


def _stream(before: TextIO | None, descriptor: int, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    """Create a stream to the target of `before`, which is None if Python found the descriptor closed."""
    buffer: Any = io.FileIO(descriptor, "w", closefd=False) if before is None else before.buffer
    raw = getattr(buffer, "raw", buffer)  # unbuffered, Python's buffer is the raw stream itself
    return kind(
        io.BufferedWriter(_Raw(raw, before)),
        encoding="utf-8" if before is None else before.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def has_color() -> bool:
    """Return whether results are colored: not with NO_COLOR (https://no-color.org), else always with FORCE_COLOR, else
    on a terminal that supports colors."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(sys.stdout)


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can move the cursor and change colors."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def output_failure() -> OSError | None:
    """Return why standard output is incomplete; None if it is complete or if its reader, such as `head`, exited."""
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    failure = raw.failure if isinstance(raw, _Raw) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure
