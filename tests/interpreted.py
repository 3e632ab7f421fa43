"""Compiled steps without a compiler: the graph to compile is interpreted, operation by operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx

from nnclassify.compile.aot import CompiledSteps
from nnclassify.compile.tracing import traced


class Interpreted:
    """A library in the place of a compiled one."""

    def __init__(self, graph: fx.GraphModule) -> None:
        self.graph = graph

    def run(self, arguments: list[Tensor]) -> Any:
        """Run it."""
        with torch.no_grad():
            return self.graph(*(argument.detach() for argument in arguments))


def interpret(monkeypatch: pytest.MonkeyPatch, change: Callable[[fx.GraphModule], None] = lambda graph: None) -> None:
    """Have steps be traced and interpreted where they would be compiled; `change` may break the graph first."""

    def opened(steps: CompiledSteps, arguments: list[Tensor]) -> Interpreted:
        graph = traced(steps.single, steps.group_size, arguments)
        change(graph)
        graph.recompile()
        return Interpreted(graph)

    monkeypatch.setattr(CompiledSteps, "_open", opened)
