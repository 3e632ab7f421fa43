"""Tests of the cache: where it is, and which of its files are trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnclassify.files import cache

OTHER_UID = 54321


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sealed file in a folder of the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache.private_folder("steps")
    assert folder == tmp_path / "nnclassify" / "steps"
    path = folder / "a.so"
    path.write_bytes(b"machine code")
    path.chmod(0o600)
    cache.seal(path)
    return path


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/cache")
    assert cache.cache_folder() == Path.home() / ".cache" / "nnclassify"


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert cache.cache_folder() is None and cache.private_folder("steps") is None


def test_a_cache_that_cannot_be_made_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache.private_folder("steps") is None


def test_folders_are_made_for_the_user_alone_whatever_the_umask(kept: Path) -> None:
    before = os.umask(0)
    try:
        folder = cache.private_folder("pictures")
    finally:
        os.umask(before)
    assert folder is not None and folder.stat().st_mode & 0o777 == 0o700


def test_every_flipped_bit_breaks_the_seal(kept: Path) -> None:
    assert cache.is_sealed(kept)
    whole = kept.read_bytes()
    for place in range(len(whole)):
        kept.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert not cache.is_sealed(kept)
    kept.write_bytes(whole)
    assert cache.is_sealed(kept)


def test_a_file_without_its_digest_or_under_another_name_is_not_sealed(kept: Path) -> None:
    moved = kept.with_name("b.so")
    kept.rename(moved)
    assert not cache.is_sealed(kept) and not cache.is_sealed(moved)
    kept.with_name("a.so.sha256").rename(moved.with_name("b.so.sha256"))
    assert not cache.is_sealed(moved)


@pytest.mark.parametrize("place", ["a.so", "a.so.sha256", ".", ".."])
def test_what_others_can_write_is_not_trusted(kept: Path, place: str) -> None:
    (kept.parent / place).chmod(0o770)
    assert not cache.is_sealed(kept)
    assert "chmod go-w" in str(cache.unsafe(kept.parent / place))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", ["a.so", "a.so.sha256", ".", ".."])
def test_what_belongs_to_another_user_is_not_trusted(kept: Path, place: str) -> None:
    os.chown(kept.parent / place, OTHER_UID, OTHER_UID)
    assert not cache.is_sealed(kept)
    assert "belongs to another user" in str(cache.unsafe(kept.parent / place))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_link_that_another_user_made_is_not_trusted(kept: Path) -> None:
    elsewhere = kept.parent.rename(kept.parents[2] / "elsewhere")
    kept.parent.symlink_to(elsewhere)
    assert cache.is_sealed(kept)  # a cache on another disk
    os.chown(kept.parent, OTHER_UID, OTHER_UID, follow_symlinks=False)
    assert not cache.is_sealed(kept)


def test_a_link_or_a_pipe_instead_of_a_file_is_not_read(kept: Path) -> None:
    real = kept.rename(kept.with_name("real.so"))
    kept.symlink_to(real)
    assert not cache.is_sealed(kept)
    kept.unlink()
    os.mkfifo(kept)
    assert not cache.is_sealed(kept)


def test_what_is_outside_the_cache_is_not_trusted(kept: Path, tmp_path: Path) -> None:
    assert not cache.is_private(tmp_path) and not cache.is_private(kept.parent / ".." / ".." / ".." / "x")


def test_trimming_takes_digests_along(kept: Path) -> None:
    cache.trim(kept.parent, "*.so", 3)
    assert not any(kept.parent.iterdir())
