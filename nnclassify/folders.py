"""Run folders: where a run keeps its files, and how a run is found again."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnclassify.errors import CheckpointError, SaveError, one_line, suggestion
from nnclassify.storage import previous, remove_partials

CHECKPOINTS = Path("checkpoints")
"""Where runs go, relative to where the user stands."""


@dataclass(frozen=True)
class RunFolder:
    """`checkpoints/<run>/`."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.path / "history.jsonl"

    @property
    def best(self) -> Path:
        """The weights to use."""
        return self.path / "best.pt"

    @property
    def last(self) -> Path:
        """What a resume goes on from."""
        return self.path / "last.pt"

    @property
    def result(self) -> Path:
        """The final figures: what `train --json` prints."""
        return self.path / "result.json"

    @property
    def diagnosis(self) -> Path:
        """What the monitor found."""
        return self.path / "diagnosis.json"

    @property
    def plots(self) -> Path:
        """The pictures."""
        return self.path / "plots"

    def started_at(self) -> int | None:
        """When the run was last saved, or began, in nanoseconds; None where it did not begin."""
        for path in (self.last, previous(self.last), self.config):
            if path.is_file():
                return path.stat().st_mtime_ns
        return None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other process trains into the folder; what a killed one left half-written is removed.

        The lock is the kernel's: it ends with the process, whatever ends that.

        Raises:
            CheckpointError: Another process trains into the folder.
            SaveError: The folder cannot be written to.
        """
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as cause:
            raise SaveError(f"{self.path}: cannot be locked ({one_line(cause)}); mend permissions") from cause
        try:
            _lock(descriptor, self.path)
            remove_partials(self.path)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        raise CheckpointError(f"{path}: another process trains into it; wait until it ends, or stop it") from cause


def create_run_folder(name: str, root: Path = CHECKPOINTS) -> RunFolder:
    """A new folder of that name; where there is one already, `name-2`, `name-3`, ...

    Raises:
        SaveError: It cannot be created.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = root / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return RunFolder(path)
    except OSError as cause:
        raise SaveError(
            f"{root / name}: cannot be created ({one_line(cause)}); mend permissions or free space"
        ) from cause
    raise AssertionError("count() does not end")


def runs(root: Path = CHECKPOINTS) -> list[RunFolder]:
    """The runs that have something to use, the newest last."""
    found = [RunFolder(path) for path in root.iterdir() if (path / "best.pt").is_file()] if root.is_dir() else []
    return sorted(found, key=lambda run: (run.best.stat().st_mtime_ns, run.name))


def runs_of(name: str, root: Path = CHECKPOINTS) -> list[RunFolder]:
    """The runs of that name and its numbered followers that began, the newest last."""
    pattern = re.compile(re.escape(name) + r"(-\d+)?")
    folders = [RunFolder(path) for path in root.iterdir() if pattern.fullmatch(path.name)] if root.is_dir() else []
    return sorted(
        (run for run in folders if run.started_at() is not None), key=lambda run: (run.started_at() or 0, run.name)
    )


def named_run(run: str, root: Path = CHECKPOINTS) -> RunFolder | None:
    """The run of exactly that name or path; None: there is none."""
    return next((RunFolder(path) for path in (root / run, Path(run)) if path.is_dir()), None)


def find_checkpoint(run: str | None, root: Path = CHECKPOINTS) -> Path:
    """The checkpoint that RUN means: a name under checkpoints/, a run folder, a file; None: the newest run.

    Raises:
        CheckpointError: There is none.
    """
    if run is None:
        known = runs(root)
        if not known:
            raise CheckpointError(f"{root}: no run here; train one first: nnclassify train digits_cnn")
        return known[-1].best
    for folder in (Path(run), root / run):
        if folder.is_file():
            return folder
        if (folder / "best.pt").is_file():
            return folder / "best.pt"
        if folder.is_dir() and folder != root:
            raise CheckpointError(f"{folder}: no best.pt in it; expected a run folder; was the run stopped at once?")
    hint = suggestion(run, [known.name for known in runs(root)])
    raise CheckpointError(f"{run}: no such run, folder or checkpoint{hint}; runs are kept under {root}/")
