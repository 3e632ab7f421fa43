"""The data of the runs that are exported: small, drawn from seeds, in files of every kind."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Random = np.random.Generator


def make_all(folder: Path) -> None:
    """Write all files."""
    rng = np.random.default_rng(0)
    _mixed_table(folder / "mixed.csv", rng)
    _dates(folder / "dates.csv", rng)
    _several_labels(folder / "several.csv", rng)
    _photos(folder / "photos", rng)
    _deep(folder / "deep16", rng, 65535)
    _deep(folder / "deep12", rng, 4095)
    _heights(folder / "heights", rng)
    _tensors(folder, rng)
    (folder / "own_network.py").write_text(OWN_NETWORK)


OWN_NETWORK = '''"""A network of one's own."""

import torch
from torch import nn


class Mixer(nn.Module):
    """Attention over the rows of an image."""

    def __init__(self, input_shape, num_classes, width=16):
        super().__init__()
        channels, height, columns = input_shape
        self.embed = nn.Linear(channels * columns, width)
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, num_classes)

    def forward(self, inputs):
        rows = self.embed(inputs.permute(0, 2, 1, 3).flatten(2))
        mixed, _ = self.attend(rows, rows, rows)
        return self.last(torch.nn.functional.gelu(self.norm(rows + mixed)).mean(dim=1))
'''


def _write(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")


def _mixed_table(path: Path, rng: Random) -> None:
    """Numbers, categories, ranks, yes and no, dates, missing values, spaces, accents and numeric categories."""
    colors, sizes = ["red", "gr\u00fcn", "deep blue", "a,b"], ["small", "medium", "large"]
    rows = []
    for _ in range(400):
        weight, color, size = rng.normal(50, 12), rng.integers(4), rng.integers(3)
        member, zone = bool(rng.integers(2)), rng.integers(1, 6)
        day = datetime(2021, 3, 1) + timedelta(days=int(rng.integers(900)))
        score = (weight - 50) / 12 + 0.8 * (color == 1) + 0.6 * size - 1.2 * member + rng.normal(0, 0.4)
        cells = [f"{weight:.3f}", colors[color], sizes[size], "yes" if member else "No", zone, f"{day:%Y-%m-%d}"]
        cells = ["" if rng.random() < 0.05 else cell for cell in cells]
        rows.append([*cells, "high" if score > 0.8 else "low"])
    _write(path, ["weight", "color", "size", "member", "zone", "joined", "class"], rows)


def _dates(path: Path, rng: Random) -> None:
    """Dates with times, as people write them, of which the hour and the weekday count."""
    rows = []
    for _ in range(300):
        when = datetime(1968, 1, 1) + timedelta(minutes=int(rng.integers(60 * 365 * 24 * 60)))
        late, weekend = when.hour >= 18, when.weekday() >= 5
        rows.append([f"{when:%d/%m/%Y %H:%M}", f"{rng.normal():.4f}", "rest" if late or weekend else "work"])
    _write(path, ["when", "noise", "class"], rows)


def _several_labels(path: Path, rng: Random) -> None:
    """Three columns of labels."""
    points = rng.normal(size=(300, 4))
    labels = np.stack([points[:, 0] > 0, points[:, 1] + points[:, 2] > 0, points[:, 3] > 0.5], axis=1).astype(int)
    rows = [[*(f"{value:.4f}" for value in point), *row] for point, row in zip(points, labels.tolist(), strict=True)]
    _write(path, ["a", "b", "c", "d", "first", "second", "third"], rows)


def _photos(folder: Path, rng: Random) -> None:
    """Images of many sizes and file formats, some transparent, turned, or very narrow."""
    for place in range(90):
        kind = ("stripes", "dots", "plain")[place % 3]
        width, height = (int(size) for size in rng.integers(3, 140, 2))
        if place % 15 == 0:
            height = 700  # narrower than one pixel after resizing
        y, x = np.mgrid[:height, :width]
        wave = {"stripes": np.sin(x), "dots": np.sin(x) * np.sin(y), "plain": np.zeros((height, width))}[kind]
        pixels = np.stack([128 + 90 * wave + rng.normal(0, 12, wave.shape) for _ in range(3)], axis=2)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        target = folder / kind / f"{place}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if place % 4 == 0:
            image.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)))
            image.save(target.with_suffix(".png"))
        elif place % 4 == 1:
            exif = Image.Exif()
            exif[0x0112] = 1 + place % 8
            image.save(target.with_suffix(".jpg"), exif=exif)
        else:
            image.convert("L" if place % 2 else "P").save(target.with_suffix(".png"))


def _deep(folder: Path, rng: Random, white: int) -> None:
    """Grayscale images of 16 or 12 bits."""
    for place in range(80):
        kind = ("bright", "dark")[place % 2]
        height, width = (int(size) for size in rng.integers(10, 60, 2))
        values = rng.normal(0.6 if kind == "bright" else 0.4, 0.12, (height, width)).clip(0, 1) * white
        values.flat[0] = white
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint16)).save(folder / kind / f"{place}.png")


def _heights(folder: Path, rng: Random) -> None:
    """Floating-point images with negative values."""
    for place in range(60):
        kind = ("hill", "valley")[place % 2]
        y, x = np.mgrid[-1:1:24j, -1:1:30j]
        shape = np.exp(-3 * (x**2 + y**2)) * (1 if kind == "hill" else -1)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray((300 * shape + rng.normal(0, 40, x.shape)).astype(np.float32)).save(
            folder / kind / f"{place}.tif"
        )


def _tensors(folder: Path, rng: Random) -> None:
    """Arrays: images in 0..1, bytes of four channels, sequences, vectors with several labels."""
    targets = rng.integers(0, 3, 300)
    np.save(folder / "targets.npy", targets)
    images = rng.random((300, 1, 12, 12)) * 0.6 + targets[:, None, None, None] * 0.13
    np.save(folder / "images.npy", images.astype(np.float32))
    np.save(folder / "bytes.npy", (images.repeat(4, axis=1) * 255).astype(np.uint8))
    np.save(folder / "sequences.npy", rng.normal(targets[:, None, None], 1.0, (300, 3, 5)).astype(np.float16))
    points = rng.normal(size=(300, 6))
    np.save(folder / "points.npy", points)
    np.save(folder / "several.npy", (points[:, :4] > 0.2).astype(np.int64))
