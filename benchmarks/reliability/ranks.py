"""Command lines as several processes of one run: forked, with the environment that torchrun gives its workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.reliability.processes import Child


def start(size: int, work: Callable[[], None], folder: Path) -> list[Child]:
    """Start all processes of a run; rank 0 is the first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [Child(partial(_as_rank, rank, size, port, work), folder) for rank in range(size)]


def _as_rank(rank: int, size: int, port: int, work: Callable[[], None]) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="benchmark",
    )
    work()
