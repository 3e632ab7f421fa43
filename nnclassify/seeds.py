"""Independent random streams from one seed, so that drawing more from one never shifts another.

A stream is named by words and numbers: `("order", epoch)`, `("split", "test")`. What is drawn from it is a
function of the seed and the name alone: no state to save, nothing that workers or a resume could change.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _sequence(seed: int, stream: tuple[str | int, ...]) -> np.random.SeedSequence:
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in stream]
    return np.random.SeedSequence([seed, *words])


def numpy_rng(seed: int, *stream: str | int) -> np.random.Generator:
    """A NumPy generator for the named stream."""
    return np.random.default_rng(_sequence(seed, stream))


def stream_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for the named stream, for libraries that take an integer."""
    return int(_sequence(seed, stream).generate_state(1, np.uint64)[0] >> 1)


def torch_rng(seed: int, *stream: str | int) -> torch.Generator:
    """A torch CPU generator for the named stream."""
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, *stream))
