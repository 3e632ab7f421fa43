"""Several processes that train one net: who they are, what each computes, and how they add it up.

Each batch of the config is split over the processes. What they must agree on after it travels in one sum: the
gradients, the batch norms' statistics, every example's outputs and losses, and whether one was asked to stop. So
all processes hold the same numbers and take the same decisions, and one of them writes.

The sum is by hand, not by DistributedDataParallel: that regroups gradients after its first step, so a resumed run
would add them in another order and end in other bits; and its mean over processes is wrong for batches that do not
split evenly, and for weighted classes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from nnclassify.errors import TrainingError, one_line


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, as one of them sees it.

    Attributes:
        rank: Which one this is, from 0; that one writes.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of `count` examples: all parts together are all of them, none twice; rank 0's is
        never smaller than another's."""
        first, last = (-(-rank * count // self.size) for rank in (self.rank, self.rank + 1))
        return slice(first, last)

    def add(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """The sums over the processes of tensors of one type, in one exchange.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.size == 1:
            return list(parts)
        buffer = torch.cat([part.reshape(-1) for part in parts])
        try:
            dist.all_reduce(buffer)
        except RuntimeError as cause:
            raise _lost(cause) from cause
        pieces = buffer.split([part.numel() for part in parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    def joined(self, part: Tensor, count: int) -> Tensor:
        """All `count` rows, of which this process has its share `(M, ...)`.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.size == 1:
            return part
        whole = part.new_zeros(count, *part.shape[1:])
        whole[self.share(count)] = part
        return self.add([whole])[0]

    def agree(self, text: str) -> str:
        """What rank 0 says.

        Raises:
            TrainingError: Another process has ended.
        """
        if self.size == 1:
            return text
        said: list[str] = [text]
        try:
            dist.broadcast_object_list(said)
        except RuntimeError as cause:
            raise _lost(cause) from cause
        return said[0]


def _lost(cause: RuntimeError) -> TrainingError:
    return TrainingError(f"another process of this run has ended ({one_line(cause)}); go on with --resume")


def join() -> Ranks:
    """Join the processes that torchrun or Slurm started beside this one; alone where there are none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Ranks()
    die_with_parent()
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo")
    return Ranks(dist.get_rank(), size)


def leave() -> None:
    """Let go of the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def restarted() -> bool:
    """Whether torchrun has started this process again after one was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the launcher ends, however that ends: it saves, and leaves no orphan."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    set_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
    ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGTERM))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
