"""Faults injected into a child process: it is killed or fails at its n-th disk operation."""

from __future__ import annotations

import functools
import io
import os
import shutil
import signal
from collections.abc import Callable
from typing import Any

import torch

CALLS: dict[str, tuple[Any, str]] = {
    "open": (io, "open"),
    "write": (torch, "save"),
    "fsync": (os, "fsync"),
    "link": (os, "link"),
    "rename": (os, "replace"),
    "unlink": (os, "unlink"),
    "folder": (os, "open"),
    "space": (shutil, "disk_usage"),
}
"""What a save calls, and where it is looked up."""


class _TornFile:
    """A file of which the second write, or a later one, meets the fault."""

    def __init__(self, file: Any, fault: Callable[[], None]) -> None:
        self.file, self.fault, self.writes = file, fault, 0

    def write(self, data: bytes) -> int:
        self.writes += 1
        if self.writes == 2:
            self.file.flush()
            self.fault()
        return int(self.file.write(data))

    def flush(self) -> None:
        self.file.flush()


def arm(name: str, fault: Callable[[], None], at: int, *, after: bool = False) -> None:
    """In this process, meet a fault at the `at`-th call (from 1) of that name, before or after the call itself."""
    module, attribute = CALLS[name]
    original = getattr(module, attribute)
    count = 0

    @functools.wraps(original)
    def patched(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        reads = name == "open" and not {*"wa"} & {*"".join(map(str, [*arguments[1:2], *options.values()]))}
        if reads or (name in ("open", "folder") and not _is_of_a_run(arguments[0])):
            return original(*arguments, **options)
        count += 1
        if count != at:
            return original(*arguments, **options)
        if name == "write":
            return original(arguments[0], _TornFile(arguments[1], fault), **options)
        if not after:
            fault()
        result = original(*arguments, **options)
        if after:
            fault()
        return result

    setattr(module, attribute, patched)


def _is_of_a_run(path: Any) -> bool:
    return isinstance(path, str | os.PathLike) and "checkpoints" in os.fspath(path)


def die() -> None:
    """As by a power cut, as far as one process can tell."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int) -> Callable[[], None]:
    """A fault that is an error of the system."""

    def fault() -> None:
        raise OSError(number, os.strerror(number))

    return fault
