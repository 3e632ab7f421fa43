"""The trials of a study, in Optuna's journal file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from optuna.storages.journal import JournalFileBackend

from nnclassify.errors import SaveError, one_line
from nnclassify.tune.processes import FolderLock

BLOCK_BYTES = 65536


class Journal(JournalFileBackend):
    """Optuna's journal file that survives kills and full disks.

    A process that is killed while it writes, or that finds the disk full, leaves a part of a line. Optuna would append
    the next line to that part, and never read the file again. Here the part is cut off before the next line is written.

    Args:
        path: The file.
        locks: The folder of the locks.

    Raises:
        OSError: The path is not that of a regular file.
    """

    def __init__(self, path: Path, locks: Path) -> None:
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise OSError("not a regular file")
        self.path = path
        self.lock = FolderLock(locks, "journal")
        super().__init__(str(path))

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        """Append lines.

        Raises:
            SaveError: They could not be written.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        try:
            with self.lock, self.path.open("r+b") as file:
                file.truncate(_end_of_whole_lines(file))
                file.seek(0, os.SEEK_END)
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:
            raise SaveError(f"{self.path}: not written ({one_line(cause)}); free space or fix permissions") from cause


def _end_of_whole_lines(file: IO[bytes]) -> int:
    """Return the position after the last line that is complete."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK_BYTES)
        file.seek(start)
        if (newline := file.read(end - start).rfind(b"\n")) >= 0:
            return start + newline + 1
        end = start
    return 0
