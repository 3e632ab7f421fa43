"""Look at a `.pt` file before torch reads it: a damaged or a hostile one is refused without being unpickled.

`torch.load` with `weights_only=True` runs no code of a file, but it checks no checksum, inflates what is deflated,
trusts the length that a file gives for a tensor, and builds whatever containers a file describes. So first:

- the zip: entries stored, each once, all inside the file, no two over the same bytes, checksums right;
- the pickle: only the opcodes and the globals of plain data and tensors, and no more values than a limit;
- the tensors: each within its storage, each storage as long as its record.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_PICKLE_BYTES, MAX_OPCODES, MAX_DEPTH = 64 * 2**20, 5_000_000, 64
"""A history of 100,000 epochs stays below each of these."""

ITEM_BYTES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
_OPCODES = {
    *("PROTO", "STOP", "MARK", "POP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1"),
    *("BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1"),
    *("TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "REDUCE", "BINPERSID"),
}
_PUTS = ("BINPUT", "LONG_BINPUT")


@dataclass(frozen=True)
class _Storage:
    """The storage that a pickle names, and how long it says that is."""

    num_items: int


class Refused(Exception):
    """What is wrong with a file, for use inside a caller's message."""


def check_archive(path: Path) -> None:
    """Refuse a file that torch should not see.

    Raises:
        Refused: It is damaged, or nothing that `torch.save` writes of plain data and tensors.
        Exception: A damaged file fails in as many ways as it has bytes.
    """
    with zipfile.ZipFile(path) as archive:
        _check_zip(archive, path.stat().st_size)
        _check_pickle(archive)


def _check_zip(archive: zipfile.ZipFile, file_bytes: int) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise Refused("holds an entry twice")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise Refused("holds compressed entries, which no checkpoint has")
    if any(entry.compress_size != entry.file_size for entry in entries):
        raise Refused("damaged (an entry's two lengths differ)")
    if sum(entry.file_size for entry in entries) > file_bytes:
        raise Refused("holds entries that are longer than the file")
    if (bad := archive.testzip()) is not None:
        raise Refused(f"damaged (checksum of {bad})")


def _check_pickle(archive: zipfile.ZipFile) -> None:
    names = {entry.filename: entry.file_size for entry in archive.infolist()}
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise Refused("holds no data.pkl, which every checkpoint has")
    if names[pickles[0]] > MAX_PICKLE_BYTES:
        raise Refused(f"describes more than {MAX_PICKLE_BYTES >> 20} MB of plain data")
    byteorder = pickles[0].replace("data.pkl", "byteorder")
    if byteorder in names and archive.read(byteorder) != b"little":
        raise Refused("is of a machine with another byte order")
    content = archive.read(pickles[0])
    _check_opcodes(content)
    reader = _Reader(content, pickles[0].removesuffix("data.pkl") + "data/", names)
    _count(reader.load(), 0, [0])


def _check_opcodes(content: bytes) -> None:
    """A memo index beyond the number of values would make the unpickler reserve memory for all below it."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content), 1):
        if opcode.name not in _OPCODES:
            raise Refused(f"holds pickle instruction {opcode.name}, which no checkpoint has")
        if count > MAX_OPCODES or (opcode.name in _PUTS and isinstance(argument, int) and argument > count):
            raise Refused(f"describes more than {MAX_OPCODES} values")


def _count(value: Any, depth: int, seen: list[int]) -> None:
    """Count values as often as they are reached: a list of one list twice, of one list twice, ... has no end."""
    seen[0] += 1
    if seen[0] > MAX_OPCODES or depth > MAX_DEPTH:
        raise Refused(f"describes more than {MAX_OPCODES} values or {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, child in value.items():
            _count(key, depth + 1, seen)
            _count(child, depth + 1, seen)
    elif isinstance(value, list | tuple):
        for child in value:
            _count(child, depth + 1, seen)


class _Reader(pickle.Unpickler):
    """Builds the containers of a pickle, and checks its tensors without making one."""

    def __init__(self, content: bytes, folder: str, sizes: dict[str, int]) -> None:
        super().__init__(io.BytesIO(content))
        self.folder = folder
        self.sizes = sizes

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global: none of them is looked up."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _check_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _check_parameter
        if module == "torch" and name in ITEM_BYTES:
            return name
        raise Refused(f"names {module}.{name}, which is neither plain data nor a tensor")

    def persistent_load(self, reference: Any) -> _Storage:
        """What stands for a record of numbers, whose length must be what the pickle says."""
        kind, storage_type, key, _, num_items = reference
        size = self.sizes.get(f"{self.folder}{key}")
        if kind != "storage" or size is None or size != num_items * ITEM_BYTES[storage_type]:
            raise Refused(f"damaged (storage {key} is not as long as it says)")
        return _Storage(num_items)


def _check_tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *rest: Any) -> None:
    """A tensor is dense and inside its storage. Gradients and hooks, the rest, are no part of ours."""
    spans = [(size - 1) * step for size, step in zip(shape, stride, strict=True)]
    last = offset + sum(spans) if math.prod(shape) else offset - 1
    if min([offset, *shape, *stride]) < 0 or last >= max(storage.num_items, offset):
        raise Refused("damaged (a tensor reaches beyond its storage)")
    if math.prod(shape) > storage.num_items:
        raise Refused("damaged (a tensor is larger than its storage)")


def _check_parameter(tensor: None, *rest: Any) -> None:
    """Its tensor is checked by then."""
