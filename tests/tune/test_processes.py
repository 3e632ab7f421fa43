"""Tests of the locks and the signs of life of processes that share a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nnclassify.errors import SaveError
from nnclassify.tune import processes
from nnclassify.tune.processes import FolderLock, Worker


def elsewhere(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What follows is done by another machine."""
    monkeypatch.setattr(processes, "host", lambda: name)


def test_one_process_at_a_time_has_the_lock(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(20):
            with FolderLock(tmp_path, "study"):
                counter.write_text(str(int(counter.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "60" and not (tmp_path / "study.lock").exists()


def test_what_a_killed_process_of_this_machine_left_is_taken_over_at_once(tmp_path: Path) -> None:
    held = FolderLock(tmp_path, "study")
    held.acquire()
    os.close(held._descriptor)  # what the kernel does when a process dies
    started = time.monotonic()
    with FolderLock(tmp_path, "study") as lock:
        assert lock.link.samefile(lock.own) and time.monotonic() - started < 1


def test_another_machine_waits_for_a_live_lock_and_discards_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(monkeypatch, "other")
    FolderLock(tmp_path, "study").acquire()
    elsewhere(monkeypatch, "here")
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.3)
    started = time.monotonic()
    with FolderLock(tmp_path, "study") as lock:
        assert lock.link.samefile(lock.own) and time.monotonic() - started >= 0.3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.here.lock", "study.other.lock"]


def test_a_process_is_alive_until_it_ends(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from nnclassify.tune.processes import Worker\n"
    code += f"print(Worker(Path({str(tmp_path)!r})).id, flush=True); time.sleep(60)"
    with Worker(tmp_path) as worker:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        assert worker.is_alive(other) and worker.is_alive(worker.id)
        process.kill()
        process.communicate()
        assert not worker.is_alive(other) and not worker.is_alive("no-such.process.0")
        with Worker(tmp_path):
            assert not (tmp_path / other).exists()  # it removes what the dead have left
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_a_process_of_another_machine_is_alive_while_it_touches_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(monkeypatch, "other")
    with Worker(tmp_path) as other:
        elsewhere(monkeypatch, "here")
        with Worker(tmp_path) as worker:
            assert worker.is_alive(other.id)
            long_ago = time.time() - processes.GRACE_SECONDS - 1
            os.utime(tmp_path / other.id, (long_ago, long_ago))
            assert not worker.is_alive(other.id)


def test_a_file_is_touched_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TOUCH_SECONDS", 0.01)
    with Worker(tmp_path) as worker:
        os.utime(tmp_path / worker.id, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / worker.id).stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"study.lock: cannot be locked .*fix permissions"):
        FolderLock(tmp_path / "missing", "study").acquire()
