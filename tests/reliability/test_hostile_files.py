"""Tests of hostile checkpoints, YAML, archives and images, with an audit hook and limits of memory and time."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from reliability import hostile, runs
from reliability.outcome import Outcome
from reliability.processes import Child, Ended, call, command

MAX_SECONDS, MAX_BYTES = 10.0, 2**30


def test_hostile_files(scale: float, outcome: Outcome) -> None:
    """Hostile checkpoints, YAML, archives, pictures.

    Give each file to the command that reads it; nothing may be run, written outside, or take long.
    """
    every = max(1, round(1 / scale))
    with runs.workplace() as folder:
        call(folder, "train", "mlp.yaml", "--no-plots", "--set", "name=mlp")
        call(folder, "train", "cnn.yaml", "--no-plots", "--set", "name=cnn")
        good = (folder / "checkpoints" / "mlp" / "last.pt").read_bytes()
        for name, content in list(hostile.checkpoints(good))[::every]:
            _try(folder, outcome, f"checkpoint {name}", {"bad.pt": content}, "evaluate", "bad.pt")
        for name, content in list(hostile.yamls())[::every]:
            _try(folder, outcome, f"yaml {name}", {"bad.yaml": content}, "train", "bad.yaml", "--no-plots")
        for name, content in list(hostile.archives())[::every]:
            files = {"data/cifar-10-python.tar.gz": content, "bad.yaml": b"dataset: cifar10\nmodel: {name: mlp}\n"}
            _try(folder, outcome, f"archive {name}", files, "train", "bad.yaml", "--no-plots")
        for name, content in list(hostile.pictures())[::every]:
            _try(folder, outcome, f"picture {name}", {name: content}, "predict", name, "--run", "cnn")
        outcome.count(_control(folder))
    outcome.remark = "the last is the control: torch.load without weights_only sets the watch off; processor's seconds"
    outcome.check()


def _try(folder: Path, outcome: Outcome, case: str, files: dict[str, bytes], *arguments: str) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    log = folder / "watch.log"
    ended = Child(_watched(log, folder, command(*arguments)), folder).wait(6 * MAX_SECONDS)
    outcome.count(_problem(case, folder, ended, log))
    for name in files:
        (folder / name).unlink()
    shutil.rmtree(folder / "data", ignore_errors=True)


def _watched(log: Path, folder: Path, work: Callable[[], None]) -> Callable[[], None]:
    def watched() -> None:
        os.environ.update(http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, used + MAX_BYTES))
        hostile.watch(log, folder)
        work()

    return watched


def _problem(case: str, folder: Path, ended: Ended, log: Path) -> str | None:
    done = log.read_text() if log.is_file() else ""
    log.unlink(missing_ok=True)
    done = "\n".join(line for line in done.splitlines() if "127.0.0.1" not in line)
    stray = [name for name in ("hacked", "../hacked", "/tmp/hacked") if (folder / name).exists()]
    if done or stray:
        return f"{case}: did {done[:200]} {stray}"
    if case.startswith("picture") and ended.code == 0:  # within the limits, and Pillow can read it after all
        return _slow(case, ended)
    if ended.code not in (2, 3) or "Traceback" in ended.errors or "error: " not in ended.errors:
        return f"{case}: exit code {ended.code}: {ended.errors[-300:]}"
    return _slow(case, ended)


def _slow(case: str, ended: Ended) -> str | None:
    """Of the processor: the wall's clock also counts what the machine does besides."""
    return None if ended.cpu_seconds < MAX_SECONDS else f"{case}: took {ended.cpu_seconds:.1f} s"


def _control(folder: Path) -> str | None:
    path, log = folder / "control.pt", folder / "watch.log"
    path.write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.")
    Child(_watched(log, folder, partial(_unsafe, path)), folder).wait()
    return None if log.is_file() and "os.system" in log.read_text() else "the control did not set the watch off"


def _unsafe(path: Path) -> None:
    torch.load(path, weights_only=False)
