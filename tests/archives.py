"""Tiny datasets in the formats of the originals: MNIST's idx files, CIFAR's pickled batches in an archive."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IDX_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
NUM_TRAIN, NUM_TEST = 40, 20


def stripes(count: int, num_classes: int, num_pixels: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pictures uint8 `(count, num_pixels)` with a bright stripe where the class says, and their classes `(count,)`."""
    targets = np.arange(count) % num_classes
    stripe = np.arange(num_pixels) * num_classes // num_pixels == targets[:, None]
    noise = np.random.default_rng(0).integers(0, 20, size=stripe.shape)
    return (200 * stripe + noise).astype(np.uint8), targets


def write_idx(root: Path, name: str) -> None:
    """The four files of an MNIST-like dataset, unpacked, where torchvision looks for them."""
    folder = root / IDX_FOLDERS[name] / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        pictures, targets = stripes(count, 10, 28 * 28)
        header = struct.pack(">IIII", 0x00000803, count, 28, 28)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(header + pictures.tobytes())
        header = struct.pack(">II", 0x00000801, count)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(header + targets.astype(np.uint8).tobytes())


def write_cifar(folder: Path, num_classes: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive like the original of CIFAR-10 or CIFAR-100, which torchvision is made to expect there."""
    from torchvision.datasets import CIFAR10, CIFAR100

    of_ten = num_classes == 10
    dataset = CIFAR10 if of_ten else CIFAR100
    label_key, names_key = ("labels", "label_names") if of_ten else ("fine_labels", "fine_label_names")
    names = [f"thing_{index}" for index in range(num_classes)]
    meta = ("batches.meta" if of_ten else "meta", {names_key: names})
    count = 5 * 20 if of_ten else 2 * num_classes
    pictures, targets = stripes(count, num_classes, 3072)
    train = (
        [(f"data_batch_{n + 1}", slice(n * 20, n * 20 + 20)) for n in range(5)] if of_ten else [("train", slice(None))]
    )
    test = ("test_batch" if of_ten else "test", slice(0, num_classes))
    batches = {name: {"data": pictures[part], label_key: targets[part].tolist()} for name, part in [*train, test]}
    packed = {name: pickle.dumps(content) for name, content in {**batches, meta[0]: meta[1]}.items()}
    archive = folder / dataset.filename
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in packed.items():
            entry = tarfile.TarInfo(f"{dataset.base_folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    sums = {name: hashlib.md5(content).hexdigest() for name, content in packed.items()}
    monkeypatch.setattr(dataset, "train_list", [[name, sums[name]] for name, _ in train])
    monkeypatch.setattr(dataset, "test_list", [[test[0], sums[test[0]]]])
    monkeypatch.setattr(dataset, "meta", {"filename": meta[0], "key": names_key, "md5": sums[meta[0]]})
    monkeypatch.setattr(dataset, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    return archive
