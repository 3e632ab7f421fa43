"""torchrun as the real command, or as its agent in a forked process with forked workers."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from nnclassify.process import STOPPING
from reliability.processes import Child, Fresh, Process, command
from reliability.ranks import free_port

HANG_SECONDS = 45.0
"""After these, a worker that has not ended says where it stands."""


def torchrun(folder: Path, size: int, *arguments: str, restarts: int = 0) -> Fresh:
    """`torchrun --nproc-per-node SIZE -m nnclassify ARGUMENTS`, from nothing."""
    options = ["--nproc-per-node", str(size), "--max-restarts", str(restarts), "--master-port", str(free_port())]
    options += ["--log-dir", str(folder / "logs")]  # its own folder would stay behind where it is killed
    return Fresh(folder, sys.executable, "-m", "torch.distributed.run", *options, "-m", "nnclassify", *arguments)


def agent(folder: Path, size: int, *arguments: str, restarts: int = 0) -> Child:
    """The same agent with the same settings; only the imports are spared."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=size,
        run_id="benchmark",
        rdzv_backend="static",
        rdzv_endpoint=f"127.0.0.1:{free_port()}",
        rdzv_configs={"rank": 0, "timeout": 60},
        max_restarts=restarts,
        monitor_interval=0.1,
        start_method="fork",
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "logs")),
    )
    return Child(partial(_launch, config, _as_worker(command(*arguments))), folder)


def has_ended(folder: Path, worker: int) -> bool:
    """Whether a forked worker is through with its command line. What is left of it is torch's: the agent and its
    forked workers share locks, which a kill can leave locked; real ones share none."""
    return (folder / "logs" / f"{worker}.ended").exists()


def _as_worker(work: Callable[[], None]) -> Callable[[], None]:
    """A command line, as it runs in a worker that was started from nothing."""

    def worker() -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)  # the agent's own handlers are not inherited by real ones
        faulthandler.dump_traceback_later(HANG_SECONDS)
        try:
            work()
        finally:
            faulthandler.cancel_dump_traceback_later()
            Path("logs", f"{os.getpid()}.ended").touch()

    return worker


def _launch(config: LaunchConfig, work: Callable[[], None]) -> None:
    try:
        elastic_launch(config, work)()
    except ChildFailedError as failed:
        sys.stderr.write(f"{failed}\n")
        sys.exit(1)


def workers_of(launcher: Process) -> list[int]:
    """The processes that a launcher has started."""
    try:
        listed = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text()
    except OSError:
        return []
    return [int(pid) for pid in listed.split()]


def orphans(folder: Path, workers: list[int], seconds: float) -> list[int]:
    """Which of some processes still train after so many seconds; all that are left are ended."""
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in workers if _runs(pid)]) and time.monotonic() < deadline:
        if all(has_ended(folder, pid) for pid in left):
            break
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return [pid for pid in left if not has_ended(folder, pid)]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
