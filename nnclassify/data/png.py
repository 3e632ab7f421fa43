"""PNG files reduced to their pixels."""

from __future__ import annotations

import io
import struct
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 2**28
"""Of a file that is taken apart."""


def pixels_alone(path: Path) -> io.BytesIO | None:
    """A PNG file without its ancillary chunks: texts, profiles, EXIF data, times.

    Pillow refuses an image for a damaged one of them. A chunk's name begins with a capital where it is needed to
    decode the pixels (PNG specification, 5.4); `tRNS` is kept too, for it says what is transparent.

    Returns:
        None where it is no PNG file, is cut short, or has no such chunk.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
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
