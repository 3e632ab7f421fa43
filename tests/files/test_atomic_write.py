import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnclassify.errors import SaveError
from nnclassify.files.atomic_write import PARTIAL, previous, remove_partials, write_text, write_whole


def save(path: Path, text: str) -> None:
    write_whole(path, lambda file: file.write(text.encode()), keep_previous=True)


def test_the_generation_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    for text in ("one", "two", "three"):
        save(path, text)
    assert (path.read_text(), previous(path).read_text()) == ("three", "two")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["last.previous.pt", "last.pt"]


def test_a_full_disk_leaves_the_file_before_and_no_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save(path, "one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match=r"last\.pt: not saved \(\[Errno 28\] No space left on device\)"):
        save(path, "two")
    assert path.read_text() == "one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_too_little_space_is_told_in_a_unit_that_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=800))
    with pytest.raises(SaveError, match=r"not saved \(23\.5 kB needed, 800 B free\)"):
        write_whole(tmp_path / "last.pt", lambda file: file.write(b""), size=23_500)


def test_there_is_no_moment_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before was once renamed away before the new one took its place."""
    path = tmp_path / "last.pt"
    save(path, "one")
    seen: list[bool] = []
    replace = Path.replace

    def watched(source: Path, target: Path) -> Path:
        moved = replace(source, target)
        seen.append(path.is_file())
        return moved

    monkeypatch.setattr(Path, "replace", watched)
    save(path, "two")
    assert seen == [True, True]


def test_a_file_system_without_links_keeps_both_generations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save(path, "one")

    def no_links(link: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    save(path, "two")
    assert (path.read_text(), previous(path).read_text()) == ("two", "one")


def test_space_is_looked_for_before_a_byte_is_written(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"needed, .* free"):
        write_whole(tmp_path / "best.pt", lambda file: file.write(b"x"), size=2**62)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_moved_away_is_what_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"run/last\.pt: not saved \(.*\); was its folder moved or deleted\?$"):
        save(tmp_path / "run/last.pt", "one")


def test_what_a_kill_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    write_text(tmp_path / "config.yaml", "epochs: 1")
    for name in (f"last.pt{PARTIAL}", f"last.previous.pt{PARTIAL}", f"plots/curves.png{PARTIAL}"):
        (tmp_path / name).write_text("half")
    remove_partials(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config.yaml", "plots"]


def test_a_pipe_or_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SaveError, match=r"pipe: not saved \(a device or pipe"):
        write_text(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo() and not (tmp_path / "pipe.partial").exists()
