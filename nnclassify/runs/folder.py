"""Run folders: where a run keeps its files, and how a run is found again."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnclassify.errors import CheckpointError, InputError, SaveError, one_line, some, suggestion
from nnclassify.files.atomic_write import previous, remove_partials
from nnclassify.files.paths import is_regular, look, unreadable

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
        """One row per epoch."""
        return self.path / "history.jsonl"

    @property
    def results(self) -> Path:
        """The history as a table."""
        return self.path / "results.csv"

    @property
    def best(self) -> Path:
        """The weights to use."""
        return self.path / "best.pt"

    @property
    def last(self) -> Path:
        """What a resume continues from."""
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
    def lock(self) -> Path:
        """What a process holds while it trains into the folder."""
        return self.path / ".lock"

    @property
    def plots(self) -> Path:
        """The images."""
        return self.path / "plots"

    def started_at(self) -> int | None:
        """When the run was last saved, or began, in nanoseconds; None where it did not begin, or is closed to us."""
        with contextlib.suppress(OSError):
            for path in (self.last, previous(self.last), self.config):
                if path.is_file():
                    return path.stat().st_mtime_ns
        return None

    def files(self) -> list[Path]:
        """The files that a run may write, without the generations before."""
        return [self.config, self.history, self.results, self.best, self.last, self.result, self.diagnosis]

    def is_locked(self) -> bool:
        """Whether a process trains into the folder now; False where that cannot be found out."""
        try:
            if not self.lock.is_file():
                return False
            descriptor = os.open(self.lock, os.O_RDONLY)
        except OSError:
            return False
        try:
            _lock(descriptor)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within it no other process trains into the folder; what a killed one left half-written is removed.

        The lock is the kernel's: it ends with the process, whatever ends that.

        Raises:
            CheckpointError: Another process trains into the folder, or a folder has the name of a file of the run.
            SaveError: The folder cannot be written to.
        """
        for path in self.files():
            if path.is_dir():
                raise CheckpointError(f"{path}: a folder, where the run has a file; move it away")
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as cause:
            raise SaveError(f"{self.path}: cannot be locked ({one_line(cause)}); fix permissions") from cause
        try:
            _wait_for_lock(descriptor, self.path)
            remove_partials(self.path)
            yield
        finally:
            os.close(descriptor)


LOOKING_SECONDS = 0.05
"""How long a process that only asks whether the lock is held may hold it itself: far less."""


def _wait_for_lock(descriptor: int, path: Path) -> None:
    try:
        _lock(descriptor)
    except OSError:
        time.sleep(LOOKING_SECONDS)
        try:
            _lock(descriptor)
        except OSError as cause:
            why = "another process is training in it; wait until it ends, or stop it"
            raise CheckpointError(f"{path}: {why}") from cause


def _lock(descriptor: int) -> None:
    """Take the lock, which ends when the descriptor is closed.

    Raises:
        OSError: It is held.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def create_run_folder(name: str, root: Path = CHECKPOINTS) -> RunFolder:
    """A new folder of that name; where there is one already, `name-2`, `name-3`, ...

    Raises:
        InputError: It cannot be created.
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
        raise InputError(
            f"{root / name}: cannot be created ({one_line(cause)}); fix permissions or free space"
        ) from cause
    raise AssertionError("count() does not end")


def runs(root: Path = CHECKPOINTS) -> list[RunFolder]:
    """The runs with a checkpoint, the newest last; folders that the user cannot open are left out.

    Raises:
        InputError: The folder cannot be read.
    """
    found = []
    for path in _entries(root):
        with contextlib.suppress(OSError, InputError):
            if path.is_dir() and (best := _checkpoint_in(path)) is not None:
                found.append(((best if best.is_file() else previous(best)).stat().st_mtime_ns, path.name))
    return [RunFolder(root / name) for _, name in sorted(found)]


def runs_of(name: str, root: Path = CHECKPOINTS) -> list[RunFolder]:
    """The runs of that name and its numbered followers that began, the newest last.

    Raises:
        InputError: The folder cannot be read.
    """
    pattern = re.compile(re.escape(name) + r"(-[0-9]+)?")
    found = []
    for path in _entries(root):
        if pattern.fullmatch(path.name) and (started := RunFolder(path).started_at()) is not None:
            found.append((started, path.name))
    return [RunFolder(root / name) for _, name in sorted(found)]


def _entries(root: Path) -> list[Path]:
    if look(root) is None or not root.is_dir():
        return []
    try:
        return list(root.iterdir())
    except OSError as cause:
        raise unreadable(root, cause) from cause


def _places(run: str, root: Path) -> list[Path]:
    """Where RUN may lie, in the order in which it is looked for: a name under checkpoints/ first, a path as it is."""
    named, path = root / run, Path(run)
    return [named, path] if path.name == run else [path, named]


def _checkpoint_in(place: Path) -> Path | None:
    """The checkpoint that a path means: a file itself, a run folder's best.pt, also where only its predecessor is."""
    if is_regular(place):
        return place
    best = RunFolder(place).best
    return best if any(is_regular(path) for path in (best, previous(best))) else None


def named_run(run: str, root: Path = CHECKPOINTS) -> RunFolder | None:
    """The run of exactly that name or path that has begun, and has its config or its state; None: there is none.

    Raises:
        InputError: A path cannot be looked at.
    """
    folders = [RunFolder(place) for place in _places(run, root)]
    return next((folder for folder in folders if is_regular(folder.config) or is_regular(folder.last)), None)


def find_checkpoint(run: str | None, root: Path = CHECKPOINTS, note: Callable[[str], None] = lambda text: None) -> Path:
    """The checkpoint that RUN means: a name under checkpoints/, a run folder, a file; None: the newest run.

    Args:
        run: RUN.
        root: Where runs lie.
        note: Receives which run was taken, where more than one could be meant.

    Raises:
        CheckpointError: There is none.
        InputError: A path cannot be looked at.
    """
    if run is None:
        known = runs(root)
        if not known:
            raise CheckpointError(f"{root}: no runs here{_closed(root)}; train one first: nnclassify train digits_cnn")
        note(f"newest run: {known[-1].best}")
        return known[-1].best
    places = _places(run, root)
    for place in places:
        if (checkpoint := _checkpoint_in(place)) is not None:
            if place != Path(run) and _checkpoint_in(Path(run)) is not None:
                note(f"{run}: using {checkpoint}; for the one in the working directory, write ./{run}")
            return checkpoint
    raise _no_run(run, places, root)


def _closed(root: Path) -> str:
    """Which folders the user cannot open, as a part of a sentence."""
    closed = []
    for path in _entries(root):
        try:
            _checkpoint_in(path)
        except (OSError, InputError):
            closed.append(path)
    return f" that you have permission to open ({some(closed)}: fix the permissions)" if closed else ""


def _no_run(run: str, places: Sequence[Path], root: Path) -> CheckpointError:
    """Why RUN is no run, in the words that help most."""
    for place in places:
        if run and place.is_dir() and place != root:
            return CheckpointError(
                f"{place}: contains no best.pt; expected a run folder; was the run stopped in its first epoch?"
            )
        if run and place.exists() and not place.is_dir():
            return CheckpointError(f"{place}: not a regular file; expected a run, a run folder or a checkpoint")
    hint = suggestion(run, [known.name for known in runs(root)])
    return CheckpointError(f"{run or 'RUN'}: no such run, folder or checkpoint{hint}; runs are kept under {root}/")
