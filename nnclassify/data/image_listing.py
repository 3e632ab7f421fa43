"""The images under a folder: one walk, for training and for `predict`.

Folders are walked through to the bottom, links are followed, and nothing is left out without being counted.
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
"""What operating systems and network drives leave in folders, in lower case, in addition to hidden files."""

TEXT_ENDINGS = (".csv", ".htm", ".html", ".json", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
"""Notes and annotations that lie beside images. Any other file is opened, whatever its name ends with."""

MAX_DEPTH = 100
"""Folders in folders."""

SYSTEM, TEXTS, SPECIAL, AGAIN = "system file", "text file", "special file", "repeated link"
"""What is passed over: special are pipes and devices, repeated are links to folders that are read anyway."""


@dataclass
class Listing:
    """What lies under a folder.

    Attributes:
        pictures: The files to open, in the order of their paths' parts.
        deeper: The folders within the folder that hold some of them.
        passed_over: What is not opened, by the reason.
    """

    pictures: list[Path] = field(default_factory=list)
    deeper: list[Path] = field(default_factory=list)
    passed_over: dict[str, list[Path]] = field(default_factory=dict)

    def leave(self, path: Path, reason: str) -> None:
        """Pass over a file or folder."""
        self.passed_over.setdefault(reason, []).append(path)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name; an entry knows whether it is a file without another look at the disk.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as cause:
        raise DataError(f"{folder}: cannot be read ({one_line(cause)}); fix permissions") from cause


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or an operating system's own."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def kind_of(entry: os.DirEntry[str]) -> Literal["folder", "file", "special", "dangling"]:
    """What an entry is, or leads to where it is a link."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return "special" if Path(entry.path).exists() else "dangling"
    except OSError:  # a link that leads to itself
        return "dangling"


def list_pictures(folder: Path) -> Listing:
    """Every image under a folder, at any depth.

    A link that leads nowhere counts as an image, so that reading names it.

    Raises:
        DataError: A folder that cannot be read, or too many in one another.
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
    has_pictures = False
    for entry in entries(folder):
        path = folder / entry.name
        kind = kind_of(entry)
        if (reason := _reason_to_pass(entry.name, kind)) is not None:
            listing.leave(path, reason)
        elif kind == "folder":
            _walk(path, depth + 1, listing, seen)
        else:
            listing.pictures.append(path)
            has_pictures = True
    if depth > 0 and has_pictures:
        listing.deeper.append(folder)


def _reason_to_pass(name: str, kind: str) -> str | None:
    if is_system(name):
        return SYSTEM
    if kind == "special":
        return SPECIAL
    return TEXTS if kind == "file" and name.lower().endswith(TEXT_ENDINGS) else None


def identity(folder: Path) -> tuple[int, int]:
    """What a folder has in common with all links to it.

    Raises:
        DataError: It cannot be looked at.
    """
    try:
        status = folder.stat()
    except OSError as cause:
        raise DataError(f"{folder}: cannot be read ({one_line(cause)}); fix permissions") from cause
    return status.st_dev, status.st_ino


def clean_name(name: str) -> str:
    """A folder's name as a class name: accents composed, as Linux and Windows write them and macOS may not; no spaces
    around it."""
    return unicodedata.normalize("NFC", name).strip()


def look_alike(name: str) -> str:
    """What two names share that a reader takes for one: case, spaces, forms of a character and invisible ones apart."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(sign for sign in plain if unicodedata.category(sign) != "Cf").split())


def passed_over(listings: Iterable[Listing]) -> Iterator[str]:
    """One line for each reason to pass over files."""
    whole: dict[str, list[Path]] = {}
    for listing in listings:
        for reason, paths in listing.passed_over.items():
            whole.setdefault(reason, []).extend(paths)
    for reason, paths in whole.items():
        yield f"skipped: {counted(len(paths), reason)} ({some(paths)})"
