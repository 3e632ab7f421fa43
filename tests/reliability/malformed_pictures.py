"""Malformed images: folders, single files, and files of MNIST and CIFAR."""

from __future__ import annotations

import functools
import io
import random
import struct

import numpy as np
from PIL import Image

from reliability import hostile
from reliability.malformed import Case

FORMATS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "ppm": "PPM"}
NO_PICTURES = [
    b"",
    b"x",
    b"hello, this is text\n",
    bytes(500),
    b"%PDF-1.4\n",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"PK\x03\x04" + bytes(60),
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"BM",
    b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    b"II*\x00\x08\x00\x00\x00",
    b"P6 8 8 255\n",
]


def encoded(rng: random.Random, ending: str, side: int = 24) -> bytes:
    """A picture of noise in a format."""
    pixels = np.frombuffer(rng.randbytes(side * side * 3), dtype=np.uint8).reshape(side, side, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, FORMATS[ending])
    return buffer.getvalue()


@functools.cache
def _bombs() -> list[tuple[str, bytes]]:
    return [(name, content) for name, content in hostile.pictures() if name.startswith("bomb") and "9400" not in name]


def _broken(rng: random.Random) -> tuple[str, bytes]:
    """An ending and a file that no reader of pictures can make sense of."""
    ending = rng.choice([*FORMATS])
    kind = rng.choice(["cut", "cut", "none", "noise", "header", "size"])
    whole = encoded(rng, ending)
    if kind == "cut":
        return ending, whole[: rng.randrange(len(whole) * 3 // 5)]
    if kind == "noise":
        return ending, rng.randbytes(rng.randint(1, 3000))
    if kind == "header":
        return ending, rng.randbytes(12) + whole[12:]
    if kind == "size":
        sides = rng.choice([(0, 8), (8, 0), (20_000, 20_000), (2**31, 2**31), (60_000, 9)])
        content = bytearray(encoded(rng, "png"))
        content[16:24] = struct.pack(">II", *sides)  # and the checksum no longer fits
        return "png", bytes(content)
    return ending, rng.choice(NO_PICTURES)


def picture(rng: random.Random) -> Case:
    """A file to predict that is no picture, or not a whole one; `cnn` is a trained run beside it."""
    if rng.random() < 0.05:
        name, content = rng.choice(_bombs())
        return Case({name: content}, ("predict", name, "--run", "cnn"), name)
    ending, content = _broken(rng)
    name = f"bad.{ending}"
    return Case({name: content}, ("predict", name, "--run", "cnn"), name)


def folder(rng: random.Random) -> Case:
    """A folder of pictures with a bad file, without a class, with a class too many, or that is none."""
    files = {f"root/{name}/{index}.png": encoded(rng, "png", 8) for name in ("cat", "dog") for index in range(4)}
    options, named = "", "root"
    kind = rng.choice(["file", "file", "file", "empty", "one", "gone", "test", "validation", "skip", "hidden"])
    if kind == "file":
        ending, content = _broken(rng)
        named = f"root/{rng.choice(['cat', 'dog'])}/{rng.choice('abc')}.{ending}"
        files[named] = content
    elif kind == "empty":
        named = f"root/{rng.choice(['ant', 'cow', 'zebra'])}"
        files[f"{named}/"] = b""
    elif kind == "one":
        files = {path: content for path, content in files.items() if "cat" in path}
    elif kind == "gone":
        files = rng.choice([{}, {"root": b"a file"}, {"root/": b""}, {"root/a.png": b""}, {"root/train/": b""}])
    elif kind == "test":
        files = {path.replace("root", "root/train"): content for path, content in files.items()}
        named = f"root/test/{rng.choice(['bird', 'cat'])}"
        files[f"{named}/"] = b""
    elif kind == "validation":
        options, named = ", validation: later", "root/later"
    elif kind == "skip":
        files = {path: b"x" if "cat" in path else content for path, content in files.items()}
        options, named = ", on_bad_file: skip", "cat"
    else:
        files = {path: content for path, content in files.items() if "cat" in path} | {"root/dog/.a.png": b""}
        named = "root/dog"
    config = f"dataset: {{name: folder, root: root, size: 8{options}}}\nmodel: mlp\nepochs: 1\n".encode()
    return Case({**files, "run.yaml": config}, ("train", "run.yaml", "--no-plots"), named)


RAW = "data/MNIST/raw"
CIFAR = "data/cifar-10-batches-py"


def _idx(count: int, *sides: int, magic: int | None = None, values: bytes | None = None) -> bytes:
    size = count * int(np.prod(sides)) if sides else count
    content = bytes(index % 10 for index in range(size)) if values is None else values
    kind = 0x00000801 + len(sides) if magic is None else magic
    return struct.pack(f">{2 + len(sides)}I", kind, count, *sides) + content


def classic(rng: random.Random) -> Case:
    """MNIST's files with a wrong header, length or label, or CIFAR's batches, which a checksum guards."""
    if rng.random() < 0.25:
        return _cifar(rng)
    files = {
        f"{RAW}/train-images-idx3-ubyte": _idx(40, 28, 28),
        f"{RAW}/train-labels-idx1-ubyte": _idx(40),
        f"{RAW}/t10k-images-idx3-ubyte": _idx(20, 28, 28),
        f"{RAW}/t10k-labels-idx1-ubyte": _idx(20),
    }
    kind = rng.choice(["file", "file", "file", "gone", "label", "sides"])
    which = rng.choice([path for path in files if {"label": "labels", "sides": "images"}.get(kind, "") in path])
    whole = files[which]
    if kind == "gone":
        del files[which]
    elif kind == "label":
        place = rng.randrange(8, len(whole))
        files[which] = whole[:place] + bytes([rng.randint(10, 255)]) + whole[place + 1 :]
    elif kind == "sides":
        sides = rng.choice([(28, 0), (0, 28), (27, 28), (2**16, 2**16), (2**31, 1)])
        files[which] = whole[:8] + struct.pack(">II", *sides) + whole[16:]
    else:
        wrong_magic = [0, 0x802, 0x803 if "labels" in which else 0x801, 0xD03, 2**32 - 1]
        files[which] = rng.choice(
            [
                whole[: rng.randrange(len(whole))],
                b"",
                struct.pack(">I", rng.choice(wrong_magic)) + whole[4:],
                whole[:4] + struct.pack(">I", rng.choice([0, 1, 19, 41, 2**31, 2**32 - 1])) + whole[8:],
                whole + rng.randbytes(rng.randint(1, 900)),
                rng.randbytes(len(whole)),
            ]
        )
    config = b"dataset: {name: mnist, root: data}\nmodel: mlp\nepochs: 1\n"
    return Case({**files, "run.yaml": config}, ("train", "run.yaml", "--no-plots"), "data")


def _cifar(rng: random.Random) -> Case:
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]
    files = {f"{CIFAR}/{name}": rng.randbytes(rng.randint(0, 2000)) for name in rng.sample(names, rng.randint(0, 7))}
    if rng.random() < 0.5:
        files["data/cifar-10-python.tar.gz"] = rng.choice([b"", rng.randbytes(500), b"\x1f\x8b" + bytes(50)])
    config = b"dataset: {name: cifar10, root: data}\nmodel: mlp\nepochs: 1\n"
    return Case({**files, "run.yaml": config}, ("train", "run.yaml", "--no-plots"), "data")
