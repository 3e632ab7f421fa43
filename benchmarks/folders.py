"""Folders of images: `python -m benchmarks.folders` lists a million files; `--images ROOT` decodes a folder and trains.

The listing is compared with `os.scandir` over the same files, in processor time, each the median of several rounds; and
making the cache of decoded images with decoding by Pillow alone, in a process per core, in turn. Of a training run, the
peak of its resident memory is measured, which includes the mapped cache and torch's own 0.5 GB. `benchmarks/folders.md`
has the results.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.image_folders import find_layout
from nnclassify.data.images.image_store import CacheOptions, Reader
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.process import num_cores

CLASSES, LINKS, ROUNDS = 10, 50_000, 5
"""Classes; hard links to one file, of which ext4 allows 65,000; repetitions of a measurement."""
FORK = multiprocessing.get_context("fork")
CNN = (
    "model={name: cnn, blocks: [{channels: 16, padding: same, pool: max}, {channels: 8, padding: same, pool: max}], "
    "hidden: [50]}"
)


def make(root: Path, num_files: int) -> None:
    """Make a folder of images: hard links, which take no space."""
    for number in range(num_files):
        original = root / f"original_{number // LINKS}.png"
        folder = root / "images" / f"class_{number % CLASSES}"
        if number % LINKS == 0:
            Image.new("RGB", (8, 8), (number // LINKS, 0, 0)).save(original)
            folder.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        os.link(original, folder / f"photo_{number:07d}.png")


def scanned(folder: str) -> int:
    """Count the files under a folder with `os.scandir` alone."""
    with os.scandir(folder) as found:
        return sum(scanned(entry.path) if entry.is_dir(follow_symlinks=False) else 1 for entry in found)


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def list_files(num_files: int) -> None:
    """Print how long a listing takes, and its memory."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), num_files)
        root = Path(folder) / "images"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rounds = [
            (seconds(lambda: find_layout(root, None)), seconds(lambda: scanned(str(root)))) for _ in range(ROUNDS)
        ]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ours, bare = (statistics.median(times) for times in zip(*rounds, strict=True))
        print(f"{num_files:,} files: listed in {ours:.2f} s, os.scandir {bare:.2f} s, ratio {ours / bare:.2f}")
        print(f"peak memory {peak * 1024 / 1e9:.2f} GB, before the listing {before * 1024 / 1e9:.2f} GB")


def decode(root: Path) -> None:
    """Print how long the cache of a folder takes to be made, and its files to be decoded by Pillow on as many cores."""
    files = [split.paths for split in find_layout(root, None).splits.values()]
    ours, bare = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(elapsed(partial(cache_images, root, folder)))
        bare.append(elapsed(partial(open_images, FileList.joined(root, files))))
        print(f"cache made in {ours[-1]:.1f} s, decoded by Pillow in {num_cores()} processes in {bare[-1]:.1f} s")
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def elapsed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cache_images(root: Path, cache: str) -> None:
    """List, decode, hash and write all images of a folder, 32x32 pixels, as a run does before its first epoch."""
    reader = Reader(ImageFormat(32, 32, "rgb"), root, CacheOptions(cache, 10**11), is_limited=False)
    for split in find_layout(root, None).splits.values():
        reader.pool(split).take(np.arange(len(split.paths)))


def open_images(files: FileList) -> None:
    """Decode files with Pillow alone, in a fork per core."""
    paths, cores = files.texts(range(len(files))), num_cores()
    processes = [FORK.Process(target=open_each, args=(paths[first::cores],)) for first in range(cores)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def open_each(paths: list[str]) -> None:
    """Decode files with Pillow, one after the other."""
    for path in paths:
        with Image.open(path) as image:
            np.asarray(image)


def train(root: Path) -> None:
    """Print the peak memory of two runs from a folder: one that decodes the images, and one that finds them cached."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [f"dataset={{name: folder, root: {root.resolve()}}}", CNN, "epochs=1", "batch_size=128"]
        for state in ("decoded", "cached"):
            command = [sys.executable, "-m", "nnclassify", "train", "iris_mlp", *arguments, f"name={state}"]
            process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}, stdout=subprocess.DEVNULL
            )
            _, _, usage = os.wait4(process.pid, 0)
            print(f"train, images {state}: peak memory {usage.ru_maxrss * 1024 / 1e9:.2f} GB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--images", type=Path, help="a folder of images with a folder for each class")
    arguments = parser.parse_args()
    if arguments.images is None:
        list_files(arguments.files)
    else:
        decode(arguments.images)
        train(arguments.images)
