"""The network as a list of operations that `static/network.js` carries out, with its tensors."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from nnclassify.errors import ModelError
from nnclassify.inference.export.about import Export
from nnclassify.inference.export.network import Kind, exported_network
from nnclassify.inference.export.programs import quiet, traced

HERE = Path(__file__).parent / "static"
DTYPES = {
    torch.float32: "f4",
    torch.float64: "f8",
    torch.int64: "i8",
    torch.int32: "i8",
    torch.bool: "b1",
    torch.uint8: "u1",
}
"""The number types of the operations; integers are held in float64."""

UNESCAPED = bytes.maketrans(b"&<>", b",./")
"""Digits of base 85 that a page would have to escape, and what stands for them."""
PLACING = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "implicit")
"""Arguments that the description of the results makes superfluous."""


def browser_program(export: Export) -> dict[str, Any]:
    """Return the operations and tensors of the network for one example.

    Raises:
        ModelError: torch.export does not support the network, or the browser lacks an operation.
    """
    taken = export.examples.taken
    network = exported_network(export.classifier, taken, resizes=False)
    batch = export.examples.batches[0]
    inputs = batch.raw[:1].float() if taken.kind is Kind.IMAGES else batch.inputs[:1]
    is_held = inputs.dtype in DTYPES and inputs.dtype != torch.uint8  # into which a page would fold other numbers
    inputs = inputs if is_held else inputs.float()
    program = traced(network, inputs, {}, "html")
    with quiet():
        program = program.run_decompositions()
    return _Translation(program).content()


class _Translation:
    """Translates a program of core ATen operations.

    Values are numbered: first the tensors, then the input, then the result of each operation.
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.numbers: dict[fx.Node, int] = {}

    def content(self) -> dict[str, Any]:
        """Return the program, which JSON can represent."""
        nodes = list(self.program.graph.nodes)
        given = [node for node in nodes if node.op == "placeholder"]
        called = [node for node in nodes if node.op == "call_function" and "_assert" not in str(node.target)]
        stored = dict(zip(given, self._tensors(), strict=True))
        (taken,) = [node for node, tensor in stored.items() if tensor is None]
        known: dict[fx.Node, Any] = {node: tensor for node, tensor in stored.items() if tensor is not None}
        calls = _folded(called, known)
        self._check(calls)
        needed = {source for node in calls for source in node.all_input_nodes}
        used = [node for node in known if node in needed]
        self.numbers = {node: place for place, node in enumerate([*used, taken, *calls])}
        (results,) = next(node for node in nodes if node.op == "output").args
        return {
            "tensors": [encoded(known[node]) for node in used],
            "operations": [self._operation(node) for node in calls],
            "input": _description(taken.meta["val"]),
            "outputs": [self.numbers[node] for node in results],
        }

    def _tensors(self) -> Iterator[Tensor | None]:
        """Yield the tensor of each placeholder; None for the input."""
        program = self.program
        for spec in program.graph_signature.input_specs:
            if spec.kind is InputKind.USER_INPUT:
                yield None
            else:
                source = program.state_dict if spec.target in program.state_dict else program.constants
                yield source[spec.target].detach()

    def _check(self, calls: list[fx.Node]) -> None:
        """Refuse what the page cannot carry out, naming the layer."""
        known = known_operations()
        for node in calls:
            if operation(node) not in known:
                raise ModelError(
                    f"--to html: {_layer(node)} needs {operation(node)}, which a page does not have; use --to onnx"
                )
            for value in _results(node):
                if value.dtype not in DTYPES:
                    raise ModelError(f"--to html: {_layer(node)} computes in {value.dtype}; use --to onnx")

    def _operation(self, node: fx.Node) -> list[Any]:
        kwargs = {name: self._argument(item) for name, item in node.kwargs.items() if name not in PLACING}
        results = [_description(value) for value in _results(node)]
        return [operation(node), [self._argument(item) for item in node.args], kwargs, results]

    def _argument(self, item: Any) -> Any:
        if isinstance(item, fx.Node):
            return {"v": self.numbers[item]}
        if isinstance(item, list | tuple):
            return [self._argument(child) for child in item]
        if isinstance(item, float) and not math.isfinite(item):
            return {"float": str(item).replace("inf", "Infinity").replace("nan", "NaN")}
        return item if isinstance(item, int | float | str | None) else None


def _folded(called: list[fx.Node], known: dict[fx.Node, Any]) -> list[fx.Node]:
    """Carry out the operations on tensors that are known, add their results, and return the other operations."""
    left = []
    for node in called:
        if node.all_input_nodes and all(source in known for source in node.all_input_nodes):
            args, kwargs = fx.map_arg((node.args, node.kwargs), lambda source: known[source])
            known[node] = cast("Callable[..., Any]", node.target)(*args, **kwargs)
        else:
            left.append(node)
    return left


def operation(node: fx.Node) -> str:
    """Return the name of an operation without its overload."""
    return ".".join(str(node.target).split(".")[:2]) if "getitem" not in str(node.target) else "getitem"


@cache
def known_operations() -> frozenset[str]:
    """Return the names of the operations of the page."""
    _, _, table = (HERE / "network.js").read_text(encoding="utf-8").partition("const OPERATIONS")
    return frozenset(re.findall(r'"(aten\.\w+|getitem)":', table))


def _layer(node: fx.Node) -> str:
    """Return the name and kind of the layer that an operation is of."""
    stack = [*node.meta.get("nn_module_stack", {}).values()]
    if not stack:
        return "the network"
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else kind.__name__
    return f"layer {path.removeprefix('network.') or 'network'} ({name.rpartition('.')[2]})"


def _results(node: fx.Node) -> list[Tensor]:
    value = node.meta["val"]
    return [part for part in (value if isinstance(value, tuple | list) else [value]) if isinstance(part, Tensor)]


def _description(value: Tensor) -> list[Any]:
    return [DTYPES.get(value.dtype, "f4"), [int(size) for size in value.shape]]


def encoded(tensor: Tensor) -> dict[str, Any]:
    """Return a tensor as number type, shape and little-endian bytes in base 85, which takes less space than
    base 64."""
    tensor = tensor.long() if tensor.dtype == torch.int32 else tensor
    content = tensor.contiguous().numpy()
    data = base64.b85encode(content.astype(content.dtype.newbyteorder("<")).tobytes(), pad=True).translate(UNESCAPED)
    return {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data": data.decode()}
