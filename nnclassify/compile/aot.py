"""Training steps as machine code for a CPU: compiled ahead of time, cached on disk, loaded in milliseconds.

`torch.compile` traces in every process and looks up its caches, which takes seconds. Here the step is traced once
(tracing.py) and compiled by the same compiler into a library (AOTInductor). The library is cached under a digest of
everything that it depends on, so a run with a cached library never imports the compiler.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from nnclassify.compile.libraries import KeptLibrary, compile_graph
from nnclassify.compile.torch_private import Library
from nnclassify.compile.tracing import SingleStep, traced
from nnclassify.errors import DeviceError, one_line


@dataclass
class CompiledSteps:
    """Compiled code for several training steps per call.

    Attributes:
        single: The function for one step.
        tensors: The tensors that a step reads and updates, in addition to the batch.
        group_size: Maximum number of steps per call; above 1, the code is a loop around the step.
        num_threads: Number of CPU threads, part of the library's key.
        described: Text that identifies the step, except for the tensors: part of the library's key.
        note: Function that shows the user one line.
        is_exact: A group of steps gives bit for bit the same result as single steps.
    """

    single: SingleStep
    tensors: list[Tensor]
    group_size: int
    num_threads: int
    described: str
    note: Callable[[str], None] = lambda text: None
    _library: Library | None = field(default=None, init=False)

    is_exact = True

    def run(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Take N steps, at most `group_size`.

        Args:
            inputs: `(N, B, ...)`.
            targets: `(N, B)`.
            rates: `(N, R)`.

        Returns:
            Outputs `(N * B, num_outputs)` and losses `(N * B,)`.

        Raises:
            DeviceError: The step cannot be compiled here; no tensor was changed.
        """
        count = len(inputs)
        given = [self._padded(values) for values in (inputs, targets, rates)]
        arguments = [*given, torch.tensor(count), *self.tensors]
        if self._library is None:
            self._library = self._open(arguments)
        outputs, losses = self._library.run(arguments)
        return outputs[:count].flatten(0, 1), losses[:count].flatten()

    def library(self) -> KeptLibrary:
        """Return the cached library of these steps, which may not exist yet."""
        return kept_library(self.described, self.tensors, self.group_size, self.num_threads)

    def set_aside(self, reason: str) -> str:
        """Prevent later runs from loading or compiling the step; return where this is recorded, as the end of a
        sentence."""
        marker = self.library().set_aside(reason)
        return "" if marker is None else f"; set aside in {marker}"

    def _open(self, arguments: list[Tensor]) -> Library:
        kept = self.library()
        if (verdict := kept.verdict()) is not None:
            raise DeviceError(f"compile: {verdict}")

        def make(path: Path) -> None:
            with warnings.catch_warnings(action="ignore"):  # they are for torch's developers
                compile_graph(traced(self.single, self.group_size, arguments), arguments, path)

        # The compiler raises many exceptions, and all of them mean the same here.
        try:
            return kept.open(make, self.note)
        except Exception as cause:
            raise DeviceError(f"compile: this step cannot be compiled ({one_line(cause)})") from cause

    def _padded(self, values: Tensor) -> Tensor:
        """Pad `(N, ...)` to `(group_size, ...)` with the same strides, which the compiled code does not check."""
        if len(values) == self.group_size:
            return values
        padded = values.new_empty_strided((self.group_size, *values.shape[1:]), values.stride()).zero_()
        padded[: len(values)] = values
        return padded


def kept_library(described: str, tensors: list[Tensor], group_size: int, num_threads: int) -> KeptLibrary:
    """Return the library, which may not exist yet, whose key is a digest of everything that the machine code depends
    on."""
    layout = [(list(tensor.shape), list(tensor.stride()), str(tensor.dtype)) for tensor in tensors]
    facts = [described, group_size, layout, num_threads, machine_facts(), package_digest()]
    return KeptLibrary(hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32])


def machine_facts() -> list[str]:
    """Return what machine code depends on in addition to its source: torch and the CPU."""
    return [str(torch.__version__), repr(sorted(torch.cpu.get_capabilities().items()))]


@cache
def package_digest() -> str:
    """Return a digest of this package's source, any part of which may affect the machine code."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(f"{source.relative_to(package).as_posix()}\0".encode() + source.read_bytes())
    return digest.hexdigest()
