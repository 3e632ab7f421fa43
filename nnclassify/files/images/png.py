"""PNG files: without their metadata, and whether all their rows are there."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 2**28
"""Size limit for files to be stripped."""


CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values per pixel of each color type."""
WHOLE = ((0, 0, 1, 1),)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The first column and row of each pass of an interlaced image, and the steps between them (PNG specification, 8.2)."""


def lacks_rows(content: bytes) -> bool:
    """Return whether a PNG file that Pillow has read ends before its last row; Pillow fills the rest with zeros."""
    if len(content) > MAX_BYTES:
        return False
    data = [content[place + 8 : place + 8 + length] for name, place, length in _chunks(content) if name == b"IDAT"]
    return _num_bytes(b"".join(data)) < _expected_bytes(content)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk, where it begins, and the length of its data."""
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        yield name, place, length
        place += 12 + length


def _expected_bytes(content: bytes) -> int:
    """Return the length of the unpacked pixels by the header: each row of each pass begins with its filter."""
    width, height, depth, color, _, _, is_interlaced = struct.unpack(">IIBBBBB", content[16:29])
    passes = ((-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in (ADAM7 if is_interlaced else WHOLE))
    return sum(rows * (1 + -(-columns * depth * CHANNELS[color] // 8)) for columns, rows in passes if columns and rows)


def _num_bytes(data: bytes) -> int:
    """Return the length of packed data once it is unpacked."""
    unpacker, length = zlib.decompressobj(), 0
    while data and not unpacker.eof:
        length += len(unpacker.decompress(data, 2**20))
        data = unpacker.unconsumed_tail
    return length


def pixels_alone(content: bytes) -> io.BytesIO | None:
    """Return a PNG file without its ancillary chunks: text, profiles, EXIF data, times.

    Pillow rejects an image if one of them is damaged. The name of a chunk begins with a capital letter if the chunk is
    needed to decode the pixels (PNG specification, 5.4); `tRNS`, the transparency, is kept too.

    Returns:
        The stripped file, or None if the file is not a PNG, is truncated, or has no such chunk.
    """
    if not content.startswith(SIGNATURE) or len(content) > MAX_BYTES:
        return None
    kept = [SIGNATURE]
    for name, place, length in _chunks(content):
        end = place + 12 + length  # length, name, data, checksum
        if name[:1].isupper() or name == b"tRNS":
            kept.append(content[place:end])
        if name == b"IEND":
            bare = b"".join(kept)
            return io.BytesIO(bare) if len(bare) < end else None
    return None
