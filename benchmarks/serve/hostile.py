"""Requests that must be refused: broken images, bombs, broken forms, wrong JSON. Each is of another make."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from benchmarks.serve.load import form_request, request

JSON = b"application/json"
FORM = b"multipart/form-data; boundary=x"
NAMES = ["../../etc/passwd", "a\\..\\b.png", "a" * 5000, "\x1b[31m.png", "CON", "%00.png", "<script>.png", "..", ""]


def hostile_requests(count: int) -> list[bytes]:
    """Return `count` requests, of every kind in turn."""
    kinds = [_broken_images(), _large_images(), _other_files(), _broken_forms(), _wrong_json(), _wrong_types()]
    found: list[bytes] = []
    while len(found) < count:
        found += [next(kind) for kind in kinds]
    return found[:count]


def _image(seed: int, kind: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def _broken_images() -> Iterator[bytes]:
    """Yield images that end early."""
    rng = random.Random(0)
    for seed in range(10**6):
        kind = ("PNG", "BMP", "TIFF", "JPEG", "GIF")[seed % 5]
        content = _image(seed, kind)
        yield form_request(content[: rng.randrange(0, len(content) * 2 // 3)], NAMES[seed % len(NAMES)])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _large_images() -> Iterator[bytes]:
    """Yield small files of huge images: whole ones, and ones that only say so."""
    rng = random.Random(1)
    zeros = zlib.compress(bytes(8_000 * 8_001))
    for number in range(10**6):
        side = rng.choice([8_000, 20_000, 100_000, 2**31 - 1])
        if number % 3 == 0:
            yield form_request(_png(8_000, 8_000, zeros), "bomb.png")
        elif number % 3 == 1:
            yield form_request(_png(side, side, rng.randbytes(64)), "huge.png")
        else:
            yield form_request(b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + rng.randbytes(50), "huge.gif")


def _other_files() -> Iterator[bytes]:
    """Yield files that are no images."""
    rng = random.Random(2)
    starts = [
        b"",
        b"MZ",
        b"PK\x03\x04",
        b"%PDF-1.7\n",
        b"<svg onload=alert(1)>",
        b"\x80\x04\x95",
        b"II*\x00",
        b"\xff\xd8\xff",
    ]
    starts += [
        b"RIFF\x00\x00\x00\x00WEBP",
        b"\x00\x00\x00\x18ftypavif",
        b"\x93NUMPY",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"P6\n9 9\n",
    ]
    for number in range(10**6):
        yield form_request(starts[number % len(starts)] + rng.randbytes(rng.randrange(0, 200)), f"{number}.png")


def _broken_forms() -> Iterator[bytes]:
    """Yield bodies that are no whole form, or have no file."""
    disposition = b'Content-Disposition: form-data; name="f"'
    bodies = [
        b"",
        b"--x",
        b"--x--\r\n",
        b"--x\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n" + disposition + b"\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n" + disposition + b'; filename="a"\r\n\r\nabc',
        b"--x\r\n" + b"A: b\r\n" * 1000 + b"\r\nabc\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n\x00\x01: \xff\r\n\r\n\r\n--x--\r\n",
        (b"--x\r\n" + disposition + b'; filename="a"\r\n\r\n\r\n') * 1000 + b"--x--\r\n",
    ]
    for number in range(10**6):
        kind = FORM if number % 7 else b"multipart/form-data"
        yield request(kind, bodies[number % len(bodies)] + b"\r\n" * (number // len(bodies)))


def _wrong_json() -> Iterator[bytes]:
    """Yield JSON that is damaged, deep, or of another shape."""
    rng = random.Random(3)
    contents = [
        b"", b"{", b"[" * 50_000, b'{"inputs":' * 20_000, b"\xff\xfe", b"null", b"1e999", b'{"inputs": null}',
        b'{"inputs": []}', b'{"inputs": [[]]}', b'{"inputs": [NaN]}', b'{"inputs": [[[1e999]]]}', b'{"x": [1]}',
        b'{"inputs": [{"a": 1}]}', b'{"inputs": ["..\\u0000"]}', b'{"inputs": [[["\\ud800"]]]}',
        b'{"inputs": [[[' + b"9" * 4000 + b"]]]}", b'{"inputs": [[[1, [2]], 3]]}', b'{"inputs": [1], "inputs": 2}',
    ]  # fmt: skip
    for number in range(10**6):
        if number % 4 == 0:
            rows = [[rng.randrange(-300, 600) for _ in range(8)] for _ in range(rng.choice([7, 9, 80]))]
            yield request(JSON, json.dumps({"inputs": [rows]}).encode())
        else:
            yield request(JSON, contents[number % len(contents)] + b" " * (number // len(contents)))


def _wrong_types() -> Iterator[bytes]:
    """Yield other media types, and bodies over the limit."""
    kinds = [
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"image/png",
        b"",
        b";",
        b"a/" + b"b" * 3000,
        b"\x80\x81",
    ]
    for number in range(10**6):
        if number % 20 == 0:
            yield request(JSON, b" " * 16_000_001)
        else:
            yield request(kinds[number % len(kinds)], b"x" * number)
