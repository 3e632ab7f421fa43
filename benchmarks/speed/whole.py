"""Whole commands, from start to end: training, starting, predicting, memory, growth."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.contenders import StopsAfterEachEpoch, nnclassify, plain
from benchmarks.speed.jobs import Job, prepare
from nnclassify.config.run_config import load_config
from nnclassify.data import Examples
from nnclassify.data.batches import prepared
from nnclassify.data.images.image_reading import decode_images
from nnclassify.inference.classifier import Classifier, predict
from nnclassify.inference.evaluate import evaluate
from nnclassify.process import configure_malloc
from nnclassify.run import train
from nnclassify.training.build import build_components, build_trainer

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ratio:
    """One line of the second table.

    Attributes:
        name: What was measured.
        values: In each round.
        bound: What is to be reached, in words.
        remark: In what unit, of what.
    """

    name: str
    values: list[float]
    bound: str
    remark: str

    def row(self) -> str:
        """As Markdown."""
        ordered, middle = sorted(self.values), statistics.median(self.values)
        return f"| {self.name} | {middle:.2f} | {ordered[0]:.2f}-{ordered[-1]:.2f} | {self.bound} | {self.remark} |"


WHOLE = [
    Job("xor_1", "xor_1", 10_000, 1),
    Job("xor_2", "xor_2", 10_000, 2),
    Job("xor_3", "xor_3", 10_000, 1),
    Job("rgb", "rgb", 10_000, 1),
    Job("spirals", "spirals", 10_000, 1),
    Job("iris_mlp", "iris_mlp", 10_000, 1),
    Job("digits_cnn", "digits_cnn", 10_000, 1),
    Job("mnist_numpy", "mnist_numpy", 60_000, 1),
    Job("mnist_cnn, 1 epoch", "mnist_cnn", 60_000, 1, ("epochs=1",)),
    Job("cifar_mlp", "cifar_mlp", 50_000, 2),
    Job("cifar_mlp_wide, 1 epoch of 20,000", "cifar_mlp_wide", 20_000, 1, ("epochs=1",)),
    Job("cifar_cnn", "cifar_cnn", 50_000, 2),
    Job("cifar_resnet, 1 epoch of 2,000", "cifar_resnet", 2_000, 1, ("epochs=1",)),
    Job("cifar_fast, 1 epoch of 2,000", "cifar_fast", 2_000, 1, ("epochs=1", "batch_size=500")),
]


def whole_runs(rounds: int, overrides: Callable[[str], list[str]]) -> Iterator[Ratio]:
    """`train` of shipped configs against a script with a bare loop; compiled steps are there from a first run."""
    for job in WHOLE:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # Where training is cut short, testing is too: the script looks at each image once, `tta` six times.
            loaded = prepare(job, folder, overrides(job.config), min(10_000, job.limit // 5))
            (folder / "job.yaml").write_text(loaded.config.to_yaml())
            components = build_components(loaded.config)
            torch.save(
                (components.transform.shift, components.transform.scale, plain(components.model)),
                folder / "parts.pt",
            )
            options = loaded.config
            facts = {
                "epochs": options.epochs,
                "batch_size": options.batch_size,
                "loss": options.loss.name,
                "optimizer": options.optimizer.model_dump(mode="json"),
            }
            (folder / "options.json").write_text(json.dumps(facts))
            script = [sys.executable, "-m", "benchmarks.speed.script", name]
            ours = [sys.executable, "-m", "nnclassify", "train", f"{name}/job.yaml", "--no-plots"]
            _seconds([*ours, "--set", "compile=on", "--set", "epochs=1"], folder)
            pairs = [(_seconds(script, folder), _seconds(ours, folder)) for _ in range(rounds)]
            remark = f"script {min(a for a, _ in pairs):.1f} s, train {min(b for _, b in pairs):.1f} s"
            yield Ratio(f"train {job.name}, start to end", [a / b for a, b in pairs], f"{job.target:g}", remark)


LONG = Job("xor_2 for 2,400 epochs", "xor_2", 10_000, 1, ("epochs=2400",))
"""Long enough that `auto` compiles it where no earlier run has."""
SHORT = ("xor_2", "spirals", "iris_mlp", "digits_cnn")
"""Shipped runs that `auto` compiles where an earlier run has, and whose start is a large part of them."""


def auto_against_off(rounds: int) -> Iterator[Ratio]:
    """How long a whole run takes with `compile: auto`, against `off`: nobody may lose by it."""
    for job in [*(job for job in WHOLE if job.name in SHORT), LONG]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "job.yaml").write_text(prepare(job, folder, []).config.to_yaml())
            ours = [sys.executable, "-m", "nnclassify", "train", f"{name}/job.yaml", "--no-plots", "--set"]
            if job is not LONG:
                _seconds([*ours, "compile=on", "--set", "epochs=1"], folder, folder)
            pairs = []
            for number in range(rounds):
                cache = folder / f"cache-{number}" if job is LONG else folder  # compiled anew each time, or never
                pairs.append([_seconds([*ours, f"compile={way}"], folder, cache) for way in ("off", "auto")])
            remark = f"times as long as `off` ({min(off for off, _ in pairs):.1f} s); "
            remark += "compiled on the way" if job is LONG else "compiled by an earlier run"
            yield Ratio(f"train {job.name}, `auto`", [auto / off for off, auto in pairs], "at most 1.05", remark)


def start(rounds: int) -> Ratio:
    """A smoke config from start to end, against importing torch and torchvision."""
    with tempfile.TemporaryDirectory() as name:
        bare = [sys.executable, "-c", "import torch, torchvision"]
        ours = [sys.executable, "-m", "nnclassify", "train", str(ROOT / "configs/smoke/model_mlp.yaml"), "--no-plots"]
        pairs = [(_seconds(bare, Path(name)), _seconds(ours, Path(name))) for _ in range(rounds)]
    remark = "times as long as `import torch, torchvision`"
    return Ratio("train smoke/model_mlp, start to end", [b / a for a, b in pairs], "at most 1.3", remark)


def pictures(rounds: int, folder: Path) -> Iterator[Ratio]:
    """`predict` on 10,000 images, and `evaluate` on them in memory, against decoding them; in one process.

    Decoding is what one would write by hand: Pillow, in one thread per core. Ours alone has a row of its own.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())[:10_000]
    with tempfile.TemporaryDirectory() as name:
        few = Path(name) / "few"
        few.mkdir()
        for number, file in enumerate(files):
            (few / f"{number}{file.suffix}").symlink_to(file)
        os.chdir(name)
        sets = [f"dataset={{name: folder, root: {folder.parent}, size: 32, validation: 0, limit: 1000}}", "epochs=1"]
        result = train(load_config("cifar_cnn", sets), with_monitor=False)
        classifier: Classifier = result.classifier
        image_format = classifier.transform.image_format
        assert image_format is not None
        paths = sorted(few.iterdir())
        raw = torch.from_numpy(decode_images(paths, image_format).pixels)
        examples = Examples(raw, torch.zeros(len(raw), dtype=torch.int64), torch.arange(len(raw)))
        works: list[Callable[[], object]] = [
            partial(_decoded, paths),
            partial(decode_images, paths, image_format),
            lambda: list(predict(classifier, [str(few)])),
            partial(evaluate, classifier, examples),
        ]
        times = [[_timed(work) for work in works] for _ in range(rounds)]
        os.chdir(ROOT)
    remark = f"times as long as decoding by Pillow, in one thread per core ({min(row[0] for row in times):.1f} s)"
    names = ("decoding alone, 10,000 images", "predict, 10,000 images", "evaluate, 10,000 images in memory")
    for place, name in enumerate(names, 1):
        yield Ratio(name, [row[place] / row[0] for row in times], "at most 1", remark)


def _decoded(paths: list[Path]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    def read(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(read, paths)))


def peak_share(rounds: int, overrides: list[str]) -> Ratio:
    """How much of the measured bfloat16 matrix peak the training of cifar_fast uses, forward and backward."""
    with tempfile.TemporaryDirectory() as name:
        config = prepare(Job("peak", "cifar_fast", 1000, 0, ("batch_size=500",)), Path(name), overrides).config
        components = build_components(config)
        inputs, _ = prepared(components.splits.train, torch.arange(2), components.transform, components.placement)
        with FlopCounterMode(display=False) as counter:
            components.model(inputs).sum().backward()
        rates = [1000 / seconds for seconds in [*nnclassify(config, rounds + 1)][1:-1]]
    square = torch.rand(2048, 2048).bfloat16()
    peak = max(2 * 2048**3 / _timed(partial(torch.mm, square, square)) for _ in range(5))
    cost = counter.get_total_flops() / 2e9
    remark = f"of {peak / 1e9:.0f} GFLOP/s; {cost:.1f} GFLOP per image, {max(rates):.0f} per second"
    shares = [rate * counter.get_total_flops() / 2 / peak for rate in rates]
    return Ratio("cifar_fast, share of the bfloat16 matrix peak", shares, "", remark)


def memory(overrides: list[str]) -> Ratio:
    """The peak of `train cifar_cnn` over that of importing torch, less the uint8 images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = prepare(Job("memory", "cifar_cnn", 50_000, 1), folder, [*overrides, "epochs=1"])
        (folder / "job.yaml").write_text(loaded.config.to_yaml())
        held = sum(file.stat().st_size for file in folder.glob("*_inputs.npy")) / 2**20
        bare = _peak([sys.executable, "-c", "import torch"], folder)
        ours = _peak([sys.executable, "-m", "nnclassify", "train", f"{name}/job.yaml", "--no-plots"], folder)
    remark = f"MB over `import torch` ({bare:.0f} MB) and the data ({held:.0f} MB)"
    return Ratio("peak memory, cifar_cnn on 60,000 images", [ours - bare - held], "at most 300", remark)


def growth(rounds: int, overrides: list[str]) -> Ratio:
    """The time of an epoch over ten times the data."""
    seconds: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        for limit in (2_000, 20_000):
            folder = Path(name) / str(limit)
            folder.mkdir()
            config = prepare(Job("growth", "cifar_mlp", limit, 1), folder, overrides).config
            configure_malloc()
            trainer = build_trainer(build_components(config.model_copy(update={"epochs": rounds + 1})))
            trainer.observers = [StopsAfterEachEpoch()]
            for _ in range(rounds + 1):
                trainer.stop_signal = None
                trainer.fit()
            seconds.append([row.seconds for row in trainer.rows[1:]])
    ratios = [b / a for a, b in zip(*seconds, strict=True)]
    return Ratio("an epoch over 10 times the data, cifar_mlp", ratios, "at most 10.3", "times as long")


def _seconds(command: Sequence[str], folder: Path, cache: Path | None = None) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-500:]}")
    return time.perf_counter() - started


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak(command: Sequence[str], folder: Path) -> float:
    """MB at the peak of a command, measured by a process of its own, whose only child it is."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return int(told.stdout) / (2**20 if sys.platform == "darwin" else 2**10)
