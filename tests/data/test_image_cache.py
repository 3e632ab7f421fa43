"""The cache of decoded images: found again, never stale, bounded."""

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

from nnclassify.data import image_cache, image_reading
from nnclassify.data.image_format import ImageFormat
from nnclassify.files.cache import private_folder

FORMAT = ImageFormat(4, 4, "rgb")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three small images, and a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_reading, "MIN_PICTURES", 1)
    paths = [tmp_path / f"{value}.png" for value in (10, 20, 30)]
    for path, value in zip(paths, (10, 20, 30), strict=True):
        Image.new("RGB", (4, 4), (value, value, value)).save(path)
    return paths


def test_second_reading_decodes_nothing(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = image_reading.decode_or_load(files, FORMAT).pixels
    monkeypatch.setattr(image_reading, "decode_images", lambda *arguments: pytest.fail("decoded again"))
    again = image_reading.decode_or_load(files, FORMAT).pixels
    assert np.array_equal(first, again)
    assert again[:, 0, 0, 0].tolist() == [10, 20, 30]


def test_a_touched_file_another_format_or_order_is_another_list(files: list[Path]) -> None:
    keys = {image_cache.fingerprint(files, FORMAT), image_cache.fingerprint(files[::-1], FORMAT)}
    keys.add(image_cache.fingerprint(files, ImageFormat(4, 4, "gray")))
    os.utime(files[0], ns=(1, 1))
    keys.add(image_cache.fingerprint(files, FORMAT))
    assert len(keys) == 4
    assert image_cache.fingerprint([*files, files[0].with_name("none.png")], FORMAT) is None


def test_unreadable_files_are_not_kept(files: list[Path]) -> None:
    files[1].write_bytes(b"no image")
    for _ in range(2):
        assert list(image_reading.decode_or_load(files, FORMAT).errors) == [1]


def test_a_damaged_cache_is_not_used(files: list[Path], tmp_path: Path) -> None:
    image_reading.decode_or_load(files, FORMAT)
    kept = next((tmp_path / "cache").rglob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:100])
    pixels = image_reading.decode_or_load(files, FORMAT).pixels
    assert pixels[:, 0, 0, 0].tolist() == [10, 20, 30]


def test_the_least_recently_used_goes_first(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = private_folder("pictures")
    assert folder is not None
    monkeypatch.setattr(image_cache, "MAX_CACHE_BYTES", 600)  # two files of 128 + 3 * 48 bytes
    keys = ["a", "b", "c"]
    for age, key in enumerate(keys):
        image_cache.keep_decoded(key, np.zeros((3, 3, 4, 4), dtype=np.uint8))
        if (path := folder / f"{key}.npy").is_file():
            os.utime(path, (age, age))
    image_cache.keep_decoded("d", np.zeros((3, 3, 4, 4), dtype=np.uint8))
    assert (
        image_cache.load_decoded("a", (3, 3, 4, 4)) is None and image_cache.load_decoded("d", (3, 3, 4, 4)) is not None
    )


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
    return buffer.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept.write_bytes(kept.read_bytes()[:-1] + b"\x07"),
        lambda kept: kept.write_bytes(kept.read_bytes()[:-1]),
        lambda kept: plant(kept, npy(np.zeros((3, 3, 4, 5), dtype=np.uint8))),
        lambda kept: plant(kept, npy(np.zeros((3, 3, 4, 4), dtype=np.int8))),
        lambda kept: plant(kept, b"no array"),
        lambda kept: replaced(kept, os.mkfifo),
        lambda kept: replaced(kept, Path.mkdir),
        lambda kept: kept.chmod(0o666),
        lambda kept: kept.parent.chmod(0o777),
    ],
)
def test_what_is_kept_is_trusted_only_if_it_is_right(spoil: Callable[[Path], object], files: list[Path]) -> None:
    image_reading.decode_or_load(files, FORMAT)
    folder = private_folder("pictures")
    assert folder is not None
    spoil(next(folder.glob("*.npy")))
    for _ in range(2):  # where it was wrong, it is made anew
        assert image_reading.decode_or_load(files, FORMAT).pixels[:, 0, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("in_place", [True, False])
def test_another_content_of_the_same_size_and_time_is_read(in_place: bool, files: list[Path]) -> None:
    image_reading.decode_or_load(files, FORMAT)
    status, other = files[0].stat(), files[1].read_bytes()
    assert len(other) == status.st_size
    if not in_place:
        files[0].unlink()
    files[0].write_bytes(other)
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image_reading.decode_or_load(files, FORMAT).pixels[:, 0, 0, 0].tolist() == [20, 20, 30]


def test_folders_that_change_places_are_read_again(files: list[Path], tmp_path: Path) -> None:
    for name, value in (("a", 40), ("b", 50)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4), (value, value, value)).save(tmp_path / name / "x.png")
        os.utime(tmp_path / name / "x.png", (0, 0))
    paths = [tmp_path / "a/x.png", tmp_path / "b/x.png"]
    image_reading.decode_or_load(paths, FORMAT)
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        (tmp_path / old).rename(tmp_path / new)
    assert image_reading.decode_or_load(paths, FORMAT).pixels[:, 0, 0, 0].tolist() == [50, 40]
