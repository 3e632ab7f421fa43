"""Whatever changes the process: signals, memory, garbage collection, loggers. The command line calls it.

A library call changes nothing: what it has to set while it runs is set back by `unchanged`.

Ctrl-C, SIGTERM and SIGUSR1 end the program at once, or, while a net trains, after a batch and a save. `__main__`
installs the first as its first act, before anything slow is imported: no signal meets a program that does not know it.
The exit code is 128 + the signal's number, as shells have it.
"""

from __future__ import annotations

import contextlib
import csv
import ctypes
import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""The signals that ask to stop: Ctrl-C; a scheduler's end of time; Slurm's `--signal=USR1@60`."""


ALLOCATIONS_BEFORE_COLLECTION = 50_000
"""Python's own few hundred have it look for garbage in what torch imports, for a fifth of the start-up, and every few
batches of a tiny net."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""mallopt's names for its settings (malloc.h)."""


def configure() -> None:
    """Set up the command line's process, apart from its signals and streams."""
    gc.set_threshold(ALLOCATIONS_BEFORE_COLLECTION)
    configure_malloc()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its remarks on fonts and cache folders help no user


def configure_malloc() -> None:
    """Have the C library keep freed blocks instead of giving them back to the system after every step.

    A step frees and asks for the same large blocks again; handed back, each costs a page fault a page. glibc alone
    has these settings (`man mallopt`); elsewhere nothing is done. 32 MiB is the most that glibc takes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 512 * 2**20)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Within it a library call may set what it needs of the process; afterwards all of that is as it was.

    That is: warning filters; the random states of Python, NumPy and torch; torch's threads and how it multiplies; the
    longest field of a CSV file; the environment, and the loggers of torch's compiler.
    """
    import numpy as np
    import torch

    cudnn, compiler = torch.backends.cudnn, logging.getLogger("torch.utils.cpp_extension")
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with contextlib.ExitStack() as at_end:
        at_end.enter_context(warnings.catch_warnings())
        at_end.enter_context(torch.random.fork_rng(gpus))
        at_end.callback(random.setstate, random.getstate())
        at_end.callback(np.random.set_state, np.random.get_state())
        at_end.callback(_set_environment, dict(os.environ))
        settings: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
            (torch.get_num_threads, torch.set_num_threads),
            (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
            (lambda: cudnn.allow_tf32, lambda value: setattr(cudnn, "allow_tf32", value)),
            (lambda: cudnn.deterministic, lambda value: setattr(cudnn, "deterministic", value)),
            (csv.field_size_limit, csv.field_size_limit),
            (lambda: compiler.level, compiler.setLevel),
        ]
        for get, put in settings:
            at_end.callback(_set_back, get, put, get())
        yield


def _set_back(get: Callable[[], Any], put: Callable[[Any], object], value: Any) -> None:
    if get() != value:  # some setters do more than set
        put(value)


def _set_environment(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def end_on_signals() -> None:
    """From now on a signal ends the program at once. Files are never half-written: see `files/atomic_write.py`."""
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
