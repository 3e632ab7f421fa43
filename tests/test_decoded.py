"""The cache of decoded pictures: found again, never stale, bounded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnclassify.cache import private_folder
from nnclassify.datasets import decoded, pictures
from nnclassify.transforms import PictureFormat

FORMAT = PictureFormat(4, 4, "rgb")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three small pictures, and a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pictures, "MIN_PICTURES", 1)
    paths = [tmp_path / f"{value}.png" for value in (10, 20, 30)]
    for path, value in zip(paths, (10, 20, 30), strict=True):
        Image.new("RGB", (4, 4), (value, value, value)).save(path)
    return paths


def test_second_reading_decodes_nothing(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = pictures.read_or_recall(files, FORMAT)
    monkeypatch.setattr(pictures, "read_pictures", lambda *arguments: pytest.fail("decoded again"))
    again, errors = pictures.read_or_recall(files, FORMAT)
    assert np.array_equal(first, again) and errors == {}
    assert again[:, 0, 0, 0].tolist() == [10, 20, 30]


def test_a_touched_file_another_format_or_order_is_another_list(files: list[Path]) -> None:
    keys = {decoded.fingerprint(files, FORMAT), decoded.fingerprint(files[::-1], FORMAT)}
    keys.add(decoded.fingerprint(files, PictureFormat(4, 4, "gray")))
    os.utime(files[0], ns=(1, 1))
    keys.add(decoded.fingerprint(files, FORMAT))
    assert len(keys) == 4
    assert decoded.fingerprint([*files, files[0].with_name("none.png")], FORMAT) is None


def test_unreadable_files_are_not_kept(files: list[Path]) -> None:
    files[1].write_bytes(b"no picture")
    for _ in range(2):
        _, errors = pictures.read_or_recall(files, FORMAT)
        assert list(errors) == [1]


def test_a_damaged_cache_is_not_used(files: list[Path], tmp_path: Path) -> None:
    pictures.read_or_recall(files, FORMAT)
    kept = next((tmp_path / "cache").rglob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:100])
    pixels, _ = pictures.read_or_recall(files, FORMAT)
    assert pixels[:, 0, 0, 0].tolist() == [10, 20, 30]


def test_the_least_recently_used_goes_first(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = private_folder("pictures")
    assert folder is not None
    monkeypatch.setattr(decoded, "MAX_CACHE_BYTES", 600)  # two files of 128 + 3 * 48 bytes
    keys = ["a", "b", "c"]
    for age, key in enumerate(keys):
        decoded.keep_decoded(key, np.zeros((3, 3, 4, 4), dtype=np.uint8))
        if (path := folder / f"{key}.npy").is_file():
            os.utime(path, (age, age))
    decoded.keep_decoded("d", np.zeros((3, 3, 4, 4), dtype=np.uint8))
    assert decoded.load_decoded("a", 3) is None and decoded.load_decoded("d", 3) is not None
