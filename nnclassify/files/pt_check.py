"""Checks a `.pt` file before torch reads it: damaged or malicious files are rejected without being unpickled.

`torch.load` with `weights_only=True` runs no code from a file. But it verifies no checksums, inflates compressed
entries, trusts the length that a file gives for a tensor, and builds any containers that a file describes. So these are
checked first:

- the zip archive: read by `stored_zip`, with only the entries that `torch.save` writes;
- the pickle: executed here with placeholders for tensors, restricted to the opcodes of plain data and tensors, to a
maximum number of values, and to dictionaries whose keys are strings or numbers (other keys can be made to collide,
which takes quadratic time);
- the tensors: each must fit into its storage, and each storage must have the length of its record.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnclassify.files.stored_zip import Entry, content_of, read_entries
from nnclassify.files.stored_zip import Refused as Refused

MAX_PICKLE_BYTES, MAX_OPCODES, MAX_DEPTH = 64 * 2**20, 5_000_000, 64
"""Limits of the pickle; a history of 100,000 epochs stays below each of them."""
MAX_INTEGER = 2**63
"""Limit of integers, as in torch and NumPy."""

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
GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {name}" for name in ITEM_BYTES),
}
ENTRY = re.compile(
    r"(?P<folder>[^/]+)/(data\.pkl|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id"
    r"|data/\d+)"
)
"""The entries that `torch.save` writes."""


def check_archive(path: Path) -> Any:
    """Reject a file that torch should not read; return its content with placeholders for tensors.

    Raises:
        Refused: The file is damaged, or is not what `torch.save` writes for plain data and tensors.
        Exception: A damaged file can raise almost anything.
    """
    with path.open("rb") as file:
        entries = {entry.name: entry for entry in read_entries(file)}
        folder = _folder(list(entries))
        pickled = entries[f"{folder}/data.pkl"]
        if pickled.size > MAX_PICKLE_BYTES:
            raise Refused(f"describes more than {MAX_PICKLE_BYTES >> 20} MB of plain data")
        order = entries.get(f"{folder}/byteorder")
        if order is not None and content_of(file, order) != b"little":
            raise Refused("was written on a machine with another byte order")
        content = content_of(file, pickled)
    value = _Machine(f"{folder}/data/", entries).run(content)
    _size(value, {})
    return value


def plain_content(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content except for tensors, without importing torch; empty if the file cannot be read."""
    try:
        content = check_archive(path) if path.is_file() else {}  # opening a pipe would block forever
    except Exception:  # damaged in any way
        return {}
    return content if isinstance(content, dict) else {}


def _folder(names: list[str]) -> str:
    """Return the folder that contains all entries; it is named after the file."""
    found = [ENTRY.fullmatch(name) for name in names]
    folders = {match["folder"] if match else "" for match in found}
    if len(folders) != 1 or folders == {""} or f"{min(folders)}/data.pkl" not in names:
        raise Refused("has no data.pkl, or has entries that no checkpoint has")
    return folders.pop()


def _size(value: Any, known: dict[int, tuple[int, int]], levels: int = MAX_DEPTH) -> tuple[int, int]:
    """Return the number of values and levels; values that are reached several times are counted each time.

    The number grows exponentially for nested lists of the form [x, x], and is infinite for one that contains itself.
    """
    children = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    if not children:
        return 1, 1
    if id(value) not in known:
        known[id(value)] = MAX_OPCODES, MAX_DEPTH  # the result if it contains itself
        sizes = [_size(child, known, levels - 1) for child in children] if levels else [known[id(value)]]
        known[id(value)] = 1 + len(children) + sum(size for size, _ in sizes), 1 + max(depth for _, depth in sizes)
    size, depth = known[id(value)]
    if size >= MAX_OPCODES or depth >= MAX_DEPTH:
        raise Refused(f"describes more than {MAX_OPCODES} values or {MAX_DEPTH} levels")
    return size, depth


@dataclass(frozen=True)
class _Global:
    """A placeholder for a function or class, which is not looked up."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A placeholder for a storage of a tensor."""

    num_items: int


@dataclass(frozen=True)
class _Tensor:
    """A placeholder for a tensor that has been checked."""


@dataclass
class _Machine:
    """Executes a pickle and builds its containers.

    Attributes:
        folder: Folder of the storages in the archive.
        entries: Entries of the archive.
        stack: The values since the last mark.
        marked: The stacks before each mark.
        memo: Values by memo number.
    """

    folder: str
    entries: dict[str, Entry]
    stack: list[Any] = field(default_factory=list)
    marked: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, content: bytes) -> Any:
        """Return the value that a pickle describes."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content), 1):
            if count > MAX_OPCODES:
                raise Refused(f"describes more than {MAX_OPCODES} values")
            if opcode.name in _LITERALS:
                self.stack.append(_LITERALS[opcode.name](argument))
            elif opcode.name in _INSTRUCTIONS:
                _INSTRUCTIONS[opcode.name](self, argument)
            elif opcode.name not in ("PROTO", "STOP"):
                raise Refused(f"holds pickle instruction {opcode.name}, which no checkpoint has")
        if len(self.stack) != 1 or self.marked:
            raise Refused("damaged (its pickle does not end with one value)")
        return self.stack[0]

    def mark(self, _: None) -> None:
        """Push a mark: begin a new stack."""
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Pop and return the values since the last mark."""
        values, self.stack = self.stack, self.marked.pop()
        return values

    def several(self, _: None) -> None:
        """Push a tuple of the values since the last mark."""
        values = tuple(self.since_mark())
        self.stack.append(values)

    def joined(self, length: int) -> None:
        """Push a tuple of the last values."""
        values = tuple(self.stack[-length:])
        if len(values) != length:
            raise Refused("damaged (a tuple has too few values)")
        self.stack[-length:] = [values]

    def append(self, values: list[Any]) -> None:
        """Append values to the list at the top of the stack."""
        if type(self.stack[-1]) is not list:
            raise Refused("damaged (appends to something that is not a list)")
        self.stack[-1] += values

    def set_items(self, values: list[Any]) -> None:
        """Add keys and values to the dict at the top of the stack."""
        target, keys = self.stack[-1], values[::2]
        if not isinstance(target, dict) or len(values) % 2:
            raise Refused("damaged (sets an item of something that is not a dict)")
        if any(type(key) not in (str, int) for key in keys):
            raise Refused("holds a dict with keys that are neither strings nor integers")
        target.update(zip(keys, values[1::2], strict=True))

    def set_metadata(self, _: None) -> None:
        """Set the attribute in which a state dict keeps the versions of its modules, and no other attribute."""
        state = self.stack.pop()
        if type(self.stack[-1]) is not OrderedDict or not isinstance(state, dict) or state.keys() != {"_metadata"}:
            raise Refused("holds pickle instruction BUILD for something other than a state dict")

    def put(self, number: int) -> None:
        """Store the top of the stack in the memo; the unpickler allocates space for all lower numbers."""
        if number > len(self.memo):
            raise Refused(f"describes more than {MAX_OPCODES} values, or numbers them with gaps")
        self.memo[number] = self.stack[-1]

    def push_global(self, name: str) -> None:
        """Push a placeholder for a function or class."""
        if name not in GLOBALS:
            is_tensor = name.startswith("torch._utils _rebuild_") or name.endswith("Storage")
            what = "neither plain data nor a tensor"
            if is_tensor:
                what = "a tensor of a type or layout that is not read; save it as x.float() or x.long()"
            raise Refused(f"names {name.replace(' ', '.')}, which is {what}")
        self.stack.append(_Global(name))

    def call(self, _: None) -> None:
        """Push a placeholder for the result of a function."""
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case _Global("collections OrderedDict"), ():
                self.stack.append(OrderedDict())
            case _Global("torch._utils _rebuild_tensor_v2"), (_Storage(), int(), tuple(), tuple(), bool(), hooks):
                _check_tensor(*arguments[:4])
                _check_hooks(hooks)
                self.stack.append(_Tensor())
            case _Global("torch._utils _rebuild_tensor_v2"), (_, _, _, _, _, _, dict()):
                raise Refused("holds a tensor with its negative or conjugate bit set; save x.resolve_neg() instead")
            case _Global("torch._utils _rebuild_parameter"), (_Tensor(), bool(), hooks):
                _check_hooks(hooks)
                self.stack.append(_Tensor())
            case _:
                raise Refused("damaged (a tensor is not described as torch.save describes it)")

    def load_storage(self, _: None) -> None:
        """Push a placeholder for a storage, after comparing its length with the record."""
        match self.stack.pop():
            case ("storage", _Global(kind), str(key), str(), int(num_items)) if kind[6:] in ITEM_BYTES:
                entry = self.entries.get(f"{self.folder}{key}")
                if entry is None or entry.size != num_items * ITEM_BYTES[kind[6:]]:
                    raise Refused(f"damaged (storage {key} has the wrong length)")
                self.stack.append(_Storage(num_items))
            case _:
                raise Refused("damaged (a storage is not described as torch.save describes it)")


def _integer(value: int) -> int:
    if abs(value) > MAX_INTEGER:
        raise Refused("holds an integer of more than 64 bits")
    return value


def _check_tensor(storage: _Storage, offset: int, shape: tuple[Any, ...], stride: tuple[Any, ...]) -> None:
    """Check that a tensor is dense and within its storage."""
    numbers = [offset, *shape, *stride]
    if len(shape) != len(stride) or any(type(number) is not int for number in numbers):
        raise Refused("damaged (a tensor's shape and strides do not match)")
    spans = [(size - 1) * step for size, step in zip(shape, stride, strict=True)]
    last = offset + sum(spans) if math.prod(shape) else offset - 1
    if min(numbers) < 0 or last >= max(storage.num_items, offset):
        raise Refused("damaged (a tensor reaches beyond its storage)")
    if math.prod(shape) > storage.num_items:
        raise Refused("damaged (a tensor is larger than its storage)")


def _check_hooks(hooks: Any) -> None:
    if not isinstance(hooks, OrderedDict) or hooks:
        raise Refused("holds a tensor with hooks")


_LITERALS: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _integer),
    **dict.fromkeys(("BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"), lambda value: value),
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
}
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.several,
    "TUPLE1": lambda machine, _: machine.joined(1),
    "TUPLE2": lambda machine, _: machine.joined(2),
    "TUPLE3": lambda machine, _: machine.joined(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop() for _ in range(2)][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, number: machine.stack.append(machine.memo[number])),
    "GLOBAL": _Machine.push_global,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.set_metadata,
    "BINPERSID": _Machine.load_storage,
}
