"""Tensors that are mapped from files, such as cached images: other processes map the same files instead of a copy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

MIN_BYTES = 2**20
"""Smaller tensors are copied."""


@dataclass(frozen=True)
class _Mapping:
    """A line of /proc/self/maps: addresses from `start` to `end`, and the part of a file that is there."""

    start: int
    end: int
    offset: int
    inode: int
    path: str


class MappedFiles:
    """The files that tensors of this process are mapped from, held open so that others can map them even if removed.

    Tensors must not have been written to: changes to a private mapping are not in its file.
    """

    def __init__(self) -> None:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - no real file
            self._mappings = [found for line in file if (found := _mapping(line)) is not None]
        self._descriptors: dict[int, int] = {}

    def place_of(self, tensor: Tensor) -> dict[str, Any] | None:
        """Return where a tensor is mapped from, for `mapped`; None if it is not, or not as a whole."""
        start, num_bytes = tensor.data_ptr(), tensor.nbytes
        if num_bytes < MIN_BYTES or not tensor.is_contiguous():
            return None
        around = (part for part in self._mappings if part.start <= start and start + num_bytes <= part.end)
        if (part := next(around, None)) is None or (descriptor := self._opened(part)) is None:
            return None
        return {
            "file": f"/proc/{os.getpid()}/fd/{descriptor}",
            "offset": part.offset + start - part.start,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
        }

    def _opened(self, part: _Mapping) -> int | None:
        if part.inode not in self._descriptors:
            try:
                descriptor = os.open(part.path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                return None
            if os.fstat(descriptor).st_ino != part.inode:  # replaced since it was mapped
                os.close(descriptor)
                return None
            self._descriptors[part.inode] = descriptor
        return self._descriptors[part.inode]

    def close(self) -> None:
        """Close the files, once all processes have mapped them."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()


def mapped(place: dict[str, Any]) -> Tensor:
    """Map the tensor that another process has found by `MappedFiles.place_of`. Changes to it stay in memory."""
    num_bytes = int(np.prod(place["shape"], dtype=np.int64)) * place["dtype"].itemsize
    content: Any = np.memmap(place["file"], np.uint8, "c", place["offset"], (num_bytes,))
    return torch.from_numpy(content).view(place["dtype"]).view(place["shape"])


def _mapping(line: str) -> _Mapping | None:
    """Parse `start-end mode offset device inode path`; None for memory without a file."""
    addresses, _, offset, _, inode, *path = line.rstrip("\n").split(maxsplit=5)
    if inode == "0" or not path:
        return None
    start, end = (int(address, 16) for address in addresses.split("-"))
    return _Mapping(start, end, int(offset, 16), int(inode), path[0].replace("\\012", "\n"))
