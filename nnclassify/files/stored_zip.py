"""Strict reader of zip files as `torch.save` writes them, which rejects every file that readers could disagree about.

A zip file contains most information twice, and readers differ in which copy they use: if bytes are prepended to a
file, Python's reader skips them and torch's does not. So a file is rejected unless its entries follow one another
without gaps from its first byte to its directory, and both copies of everything agree.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from nnclassify.errors import NNClassifyError

_END, _LOCATOR, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
_ENTRY, _LOCAL = struct.Struct("<4s4H2H3L5H2L"), struct.Struct("<4s5H3L2H")
_FULL_16, _FULL_32 = 2**16 - 1, 2**32 - 1
"""Value of a field that is too small; the actual value is in a zip64 record."""
_DESCRIBED_LATER, _UTF_8 = 0x8, 0x800
MAX_ENTRIES = 1_000_000
CHUNK = 1 << 20


class Refused(NNClassifyError):
    """What is wrong with a file, as part of the caller's message."""


@dataclass(frozen=True)
class Entry:
    """A stored file.

    Attributes:
        name: Its path.
        offset: Offset of its content.
        size: Size of its content.
        crc: CRC-32 of its content.
    """

    name: str
    offset: int
    size: int
    crc: int


@dataclass(frozen=True)
class _Directory:
    start: int
    size: int
    count: int


def read_entries(file: IO[bytes]) -> list[Entry]:
    """Return the entries of a zip file in their order, after checking all checksums.

    Raises:
        Refused: The file is not a zip file, is damaged, or can be read in several ways.
        struct.error: The file is truncated.
    """
    directory = _find_directory(file)
    entries: list[Entry] = []
    end = 0
    for header, name, size in _listed(file, directory):
        entry, end = _stored(file, header, name, size, end)
        entries.append(entry)
    if end != directory.start:
        raise Refused("holds bytes between its last entry and its directory")
    names = {entry.name.lower() for entry in entries}  # torch ignores case when it looks up names
    if len(names) != len(entries):
        raise Refused("contains an entry twice")
    for entry in entries:
        if _checksum(file, entry) != entry.crc:
            raise Refused(f"damaged (checksum of {entry.name})")
    return entries


def content_of(file: IO[bytes], entry: Entry) -> bytes:
    """Return the content of an entry."""
    file.seek(entry.offset)
    return file.read(entry.size)


def _find_directory(file: IO[bytes]) -> _Directory:
    """Read the record at the very end of the file, and the zip64 records before it, if there are any."""
    length = file.seek(0, 2)
    if length < _END.size:
        raise Refused("not a zip file")
    end = length - _END.size
    mark, disk, first_disk, here, count, size, start, comment = _unpacked(file, _END, end)
    if mark != b"PK\5\6" or (disk, first_disk, comment) != (0, 0, 0) or here != count:
        raise Refused("not a complete zip file, or followed by bytes or a comment")
    place = end - _LOCATOR.size
    if place >= 0 and _read(file, place, 4) == b"PK\6\7":
        end = place - _END_64.size
        if end < 0 or _unpacked(file, _LOCATOR, place) != (b"PK\6\7", 0, end, 1):
            raise Refused("damaged (its zip64 record is not where it belongs)")
        mark, length, _, _, disk, first_disk, here, all_64, size_64, start_64 = _unpacked(file, _END_64, end)
        said = ((count, _FULL_16, all_64), (size, _FULL_32, size_64), (start, _FULL_32, start_64))
        if (mark, length, disk, first_disk, here) != (b"PK\6\6", _END_64.size - 12, 0, 0, all_64):
            raise Refused("damaged (its zip64 record)")
        if any(short not in (full, long) for short, full, long in said):
            raise Refused("damaged (its two directory records differ)")
        count, size, start = all_64, size_64, start_64
    if start + size != end or count > MAX_ENTRIES:
        raise Refused("holds bytes before its first entry or after its directory, or its directory is damaged")
    return _Directory(start, size, count)


def _listed(file: IO[bytes], directory: _Directory) -> Iterator[tuple[tuple[int, ...], bytes, int]]:
    """Yield the directory's entries: (flags, checksum, offset), name, size."""
    place, end = directory.start, directory.start + directory.size
    for _ in range(directory.count):
        fields = _unpacked(file, _ENTRY, place)
        mark, _, _, flags, method, _, _, crc, packed, size, of_name, of_extra, comment, disk, _, _, offset = fields
        if mark != b"PK\1\2" or comment or disk or flags & ~(_DESCRIBED_LATER | _UTF_8):
            raise Refused("damaged, or not written by torch.save (an entry of its directory)")
        if method:
            raise Refused("holds compressed entries, which no checkpoint has")
        name = _read(file, place + _ENTRY.size, of_name)
        extra = _read(file, place + _ENTRY.size + of_name, of_extra)
        size, packed, offset = _widened([size, packed, offset], extra)
        if packed != size:
            raise Refused("damaged (an entry's two lengths differ)")
        yield (flags, crc, offset), name, size
        place += _ENTRY.size + of_name + of_extra
    if place != end:
        raise Refused("damaged (its directory is longer than its entries)")


def _widened(values: list[int], extra: bytes) -> list[int]:
    """Return the values, with those that exceed their fields read from the only allowed extra field, zip64's."""
    wide = [index for index, value in enumerate(values) if value == _FULL_32]
    if len(extra) != (4 + 8 * len(wide) if wide else 0):
        raise Refused("holds extra fields, which no checkpoint has")
    if wide:
        kind, length, *found = struct.unpack(f"<2H{len(wide)}Q", extra)
        if (kind, length) != (1, 8 * len(wide)):
            raise Refused("damaged (a field of zip64)")
        for index, value in zip(wide, found, strict=True):
            values[index] = value
    return values


def _stored(file: IO[bytes], header: tuple[int, ...], name: bytes, size: int, place: int) -> tuple[Entry, int]:
    """Return the entry that begins at `place`, and its end, after comparing its own header with the directory."""
    flags, crc, offset = header
    mark, _, own_flags, method, _, _, own_crc, packed, own_size, of_name, of_extra = _unpacked(file, _LOCAL, place)
    if mark != b"PK\3\4" or offset != place or (own_flags, method) != (flags, 0):
        raise Refused("damaged (an entry's header does not match its directory)")
    if _read(file, place + _LOCAL.size, of_name) != name:
        raise Refused("damaged (an entry has two names)")
    start = place + _LOCAL.size + of_name + of_extra
    end = start + size
    if flags & _DESCRIBED_LATER:
        said, (own_crc, packed, own_size) = (own_crc, packed, own_size), (crc, size, size)
        if said != (0, 0, 0):
            raise Refused("damaged (an entry states its length twice)")
        end = _described(file, end, crc, size)
    own_sizes = {own_size, packed} - ({_FULL_32} if size >= _FULL_32 else set())
    if own_crc != crc or own_sizes - {size}:
        raise Refused("damaged (an entry's header does not match its directory)")
    return Entry(_text(name), start, size, crc), end


def _described(file: IO[bytes], place: int, crc: int, size: int) -> int:
    """Return the end of the data descriptor after an entry, whose lengths have eight bytes if four are too few."""
    shape = struct.Struct("<4sL2Q" if size >= _FULL_32 else "<4s3L")
    if _unpacked(file, shape, place) != (b"PK\7\x08", crc, size, size):
        raise Refused("damaged (what follows an entry does not match its directory)")
    return place + shape.size


def _text(name: bytes) -> str:
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as cause:
        raise Refused("contains an entry with a name that torch.save does not write") from cause


def _checksum(file: IO[bytes], entry: Entry) -> int:
    file.seek(entry.offset)
    crc, left = 0, entry.size
    while left and (part := file.read(min(CHUNK, left))):
        crc, left = zlib.crc32(part, crc), left - len(part)
    return crc


def _unpacked(file: IO[bytes], shape: struct.Struct, place: int) -> tuple[Any, ...]:
    return shape.unpack(_read(file, place, shape.size))


def _read(file: IO[bytes], place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)
