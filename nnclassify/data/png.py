"""PNG files without their metadata."""

from __future__ import annotations

import io
import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 2**28
"""Size limit for files to be stripped."""


def pixels_alone(content: bytes) -> io.BytesIO | None:
    """Return a PNG file without its ancillary chunks: text, profiles, EXIF data, times.

    Pillow rejects an image if one of them is damaged. The name of a chunk begins with a capital letter if the chunk is
    needed to decode the pixels (PNG specification, 5.4); `tRNS`, the transparency, is kept too.

    Returns:
        The stripped file, or None if the file is not a PNG, is truncated, or has no such chunk.
    """
    if not content.startswith(SIGNATURE) or len(content) > MAX_BYTES:
        return None
    kept, place, name = [SIGNATURE], len(SIGNATURE), b""
    while name != b"IEND":
        if place + 12 > len(content):
            return None
        length, name = struct.unpack(">I4s", content[place : place + 8])
        chunk = content[place : place + 12 + length]  # length, name, data, checksum
        if name[:1].isupper() or name == b"tRNS":
            kept.append(chunk)
        place += 12 + length
    bare = b"".join(kept)
    return io.BytesIO(bare) if len(bare) < place else None
