"""Traces a training step into a graph of tensor operations, with a loop around it, for the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx

from nnclassify.compile import torch_private
from nnclassify.compile.decompositions import DECOMPOSITIONS

SingleStep = Callable[..., tuple[Tensor, Tensor]]
"""Function of (inputs `(B, ...)`, targets `(B,)`, rates `(R,)`, *tensors) that updates the tensors in place and
returns outputs `(B, num_outputs)` and losses `(B,)`."""


def traced(single: SingleStep, group_size: int, arguments: list[Tensor]) -> fx.GraphModule:
    """Return the graph of up to `group_size` steps, without taking any.

    Args:
        single: The function for one step.
        group_size: Maximum number of steps; with 1, there is no loop.
        arguments: Inputs `(group_size, B, ...)`, targets `(group_size, B)`, rates `(group_size, R)`, the number of
            steps to take `()`, and the step's tensors. Only the shapes matter.

    Returns:
        The graph, which maps these arguments to outputs `(group_size, B, num_outputs)` and losses `(group_size, B)`.
    """
    inputs, targets, rates, _, *tensors = arguments
    torch_private.import_all()
    with torch_private.compiling():
        step = make_graph(single, [inputs[0], targets[0], rates[0], *tensors])
    if group_size == 1:

        def once(inputs: Tensor, targets: Tensor, rates: Tensor, count: Tensor, *tensors: Tensor) -> list[Tensor]:
            """Take one step, without a loop."""
            outputs, losses = step(inputs[0], targets[0], rates[0], *tensors)
            return [outputs[None], losses[None]]

        with torch.no_grad():
            return make_graph(once, arguments)
    with torch.no_grad():
        functional = make_graph(torch.func.functionalize(step), [inputs[0], targets[0], rates[0], *tensors])
        return _looped(functional, group_size, arguments)


def _looped(step: fx.GraphModule, group_size: int, arguments: list[Tensor]) -> fx.GraphModule:
    """Return a graph with a loop around a functionalized step.

    The arguments of a step are numbered in its order: 0 inputs, 1 targets, 2 rates, from 3 on its tensors, then the
    constants that were lifted out of it. The loop carries what a step changes and gets the rest as fixed arguments:

        carried: index (), outputs (group_size, B, num_outputs), losses (group_size, B),
                 then argument n for n in changed
        fixed:   inputs (group_size, B, ...), targets (group_size, B), rates (group_size, R), count (),
                 then argument n for n in kept

    Iteration `index` uses row `index` of inputs, targets and rates as arguments 0, 1 and 2. The loop ends at
    `count`.
    """
    constants = _lift_constants(step)
    changed, copies = _pull_changes(step)
    num_arguments, num_changed = len(arguments) - 1 + len(constants), len(changed)  # of a step
    kept = [place for place in range(3, num_arguments) if place not in changed]

    def body(index: Tensor, outputs: Tensor, losses: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Take step `index`, write row `index` of outputs and losses, and replace the carried tensors."""
        carried, (inputs, targets, rates, _, *fixed) = rest[:num_changed], rest[num_changed:]
        row = index.reshape(1)
        values: dict[int, Tensor] = dict(zip([*changed, *kept], [*carried, *fixed], strict=True))
        values.update({place: whole.index_select(0, row)[0] for place, whole in enumerate((inputs, targets, rates))})
        step_outputs, step_losses, *new = step(*(values[place] for place in range(num_arguments)))
        outputs = outputs.index_copy(0, row, step_outputs[None])
        return index + 1, outputs, losses.index_copy(0, row, step_losses[None]), *new

    def is_unfinished(index: Tensor, outputs: Tensor, losses: Tensor, *rest: Tensor) -> Tensor:
        return index < rest[num_changed + 3]  # count follows the carried tensors, inputs, targets and rates

    example = step.graph.output_node().args[0]
    shapes = [node.meta["val"] for node in cast(list[fx.Node], example)[:2]]

    def whole(inputs: Tensor, targets: Tensor, rates: Tensor, count: Tensor, *tensors: Tensor) -> list[Tensor]:
        given = [inputs, targets, rates, *tensors, *(constant.clone() for constant in constants)]
        outputs, losses = (inputs.new_zeros((group_size, *like.shape), dtype=like.dtype) for like in shapes)
        carried = [given[place] for place in changed]
        fixed = [inputs, targets, rates, count, *(given[place] for place in kept)]
        start = torch.zeros((), dtype=torch.int64)
        _, outputs, losses, *new = torch_private.while_loop(
            is_unfinished, body, (start, outputs, losses, *carried), tuple(fixed)
        )
        for old, value in zip(carried, new, strict=True):
            old.copy_(value)
        for place, same in copies.items():
            given[place].copy_(given[same])
        return [outputs, losses]

    return make_graph(whole, arguments)


def _lift_constants(step: fx.GraphModule) -> list[Tensor]:
    """Turn the tensors that a step contains into its last arguments: the body of a loop must not contain any."""
    held = [node for node in step.graph.nodes if node.op == "get_attr"]
    last = [node for node in step.graph.nodes if node.op == "placeholder"][-1]
    for number, node in enumerate(reversed(held)):
        with step.graph.inserting_after(last):
            node.replace_all_uses_with(step.graph.placeholder(f"constant_{number}"))
        step.graph.erase_node(node)
    step.recompile()
    return [cast(Tensor, getattr(step, node.target)) for node in held]


def _pull_changes(step: fx.GraphModule) -> tuple[list[int], dict[int, int]]:
    """Make a functionalized step return the new values that it writes into its arguments.

    Returns:
        The numbers of the changed arguments, in the order of the returned values; and the arguments that become
        equal to another one (the buffers of the average), with its number, since a loop carries each value only
        once.
    """
    inputs = [node for node in step.graph.nodes if node.op == "placeholder"]
    changes: dict[fx.Node, int] = {}
    copies: dict[int, int] = {}
    for node in list(step.graph.nodes):
        if node.target is not torch.ops.aten.copy_.default or node.args[0] not in inputs:
            continue
        place, value = inputs.index(node.args[0]), cast(fx.Node, node.args[1])
        node.replace_all_uses_with(value)
        step.graph.erase_node(node)
        while value.target is torch.ops.aten.copy.default:
            value = cast(fx.Node, value.args[1])
        if value in changes:
            copies[place] = changes[value]
        else:
            changes[value] = place
    output = step.graph.output_node()
    output.args = ([*cast(list[fx.Node], output.args[0]), *changes],)
    step.graph.eliminate_dead_code()
    step.recompile()
    if any(inputs[place].users for place in copies):
        raise RuntimeError("two tensors that are read become the same one")
    return list(changes.values()), copies


def make_graph(function: Callable[..., Any], arguments: list[Tensor]) -> fx.GraphModule:
    """Trace a function of tensors, including its backward passes, without running it."""
    return torch_private.make_fx(function, arguments, DECOMPOSITIONS)
