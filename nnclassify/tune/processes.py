"""Several processes, on one machine or several, that work in one folder: who is alive, and who may write.

On one machine the kernel tells: it releases a lock however a process ends. Between machines that share a folder, where
such locks often do not work, a hard link that exists is a lock, and a file that is touched every few seconds shows that
its process is alive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import threading
import time
from pathlib import Path

from nnclassify.errors import SaveError, one_line
from nnclassify.files.lock import is_locked, lock

GRACE_SECONDS = 60.0
"""A process of another machine that has not touched its file for this long is dead."""
TOUCH_SECONDS = 10.0
STUDY_LOCK = "study"
"""The name of the lock of whoever begins or ends a trial."""
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
"""Errors of a file system without hard links, on which the lock of the kernel alone counts."""
WAIT_SECONDS = (0.002, 0.1)
"""Shortest and longest wait before a lock is tried again."""


def host() -> str:
    """Return a name of this machine, and of its start where the system numbers them."""
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in socket.gethostname())
    with contextlib.suppress(OSError):
        return f"{name}-{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii')[:8]}"
    return name


class FolderLock:
    """A lock between processes that also works between machines that share a folder.

    The processes of a machine take turns by a lock of the kernel. Whoever has it links the file of that lock to a name
    that all machines know: only one machine can. A link that a killed process left behind is of its machine's own
    file, so the next process there, which has the kernel's lock, simply owns it; for another machine it is void when
    it is older than GRACE_SECONDS.

    Args:
        folder: An existing folder.
        name: The name of the link.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.link = folder / f"{name}.lock"
        self.own = folder / f"{name}.{host()}.lock"
        self._descriptor = -1

    def acquire(self) -> None:
        """Wait for the lock.

        Raises:
            SaveError: The folder cannot be written to, or its file system has no locks.
        """
        try:
            self._descriptor = os.open(self.own, os.O_RDWR | os.O_CREAT, 0o666)
            lock(self._descriptor, wait=True)
            self._take_link()
        except OSError as cause:
            self.release()
            raise SaveError(f"{self.link}: cannot be locked ({one_line(cause)}); fix permissions") from cause

    def _take_link(self) -> None:
        pause, seen, since = WAIT_SECONDS[0], 0.0, time.monotonic()
        while not self._linked():
            with contextlib.suppress(FileNotFoundError):
                found = self.link.stat()
                if found.st_mtime != seen:
                    seen, since = found.st_mtime, time.monotonic()
                elif time.monotonic() - since > GRACE_SECONDS:
                    self._discard()
            time.sleep(pause)
            pause = min(2 * pause, WAIT_SECONDS[1])

    def _linked(self) -> bool:
        os.utime(self.own)
        try:
            self.link.hardlink_to(self.own)
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                return self.link.samefile(self.own)
            return False
        except OSError as cause:
            if cause.errno not in NO_LINKS:
                raise
        return True

    def _discard(self) -> None:
        """Remove the link of a machine that died; renamed first, so that only one process removes it."""
        void = self.link.with_name(f"{self.link.name}.{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            self.link.rename(void)
            void.unlink()

    def release(self) -> None:
        """Let the next process continue."""
        with contextlib.suppress(OSError):
            if self.link.samefile(self.own):
                self.link.unlink()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(self, *failure: object) -> None:
        self.release()


class Worker:
    """This process as the others in a folder see it: alive until it ends, however it ends.

    Args:
        folder: An existing folder that all processes share.

    Attributes:
        id: The name of the process, which no other one has or will have.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = f"{host()}.{os.getpid()}.{secrets.token_hex(4)}"
        self._path = folder / self.id
        self._ended = threading.Event()
        with FolderLock(folder, STUDY_LOCK):  # so that no other process takes the file for one left behind
            self._remove_old()
            try:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
                lock(self._descriptor)
            except OSError as cause:
                raise SaveError(f"{self._path}: cannot be written ({one_line(cause)}); fix permissions") from cause
        threading.Thread(target=self._touch, daemon=True).start()

    def _remove_old(self) -> None:
        """Remove the files that processes of this machine left when they were killed."""
        for path in self.folder.glob(f"{host()}.*"):
            with contextlib.suppress(OSError):
                if not is_locked(path):
                    path.unlink()

    def _touch(self) -> None:
        while not self._ended.wait(TOUCH_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def is_alive(self, other: str) -> bool:
        """Return whether a process works in the folder."""
        path = self.folder / other
        if other == self.id:
            return True
        try:
            if other.partition(".")[0] == host():
                return is_locked(path)
            os.utime(self._path)  # so that both times are those of the file server's clock
            return self._path.stat().st_mtime - path.stat().st_mtime < GRACE_SECONDS
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Stop being alive."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
