"""The runs that the tests train, and their results."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from nnclassify import run
from nnclassify.config.run_config import load_config
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.runs.folder import RunFolder
from reliability.drawn import TABLE, drawn
from reliability.processes import call

CNN = """
dataset: {name: digits, limit: 120, augment: {crop: 1, flip: true}}
model: {name: cnn, blocks: [{channels: 3, pool: max, batch_norm: true}], hidden: [8], dropout: 0.2}
optimizer: {name: adam, lr: 0.01}
scheduler: {name: cosine, warmup: 1}
ema: 0.9
epochs: 4
batch_size: 16
checkpoint_every: {steps: 1}
"""
MLP = """
dataset: {name: digits, limit: 120}
model: {name: mlp, hidden: [16], dropout: 0.1}
optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
loss: {name: cross_entropy, class_weights: balanced}
scheduler: plateau
epochs: 4
batch_size: 16
checkpoint_every: {steps: 1}
"""
SHORT = """
dataset: {name: digits, limit: 120, augment: {flip: true}}
model: {name: mlp, hidden: [32, {units: 16, batch_norm: true}], dropout: 0.1}
optimizer: {name: adamw, lr: 0.01, weight_decay: 0.1}
scheduler: one_cycle
precision: bfloat16
clip_grad_norm: 1
ema: 0.95
epochs: 4
batch_size: 16
checkpoint_every: {steps: 1}
"""
ODD = """
dataset: wine
model: {name: mlp, hidden: [5]}
optimizer: {name: adagrad, lr: 0.01}
epochs: 2
batch_size: 7
checkpoint_every: {steps: 1}
"""
DOUBLE = """
dataset: iris
model: {name: mlp, hidden: [16]}
optimizer: {name: sgd, lr: 0.01}
precision: float64
epochs: 2
batch_size: 5
checkpoint_every: {steps: 1}
"""
CONFIGS = {"cnn": CNN, "mlp": MLP, "short": SHORT, "odd": ODD, "double": DOUBLE}
"""Between them: augmentation, average, dropout, batch norm, class weights, clipping, float32, float64 and bfloat16, and
batches that end between two multiples of 16 bytes."""
KILLED = {**drawn(12, seed=1), **CONFIGS}
"""What is killed and resumed: twelve of other batch sizes, number types, optimizers and data sets, the first of them
compiled, and then those."""
STEPS = 28
"""Updates in each of them, at least."""


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder with the configs."""
    folder = Path(tempfile.mkdtemp(prefix="reliability-"))
    try:
        for name, text in KILLED.items():
            (folder / f"{name}.yaml").write_text(text)
        (folder / "table.csv").write_text(TABLE)
        yield folder
    finally:
        shutil.rmtree(folder)


def warm_up(configs: Iterable[str] = CONFIGS) -> None:
    """Train here once what the children will train: what torch and scikit-learn import late is imported then."""
    torch.set_num_threads(1)
    with workplace() as folder, contextlib.chdir(folder):
        for config in configs:
            run.train(load_config(f"{config}.yaml", ["epochs=1", "name=warm"]))
            shutil.rmtree("checkpoints")


def whole_run(folder: Path, config: str, *options: str) -> str:
    """Train a config without a break; what it ended as."""
    ended = call(folder, "train", f"{config}.yaml", "--no-plots", "--set", "name=whole", *options, seconds=300)
    if ended.code != 0:
        raise RuntimeError(f"the uninterrupted run failed: {ended.errors}")
    digest = state(folder / "checkpoints" / "whole")
    shutil.rmtree(folder / "checkpoints" / "whole")
    return digest


def timed_run(folder: Path, config: str) -> tuple[str, float]:
    """As `whole_run`, and how many seconds it took."""
    started = time.monotonic()
    return whole_run(folder, config), time.monotonic() - started


def state(path: Path) -> str:
    """SHA-256 over weights, optimizer, average, random states and history, but not over the clock."""
    folder = RunFolder(path)
    last = load_checkpoint(folder.last)
    training = {key: value for key, value in (last.training or {}).items() if key not in ("epoch_seconds", "machine")}
    clock = ("seconds", "examples_per_second")
    history = [{key: value for key, value in row.items() if key not in clock} for row in last.history]
    return content_digest([training, history, last.model, load_checkpoint(folder.best).model])
