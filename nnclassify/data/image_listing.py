"""Lists the images under a folder, for training and for `predict`.

Subfolders are searched at any depth, links are followed, and every file that is skipped is counted.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nnclassify.errors import DataError, counted, one_line, some

SYSTEM_NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
"""Files that operating systems and network drives leave in folders, in lower case, in addition to hidden files."""

TEXT_ENDINGS = (".csv", ".htm", ".html", ".json", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
"""Notes and annotations next to images. Every other file is opened, whatever its extension."""

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
        deeper: The subfolders that contain some of them.
        passed_over: The entries that are skipped, by reason.
    """

    paths: list[Path] = field(default_factory=list)
    deeper: list[Path] = field(default_factory=list)
    passed_over: dict[str, list[Path]] = field(default_factory=dict)

    def leave(self, path: Path, reason: str) -> None:
        """Record a skipped file or folder."""
        self.passed_over.setdefault(reason, []).append(path)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name; an entry knows its type without another system call.

    Raises:
        DataError: The folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as cause:
        raise DataError(f"{folder}: cannot be read ({one_line(cause)}); fix permissions") from cause


def is_system(name: str) -> bool:
    """Return whether a file or folder is hidden or belongs to an operating system."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


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


def list_images(folder: Path) -> Listing:
    """List every image under a folder, at any depth.

    A broken link counts as an image, so that reading it reports it.

    Raises:
        DataError: A folder cannot be read, or folders are nested too deeply.
    """
    listing = Listing()
    _walk(folder, 0, listing, {identity(parent) for parent in folder.absolute().parents})
    return listing


def _walk(folder: Path, depth: int, listing: Listing, seen: set[tuple[int, int]]) -> None:
    if depth > MAX_DEPTH:
        raise DataError(f"{folder}: more than {MAX_DEPTH} nested folders; expected images in <class>/")
    place = identity(folder)
    if place in seen:
        listing.leave(folder, AGAIN)
        return
    seen.add(place)
    has_images = False
    for entry in entries(folder):
        path = folder / entry.name
        kind = kind_of(entry)
        if (reason := _reason_to_pass(entry.name, kind)) is not None:
            listing.leave(path, reason)
        elif kind == "folder":
            _walk(path, depth + 1, listing, seen)
        else:
            listing.paths.append(path)
            has_images = True
    if depth > 0 and has_images:
        listing.deeper.append(folder)


def _reason_to_pass(name: str, kind: str) -> str | None:
    if is_system(name):
        return SYSTEM
    if kind == "special":
        return SPECIAL
    return TEXTS if kind == "file" and name.lower().endswith(TEXT_ENDINGS) else None


def identity(folder: Path) -> tuple[int, int]:
    """Return an identifier that a folder shares with all links to it.

    Raises:
        DataError: The folder cannot be accessed.
    """
    try:
        status = folder.stat()
    except OSError as cause:
        raise DataError(f"{folder}: cannot be read ({one_line(cause)}); fix permissions") from cause
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
