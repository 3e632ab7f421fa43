"""Checkpoints damaged as by a failing disk."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path


def damaged(content: bytes, good: Path, rng: random.Random) -> bytes:
    """The same file with flipped bits, a cut end, a zeroed block or swapped records."""
    kind = rng.choice(["flip", "flip", "cut", "zeros", "swap"])
    damaged = bytearray(content)
    if kind == "flip":
        for _ in range(rng.choice([1, 1, 1, 8])):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del damaged[rng.randrange(len(damaged)) :]
    elif kind == "zeros":
        start = rng.randrange(len(damaged))
        size = min(rng.choice([16, 512, 4096]), len(damaged) - start)
        damaged[start : start + size] = bytes(size)
    else:
        return _swapped(good, rng)
    return bytes(damaged)


def _swapped(good: Path, rng: random.Random) -> bytes:
    """Two tensors of the same length change places, every checksum of the zip made right again."""
    path = good.with_name("swapped.pt")
    with zipfile.ZipFile(good) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    data = [name for name in records if "/data/" in name]
    pairs = [(a, b) for a in data for b in data if a < b and len(records[a]) == len(records[b])]
    first, second = rng.choice([pair for pair in pairs if records[pair[0]] != records[pair[1]]])
    records[first], records[second] = records[second], records[first]
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return path.read_bytes()
