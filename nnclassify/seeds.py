"""Independent random streams from one seed: drawing more numbers from one stream does not change the others.

A stream is named by words and numbers, such as `("order", epoch)` or `("split", "test")`. Its numbers depend on the
seed and the name only, so there is no state to save, and workers and resuming have no influence.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def _sequence(seed: int, stream: tuple[str | int, ...]) -> np.random.SeedSequence:
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in stream]
    return np.random.SeedSequence([seed, *words])


def numpy_rng(seed: int, *stream: str | int) -> np.random.Generator:
    """Return a NumPy generator for the named stream."""
    return np.random.default_rng(_sequence(seed, stream))


def stream_seed(seed: int, *stream: str | int) -> int:
    """Return a 63-bit seed for the named stream, for libraries that take an integer."""
    return int(_sequence(seed, stream).generate_state(1, np.uint64)[0] >> 1)


def torch_rng(seed: int, *stream: str | int) -> torch.Generator:
    """Return a torch CPU generator for the named stream."""
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, *stream))


def seed_everything(seed: int) -> None:
    """Seed every global random generator, from which initial weights and dropout are drawn."""
    import torch

    torch.manual_seed(stream_seed(seed, "torch"))
    np.random.seed(stream_seed(seed, "numpy") % 2**32)
    random.seed(stream_seed(seed, "python"))


def random_state() -> dict[str, Any]:
    """Return every global random state that a forward pass may use, as primitives and tensors."""
    import torch

    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [str(name), torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
        "python": [version, torch.tensor(words, dtype=torch.int64), gauss],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore a state returned by `random_state`."""
    import torch

    torch.set_rng_state(state["torch"])
    for device in range(min(len(state["cuda"]), torch.cuda.device_count())):  # another machine may have fewer GPUs
        torch.cuda.set_rng_state(state["cuda"][device], device)
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
