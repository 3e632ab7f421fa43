"""Folders of images: `python -m benchmarks.folders` lists a million files; `--images ROOT` decodes a folder and trains.

The listing is compared with `os.scandir` over the same files, in processor time, each the median of several rounds; and
decoding into the cache with decoding by Pillow alone, on some files after the other. Of a training run, the peak of its
resident memory is measured, which includes the mapped cache and torch's own 0.5 GB. `benchmarks/folders.md` has the
results.
"""

from __future__ import annotations

import argparse
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

from nnclassify.data.examples import content_hashes
from nnclassify.data.file_list import FileList
from nnclassify.data.image_folders import find_layout
from nnclassify.data.image_format import ImageFormat
from nnclassify.data.image_reading import Facts, decode_blocks

CLASSES, LINKS, ROUNDS, DECODED = 10, 50_000, 5, 2000
"""Classes; hard links to one file, of which ext4 allows 65,000; repetitions of a measurement; images per turn."""
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
    """Print how long the images of a folder take to be listed, decoded and hashed, as for the cache, and by Pillow."""
    start = time.process_time()
    files = find_layout(root, None).splits["train"].paths
    listing = time.process_time() - start
    image_format = ImageFormat(32, 32, "rgb", white=255)
    ours, bare = [], []
    for first in range(0, len(files), DECODED):
        part = files.take(np.arange(first, min(first + DECODED, len(files))))
        ours.append(seconds(partial(_hashed, part, image_format)))
        bare.append(seconds(partial(_opened, part)))
    print(
        f"{len(files):,} images: decoded for the cache in {listing + sum(ours):.1f} s, by Pillow in {sum(bare):.1f} s"
    )
    print(f"ratio {(listing + sum(ours)) / sum(bare):.2f}, of which listing {listing:.1f} s")


def _hashed(files: FileList, image_format: ImageFormat) -> None:
    for block in decode_blocks(files, image_format, Facts()):
        content_hashes(block.reshape(len(block), -1))


def _opened(files: FileList) -> None:
    for path in files.texts(range(len(files))):
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
