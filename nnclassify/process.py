"""What Ctrl-C, SIGTERM and SIGUSR1 do: end the program at once, or, while a net trains, after a batch and a save.

`__main__` installs the first as its first act, before anything slow is imported: no signal meets a program that
does not know it. The exit code is 128 + the signal's number, as shells have it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""The signals that ask to stop: Ctrl-C; a scheduler's end of time; Slurm's `--signal=USR1@60`."""


def end_on_signals() -> None:
    """From now on a signal ends the program at once. Files are never half-written: see `storage`."""
    for number in STOPPING:
        signal.signal(number, _end)


@contextlib.contextmanager
def ended_by_the_kernel() -> Iterator[None]:
    """Within it a signal ends the program though it waits in a library, which Python's own handlers would wait for."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def die_with_parent() -> None:
    """Have the kernel send SIGTERM when the launcher ends, however that ends: so no worker is left behind."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    set_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
    ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGTERM))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, frame: FrameType | None) -> None:
    """No exception: libraries catch those, and a finalizer may hang."""
    with contextlib.suppress(OSError):  # nobody may be reading
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


@contextlib.contextmanager
def asking_to_stop(ask: Callable[[int], None]) -> Iterator[None]:
    """Within it, a signal calls `ask` with its number; a second Ctrl-C ends the program at once."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        # A launcher passes on the Ctrl-C that its workers have met already: there, two are one.
        if asked and number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            _end(number, frame)
        asked = True
        ask(number)

    if threading.current_thread() is not threading.main_thread():  # Python handles signals there alone
        yield
        return
    before = {number: signal.signal(number, handle) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def available_memory() -> int | None:
    """Bytes that can be taken without swapping, within the limit of a container; None: this system does not say."""
    amounts = [amount for amount in (_of_the_system(), _of_the_container()) if amount is not None]
    return min(amounts, default=None)


def _of_the_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux, or a very old one
        pages = getattr(os, "sysconf_names", {}).keys() & {"SC_PHYS_PAGES"}
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if pages else None


def _of_the_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a control group leaves (`Documentation/admin-guide/cgroup-v2.rst`); file pages in its count can be freed."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):  # no control groups, or of the first version
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(statistics.get("file", 0)))
