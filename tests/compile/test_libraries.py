"""Tests of cached compiled libraries: only unchanged ones are loaded, and wrong ones are set aside for good."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nnclassify.compile import libraries
from nnclassify.compile.libraries import KeptLibrary
from nnclassify.files.cache import private_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where libraries are kept; what is loaded is a file's content."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(libraries, "load_library", lambda path: path.read_bytes())
    folder = private_folder("steps")
    assert folder is not None
    return folder


def making(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


def opened(make: Callable[[Path], None], notes: list[str]) -> object:
    """What the library `key` holds."""
    return KeptLibrary("key").open(make, notes.append)


def refuse(path: Path) -> None:
    pytest.fail("compiled again")


def test_what_was_compiled_is_loaded_again(folder: Path) -> None:
    notes: list[str] = []
    kept = KeptLibrary("key")
    assert not kept.is_kept()
    assert opened(making(b"code"), notes) == b"code"
    assert kept.is_kept() and opened(refuse, notes) == b"code" and notes == []
    assert sorted(path.name for path in folder.iterdir()) == ["key.so", "key.so.sha256"]


def test_a_damaged_library_is_made_anew_and_said(folder: Path) -> None:
    notes: list[str] = []
    opened(making(b"code"), notes)
    (folder / "key.so").write_bytes(b"cod3")
    assert not KeptLibrary("key").is_kept()
    assert opened(making(b"new"), notes) == b"new"
    assert len(notes) == 1 and "key.so: changed since it was cached; this step is compiled again" in notes[0]
    assert KeptLibrary("key").is_kept()


def test_nothing_is_loaded_from_a_folder_that_others_can_write(folder: Path) -> None:
    notes: list[str] = []
    opened(making(b"planted"), notes)
    folder.chmod(0o777)
    assert not KeptLibrary("key").is_kept()
    assert opened(making(b"own"), notes) == b"own"
    assert len(notes) == 1 and "chmod go-w" in notes[0] and "for this run only" in notes[0]


def test_a_library_that_was_set_aside_is_never_kept_again(folder: Path) -> None:
    kept = KeptLibrary("key")
    kept.open(making(b"wrong"), lambda text: None)
    marker = kept.set_aside("it loses a sign")
    assert not kept.is_kept() and list(folder.iterdir()) == [marker]
    assert KeptLibrary("key").verdict() == f"it loses a sign; set aside in {marker}"


def test_what_a_killed_compilation_left_behind_is_removed(folder: Path) -> None:
    """A compilation has a folder that names its process; that of a process which is gone is nobody's."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as gone:
        gone.wait()

    def make(path: Path) -> None:
        (place,) = folder.iterdir()
        host, own = socket.gethostname(), os.getpid()
        assert path.parent == place and place.name.startswith(f"{host}-{own}-")
        for name in (f"{host}-{gone.pid}-gone", f"{host}-{own}-underway"):
            (folder / name).mkdir()
        path.write_bytes(b"code")

    KeptLibrary("other").open(make, lambda text: None)
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    KeptLibrary("key").open(making(b"code"), lambda text: None)
    assert [path.name.endswith("underway") for path in folder.iterdir() if path.is_dir()] == [True]
