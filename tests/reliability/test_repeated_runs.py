"""Tests that a config gives the same weights each time, and that a changed number of threads is reported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from reliability import runs
from reliability.outcome import Outcome
from reliability.processes import Child, call, command

PICTURES = """
dataset: {name: folder, root: pictures, size: 8, augment: {crop: 1, flip: true}}
model: {name: cnn, blocks: [{channels: 3, pool: max}], hidden: [8]}
epochs: 3
batch_size: 8
"""


def test_repeated_runs(scale: float, outcome: Outcome) -> None:
    """Repeats with equal weights; another thread count on resume is said.

    Twenty repeats of each run; compiled runs, other numbers of decoding threads, a resume with other threads.
    """
    with runs.workplace() as folder:
        for config in runs.CONFIGS:
            wanted = runs.whole_run(folder, config)
            for _ in range(max(1, round(20 * scale))):
                outcome.count(None if runs.whole_run(folder, config) == wanted else f"{config}: other weights")
            outcome.count(_other_threads(folder, config))
        compiled = {runs.whole_run(folder, "mlp", "--set", "compile=on") for _ in range(2)}
        outcome.count(None if len(compiled) == 1 else "two compiled runs differ")
        outcome.count(_decoding_threads(folder))
    outcome.remark = "no loader workers: batches are prepared in the training process; 1 to 4 threads decode pictures"
    outcome.check()


def _other_threads(folder: Path, config: str) -> str | None:
    call(folder, "train", f"{config}.yaml", "--no-plots", "--set", "name=run", "--set", "threads=1")
    resume = ("train", "checkpoints/run", "--resume", "--no-plots", "--set", "epochs=5", "--set", "threads=2")
    ended = call(folder, *resume)
    shutil.rmtree(folder / "checkpoints")
    said = ended.code == 0 and "threads: 1 when the run was saved, now 2" in ended.errors
    return None if said else f"{config}: threads: {ended.errors[-200:]}"


def _decoding_threads(folder: Path) -> str | None:
    (folder / "pictures.yaml").write_text(PICTURES)
    pixels = np.random.default_rng(11).integers(0, 256, size=(2, 20, 9, 7, 3), dtype=np.uint8)
    for label, of_class in enumerate(pixels):
        (folder / "pictures" / str(label)).mkdir(parents=True)
        for index, picture in enumerate(of_class):
            Image.fromarray(picture).save(folder / "pictures" / str(label) / f"{index}.png")
    found = set()
    for threads in (1, 2, 3, 4):
        work = command("train", "pictures.yaml", "--no-plots", "--set", "name=run")
        Child(_with_cores(threads, work), folder).wait()
        found.add(runs.state(folder / "checkpoints" / "run"))
        shutil.rmtree(folder / "checkpoints")
    return None if len(found) == 1 else "1, 2, 3 and 4 decoding threads end in different weights"


def _with_cores(count: int, work: Callable[[], None]) -> Callable[[], None]:
    def working() -> None:
        from nnclassify.data.images import image_reading

        image_reading.SMALL_FILE = 0  # so small that one thread would decode them all
        vars(image_reading)["num_cores"] = lambda: count
        work()

    return working
