"""R5: checkpoints damaged in 10,000 ways: flipped bits, cut ends, zeroed blocks, swapped records."""

from __future__ import annotations

import random
import shutil
import zipfile
from functools import partial
from pathlib import Path

from benchmarks.reliability import runs
from benchmarks.reliability.outcome import Outcome
from benchmarks.reliability.processes import Child, call
from nnclassify.errors import CheckpointError
from nnclassify.files.atomic_write import previous
from nnclassify.runs.checkpoint import content_digest, load_checkpoint, load_newest

BLOCK = 100
"""Cases a process: a crash or a hang costs one block, and is counted."""


def run(scale: float) -> Outcome:
    """Damage, load, and load again with an older generation beside it."""
    outcome = Outcome("R5", "damaged checkpoints: refused, or read exactly; the generation before is used")
    with runs.workplace() as folder:
        call(folder, "train", "mlp.yaml", "--no-plots", "--set", "epochs=2", "--set", "name=run")
        good = folder / "checkpoints" / "run" / "last.pt"
        blocks = max(1, round(100 * scale))
        harmless = 0
        for block in range(blocks):
            log = folder / f"block{block}"
            ended = Child(partial(_block, good, folder, block, log), folder).wait(300)
            lines = log.read_text().splitlines() if log.is_file() else []
            for line in lines:
                outcome.count(None if line in ("refused", "the same") else line)
                harmless += line == "the same"
            if len(lines) != BLOCK:
                outcome.count(f"block {block}: ended with {ended.code} after {len(lines)} cases: {ended.errors[-200:]}")
    outcome.remark = f"{harmless} of them changed no content (padding, times) and were read as they were saved"
    return outcome


def _block(good: Path, folder: Path, seed: int, log: Path) -> None:
    rng = random.Random(seed)
    content, wanted = good.read_bytes(), content_digest(vars(load_checkpoint(good)))
    path = folder / "damaged.pt"
    shutil.copy(previous(good), previous(path))
    before = content_digest(vars(load_checkpoint(previous(path))))
    with log.open("w") as file:
        for _ in range(BLOCK):
            damage = damaged(content, good, rng)
            path.write_bytes(damage)
            file.write(_verdict(path, wanted, before) + "\n")
            file.flush()


def _verdict(path: Path, wanted: str, before: str) -> str:
    try:
        read = content_digest(vars(load_checkpoint(path)))
    except CheckpointError:
        fallen_back = content_digest(vars(load_newest(path).checkpoint)) == before
        return "refused" if fallen_back else "the generation before was not used"
    return "the same" if read == wanted else "loaded silently wrong"


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
