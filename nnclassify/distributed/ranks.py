"""The processes that train one network: rank, part of each batch, and collective operations.

Each batch of the config is split over the processes. After it, one all-reduce exchanges everything that they must agree
on: gradients, outputs and losses of every example, and whether any process was asked to stop. So all processes have the
same numbers and make the same decisions, and one of them writes. Batch norm layers exchange their own statistics
(`batch_norm.py`).

DistributedDataParallel is not used: it regroups the gradients after its first step, so a resumed run would add them
in another order and differ in the last bits; and its mean over processes is wrong for batches that do not divide
evenly and for class weights.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from nnclassify.errors import Interrupted, TrainingError, one_line
from nnclassify.process import signal_handlers

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, from the point of view of one of them.

    Attributes:
        rank: Number of this process, from 0; rank 0 writes and prints.
        world_size: Number of processes.
        first_of_node: Rank of the first process on this machine.
    """

    rank: int = 0
    world_size: int = 1
    first_of_node: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Return this process's part of `count` examples. The parts do not overlap, and rank 0 has the largest."""
        first, last = (-(-rank * count // self.world_size) for rank in (self.rank, self.rank + 1))
        return slice(first, last)

    def all_reduce(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Sum tensors of one type over the processes, in one exchange.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.world_size == 1:
            return list(parts)
        buffer = torch.cat([part.reshape(-1) for part in parts])
        try:
            dist.all_reduce(buffer)
        except RuntimeError as cause:
            raise _lost(cause) from cause
        pieces = buffer.split([part.numel() for part in parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    def gather_rows(self, part: Tensor, count: int) -> Tensor:
        """Return all `count` rows, given this process's shard `(M, ...)`.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.world_size == 1:
            return part
        whole = part.new_zeros(count, *part.shape[1:])
        whole[self.shard(count)] = part
        return self.all_reduce([whole])[0]

    def all_gather_object(self, value: Value) -> list[Value]:
        """Return the value of every process, in the order of ranks.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.world_size == 1:
            return [value]
        values = [value] * self.world_size
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as cause:
            raise _lost(cause) from cause
        return values


def _lost(cause: Exception) -> TrainingError:
    return TrainingError(f"another process of this run has ended ({one_line(cause)}); continue with --resume")


def join() -> Ranks:
    """Join the processes started by torchrun or Slurm; return a world of size 1 if there are none.

    Raises:
        TrainingError: The launcher, or another process, has ended.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Ranks()
    local_rank, local_size = (int(os.environ.get(f"LOCAL_{name}", default)) for name, default in _LOCAL)
    has_gpus = torch.cuda.device_count() >= local_size
    if has_gpus:
        torch.cuda.set_device(local_rank)
    with signal_handlers(signal.SIG_DFL):  # which ends the program even inside a library call
        try:
            _check_launcher()
            store, rank, world_size = next(rendezvous("env://"))
            store = dist.PrefixStore(name_of_start(store, rank, world_size), store)
            backend = "cpu:gloo,cuda:nccl" if has_gpus else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
        except (RuntimeError, OSError) as cause:
            raise _lost(cause) from cause
    return Ranks(dist.get_rank(), world_size, dist.get_rank() - local_rank)


LAUNCHER_SECONDS = 5.0
"""Time to wait for torchrun's store, which exists before any worker does."""
_LOCAL = (("RANK", "0"), ("WORLD_SIZE", "1"))
"""torchrun's environment variables for this machine, and their values without torchrun."""


def _check_launcher() -> None:
    """Fail within seconds if torchrun's store is gone; torch itself would retry for half an hour."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    address, deadline = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])), time.monotonic() + LAUNCHER_SECONDS
    while True:
        try:
            socket.create_connection(address, timeout=LAUNCHER_SECONDS).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


START_SECONDS = 1800.0
"""Time to wait for all processes to start."""


def name_of_start(store: dist.Store, rank: int, world_size: int) -> str:
    """Return a name for this start of the processes that no earlier start has used.

    torchrun's store outlives the processes, and torch looks up the addresses of the others in it: a restarted process
    may find the address of a dead one and wait there for half an hour (pytorch/pytorch#135712). A count of restarts
    does not help, since each machine has its own. So each process writes a random word, reads the words of the others,
    and hashes all of them into a name. A name is final when every process has written under it: a dead process cannot
    do that, since it does not know the new words.

    Args:
        store: Key-value store that all processes share.
        rank: Rank of this process.
        world_size: Number of processes.

    Raises:
        RuntimeError: Not all processes have started within half an hour, torch's own timeout.
    """
    deadline = time.monotonic() + START_SECONDS
    store.set(f"word/{rank}", uuid.uuid4().hex)
    while True:
        words = b"".join(store.get(f"word/{other}") for other in range(world_size))
        name = hashlib.sha256(words).hexdigest()
        store.set(f"{name}/{rank}", "")
        if store.check([f"{name}/{other}" for other in range(world_size)]):
            return name
        if time.monotonic() > deadline:
            raise RuntimeError("not all processes have started")
        time.sleep(0.02)


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Return a context with the ranks of `join`, which the processes leave together when training ends or is stopped.

    A process that exited without leaving the group was sometimes aborted by torch ("terminate called without an
    active exception"), and torchrun then reported a failure. After an error, a process does not wait for the others.
    """
    ranks = join()
    try:
        yield ranks
    except Interrupted:
        _leave()
        raise
    _leave()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def restarted_by() -> int | None:
    """Return when torchrun itself began, if it has restarted this process after one was lost; None at the first start.

    The time is in nanoseconds, like file times, or 0 if the system does not provide it.
    """
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0:
        return None
    try:
        fields = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()  # man 5 proc_pid_stat
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return 0 if boot is None else int(1e9 * (int(boot[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")))
