"""Run folders: the files of a run, and finding a run by name."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nnclassify.data.images.image_listing import RUNS
from nnclassify.errors import CheckpointError, InputError, SaveError, one_line, shell_command, some, suggestion
from nnclassify.files.atomic_write import previous, remove, remove_partials, save_error
from nnclassify.files.lock import has_no_locks, is_locked, lock
from nnclassify.files.paths import is_regular, look, not_created, unreadable

CHECKPOINTS = Path(RUNS)
"""Folder of the runs, relative to the working directory."""
GROUP, STUDY = "group.json", "study.json"
"""The files that folders with the runs of a group (`groups.py`) and with the trials of a search (`tune/`) contain."""


class HasPath(Protocol):
    """A folder whose files are attributes."""

    @property
    def path(self) -> Path:
        """The folder."""


class Place:
    """A file or folder in a folder, as an attribute: its path."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: HasPath, owner: type[HasPath]) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """`checkpoints/<run>/`."""

    path: Path

    config = Place("config.yaml")
    """The resolved config."""
    history = Place("history.jsonl")
    """The history, one row per epoch."""
    results = Place("results.csv")
    """The history as a table."""
    best = Place("best.pt")
    """The checkpoint with the best weights."""
    last = Place("last.pt")
    """The checkpoint to resume from."""
    result = Place("result.json")
    """The final figures, as printed by `train --json`."""
    diagnosis = Place("diagnosis.json")
    """The findings of the monitor."""
    check = Place("check.json")
    """What `nnclassify check --out` found."""
    manifest = Place("manifest.csv")
    """The examples by name."""
    skipped = Place("skipped.csv")
    """The examples that could not be read, and why."""
    predictions = Place("predictions.csv")
    """What `best.pt` predicts for the validation and test examples."""
    provenance = Place("provenance.json")
    """The origin of each value of the config, the command and the environment."""
    examples = Place("examples.json")
    """Small images, or values, of the examples that the report shows."""
    report = Place("report.html")
    """The page about the run."""
    looks = Place("test_looks.json")
    """The networks that have looked at the test split, as far as known when this one did."""
    lock = Place(".lock")
    """The file that a process locks while it trains in the folder. Contains the launchers of the processes."""
    plots = Place("plots")
    """Folder of the plots."""

    @property
    def name(self) -> str:
        """Name of the run; for a run of a group, after the name of the group, such as `digits/seed-0`."""
        group = self.path.parent
        return f"{group.name}/{self.path.name}" if is_group(group) else self.path.name

    @property
    def is_saved(self) -> bool:
        """Whether there is a checkpoint to resume from, or what a replacement has left of one."""
        return self.last.is_file() or previous(self.last).is_file()

    def started_at(self) -> int | None:
        """Return when the run was last saved, or began, in nanoseconds; None if it has not begun, or without
        permission."""
        with contextlib.suppress(OSError):
            for path in (self.last, previous(self.last), self.config):
                if path.is_file():
                    return path.stat().st_mtime_ns
        return None

    def files(self) -> list[Path]:
        """Return the files that a run may write, without their previous versions."""
        tables = [self.results, self.manifest, self.skipped, self.predictions, self.looks]
        pages = [self.diagnosis, self.provenance, self.examples, self.report]
        return [self.config, self.history, *tables, self.best, self.last, self.result, *pages]

    def remove_results(self) -> None:
        """Remove what is written at the end of a run.

        Raises:
            SaveError: A file cannot be removed.
        """
        for path in (self.result, self.predictions, self.examples, self.report):
            remove(path)

    def is_locked(self) -> bool:
        """Return whether a process is training in the folder; False if this cannot be determined."""
        try:
            return self.lock.is_file() and is_locked(self.lock)
        except OSError:
            return False

    def launchers(self) -> set[str]:
        """Return the launchers of the processes that train, or last trained, in the folder; see `Ranks.launchers`."""
        with contextlib.suppress(OSError):
            return set(self.lock.read_text(encoding="utf-8", errors="replace").splitlines())
        return set()

    @contextlib.contextmanager
    def locked(self, launchers: Iterable[str] = (), note: Callable[[str], None] = lambda text: None) -> Iterator[None]:
        """Return a context in which no other process trains in the folder; leftovers of killed processes are removed.

        The kernel holds the lock and releases it when the process ends, however it ends. Where the file system has no
        locks, the user is told so.

        Args:
            launchers: What `launchers` returns from now on.
            note: Function that shows the user one line.

        Raises:
            CheckpointError: Another process is training in the folder, or a folder has the name of one of the run's
                files.
            SaveError: The folder is not writable.
        """
        for path in self.files():
            if path.is_dir():
                raise CheckpointError(f"{path}: a folder, but the run needs a file with this name; move it away")
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as cause:
            raise SaveError(
                f"{self.path}: cannot be locked ({one_line(cause)}); fix permissions or free space"
            ) from cause
        try:
            _wait_for_lock(descriptor, self.path, note)
            if self.launchers() != set(launchers):
                _write(descriptor, "\n".join(sorted(launchers)), self.lock)
            remove_partials(self.path)
            yield
        finally:
            os.close(descriptor)


LOOKING_SECONDS = 0.05
"""Time to wait for processes that hold the lock only to check it, which takes much less."""


def _wait_for_lock(descriptor: int, path: Path, note: Callable[[str], None]) -> None:
    try:
        lock(descriptor)
    except OSError as refused:
        if has_no_locks(refused):
            note(f"{path}: its file system has no locks ({one_line(refused)}); train in it in one process at a time")
            return
        time.sleep(LOOKING_SECONDS)
        try:
            lock(descriptor)
        except OSError as cause:
            why = "another process is training in it; wait until it ends, or stop it"
            raise CheckpointError(f"{path}: {why}") from cause


def _write(descriptor: int, text: str, path: Path) -> None:
    """Write the whole content of an open file."""
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode())
    except OSError as cause:
        raise save_error(path, cause) from cause


def create_run_folder(name: str, root: Path = CHECKPOINTS) -> RunFolder:
    """Create a folder for a run: `name`, or `name-2`, `name-3`, ... if it exists.

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
        raise not_created(root / name, cause) from cause
    raise AssertionError("count() does not end")


def runs(root: Path = CHECKPOINTS) -> list[RunFolder]:
    """Return the runs with a checkpoint, newest last, without folders that the user cannot open.

    Raises:
        InputError: The root cannot be read.
    """
    found = []
    for path in _run_paths(root):
        with contextlib.suppress(OSError, InputError):
            if path.is_dir() and (best := _checkpoint_in(path)) is not None:
                found.append(((best if best.is_file() else previous(best)).stat().st_mtime_ns, path))
    return [RunFolder(path) for _, path in sorted(found)]


def _run_paths(root: Path) -> Iterator[Path]:
    """Yield the paths in a folder of runs, with those in groups in place of the groups."""
    for path in _entries(root):
        if is_group(path):
            with contextlib.suppress(InputError):
                yield from _entries(path)
        else:
            yield path


def runs_of(name: str) -> list[RunFolder]:
    """Return the runs that have begun with this name, or this name and a number, newest last.

    Raises:
        InputError: The root cannot be read.
    """
    started = [(RunFolder(path).started_at(), path) for path in _entries_named(name, CHECKPOINTS)]
    return [RunFolder(path) for _, path in sorted((at, path) for at, path in started if at is not None)]


def begun_by(name: str, launchers: Collection[str]) -> RunFolder | None:
    """Return the newest run with this name that the same launchers have started or resumed before, or None."""
    known = reversed(runs_of(name) if launchers else [])
    return next((folder for folder in known if not folder.launchers().isdisjoint(launchers)), None)


def is_group(path: Path) -> bool:
    """Return whether a folder contains the runs of a group; False if it cannot be opened."""
    return _is_file(path / GROUP)


def is_study(path: Path) -> bool:
    """Return whether a folder contains a search, with the runs of its trials; False if it cannot be opened."""
    return _is_file(path / STUDY)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def group_runs(path: Path) -> list[RunFolder]:
    """Return the runs of a group that have begun, by name; numbers in names are in ascending order.

    Raises:
        InputError: The folder cannot be read.
    """
    begun = [RunFolder(entry) for entry in _entries(path) if RunFolder(entry).started_at() is not None]
    return sorted(begun, key=lambda run: [int(part) if part.isdecimal() else 0 for part in run.path.name.split("-")])


def groups_of(name: str, root: Path = CHECKPOINTS) -> list[Path]:
    """Return the groups with this name, or this name and a number, newest last.

    Raises:
        InputError: The root cannot be read.
    """
    groups = []
    for path in filter(is_group, _entries_named(name, root)):
        with contextlib.suppress(FileNotFoundError):  # deleted since it was found
            groups.append(((path / GROUP).stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(groups)]


def named_group(run: str, root: Path = CHECKPOINTS) -> Path | None:
    """Return the group with exactly this name or path, or None."""
    return next(filter(is_group, _places(run, root)), None) if run else None


def refuse_lost_group(run: str) -> None:
    """Refuse a folder with the runs of a group whose `group.json` is lost: nobody knows what else it was to train.

    Raises:
        CheckpointError: RUN is the name or path of such a folder.
    """
    for place in _places(run, CHECKPOINTS):
        if place != CHECKPOINTS and (begun := group_runs(place)):
            each = some([f"--resume {known.path}" for known in begun])
            raise CheckpointError(
                f"{place / GROUP}: missing, so the group cannot be continued; continue its runs: {each}"
            )


def _entries(root: Path) -> list[Path]:
    if look(root) is None or not root.is_dir():
        return []
    try:
        return list(root.iterdir())
    except OSError as cause:
        raise unreadable(root, cause) from cause


def _entries_named(name: str, root: Path) -> list[Path]:
    """Return the entries with this name, or this name and a number."""
    pattern = re.compile(re.escape(name) + r"(-[0-9]+)?")
    return [path for path in _entries(root) if pattern.fullmatch(path.name)]


def _places(run: str, root: Path) -> list[Path]:
    """Return the paths that RUN may refer to, in order of precedence: a name under checkpoints/, then a path."""
    named, path = root / run, Path(run)
    return [named, path] if path.name == run else [path, named]


def _checkpoint_in(place: Path) -> Path | None:
    """Return the checkpoint at a path: the file itself, or a run folder's best.pt, possibly its previous version."""
    if is_regular(place):
        return place
    best = RunFolder(place).best
    return best if any(is_regular(path) for path in (best, previous(best))) else None


def named_run(run: str, root: Path = CHECKPOINTS) -> RunFolder | None:
    """Return the run with exactly this name or path that has begun and has a config or checkpoint, or None.

    Raises:
        InputError: A path cannot be accessed.
    """
    folders = [RunFolder(place) for place in _places(run, root)]
    return next((folder for folder in folders if is_regular(folder.config) or is_regular(folder.last)), None)


def find_checkpoint(run: str | None, root: Path = CHECKPOINTS, note: Callable[[str], None] = lambda text: None) -> Path:
    """Return the checkpoint that RUN refers to: a name under checkpoints/, a run folder, a file; None for the newest
    run.

    Args:
        run: RUN.
        root: Folder of the runs.
        note: Function that shows the user which run was chosen if RUN is ambiguous.

    Raises:
        CheckpointError: There is no such run.
        InputError: A path cannot be accessed.
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
    """Return a part of a sentence that names the folders that the user cannot open."""
    closed = []
    for path in _entries(root):
        try:
            _checkpoint_in(path)
        except (OSError, InputError):
            closed.append(path)
    return f" that you have permission to open ({some(closed)}: fix the permissions)" if closed else ""


def _no_run(run: str, places: Sequence[Path], root: Path) -> CheckpointError:
    """Return the error that explains best why RUN is not a run."""
    for place in places:
        if run and place != root and (is_group(place) or group_runs(place)):
            names = some([known.path for known in group_runs(place)]) or "none has begun"
            return CheckpointError(f"{place}: a group of runs; name one of them: {names}")
        if run and place != root and is_study(place):
            best = shell_command("train", str(place / "best.yaml"))
            return CheckpointError(f"{place}: a search; name a trial, such as {place / 'trials/1'}, or `{best}`")
        if run and place.is_dir() and place != root:
            if os.path.lexists(RunFolder(place).last):
                resume = shell_command("train", "--resume", place.name)
                what = f"no best.pt yet; `{resume}` continues the run and writes it"
            else:
                what = "contains no best.pt; expected a run folder; was the run stopped in its first epoch?"
            return CheckpointError(f"{place}: {what}")
        if run and place.exists() and not place.is_dir():
            return CheckpointError(f"{place}: not a regular file; expected a run, a run folder or a checkpoint")
    hint = suggestion(run, [known.name for known in runs(root)])
    return CheckpointError(f"{run or 'RUN'}: no such run, folder or checkpoint (runs are kept under {root}/){hint}")
