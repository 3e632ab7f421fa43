"""Tests of checkpoints damaged in 10,000 ways: flipped bits, truncation, zeroed blocks, swapped records."""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path

from nnclassify.errors import CheckpointError
from nnclassify.files.atomic_write import previous
from nnclassify.runs.checkpoint import content_digest, load_checkpoint, load_newest
from reliability import runs
from reliability.damage import damaged
from reliability.outcome import Outcome
from reliability.processes import Child, call

BLOCK = 100
"""Cases a process: a crash or a hang costs one block, and is counted."""


def test_damaged_checkpoints(scale: float, outcome: Outcome) -> None:
    """Damaged checkpoints: refused, or read exactly; the generation before is used.

    Damage, load, and load again with an older generation beside it.
    """
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
    outcome.check()


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
