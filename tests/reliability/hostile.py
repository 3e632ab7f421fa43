"""Hostile files, and an audit of what a process does with them."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

GLOBALS = [b"posix\nsystem", b"os\nsystem", b"subprocess\nPopen", b"builtins\nexec", b"builtins\neval", b"nt\nsystem"]
WATCHED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork", "socket.connect", "shutil.rmtree")


def watch(log: Path, allowed: Path) -> None:
    """In this process, write down each program that is run and each file outside `allowed` that is written."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        outside = False
        if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[1], str):
            path = Path(arguments[0]).absolute()
            outside = bool(set(arguments[1]) & set("wax+")) and allowed not in path.parents and path != log
            outside = outside and not str(path).startswith(("/dev/", "/proc/"))
        if event in WATCHED or outside:
            with log.open("a") as file:
                file.write(f"{event} {arguments!r}\n")

    sys.addaudithook(hook)


def checkpoints(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Checkpoints: code in the pickle, bombs, lies about lengths; each as `.pt`."""
    records = _records(good)
    name = next(key for key in records if key.endswith("/data.pkl"))
    for number, function in enumerate(GLOBALS * 8):
        code = b"\x80\x02c" + function + b"\nX\x0c\x00\x00\x00touch hacked\x85R."
        yield f"code{number}", _zip({**records, name: code if number % 2 else b"(" + code[2:]})
        if number % 4 == 0:
            yield f"legacy{number}", code
    for size in (2**20, 2**27, 2**31 - 1):
        yield (
            f"zeros{size}",
            _zip({**records, name: b"\x80\x02cbuiltins\nbytearray\nJ" + struct.pack("<i", size) + b"\x85R."}),
        )
        yield f"memo{size}", _zip({**records, name: b"\x80\x02]r" + struct.pack("<I", size) + b"."})
        yield f"text{size}", _zip({**records, name: b"\x80\x02X" + struct.pack("<I", size) + b"."})
        yield f"deflated{size}", _zip({**records, "x/data/bomb": bytes(min(size, 2**27))}, zipfile.ZIP_DEFLATED)
    for depth in (30, 300, 3000):
        yield (
            f"twice{depth}",
            _saved(_twice(depth)) if depth < 100 else _zip({**records, name: b"\x80\x02" + b"]" * depth}),
        )
        yield f"nested{depth}", _zip({**records, name: b"\x80\x02" + b"(" * depth + b"t" * depth + b"."})
    for count in (10**6, 10**9, 10**12):
        yield f"stride{count}", _saved(torch.zeros(1).expand(count))
    for key in [key for key in records if "/data/" in key][:20]:
        yield f"short{key[-2:].strip('/')}", _zip({**records, key: records[key][: len(records[key]) // 2]})
    yield "up", _zip({**records, "../../escaped": b"x"})
    yield "nopickle", _zip({key: record for key, record in records.items() if key != name})
    yield "empty", b""
    yield "print", pickle.dumps(print)


def yamls() -> Iterator[tuple[str, bytes]]:
    """YAML: code in tags, aliases that multiply, depth, size, numbers without end."""
    for tag in ("object/apply:os.system", "object/new:subprocess.Popen", "name:os.system", "module:os", "object:dict"):
        for argument in ('["touch hacked"]', "touch hacked", "{args: [touch hacked]}"):
            yield f"tag{tag[-5:]}{len(argument)}", f"dataset: !!python/{tag} {argument}\nmodel: mlp\n".encode()
    for width in (5, 9, 20):
        lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, 25)]
        yield f"aliases{width}", "\n".join(lines).encode()
    for depth in (40, 10_000, 300_000):
        yield f"lists{depth}", b"dataset: " + b"[" * depth
        yield f"maps{depth}", b"dataset: " + b"{a: " * depth
        yield f"dashes{depth}", b"- " * depth + b"x"
    for digits in (400, 5_000, 900_000):
        yield f"digits{digits}", b"dataset: iris\nmodel: mlp\nepochs: " + b"9" * digits
        yield f"hex{digits}", b"dataset: iris\nmodel: mlp\nepochs: 0x" + b"f" * digits
        yield f"float{digits}", b"dataset: iris\nmodel: mlp\nepochs: 1e" + b"9" * min(digits, 5000)
    for units in (10**9, 10**12, 10**18):
        yield f"units{units}", b"dataset: iris\nmodel: {name: mlp, hidden: [%d, %d]}" % (units, units)
    yield "large", b"dataset: iris\nmodel: mlp\n#" + b"x" * 20_000_000
    yield "itself", b"&a [*a]"
    yield "itself2", b"dataset: &a {name: *a}\nmodel: mlp"
    for number, text in enumerate(
        (b"\x00", b"\xff\xfe", b"%YAML 9.9\n---\n", b"---\n---\n", b"\x1b[2J", b"? [a]\n: b")
    ):
        yield f"odd{number}", text


def pictures() -> Iterator[tuple[str, bytes]]:
    """Pictures: decompression bombs, programs, lies about size."""
    for side in (9_400, 20_000, 65_000):
        for channels, color in ((1, 0), (3, 2), (4, 6)):
            yield f"bomb{side}x{channels}.png", _png(side, channels, color)
    yield "program.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(hacked) (w) file closefile\nshowpage\n"
    yield "program.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(hacked) (w) file closefile\nshowpage\n"
    yield "program.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    for number in range(13):
        yield f"odd{number}.png", _png(8, 3, 2)[: 20 + number * 3] + bytes(number * 100)


def archives() -> Iterator[tuple[str, bytes]]:
    """Archives where a dataset is expected: paths that lead outside, links, bombs."""
    for number, name in enumerate(
        ("../../hacked", "/tmp/hacked", "cifar-10-batches-py/../../../hacked", "a/../../hacked", "hacked")
    ):
        for kind in (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            yield f"cifar{number}{kind.decode()}", _tar(name, kind)


def _png(side: int, channels: int, color: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    row = bytes(1 + side * channels)
    rows = b"".join(packer.compress(row) for _ in range(min(side, 9_400))) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, {1: 0, 2: 2, 3: 2, 4: 6}.get(channels, color), 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _tar(name: str, kind: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, "/etc/passwd", 3 if kind == tarfile.REGTYPE else 0
        archive.addfile(entry, io.BytesIO(b"bad"))
    return buffer.getvalue()


def _records(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return buffer.getvalue()


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _twice(depth: int) -> list[Any]:
    content: list[Any] = []
    for _ in range(depth):
        content = [content, content]
    return content
