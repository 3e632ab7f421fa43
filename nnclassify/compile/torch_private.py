"""All private names of torch that this package uses.

No release promises to keep them, so a name is looked up only when it is needed, and eager runs need none. A missing
name raises `MissingName`: the step cannot be compiled, a line says which name is missing, and training is eager.
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
    """This release of torch does not have a private name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"torch {torch.__version__} lacks {name}")


class PrivateName(Enum):
    """The private names that compilation needs."""

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
        """Return the object; importing the compiler's modules takes seconds.

        Raises:
            MissingName: It does not exist.
        """
        try:
            return pkgutil.resolve_name(self.value)
        except (ImportError, AttributeError) as cause:
            raise MissingName(self.value) from cause

    def option(self) -> str:
        """Return the key of a compiler option for the options of `aot_compile`.

        Raises:
            MissingName: There is no such option.
        """
        self.get()
        return self.value.removeprefix("torch._inductor.config.")


def import_all() -> None:
    """Import all of them, so that computations during imports do not become part of a traced graph.

    Raises:
        MissingName: A name does not exist.
    """
    for name in PrivateName:
        name.get()


class Library(Protocol):
    """A compiled library that can be called."""

    def run(self, arguments: list[Tensor]) -> list[Tensor]:
        """Run the code; tensors that it updates are changed in place."""


def load_library(path: Path) -> Library:
    """Load a library written by `aot_compile`.

    Raises:
        RuntimeError: It is damaged, or was compiled by another torch.
    """
    num_models = 1  # number of concurrent calls that it supports
    return cast(Library, PrivateName.RUNNER.get()(str(path), num_models))


def aot_compile(graph: fx.GraphModule, arguments: list[Tensor], path: Path) -> None:
    """Compile a graph for arguments of these shapes into a library, which takes seconds to a minute."""
    options: dict[str, object] = {
        PrivateName.OUTPUT_PATH.option(): str(path),
        # Draw dropout masks from torch's own generator, as the eager step does.
        PrivateName.FALLBACK_RANDOM.option(): True,
    }
    if torch.__version__ < "2.14":  # torch.__version__ compares as a release, not as text
        # torch 2.11 plans the memory of a loop's body with the peaks of the surrounding graph: "End index out of
        # bounds".
        options[PrivateName.ALLOW_BUFFER_REUSE.option()] = False
    compile_ahead = PrivateName.AOT_COMPILE.get()
    if hasattr(torch._inductor.config.aot_inductor, "enable_line_tables"):  # torch 2.11 has no such tables
        options["aot_inductor.enable_line_tables"] = False
    with torch.no_grad():
        compile_ahead(graph, tuple(arguments), options=options)


def force_stride_order(values: Tensor, strides: Sequence[int]) -> Tensor:
    """Return the values, computed once and stored with these strides."""
    return cast(Tensor, PrivateName.FORCE_STRIDE_ORDER.get()(values, strides))


def while_loop(
    is_unfinished: Callable[..., Tensor],
    body: Callable[..., tuple[Tensor, ...]],
    carried: tuple[Tensor, ...],
    fixed: tuple[Tensor, ...],
) -> list[Tensor]:
    """Run `carried = body(*carried, *fixed)` while `is_unfinished(*carried, *fixed)`; return the last `carried`."""
    return cast(list[Tensor], PrivateName.WHILE_LOOP.get()(is_unfinished, body, carried, fixed))


def make_fx(
    function: Callable[..., Any], arguments: list[Tensor], decompositions: dict[Any, Callable[..., Any]]
) -> fx.GraphModule:
    """Trace a function of tensors without running it. Tensors in its closure become part of the graph.

    Raises:
        MissingName: The option that allows such tensors does not exist.
    """
    trace, allow = PrivateName.MAKE_FX.get(), "_allow_non_fake_inputs"
    if allow not in inspect.signature(trace).parameters:
        raise MissingName(f"{PrivateName.MAKE_FX.value}({allow}=)")
    return cast(fx.GraphModule, trace(function, decompositions, tracing_mode="fake", **{allow: True})(*arguments))


@contextmanager
def compiling() -> Iterator[None]:
    """Return a context with `torch.compiler.is_compiling()`, in which torch's optimizers take changing numbers as
    tensors."""
    before = PrivateName.IS_COMPILING.get()
    torch.compiler._is_compiling_flag = True
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = before


def skip_dynamo_import() -> None:
    """Keep torch.optim from importing the compiler, which takes longer than importing torch itself.

    torch marks functions of its optimizers as never to be compiled, and to set the mark, it imports the compiler at
    the first call (torch/_compile.py). Here the mark is set beforehand, since nothing here compiles these functions
    either. In releases that do not read the mark, this has no effect.
    """
    for method in vars(optim.Optimizer).values():
        if isinstance(method, FunctionType) and method.__code__.co_filename.endswith("_compile.py"):
            marked = inspect.unwrap(method)
            vars(marked).setdefault("__dynamo_disable", marked)
