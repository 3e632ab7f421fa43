"""Locks between processes, which the system releases however a process ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_NAMES = ("ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP")
_NO_LOCKS = [getattr(errno, name) for name in _NAMES if hasattr(errno, name)]
"""Errors of file systems without locks, such as Lustre where it is mounted without them, and some of FUSE and NFS."""


def lock(descriptor: int, *, wait: bool = False) -> None:
    """Lock an open file until its descriptor is closed.

    Raises:
        OSError: Another process holds the lock, or the file system has no locks. With `wait`, only the latter; on
            Windows also if another process holds it for ten seconds.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def has_no_locks(cause: OSError) -> bool:
    """Return whether an error of `lock` means that the file system has no locks, not that another process holds it."""
    return cause.errno in _NO_LOCKS


def is_locked(path: Path) -> bool:
    """Return whether a process of this machine holds the lock on a file; False on a file system without locks.

    Raises:
        OSError: There is no such file, or it cannot be opened.
    """
    # A network file system locks only what may be written; a local one also what another user lets us read.
    descriptor = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    try:
        lock(descriptor)
    except OSError as cause:
        return not has_no_locks(cause)
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Return a context in which other processes wait before theirs with the same path.

    It only saves work: where there are no locks, or two processes hold it because the file was removed in between, both
    do the same, and each result is complete.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
