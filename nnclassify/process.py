"""Process-wide settings: signals, memory, garbage collection, loggers. The command line sets them.

A library call leaves the process unchanged: `preserve_process_state` restores whatever it sets.

The signals of `STOPPING` end the program at once, or, during training, after the current batch and a save.
`__main__` installs these handlers first, before any slow import, so that no signal arrives without a handler. The
exit code is 128 + the signal number, as in shells.
"""

from __future__ import annotations

import contextlib
import csv
import ctypes
import gc
import logging
import math
import mmap
import os
import random
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from nnclassify.errors import InputError

_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP", "SIGXCPU")
STOPPING = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
"""The signals that stop a run: Ctrl-C; a scheduler's time limit; Slurm's `--signal=USR1@60`; a terminal that is closed,
or a connection that is lost; a limit of CPU time."""


ALLOCATIONS_BEFORE_COLLECTION = 50_000
"""Python's default of a few hundred makes it collect garbage while it imports torch, a fifth of the start-up time,
and every few batches of a tiny network."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""mallopt's parameter numbers (malloc.h)."""
SPINS = "10000"
"""Default: 300,000. A step of a small CNN (32 images of 8x8 pixels, 2 threads, 2 cores) takes 4.1 ms with either on a
quiet machine; beside 15 other programs, it takes 0.2 s instead of 1.2 s (medians, torch 2.15)."""


def configure() -> None:
    """Configure the process of the command line, except for signals and streams."""
    gc.set_threshold(ALLOCATIONS_BEFORE_COLLECTION)
    configure_malloc()
    configure_waiting()
    configure_threads()
    # Plots are files. The backend of a notebook, which its shell inherits, may be missing here.
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its messages on fonts and caches help no user


def configure_malloc() -> None:
    """Make the C library keep freed blocks instead of returning them to the system after every step.

    Every step frees and allocates the same large blocks; if they are returned, each costs one page fault per page.
    Only glibc has these parameters (`man mallopt`); elsewhere this does nothing. 32 MiB is glibc's maximum.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 512 * 2**20)


def configure_waiting() -> None:
    """Make threads of GNU OpenMP, torch's on Linux, spin a thirtieth as long for each other before they sleep.

    Beside other programs, the thread that is waited for may not be running, and those that spin keep it from its core.
    GNU OpenMP reads this when torch is imported. The user's own choice is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def num_cores() -> int:
    """Return the number of cores that this process may use: of its affinity, and of the CPU time of its container.

    `joblib.cpu_count` counts the same, but its import would add 0.1 s to the start of every run.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # missing on macOS and Windows
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min([allowed, *_quotas(Path("/sys/fs/cgroup"))])


def _quotas(root: Path) -> Iterator[int]:
    """Yield the CPU time that control groups, of version 2 or 1, allow: whole cores, rounded up."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):  # another version; "max", for no quota
            quota, period = map(int, " ".join((root / name).read_text() for name in names).split())
            if quota > 0:  # -1: none
                yield math.ceil(quota / period)


def default_threads() -> int:
    """Return the number of CPU threads of a run: torch's choice, but not more than there are cores for this process.

    torch counts the cores of the machine, also in a container that may use two of them. Threads that do not run at the
    same time wait for each other, and each step takes many times as long. The user's own choice is kept.
    """
    import torch

    return torch.get_num_threads() if _threads_are_chosen() else min(torch.get_num_threads(), num_cores())


def configure_threads() -> None:
    """Give OpenMP, which reads this when torch is imported, the threads of `default_threads`, for every command."""
    if not _threads_are_chosen() and num_cores() < (os.cpu_count() or 1):
        os.environ["OMP_NUM_THREADS"] = str(num_cores())


def _threads_are_chosen() -> bool:
    return "OMP_NUM_THREADS" in os.environ or "MKL_NUM_THREADS" in os.environ


_threaded: int | None = None
"""The process in which torch may have started threads."""


def has_lost_threads() -> bool:
    """Return whether this process was forked from one in which torch had threads.

    A fork has none of them, but GNU OpenMP believes that they run, and waits for them forever.
    """
    return _threaded is not None and _threaded != os.getpid()


def use_threads(number: int) -> None:
    """Set the number of CPU threads of torch, which the plan of a run or of a server decides."""
    global _threaded
    import torch

    if number > 1 and not has_lost_threads():
        _threaded = os.getpid()
    if number != torch.get_num_threads():  # a call, even with the same number, changes what MKL does
        torch.set_num_threads(number)


_mapped = weakref.WeakSet[mmap.mmap]()


def releasable(mapping: mmap.mmap) -> None:
    """Let `release_memory` give back the pages of a mapped file, which nobody writes to: they can be read again."""
    _mapped.add(mapping)


def release_memory() -> None:
    """Return to the system the pages of mapped files, and what the C library keeps of freed blocks, between phases that
    need others: where they meet, the peak of a run from a folder of images is a quarter lower. Only Linux and glibc can
    (`man madvise`, `man malloc_trim`)."""
    if sys.platform == "linux":
        for mapping in _mapped:
            mapping.madvise(mmap.MADV_DONTNEED)
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if malloc_trim is not None:
        malloc_trim(0)


_turn = threading.RLock()
"""Held by the thread whose library call may change the process."""


def _new_turn() -> None:
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_new_turn)  # the thread that holds it is not in the child


@contextlib.contextmanager
def preserve_process_state() -> Iterator[None]:
    """Return a context that restores all process-wide settings that a library call may change.

    These are: warning filters; the random states of Python, NumPy and torch; torch's threads and matrix precision;
    the field size limit of the CSV module; the environment; and the loggers of torch's compiler.

    One thread at a time is in such a context, and others wait: two that draw from the same random states would train
    other networks than each of them alone. A process that has lost torch's threads uses one. What the caller has chosen
    for its own use of torch does not count: see `_torch_defaults`.
    """
    with _turn, _process_state_restored(), _torch_defaults():
        yield


@contextlib.contextmanager
def _process_state_restored() -> Iterator[None]:
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
        use_threads(1 if has_lost_threads() else torch.get_num_threads())
        yield


@contextlib.contextmanager
def _torch_defaults() -> Iterator[None]:
    """Return a context with torch's own defaults of what changes a network without a word: whether gradients are
    computed, autocast, the default number type and device, and the precision of matrix products.

    The caller may be within `torch.no_grad()`, or work in float64 or on a GPU by default. The config says what is
    meant.
    """
    import torch

    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with contextlib.ExitStack() as at_end:
        at_end.enter_context(torch.inference_mode(False))
        at_end.enter_context(torch.enable_grad())
        for kind in filter(torch.is_autocast_enabled, ("cpu", "cuda", "mps")):
            at_end.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            at_end.enter_context(torch.device("cpu"))
        at_end.callback(_set_back, torch.get_default_dtype, torch.set_default_dtype, dtype)
        _set_back(torch.get_default_dtype, torch.set_default_dtype, torch.float32)
        at_end.callback(_set_back, torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, precision)
        _set_back(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest")
        yield


def _set_back(get: Callable[[], Any], put: Callable[[Any], object], value: Any) -> None:
    if get() != value:  # some setters have side effects
        put(value)


def _set_environment(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def exit_on_signals() -> None:
    """Make signals end the program at once. Files are never half-written: see `files/atomic_write.py`."""
    for number in _heeded():
        signal.signal(number, _end)


def _heeded() -> list[signal.Signals]:
    """Return the signals that stop a run; a closed terminal stops none that `nohup` has started."""
    hangup = getattr(signal, "SIGHUP", None)
    return [number for number in STOPPING if number != hangup or signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def signal_handlers(handler: Any) -> Iterator[None]:
    """Return a context in which a handler, or what `signal` defines, is in place for the signals that stop a run."""
    before = {number: signal.signal(number, handler) for number in _heeded()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def die_with_parent() -> None:
    """Make the kernel send SIGTERM when the launcher ends for any reason, so that no worker process is left running."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    set_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
    ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGTERM))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, frame: FrameType | None) -> None:
    """Exit without an exception: libraries catch exceptions, and a finalizer may hang."""
    with contextlib.suppress(OSError):  # the reader of the pipe may be gone
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


@contextlib.contextmanager
def stop_on_signals(ask: Callable[[int], None]) -> Iterator[None]:
    """Return a context in which a signal calls `ask` with its number; a second Ctrl-C ends the program at once."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        # A launcher forwards Ctrl-C to workers that have received it already, so two do not mean impatience
        # there.
        if asked and number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            _end(number, frame)
        asked = True
        ask(number)

    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return
    with signal_handlers(handle):
        yield


def from_launcher(name: str, default: int) -> int:
    """Return a whole number that torchrun has set as an environment variable, such as RANK, or the default.

    Raises:
        InputError: It is not a whole number.
    """
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise InputError(f"environment variable {name}: found {text!r}, expected a whole number; {UNSET}")
    return int(text)


UNSET = "start several processes with torchrun, or unset RANK and WORLD_SIZE to train in one"


def available_memory() -> int | None:
    """Return the bytes available without swapping, within the container's limit, or None if the system does not
    tell."""
    amounts = [amount for amount in (_of_the_system(), _of_the_container()) if amount is not None]
    return min(amounts, default=None)


def _of_the_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux, or a very old kernel
        pages = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if pages else None


def _of_the_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the bytes left by a control group (`Documentation/admin-guide/cgroup-v2.rst`); file pages can be freed."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):  # no control groups, or version 1
        return None
    return None if limit == "max" else max(0, int(limit) - used + int(statistics.get("file", 0)))
