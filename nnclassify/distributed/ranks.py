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
import signal
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from nnclassify.errors import InputError, Interrupted, NNClassifyError, OtherProcessError, TrainingError, one_line
from nnclassify.process import UNSET, from_launcher, signal_handlers

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, from the point of view of one of them.

    Attributes:
        rank: Number of this process, from 0; rank 0 writes and prints.
        world_size: Number of processes.
        first_of_node: Rank of the first process on this machine.
        launchers: The identities of the torchrun agents that have started the processes, one per machine.
    """

    rank: int = 0
    world_size: int = 1
    first_of_node: int = 0
    launchers: frozenset[str] = frozenset()

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
            OtherProcessError: Another process has told a problem instead.
            TrainingError: Another process has ended.
        """
        if self.world_size == 1:
            return [value]
        return [told for _, told in self._gathered([], value)]

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Return a context at whose end the processes wait for each other, and whose errors they tell each other.

        Each of the others raises an error at its next `all_gather_object`, at the latest at the end of its context. So
        the first process can print what only another one has found, such as a file that is missing on its machine.

        Raises:
            OtherProcessError: Another process has told a problem.
            TrainingError: Another process has ended.
        """
        try:
            yield
        except (OtherProcessError, TrainingError):  # known to the others
            raise
        except NNClassifyError as error:
            if self.world_size > 1:
                with suppress(OtherProcessError, TrainingError):
                    self._gathered([f"{line} (process {self.rank} on {socket.gethostname()})" for line in error.lines])
            raise
        self.all_gather_object(None)

    def _gathered(self, problems: list[str], value: Any = None) -> list[tuple[list[str], Any]]:
        messages = [(problems, value)] * self.world_size
        try:
            dist.all_gather_object(messages, (problems, value))
        except RuntimeError as cause:
            raise _lost(cause) from cause
        if problem := next(filter(None, (told for told, _ in messages)), None):
            raise OtherProcessError(problem)
        return messages


def _lost(cause: Exception) -> TrainingError:
    return TrainingError(f"another process of this run has ended ({one_line(cause)}); continue with --resume")


def join() -> Ranks:
    """Join the processes started by torchrun or Slurm; return a world of size 1 if there are none.

    Raises:
        InputError: An environment variable that launchers set is missing or wrong.
        TrainingError: The launcher, or another process, has ended.
    """
    world_size = from_launcher("WORLD_SIZE", 1)
    if world_size <= 1:
        return _with_launchers(Ranks())
    _check_environment(world_size)
    local_rank, local_size = from_launcher("LOCAL_RANK", 0), from_launcher("LOCAL_WORLD_SIZE", 1)
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
    return _with_launchers(Ranks(dist.get_rank(), world_size, dist.get_rank() - local_rank))


def _with_launchers(ranks: Ranks) -> Ranks:
    return replace(ranks, launchers=frozenset(filter(None, ranks.all_gather_object(launcher()))))


LAUNCHER_SECONDS = 5.0
"""Time to wait for torchrun's store, which exists before any worker does."""


def _check_environment(world_size: int) -> None:
    """Check what torch needs to find the other processes."""
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise InputError(f"environment variable {name}: not set, but WORLD_SIZE is {world_size}; {UNSET}")
    from_launcher("MASTER_PORT", 0)
    if (rank := from_launcher("RANK", 0)) >= world_size:
        raise InputError(
            f"environment variable RANK: found {rank}, expected less than WORLD_SIZE, {world_size}; {UNSET}"
        )


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


def launcher() -> str | None:
    """Return the identity of the torchrun that has started this process; None without torchrun.

    It is the same if torchrun starts the process again after one was lost, and does not depend on the clock, which may
    have been set in between. Where the system does not tell when a process began, processes that are started for the
    first time have none: their launcher may have the number of an earlier one.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    parent = os.getppid()
    try:
        process = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8", errors="replace")  # its name may be anything
        ticks = process.rpartition(")")[2].split()[19]  # man 5 proc_pid_stat
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {parent} {ticks}"
    except OSError:
        return f"{socket.gethostname()} {parent}" if from_launcher("TORCHELASTIC_RESTART_COUNT", 0) else None
