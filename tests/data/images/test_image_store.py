"""Tests of where decoded images are stored (memory, cache, nowhere), with the same bytes in each case."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import config_of
from PIL import Image

from nnclassify.data import Splits
from nnclassify.data.augment import Augment
from nnclassify.data.batches import Batches
from nnclassify.data.images import image_store
from nnclassify.data.images.image_stream import StreamedImages
from nnclassify.data.transform import Transform, fit_normalization
from nnclassify.device import Placement
from nnclassify.errors import DataError
from nnclassify.files.images.image_format import DecodedImage, ImageFormat
from nnclassify.runs.resumable import changes

OPTIONS = {"name": "folder", "root": "root", "size": 4, "test": 0.2, "validation": 0.2}
WHERE: list[dict[str, Any]] = [{"cache": "auto"}, {"cache": "kept"}, {"cache": "off"}, {"cache_limit": "1 kB"}]


@pytest.fixture
def images(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty images of two classes, some of them odd, and a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    monkeypatch.setattr(image_store, "MIN_IMAGES", 10)
    rng = np.random.default_rng(0)
    for number in range(40):
        path = here / "root" / "ab"[number % 2] / f"é {number} 🐈.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (5, 6, 3), dtype=np.uint8)).save(path)
    (here / "root/a/bad.png").write_bytes(b"")
    (here / "root/b/cut.jpg").write_bytes(b"\xff\xd8\xff")
    return here / "root"


def build(**dataset: Any) -> Splits:
    splits: Splits = config_of(dataset={**OPTIONS, "on_bad_file": "skip", **dataset}).dataset.build(0)
    return splits


@pytest.mark.parametrize("where", WHERE, ids=str)
def test_the_bytes_are_the_same_wherever_they_are_kept(
    where: dict[str, Any], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(image_store, "MIN_IMAGES", 1000)
        known = build()
    for splits in (build(**where), build(**where)):
        assert splits.digests() == known.digests()
        assert splits.train.all_names() == known.train.all_names() and splits.skipped == known.skipped
        assert [*splits.skipped] == ["a/bad.png", "b/cut.jpg"]
        assert np.array_equal(splits.train.hashes(), replace(known.train, known_hashes=None).hashes())
        statistics = (fit_normalization(part.train.inputs, part.train.indices, "standard") for part in (splits, known))
        assert all(ours.equal(theirs) for ours, theirs in zip(*statistics, strict=True))


def test_other_splits_of_the_same_files_decode_nothing_again(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build()
    monkeypatch.setattr(ImageFormat, "decode", lambda *arguments: pytest.fail("decoded again"))
    assert len(build(seed=3, test=0.4).train) < len(build(seed=4).train)


def test_only_the_images_in_use_are_decoded_with_a_limit(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, seen = ImageFormat.decode, []

    def counted(image_format: ImageFormat, path: Path) -> DecodedImage:
        seen.append(path)
        return decode(image_format, path)

    monkeypatch.setattr(ImageFormat, "decode", counted)
    splits = build(limit=4)
    assert len(seen) == 4 + 4 and len(splits.train) + len(splits.validation or ()) <= 4


def test_streamed_images_make_the_same_batches(images: Path) -> None:
    splits, streamed = build(), build(cache="off")
    assert isinstance(streamed.train.inputs, StreamedImages) and streamed.input_shape == (3, 4, 4)
    shift, scale = fit_normalization(splits.train.inputs, splits.train.indices, "standard")
    transform = Transform(splits.input_shape, splits.image_format, None, shift, scale)
    place = Placement(torch.device("cpu"), torch.float32)
    chunks = [
        [chunk.inputs for chunk in Batches(part.train, transform, place, batch_size=4, seed=1).epoch(1)]
        for part in (splits, streamed)
    ]
    assert all(map(torch.equal, *chunks)) and len(chunks[0]) == len(chunks[1])
    with pytest.raises(TypeError, match="only index_select reads streamed images"):
        streamed.train.inputs.sum()


def test_the_next_chunk_is_decoded_while_the_last_one_is_used(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnclassify.data.batches.chunk_limits", lambda device: (2**20, 2))
    streamed, splits = build(cache="off").train, build()
    assert isinstance(streamed.inputs, StreamedImages)
    shift, scale = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    transform = Transform(splits.input_shape, splits.image_format, None, shift, scale)
    place = Placement(torch.device("cpu"), torch.float32)
    kinds: dict[str, Any] = {"batch_size": 2, "seed": 1, "augment": Augment(mixup=0.4), "num_classes": 2}
    expected = [chunk.inputs for chunk in Batches(splits.train, transform, place, **kinds).epoch(1)]
    chunks = Batches(streamed, transform, place, **kinds).epoch(1)
    found = [next(chunks).inputs]
    ahead = [*streamed.inputs.ahead.values()]
    assert len(ahead) == 2 and not any(started.result().facts.errors for started in ahead)  # and partners of mixup
    found += [chunk.inputs for chunk in chunks]
    assert all(map(torch.equal, found, expected)) and len(found) == len(expected) > 2
    assert streamed.inputs.ahead == {}


def test_a_streamed_file_that_is_gone_is_named(images: Path) -> None:
    streamed = build(cache="off").train
    (Path("root") / streamed.name_of(0)).unlink()
    with pytest.raises(DataError, match=r"root/a/.*: not a readable image .*it could be read when the run began"):
        streamed.select(torch.tensor([0]))


def test_what_does_not_fit_into_the_cache_is_in_memory_or_streamed(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = build(cache_limit="1 kB")
    assert any("over the limit of 1e-06 GB, so they are not cached" in note for note in splits.notes)
    assert not isinstance(splits.train.inputs, StreamedImages) and not list(Path("cache").rglob("*.npy"))
    monkeypatch.setattr(image_store, "available_memory", lambda: 1000)
    assert isinstance(build(cache_limit="1 kB").train.inputs, StreamedImages)
    assert not isinstance(build().train.inputs, StreamedImages)  # mapped


def test_a_folder_of_the_users_own_has_to_be_private(images: Path) -> None:
    build(cache="kept")
    assert len(list(Path("kept/pictures").glob("*.npy"))) == 1 and not Path("cache").exists()
    Path("kept").chmod(0o777)
    with pytest.raises(DataError, match=r"dataset\.cache: kept: others can write to it; fix it with: chmod go-w"):
        build(cache="kept")


@pytest.mark.slow
def test_processes_that_need_the_same_images_decode_them_once(images: Path) -> None:
    code = """
import sys, time
sys.path.insert(0, "tests")
from nnclassify.data.images import image_store
from nnclassify.files.images import image_format
from nnclassify.config.run_config import RunConfig
decode = image_format.ImageFormat.decode
def slow(self, path):
    print("decoded")
    time.sleep(0.02)
    return decode(self, path)
image_format.ImageFormat.decode = slow
image_store.MIN_IMAGES = 10
from nnclassify.data import Dataset
from nnclassify.data.images.image_datasets import Folder
splits = Folder(root="root", size=4, on_bad_file="skip").build(0)
print(splits.train.digest())
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert sorted(output.count("decoded") for output in outputs) == [0, 42]
    assert outputs[0][-1] == outputs[1][-1]


def test_what_a_killed_process_left_is_removed(images: Path) -> None:
    build()
    kept = next(Path("cache").rglob("*.npy"))
    left = kept.with_name(f"{kept.name}.123.partial")
    left.write_bytes(b"half")
    kept.unlink()
    build()
    assert kept.is_file() and not left.exists() and not list(kept.parent.glob("*.lock"))


def test_a_run_resumes_with_another_cache() -> None:
    before = config_of(dataset={**OPTIONS, "cache": "auto", "cache_limit": 10**9})
    assert changes(before, before.with_dataset({"cache": "off", "cache_limit": 5})) == []
    assert len(changes(before, before.with_dataset({"background": "black"}))) == 1
