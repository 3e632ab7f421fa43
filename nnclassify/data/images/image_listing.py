"""Lists the images under a folder, for training and for `predict`.

Subfolders are searched at any depth, links are followed, and every file that is skipped is counted.
"""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nnclassify.data.images.file_list import END, FileCollector, FileList, ended, ended_and_sorted
from nnclassify.errors import DataError, counted, one_line, some

SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info", "__macosx", "__pycache__"),
    *("@eadir", "#recycle", "#snapshot", "@recycle", "$recycle.bin", "system volume information", "lost+found"),
}
"""What operating systems, network drives and other programs leave in folders, in lower case; hidden files and folders
are left out too."""

TEXT_ENDINGS = (".csv", ".htm", ".html", ".json", ".labels", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
"""Notes and annotations next to images. Every other file is opened, whatever its extension."""

RUNS = "checkpoints"
"""Where runs are, relative to the working directory, which may be the folder of the images."""

MAX_DEPTH = 100
"""Limit of nested folders."""

SYSTEM, TEXTS, SPECIAL, AGAIN = "system file", "text file", "special file", "repeated link"
"""Reasons to skip an entry: special files are pipes and devices; a repeated link leads to a folder that is read
anyway."""


@dataclass
class Listing:
    """The contents of a folder.

    Attributes:
        paths: The files to open, sorted by the parts of their paths.
        deeper: The subfolders, at any depth, that contain some of them.
        passed_over: The entries that are skipped, by reason.
        folders: The names of the folders directly in it.
        num_beside: The number of files to open beside these.
    """

    paths: FileList
    deeper: list[Path] = field(default_factory=list)
    passed_over: dict[str, list[Path]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    num_beside: int = 0


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name; an entry knows its type without another system call.

    Raises:
        DataError: The folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as cause:
        raise _unreadable(folder, cause) from cause


def _unreadable(folder: Path, cause: OSError) -> DataError:
    return DataError(f"{folder}: cannot be read ({one_line(cause)}); fix permissions")


def is_system(name: str) -> bool:
    """Return whether a file or folder is hidden or belongs to an operating system."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_left_out(folder: Path) -> bool:
    """Return whether a folder is hidden, belongs to an operating system, or holds the runs that were trained next to
    the images."""
    return is_system(folder.name) or (
        folder.name == RUNS and any(any(folder.glob(f"{run}/config.yaml")) for run in ("*", "*/*"))
    )


def kind_of(entry: os.DirEntry[str]) -> Literal["folder", "file", "special", "dangling"]:
    """Return the type of an entry; for a link, the type of its target."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return "special" if Path(entry.path).exists() else "dangling"
    except OSError:  # a link to itself
        return "dangling"


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without those that are left out."""
    found = (folder / entry.name for entry in entries(folder) if kind_of(entry) == "folder")
    return [path for path in found if not is_left_out(path)]


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder, without hidden and system ones."""
    return [folder / entry.name for entry in entries(folder) if kind_of(entry) == "file" and not is_system(entry.name)]


def list_images(folder: Path, root: Path | None = None) -> Listing:
    """List every image under a folder, at any depth.

    A broken link counts as an image, so that reading it reports it.

    Args:
        folder: The folder to search.
        root: The folder that the paths of the list are relative to: `folder`, or one that contains it.

    Raises:
        DataError: A folder cannot be read, or folders are nested too deeply.
    """
    walk = _Walk(
        FileCollector(folder if root is None else root), {identity(path) for path in folder.absolute().parents}
    )
    walk.visit(folder, "" if root is None else name_within(root, folder) + "/", 0)
    return Listing(walk.files.files(), walk.deeper, walk.passed_over, *walk.top)


def name_within(root: Path, path: Path) -> str:
    """Return a path relative to a root, with `/`; pathlib's own `relative_to` takes ten times as long."""
    return path.as_posix().removeprefix("" if root == Path() else root.as_posix().rstrip("/") + "/")


@dataclass
class _Walk:
    """A walk through a folder, which visits every folder once and spends about a microsecond on a file."""

    files: FileCollector
    seen: set[tuple[int, int]]
    deeper: list[Path] = field(default_factory=list)
    passed_over: dict[str, list[Path]] = field(default_factory=dict)
    top: tuple[list[str], int] = ([], 0)

    def visit(self, folder: Path, prefix: str, depth: int) -> None:
        """Add the images under a folder, whose files have paths that begin with `prefix`."""
        if depth > MAX_DEPTH:
            raise DataError(f"{folder}: more than {MAX_DEPTH} nested folders; expected images in <class>/")
        if (place := identity(folder)) in self.seen:
            self._leave(folder, AGAIN)
            return
        self.seen.add(place)
        text, folders = self._images_and_folders(folder)
        if depth == 0:
            self.top = folders, text.count(END)
        elif text:
            self.deeper.append(folder)
        files, start = text.split(END)[:-1] if folders else [], 0
        for name in folders:
            end = bisect_left(files, name, start)
            self.files.add(prefix, ended(files[start:end]))
            self.visit(folder / name, f"{prefix}{name}/", depth + 1)
            start = end
        self.files.add(prefix, ended(files[start:]) if folders else text)

    def _images_and_folders(self, folder: Path) -> tuple[str, list[str]]:
        """Return the names of the images in a folder, sorted, as one text (see `ended`), and those of its folders."""
        files, others = _scanned(folder)
        folders = []
        for entry in others:
            kind = kind_of(entry)
            if kind == "folder" and not is_left_out(folder / entry.name):
                folders.append(entry.name)
            elif kind in ("file", "dangling"):
                files.append(entry.name)
            else:
                self._leave(folder / entry.name, SYSTEM if kind == "folder" or is_system(entry.name) else SPECIAL)
        text = ended_and_sorted(files)
        # Most folders hold images alone.
        if _endings(files, text) & ODD_ENDINGS or text.startswith(".") or f"{END}." in text:
            files = text.split(END)[:-1]
            reasons = [_reason_to_pass(name) for name in files]
            for name, reason in zip(files, reasons, strict=True):
                if reason is not None:
                    self._leave(folder / name, reason)
            text = ended([name for name, reason in zip(files, reasons, strict=True) if reason is None])
        return text, sorted(folders)

    def _leave(self, path: Path, reason: str) -> None:
        self.passed_over.setdefault(reason, []).append(path)


def _scanned(folder: Path) -> tuple[list[str], list[os.DirEntry[str]]]:
    """Return the names of the ordinary files in a folder, and the other entries."""
    files, others = [], []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                else:
                    others.append(entry)
    except OSError as cause:
        raise _unreadable(folder, cause) from cause
    return files, others


def _reason_to_pass(name: str) -> str | None:
    if is_system(name):
        return SYSTEM
    return TEXTS if name.lower().endswith(TEXT_ENDINGS) else None


def _endings(files: list[str], text: str) -> set[str]:
    """Return the part of each name after its last dot, in lower case, or the whole name without a dot."""
    first = files[0].rpartition(".")[2] if files else ""
    if text.count(f".{first}{END}") == len(files):  # three times as fast
        return {first.lower()}
    return {ending.lower() for ending in {name.rpartition(".")[2] for name in files}}


ODD_ENDINGS = {name.rpartition(".")[2] for name in (*SYSTEM_NAMES, *TEXT_ENDINGS)}
"""The endings of all names that are passed over, except for hidden files."""


def identity(folder: Path) -> tuple[int, int]:
    """Return an identifier that a folder shares with all links to it.

    Raises:
        DataError: The folder cannot be accessed.
    """
    try:
        status = folder.stat()
    except OSError as cause:
        raise _unreadable(folder, cause) from cause
    return status.st_dev, status.st_ino


def clean_name(name: str) -> str:
    """Return a folder's name as a class name: accents composed, as on Linux and Windows but not always on macOS, and
    surrounding spaces removed."""
    return unicodedata.normalize("NFC", name).strip()


def look_alike(name: str) -> str:
    """Return a key that is equal for names that look alike: it ignores case, spaces, variants and invisible
    characters."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(sign for sign in plain if unicodedata.category(sign) != "Cf").split())


def passed_over(listings: Iterable[Listing]) -> Iterator[str]:
    """Yield one line per reason for skipped files."""
    whole: dict[str, list[Path]] = {}
    for listing in listings:
        for reason, paths in listing.passed_over.items():
            whole.setdefault(reason, []).extend(paths)
    for reason, paths in whole.items():
        yield f"skipped: {counted(len(paths), reason)} ({some(paths)})"
