"""Processes that read images return what one process returns, and leave nothing behind."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from programs import ended_or_lengths, own_process

from nnclassify.data.images import image_reading
from nnclassify.data.images.image_reading import Decoded, decode_images
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.files.images.reading_processes import reading_processes

TWO_BY_THREE = ImageFormat(2, 3, "gray")


def images(folder: Path, count: int) -> list[Path]:
    """Return image files, each of one gray."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("L", (3, 2), number).save(path)
    return paths


def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return a list of the processes that will be started, for reading any number of files."""
    processes: list[subprocess.Popen[bytes]] = []
    start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen

    def recorded(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(start(*args, **options))
        return processes[-1]

    monkeypatch.setattr(image_reading, "BULK", 0)
    monkeypatch.setattr(image_reading, "num_cores", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", recorded)
    return processes


def same(one: Decoded, other: Decoded) -> bool:
    """Return whether pixels and facts are the same."""
    return bool((one.pixels == other.pixels).all()) and one.facts == other.facts


def test_they_read_as_one_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = images(tmp_path, 150)
    paths[70].write_bytes(b"no image")
    paths[71].unlink()
    Image.new("L", (3, 2)).save(paths[149], "TIFF", save_all=True, append_images=[Image.new("L", (3, 2))])
    alone = decode_images(paths, TWO_BY_THREE)
    processes = started(monkeypatch)
    together = decode_images(paths, TWO_BY_THREE)
    assert same(alone, together)
    assert alone.pixels[:, 0, 1, 2].tolist() == [0 if row in (70, 71, 149) else row for row in range(150)]
    assert list(alone.facts.errors) == [70, 71] and alone.facts.frames == [149]
    assert len(processes) == 2 and all(process.poll() is not None for process in processes)


def test_they_import_only_what_decodes() -> None:
    heavy = "{'torch', 'pydantic', 'nnclassify.data', 'nnclassify.models'}"
    code = f"import sys, nnclassify.files.images.reading_processes; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_they_are_other_processes() -> None:
    with reading_processes(2, own_process) as ask:
        assert ask(["a", "b"])[0] not in (os.getpid(), ask(["c"])[0])


def test_what_a_process_cannot_do_is_done_here() -> None:
    """One process ends at its first question, one later: every part is answered."""
    with reading_processes(2, ended_or_lengths) as ask:
        answers = [ask(["a", "bb"]), ask(["ccc", "end"]), ask(["end"]), ask(["dddd"])]
    assert answers == [[1, 2], [3, 3], [3], [4]]


def test_a_reader_that_stops_early_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = started(monkeypatch)
    found = image_reading.read_each(images(tmp_path, 150), TWO_BY_THREE.decode, processes=True)
    assert next(found) and len(processes) == 2
    found.close()
    assert all(process.poll() is not None for process in processes)


def test_switches_of_the_users_code_count_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-500])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    alone = decode_images([tmp_path / "a.jpg"], TWO_BY_THREE)
    assert started(monkeypatch) == [] and same(alone, decode_images([tmp_path / "a.jpg"], TWO_BY_THREE))
    assert not alone.facts.errors


@pytest.mark.parametrize("executable", ["/usr/bin/uwsgi", "", None, "/nowhere/python3"])
def test_where_python_cannot_be_started_one_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: str | None
) -> None:
    paths = images(tmp_path, 10)
    alone, processes = decode_images(paths, TWO_BY_THREE), started(monkeypatch)
    monkeypatch.setattr(sys, "executable", executable)
    assert same(alone, decode_images(paths, TWO_BY_THREE)) and processes == []


@pytest.mark.slow
def test_a_script_is_not_run_again_in_each_process(tmp_path: Path) -> None:
    """As `multiprocessing` would, where a script has no `if __name__ == "__main__"`. A module of the script's folder is
    not taken for one of Python's."""
    (tmp_path / "queue.py").write_text("raise SystemExit('imported')")
    (tmp_path / "script.py").write_text(
        "import os, sys; del sys.path[0]\n"
        "from programs import own_process\n"
        "from nnclassify.files.images.reading_processes import reading_processes\n"
        "with reading_processes(2, own_process) as ask:\n"
        "    print(ask(['a']) != [os.getpid()])\n"
    )
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
