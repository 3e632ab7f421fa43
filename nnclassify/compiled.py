"""Training steps as machine code for a CPU: compiled ahead of time, kept on disk, loaded in milliseconds.

`torch.compile` traces again in every process and looks its caches up, for seconds. Here the step is traced once
(tracing.py), compiled by the same compiler into a library (AOTInductor), and found again by a digest of all that it
depends on: a run that finds its library never imports the compiler.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from nnclassify.cache import cache_folder, trim
from nnclassify.errors import DeviceError, one_line
from nnclassify.tracing import SingleStep, traced

SOURCES = (
    *("averaging.py", "compiled.py", "learner.py", "losses.py", "lowering.py", "muon.py"),
    *("rates.py", "step.py", "tracing.py", "updates.py", "models"),
)
"""What of this package decides on the machine code."""
MAX_LIBRARY_BYTES = 2**28
"""Bytes of all libraries together; the least recently used go first."""


class CompiledSteps:
    """Up to so many training steps in one call.

    Attributes:
        single: One step.
        tensors: What the steps read and change, beside the batches.
        group_size: Steps of a call, at most; more than one are a loop around the step.
        described: All that the step was built from, beside the tensors: what tells two steps apart.
    """

    def __init__(self, single: SingleStep, tensors: list[Tensor], group_size: int, described: str) -> None:
        self.single = single
        self.tensors = tensors
        self.group_size = group_size
        self.described = described
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

    def path(self) -> Path:
        """Where the library is, or will be."""
        layout = [(list(tensor.shape), list(tensor.stride()), str(tensor.dtype)) for tensor in self.tensors]
        facts = [self.described, self.group_size, layout, torch.get_num_threads(), machine_facts()]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for source in _sources():
            digest.update(source.read_bytes())
        return cache_folder() / "steps" / f"{digest.hexdigest()[:32]}.so"

    def _open(self, arguments: list[Tensor]) -> Library:
        path = self.path()
        if path.is_file():
            try:
                library = load(path)
                os.utime(path)
                return library
            except RuntimeError:  # not whole: it is made anew
                path.unlink(missing_ok=True)
        # Whatever the compiler raises, there is one thing to do about it.
        try:
            compile_library(self.single, self.group_size, arguments, path)
            return load(path)
        except Exception as cause:
            raise DeviceError(
                f"compile: this step cannot be compiled ({one_line(cause)}); set `compile: off`"
            ) from cause

    def _padded(self, values: Tensor) -> Tensor:
        """`(N, ...)` as `(group_size, ...)`, whose rest is never looked at."""
        if len(values) == self.group_size:
            return values
        padded = values.new_zeros((self.group_size, *values.shape[1:]))
        padded[: len(values)] = values
        return padded


Library = torch._C._aoti.AOTIModelContainerRunnerCpu


def load(path: Path) -> Library:
    """A compiled library, ready to run.

    Raises:
        RuntimeError: It is damaged, or of another torch.
    """
    return Library(str(path), 1)


def compile_library(single: SingleStep, group_size: int, arguments: list[Tensor], path: Path) -> None:
    """Compile steps for arguments of these shapes into a library; takes seconds to a minute."""
    # Of the compiler's own choice are a folder that a reboot empties, and a warning that there is no CUDA.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import torch._inductor

    graph = traced(single, group_size, arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, torch.no_grad():
        options = {
            "aot_inductor.output_path": f"{folder}/step.so",
            "aot_inductor.enable_line_tables": False,
            # Dropout draws from torch's own generator, so that its masks are those of the eager step.
            "fallback_random": True,
        }
        torch._inductor.aot_compile(graph, tuple(arguments), options=options)
        for made in sorted(Path(folder).glob("step.*"), key=lambda file: file.suffix == ".so"):
            made.replace(path.with_suffix(made.suffix))  # the library last: where it is, all is
    trim(path.parent, "*.so", MAX_LIBRARY_BYTES)


def machine_facts() -> list[str]:
    """What machine code depends on beside its source."""
    tells = hasattr(torch.cpu, "get_capabilities")  # older releases do not
    processor = repr(sorted(torch.cpu.get_capabilities().items())) if tells else platform.processor()
    return [str(torch.__version__), processor]


def _sources() -> list[Path]:
    package = Path(__file__).parent
    files = [file for name in SOURCES for file in [package / name, *(package / name).glob("*.py")]]
    return sorted(file for file in files if file.is_file())
