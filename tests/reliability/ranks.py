"""Command lines as the processes of one run: forked, with the environment variables that torchrun sets."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reliability.processes import Child


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(size: int, work: Callable[[], None], folder: Path) -> list[Child]:
    """Start all processes of a run; rank 0 is the first."""
    port = free_port()
    return [Child(partial(_as_rank, rank, size, port, work), folder) for rank in range(size)]


def _as_rank(rank: int, size: int, port: int, work: Callable[[], None]) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(size),
        LOCAL_WORLD_SIZE=str(size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="benchmark",
    )
    work()
