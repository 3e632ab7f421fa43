"""Several processes that train one net: who they are, what each computes, and how they add it up.

Each batch of the config is split over the processes. What they must agree on after it travels in one sum: the
gradients, every example's outputs and losses, and whether one was asked to stop. So all processes hold the same
numbers and take the same decisions, and one of them writes. Batch norm adds up its statistics itself (`batch_norm.py`).

The sum is by hand, not by DistributedDataParallel: that regroups gradients after its first step, so a resumed run
would add them in another order and end in other bits; and its mean over processes is wrong for batches that do not
split evenly, and for weighted classes.
"""

from __future__ import annotations

import hashlib
import os
import re
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
from nnclassify.process import ended_by_the_kernel

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, as one of them sees it.

    Attributes:
        rank: Which one this is, from 0; that one writes.
        world_size: The number of processes.
        first_of_node: The first process on the machine that this one runs on.
    """

    rank: int = 0
    world_size: int = 1
    first_of_node: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """This process's part of `count` examples: all parts together are all of them, none twice; rank 0's is
        never smaller than another's."""
        first, last = (-(-rank * count // self.world_size) for rank in (self.rank, self.rank + 1))
        return slice(first, last)

    def all_reduce(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """The sums over the processes of tensors of one type, in one exchange.

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
        """All `count` rows, of which this process has its shard `(M, ...)`.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.world_size == 1:
            return part
        whole = part.new_zeros(count, *part.shape[1:])
        whole[self.shard(count)] = part
        return self.all_reduce([whole])[0]

    def all_gather_object(self, value: Value) -> list[Value]:
        """The value of every process, in the order of ranks.

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
    """Join the processes that torchrun or Slurm started beside this one; alone where there are none.

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
    with ended_by_the_kernel():
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
"""How long to wait for torchrun's store, which is there before any worker is."""
_LOCAL = (("RANK", "0"), ("WORLD_SIZE", "1"))
"""What torchrun says of the processes on this machine, and what holds where nobody says."""


def _check_launcher() -> None:
    """Fail in seconds where torchrun's store is gone: torch would keep trying for half an hour."""
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
"""How long the processes of a start wait for each other."""


def name_of_start(store: dist.Store, rank: int, world_size: int) -> str:
    """A name that the processes which start now give themselves, and none before them has given.

    torchrun's store outlives the processes, and torch looks up in it where the others listen: one that is started
    again may find where a dead one did, and wait there for half an hour (pytorch/pytorch#135712; a count of restarts
    does not help, since each machine has its own). So each says that it is there, by a word of its own, reads what the
    others say, and calls the start by all these words; who is dead says nothing under a name with a new word in it.

    Args:
        store: Where all can read and write.
        rank: Of this process.
        world_size: The number of processes.

    Raises:
        RuntimeError: After half an hour, torch's own patience, not all are there.
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
    """As `join`; the processes leave together at the end: done, or asked to stop.

    A process that ended without leaving was sometimes aborted by torch as it exited ("terminate called without an
    active exception"), and torchrun then reported a failure. When one has failed, none waits for it.
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
    """Where torchrun has started this process again after one was lost: when torchrun itself began, in nanoseconds
    as file times have them (0 where the system does not tell); None: this is the first start."""
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0:
        return None
    try:
        fields = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()  # man 5 proc_pid_stat
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return 0 if boot is None else int(1e9 * (int(boot[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")))
