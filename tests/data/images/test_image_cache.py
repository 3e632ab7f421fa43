"""Tests of the cache of decoded images: found again, never stale, limited in size."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnclassify.data.images import image_cache, image_store
from nnclassify.data.images.file_list import FileList
from nnclassify.data.images.image_folders import SplitFolder
from nnclassify.data.images.image_store import CacheOptions, Reader
from nnclassify.data.unsplit import Loaded
from nnclassify.files.cache import private_folder
from nnclassify.files.images.image_format import ImageFormat

FORMAT = ImageFormat(4, 4, "rgb")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three small images, and a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_store, "MIN_IMAGES", 1)
    paths = [tmp_path / f"{value}.png" for value in (10, 20, 30)]
    for path, value in zip(paths, (10, 20, 30), strict=True):
        Image.new("RGB", (4, 4), (value, value, value)).save(path)
    return paths


def listed(paths: list[Path]) -> FileList:
    root = Path(os.path.commonpath(paths))
    return FileList.of(root, [path.relative_to(root).as_posix() for path in paths])


def decode_or_load(paths: list[Path], limit: int = 10**9) -> Loaded:
    files, options = listed(paths), CacheOptions("auto", limit)
    split = SplitFolder(files.root, files, np.zeros(len(files), dtype=np.int64))
    load = Reader(FORMAT, files.root, options, is_limited=False).pool(split).inputs
    assert callable(load)
    return load(np.arange(len(files)))


def red(loaded: Loaded) -> list[int]:
    values: list[int] = loaded.inputs[:, 0, 0, 0].tolist()
    return values


def test_second_reading_decodes_nothing(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = decode_or_load(files)
    monkeypatch.setattr(ImageFormat, "decode", lambda *arguments: pytest.fail("decoded again"))
    again = decode_or_load(files)
    assert first.inputs.equal(again.inputs) and red(again) == [10, 20, 30]


def test_a_touched_file_another_format_or_order_is_another_list(files: list[Path]) -> None:
    keys = {image_cache.fingerprint(listed(some), FORMAT) for some in (files, files[::-1], files[:2])}
    keys.add(image_cache.fingerprint(listed(files), ImageFormat(4, 4, "gray")))
    os.utime(files[0], ns=(1, 1))
    keys.add(image_cache.fingerprint(listed(files), FORMAT))
    assert len(keys) == 5
    assert image_cache.fingerprint(listed([*files, files[0].with_name("none.png")]), FORMAT) is None


def test_what_is_wrong_with_files_is_kept_until_they_change(files: list[Path]) -> None:
    files[1].write_bytes(b"no image")
    assert [decode_or_load(files).rows.tolist() for _ in range(2)] == [[0, 2], [0, 2]]
    files[1].write_bytes(files[0].read_bytes())
    assert decode_or_load(files).rows.tolist() == [0, 1, 2]


def test_a_damaged_cache_is_not_used(files: list[Path], tmp_path: Path) -> None:
    decode_or_load(files)
    kept = next((tmp_path / "cache").rglob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:100])
    assert red(decode_or_load(files)) == [10, 20, 30]


def test_the_least_recently_used_goes_first(files: list[Path]) -> None:
    cache = CacheOptions("auto", 700).cache()  # two files of 128 + 3 * 48 bytes, and what is known of the images
    assert cache is not None

    def build(key: str) -> None:
        cache.load_or_build(key, (3, 3, 4, 4), lambda _: [np.zeros((3, 3, 4, 4), dtype=np.uint8)])

    for age, key in enumerate("abc"):
        build(key)
        os.utime(cache.folder / f"{key}.npy", (age, age))
    build("d")
    assert [cache.load(key, (3, 3, 4, 4)) is not None for key in "abcd"] == [False, False, True, True]


def plant(kept: Path, content: bytes) -> None:
    """Another content under a digest that is right."""
    kept.write_bytes(content)
    kept.with_name(f"{kept.name}.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {kept.name}\n")


def replaced(kept: Path, make: Callable[[Path], object]) -> None:
    """Something else in its place."""
    kept.unlink()
    make(kept)


def npy(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue() + b'{"errors": {}, "deep": [], "frames": []}'


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept.write_bytes(kept.read_bytes()[:-1] + b"\x07"),
        lambda kept: kept.write_bytes(kept.read_bytes()[:-1]),
        lambda kept: plant(kept, npy(np.zeros((3, 3, 4, 5), dtype=np.uint8))),
        lambda kept: plant(kept, npy(np.zeros((3, 3, 4, 4), dtype=np.int8))),
        lambda kept: plant(kept, npy(np.zeros((3, 3, 4, 4), dtype=np.uint8))[:-1]),
        lambda kept: plant(kept, b"no array"),
        lambda kept: replaced(kept, os.mkfifo),
        lambda kept: replaced(kept, Path.mkdir),
        lambda kept: kept.chmod(0o666),
        lambda kept: kept.parent.chmod(0o777),
    ],
)
def test_what_is_kept_is_trusted_only_if_it_is_right(spoil: Callable[[Path], object], files: list[Path]) -> None:
    decode_or_load(files)
    folder = private_folder("pictures")
    assert folder is not None
    spoil(next(folder.glob("*.npy")))
    for _ in range(2):  # where it was wrong, it is made anew
        assert red(decode_or_load(files)) == [10, 20, 30]


@pytest.mark.parametrize("in_place", [True, False])
def test_another_content_of_the_same_size_and_time_is_read(in_place: bool, files: list[Path]) -> None:
    decode_or_load(files)
    status, other = files[0].stat(), files[1].read_bytes()
    assert len(other) == status.st_size
    if not in_place:
        files[0].unlink()
    files[0].write_bytes(other)
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert red(decode_or_load(files)) == [20, 20, 30]


def test_folders_that_change_places_are_read_again(files: list[Path], tmp_path: Path) -> None:
    for name, value in (("a", 40), ("b", 50)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), (value, value, value)).save(tmp_path / name / "x.png")
        os.utime(tmp_path / name / "x.png", (0, 0))
    paths = [tmp_path / "a/x.png", tmp_path / "b/x.png"]
    decode_or_load(paths)
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        (tmp_path / old).rename(tmp_path / new)
    assert red(decode_or_load(paths)) == [50, 40]
