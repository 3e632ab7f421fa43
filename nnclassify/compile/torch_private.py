"""Every private name of torch that this package uses.

No release promises to keep them, so none is looked up before it is needed, and an eager run needs none. A name that is
missing raises `MissingName`: the step cannot be compiled, one line says which name is missing, and training is eager.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any, Protocol, cast

import torch
from torch import Tensor, fx, optim


class MissingName(Exception):
    """This release of torch lacks a private name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"torch {torch.__version__} lacks {name}")


class PrivateName(Enum):
    """The private names without which no step is compiled."""

    RUNNER = "torch._C._aoti.AOTIModelContainerRunnerCpu"
    AOT_COMPILE = "torch._inductor.aot_compile"
    OUTPUT_PATH = "torch._inductor.config.aot_inductor.output_path"
    FALLBACK_RANDOM = "torch._inductor.config.fallback_random"
    ALLOW_BUFFER_REUSE = "torch._inductor.config.allow_buffer_reuse"
    FORCE_STRIDE_ORDER = "torch._inductor.inductor_prims.force_stride_order"
    WHILE_LOOP = "torch._higher_order_ops.while_loop.while_loop_op"
    MAKE_FX = "torch.fx.experimental.proxy_tensor.make_fx"
    IS_COMPILING = "torch.compiler._is_compiling_flag"

    def get(self) -> Any:
        """The object of this name; the compiler's modules take seconds to import.

        Raises:
            MissingName: There is none.
        """
        try:
            return pkgutil.resolve_name(self.value)
        except (ImportError, AttributeError) as cause:
            raise MissingName(self.value) from cause

    def option(self) -> str:
        """The key of a compiler option in the options of `aot_compile`.

        Raises:
            MissingName: There is no such option.
        """
        self.get()
        return self.value.removeprefix("torch._inductor.config.")


def import_all() -> None:
    """Import all of them: what modules compute while they are imported must not become part of a traced graph.

    Raises:
        MissingName: One is missing.
    """
    for name in PrivateName:
        name.get()


class Library(Protocol):
    """A compiled library, ready to run."""

    def run(self, arguments: list[Tensor]) -> list[Tensor]:
        """Call it; tensors that it changes are changed in place."""


def load_library(path: Path) -> Library:
    """Load what `aot_compile` wrote.

    Raises:
        RuntimeError: It is damaged, or of another torch.
    """
    num_models = 1  # that can run at the same time
    return cast(Library, PrivateName.RUNNER.get()(str(path), num_models))


def aot_compile(graph: fx.GraphModule, arguments: list[Tensor], path: Path) -> None:
    """Compile a graph for arguments of these shapes into a library; takes seconds to a minute."""
    options: dict[str, object] = {
        PrivateName.OUTPUT_PATH.option(): str(path),
        # Dropout draws from torch's own generator, so that its masks are those of the eager step.
        PrivateName.FALLBACK_RANDOM.option(): True,
    }
    if torch.__version__ < "2.14":  # compared as releases, not as text
        # torch 2.11 plans the memory of a loop's body with the peaks of the graph around it: "End index out of bounds".
        options[PrivateName.ALLOW_BUFFER_REUSE.option()] = False
    compile_ahead = PrivateName.AOT_COMPILE.get()
    if hasattr(torch._inductor.config.aot_inductor, "enable_line_tables"):  # torch 2.11 never writes such tables
        options["aot_inductor.enable_line_tables"] = False
    with torch.no_grad():
        compile_ahead(graph, tuple(arguments), options=options)


def force_stride_order(values: Tensor, strides: Sequence[int]) -> Tensor:
    """The same values, computed once and stored with these strides."""
    return cast(Tensor, PrivateName.FORCE_STRIDE_ORDER.get()(values, strides))


def while_loop(
    is_unfinished: Callable[..., Tensor],
    body: Callable[..., tuple[Tensor, ...]],
    carried: tuple[Tensor, ...],
    fixed: tuple[Tensor, ...],
) -> list[Tensor]:
    """While `is_unfinished(*carried, *fixed)`: `carried = body(*carried, *fixed)`. Returns the last `carried`."""
    return cast(list[Tensor], PrivateName.WHILE_LOOP.get()(is_unfinished, body, carried, fixed))


def make_fx(
    function: Callable[..., Any], arguments: list[Tensor], decompositions: dict[Any, Callable[..., Any]]
) -> fx.GraphModule:
    """The operations of a function of tensors; it is not run. Tensors that it closes over become part of the graph.

    Raises:
        MissingName: Tracing cannot be told to allow such tensors.
    """
    trace, allow = PrivateName.MAKE_FX.get(), "_allow_non_fake_inputs"
    if allow not in inspect.signature(trace).parameters:
        raise MissingName(f"{PrivateName.MAKE_FX.value}({allow}=)")
    return cast(fx.GraphModule, trace(function, decompositions, tracing_mode="fake", **{allow: True})(*arguments))


@contextmanager
def compiling() -> Iterator[None]:
    """Within it, `torch.compiler.is_compiling()`: torch's optimizers take numbers that change per step as tensors."""
    before = PrivateName.IS_COMPILING.get()
    torch.compiler._is_compiling_flag = True
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = before


def skip_dynamo_import() -> None:
    """Keep torch.optim's bookkeeping from importing the compiler, which takes longer than importing torch itself.

    torch marks that bookkeeping as never to be compiled, and imports the compiler on the first call only to record
    the mark (torch/_compile.py). Nothing here compiles it either, so the mark is set beforehand. In a release that no
    longer reads the mark this changes nothing.
    """
    for method in vars(optim.Optimizer).values():
        if isinstance(method, FunctionType) and method.__code__.co_filename.endswith("_compile.py"):
            marked = inspect.unwrap(method)
            vars(marked).setdefault("__dynamo_disable", marked)
