"""Training steps as machine code for a CPU: compiled ahead of time, kept on disk, loaded in milliseconds.

`torch.compile` traces again in every process and looks its caches up, for seconds. Here the step is traced once
(tracing.py), compiled by the same compiler into a library (AOTInductor), and found again by a digest of all that it
depends on: a run that finds its library never imports the compiler.
"""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from nnclassify.compile.libraries import KeptLibrary, compile_graph
from nnclassify.compile.torch_private import Library
from nnclassify.compile.tracing import SingleStep, traced
from nnclassify.errors import DeviceError, one_line


class CompiledSteps:
    """Several training steps in one call.

    Attributes:
        single: One step.
        tensors: What the steps read and change, beside the batches.
        group_size: Steps of a call, at most; more than one are a loop around the step.
        described: All that the step was built from, beside the tensors: what tells two steps apart.
        note: Receives, one line each, what the user should know.
        is_exact: Steps at once are to the bit the same steps one by one.
    """

    is_exact = True

    def __init__(
        self,
        single: SingleStep,
        tensors: list[Tensor],
        group_size: int,
        described: str,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.single = single
        self.tensors = tensors
        self.group_size = group_size
        self.described = described
        self.note = note
        self._library: Library | None = None

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Take N steps, at most `group_size`.

        Args:
            inputs: `(N, B, ...)`.
            targets: `(N, B)`.
            rates: `(N, R)`.

        Returns:
            Outputs `(N * B, num_outputs)` and losses `(N * B,)`.

        Raises:
            DeviceError: It cannot be compiled here; nothing was changed.
        """
        count = len(inputs)
        given = [self._padded(values) for values in (inputs, targets, rates)]
        arguments = [*given, torch.tensor(count), *self.tensors]
        if self._library is None:
            self._library = self._open(arguments)
        outputs, losses = self._library.run(arguments)
        return outputs[:count].flatten(0, 1), losses[:count].flatten()

    def library(self) -> KeptLibrary:
        """Where the machine code is kept, or will be."""
        return kept_library(self.described, self.tensors, self.group_size, torch.get_num_threads())

    def set_aside(self, reason: str) -> str:
        """Have no later run load or compile it; returns where that is kept, as the end of a sentence."""
        marker = self.library().set_aside(reason)
        return "" if marker is None else f"; set aside in {marker}"

    def _open(self, arguments: list[Tensor]) -> Library:
        kept = self.library()
        if (verdict := kept.verdict()) is not None:
            raise DeviceError(f"compile: {verdict}")

        def make(path: Path) -> None:
            with warnings.catch_warnings(action="ignore"):  # what torch's tracer and compiler tell their own authors
                compile_graph(traced(self.single, self.group_size, arguments), arguments, path)

        # Whatever the compiler raises, there is one thing to do about it.
        try:
            return kept.open(make, self.note)
        except Exception as cause:
            raise DeviceError(f"compile: this step cannot be compiled ({one_line(cause)})") from cause

    def _padded(self, values: Tensor) -> Tensor:
        """`(N, ...)` as `(group_size, ...)`, whose rest is never looked at; laid out alike, which no library checks."""
        if len(values) == self.group_size:
            return values
        padded = values.new_empty_strided((self.group_size, *values.shape[1:]), values.stride()).zero_()
        padded[: len(values)] = values
        return padded


def kept_library(described: str, tensors: list[Tensor], group_size: int, num_threads: int) -> KeptLibrary:
    """Where the machine code of a step is kept, or will be: found by all that it depends on."""
    layout = [(list(tensor.shape), list(tensor.stride()), str(tensor.dtype)) for tensor in tensors]
    facts = [described, group_size, layout, num_threads, machine_facts(), package_digest()]
    return KeptLibrary(hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32])


def machine_facts() -> list[str]:
    """What machine code depends on beside its source."""
    tells = hasattr(torch.cpu, "get_capabilities")  # older releases do not
    processor = repr(sorted(torch.cpu.get_capabilities().items())) if tells else platform.processor()
    return [str(torch.__version__), processor]


@cache
def package_digest() -> str:
    """Of this package's source: any of it may decide on the machine code."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(f"{source.relative_to(package).as_posix()}\0".encode() + source.read_bytes())
    return digest.hexdigest()
