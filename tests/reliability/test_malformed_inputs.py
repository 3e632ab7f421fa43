"""Tests of eight kinds of malformed input, given to the command that reads them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from reliability import malformed, malformed_pictures, malformed_tensors, runs
from reliability.malformed import Case, Maker
from reliability.outcome import Outcome
from reliability.processes import Child, Ended, call, command


def test_malformed_inputs(scale: float, outcome: Outcome) -> None:
    """Malformed inputs of eight kinds: exit code 2, a line with file and cause, nothing written.

    200 of each kind: exit code 2, one line that names file and cause, no traceback, nothing written.
    """
    with runs.workplace() as folder:
        for config in ("mlp", "cnn"):
            call(folder, "train", f"{config}.yaml", "--no-plots", "--set", f"name={config}", seconds=120)
        kinds: dict[str, Maker] = {
            "config": malformed.config,
            "table": malformed.table,
            "folder of pictures": malformed_pictures.folder,
            "picture": malformed_pictures.picture,
            "classic set": malformed_pictures.classic,
            ".pt": malformed_tensors.torch_file,
            ".npy": malformed_tensors.numpy_file,
            "checkpoint": malformed_tensors.checkpoint(folder / "checkpoints" / "mlp" / "last.pt"),
        }
        for number, (kind, maker) in enumerate(kinds.items()):
            for case in malformed.cases(maker, number, max(1, round(200 * scale))):
                outcome.count(_problem(folder, kind, case))
    outcome.remark = "a config's problems are told all at once, a line each; of the others exactly one line is taken"
    outcome.check()


def _problem(folder: Path, kind: str, case: Case) -> str | None:
    for name, content in case.files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(content)
    before = _tree(folder)
    ended = Child(_offline(command(*case.arguments)), folder).wait()
    after = _tree(folder)
    changed = sorted({path for path, _ in before.items() ^ after.items()})
    for name in {name.split("/")[0] for name in case.files} | {name for name in changed if name not in before}:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink(missing_ok=True)
    verdict = f"changed {changed}" if changed else _verdict(case, ended)
    return None if verdict is None else f"{kind}: {verdict}; {_shown(case)}"


def _verdict(case: Case, ended: Ended) -> str | None:
    lines = ended.errors.splitlines()
    if ended.code != 2 or ended.out or "Traceback" in ended.errors:
        return f"exit code {ended.code}, {ended.out[-100:]!r}, {ended.errors[-400:]!r}"
    if not lines or any(not line.startswith("error: ") or len(line) < 20 for line in lines):
        return f"said {lines}"
    if case.num_lines not in (None, len(lines)):
        return f"{len(lines)} lines: {lines}"
    return None if all(case.named in line for line in lines) else f"does not name {case.named}: {lines}"


def _shown(case: Case) -> str:
    return " ".join(f"{name}={content[:60]!r}" for name, content in [*case.files.items()][-3:])


def _tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def _offline(work: Callable[[], None]) -> Callable[[], None]:
    def offline() -> None:
        os.environ.update(http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
        work()

    return offline
