"""The training step, and its execution for a group of batches: eager, compiled, or captured as a CUDA graph.

The same Python code defines all of them: forward, loss, backward, clipping, update, average. An eager step is
executed operation by operation; a fast execution runs all steps of a group in one call, as machine code on a CPU or
as a captured graph on CUDA. Groups have fixed positions in an epoch, so a resumed run has the same groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn, optim

from nnclassify.compile.aot import CompiledSteps
from nnclassify.compile.cuda_graph import CudaGraphSteps, joined
from nnclassify.distributed.gradients import SharedBatch
from nnclassify.distributed.ranks import Ranks
from nnclassify.losses import LossFunction
from nnclassify.optim.rates import Rate
from nnclassify.training.functional_state import FunctionalState
from nnclassify.training.gradients import Gradients, clipped, loss_and_gradients
from nnclassify.training.plan import Execution, ExecutionPlan
from nnclassify.training.recipe import Recipe
from nnclassify.training.verification import FastSteps, VerifiedSteps


class StepFunction:
    """Updates a network, a group of steps per call.

    Attributes:
        recipe: The settings of the training loop.
        plan: How steps are executed.
        has_compiled: Whether it has taken compiled or captured steps.
        shared_batch: The other processes of the run; None if there are none.
        stop_requested: Whether this process was asked to stop; after a shared step, whether any process was.
        note: Function that shows the user one line.
        fast_steps: The fast steps, which are compared with eager ones; None if steps are eager.
    """

    def __init__(
        self,
        model: nn.Module,
        averaged: nn.Module | None,
        loss_fn: LossFunction,
        optimizers: Sequence[optim.Optimizer],
        recipe: Recipe,
        plan: ExecutionPlan,
        ranks: Ranks | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        placement = plan.placement
        self.model = model
        self.averaged = averaged
        self.loss_fn = _loss_to_device(placement.device, loss_fn)
        self.optimizers = list(optimizers)
        self.placement = placement
        self.recipe = recipe
        self.plan = plan
        self.ranks = ranks
        self.note = note
        self.has_compiled = False
        self._functional_state: FunctionalState | None = None
        self.scaled = placement.autocast_dtype == torch.float16
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=self.scaled)
        self.stop_requested = False
        self.shared_batch = (
            None if ranks is None or ranks.world_size == 1 else SharedBatch(model, self.loss_fn, placement.dtype, ranks)
        )
        self.begin_epoch(epoch=1)

    def with_plan(self, plan: ExecutionPlan) -> StepFunction:
        """Return a step function that continues with the same tensors, executed by another plan."""
        tensors = (self.model, self.averaged, self.loss_fn, self.optimizers)
        other = StepFunction(*tensors, self.recipe, plan, self.ranks, self.note)
        other.scaler = self.scaler
        other.begin_epoch(self._epoch)
        return other

    def alone(self) -> StepFunction:
        """Return a step function that continues with the same tensors, but eagerly, without other processes and
        without a loss scale."""
        other = StepFunction(
            self.model, self.averaged, self.loss_fn, self.optimizers, self.recipe, self.plan.eager(), note=self.note
        )
        other.scaled = False
        return other

    def begin_epoch(self, epoch: int) -> None:
        """Prepare an epoch (from 1): put the network in training mode, but for the batch norm of a body that waits, and
        compute gradients for the parameters that are trained in it, and no others."""
        self._epoch = epoch
        self._states = [optimizer.state for optimizer in self.optimizers]
        state = FunctionalState.of(self.model, self.averaged, self.optimizers, epoch)
        if self._functional_state is None or not state.same_as(self._functional_state):
            self._functional_state = state
            self.fast_steps = self._fast_steps(state)
        self.model.train()
        for norm in state.frozen_norms:
            norm.eval()
        for optimizer in self.optimizers:
            optimizer.zero_grad()  # in float16, torch's own optimizers step; they skip parameters without a gradient

    def _fast_steps(self, state: FunctionalState) -> VerifiedSteps | None:
        """Return the fast steps, which are compared with eager ones, or None if steps are eager."""
        if self.plan.execution is Execution.EAGER:
            return None
        size = self.plan.group_size
        fast: FastSteps
        if self.plan.execution is Execution.CUDA_GRAPH:
            fast = CudaGraphSteps(partial(self._step_at_tensor_rates, state), size, self.placement.device)
        else:
            described = f"{self.plan.key} {state.described()}"
            threads = self.plan.num_threads
            fast = CompiledSteps(self._step_on_tensors, state.tensors, size, threads, described, self.note)
        return VerifiedSteps(fast, partial(self._eager_step, state), state, self._rounding(state))

    def _rounding(self, state: FunctionalState) -> float:
        """Return the machine epsilon of the shortest number type that a step computes in."""
        of_rules = [group.rule.dtype for group in state.groups if group.rule is not None]
        dtypes = [self.placement.dtype, self.placement.autocast_dtype, *of_rules]
        return max(torch.finfo(dtype).eps for dtype in dtypes if dtype is not None)

    def functional_state(self) -> FunctionalState:
        """Return the current tensors; loading an optimizer replaces its tensors."""
        if any(seen is not now.state for seen, now in zip(self._states, self.optimizers, strict=True)):
            self.begin_epoch(self._epoch)
        assert self._functional_state is not None
        return self._functional_state

    def run(
        self,
        inputs: Tensor,
        targets: Tensor,
        factors: Sequence[float],
        decays: Sequence[float],
        *,
        stop_requested: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Take one step per learning rate factor; does not synchronize.

        Args:
            inputs: Normalized inputs of all batches, concatenated, `(M, ...)`.
            targets: `(M,)`.
            factors: The scheduler's factor for each step.
            decays: The decay of the average for each step; ignored without an average.
            stop_requested: Whether this process was asked to stop, which the other processes learn from it.

        Returns:
            Outputs `(M, num_outputs)` and losses `(M,)`, computed before the update of each step.

        Raises:
            DeviceError: A compiled or captured step is wrong or not available; no tensor was changed.
        """
        self.stop_requested = stop_requested
        state, size, inputs = self.functional_state(), self.recipe.batch_size, self._cast_inputs(inputs)
        rates = [state.rates(factor) for factor in factors]
        if self.fast_steps is not None and len(inputs) == len(factors) * size:
            # Pass learning rates as a tensor: a number would become a constant of the compiled step.
            changing = [[*group_rates, decay] for group_rates, decay in zip(rates, decays, strict=True)]
            steps = torch.tensor(changing, dtype=self.placement.dtype).to(inputs.device, non_blocking=True)
            results = self.fast_steps.run(inputs.unflatten(0, (-1, size)), targets.unflatten(0, (-1, size)), steps)
            self.has_compiled = True
            return results
        parts = zip(inputs.split(size), targets.split(size), rates, decays, strict=True)
        return joined([self._step(*part, state) for part in parts])

    def _cast_inputs(self, inputs: Tensor) -> Tensor:
        """Cast inputs to the type of the first layer, which is faster here than in a compiled step."""
        layers = self.model.children() if isinstance(self.model, nn.Sequential) else ()
        first = next((layer for layer in layers if not isinstance(layer, nn.Flatten)), None)
        multiplies = isinstance(first, nn.Linear | nn.Conv2d)
        return inputs.to(self.placement.autocast_dtype) if multiplies and self.placement.autocast_dtype else inputs

    def _step_on_tensors(
        self, inputs: Tensor, targets: Tensor, rates: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take one step `(B, ...)`, `(B,)`, `(groups + 1,)` on the given tensors: the function that is compiled."""
        return self._step_at_tensor_rates(self.functional_state().over(self.model, tensors), inputs, targets, rates)

    def _step_at_tensor_rates(
        self, state: FunctionalState, inputs: Tensor, targets: Tensor, rates: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take one step with rates as tensors: the function that is captured."""
        *group_rates, decay = rates.unbind()
        return self._step(inputs, targets, group_rates, decay, state)

    def _eager_step(
        self, state: FunctionalState, inputs: Tensor, targets: Tensor, rates: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take one step `(1, B, ...)`, `(1, B)`, `(1, groups + 1)` eagerly: the reference for fast steps."""
        *group_rates, decay = rates[0].tolist()
        return self._step(inputs[0], targets[0], group_rates, decay, state)

    def _step(
        self, inputs: Tensor, targets: Tensor, rates: Sequence[Rate], decay: Rate, state: FunctionalState
    ) -> tuple[Tensor, Tensor]:
        """Take one step. This is the definition of training, with which every other execution is compared.

        Returns:
            Outputs `(B, num_outputs)` and losses `(B,)`, detached.
        """
        outputs, losses, gradients = self.gradients(state, inputs, targets)  # forward, loss, backward
        self.update(state, gradients, rates, decay)
        return outputs, losses

    def gradients(self, state: FunctionalState, inputs: Tensor, targets: Tensor) -> Gradients:
        """Run a batch forward and backward, alone or with the other processes; in float16, with a scaled loss."""
        compute = partial(loss_and_gradients, state.forward, self.loss_fn, self.placement, state.parameters())
        if self.shared_batch is not None:
            of_part = partial(compute, objective=lambda losses, _: losses.sum())
            found = self.shared_batch.run(of_part, inputs, targets, stop_requested=self.stop_requested)
            self.stop_requested = found.stop_requested
            return found.outputs, found.losses, found.gradients
        if self.scaled:
            return compute(inputs, targets, objective=lambda *losses: self.scaler.scale(self.loss_fn.mean(*losses)))
        return compute(inputs, targets)

    def update(self, state: FunctionalState, gradients: list[Tensor], rates: Sequence[Rate], decay: Rate) -> None:
        """Clip the gradients, update the weights, and average them."""
        if self.scaled:
            self._update_scaled(state, gradients, rates)
        else:
            state.update(clipped(gradients, self.recipe.clip_grad_norm), rates)
        state.average(self.recipe.averaging, decay)

    def _update_scaled(self, state: FunctionalState, gradients: list[Tensor], rates: Sequence[Rate]) -> None:
        """Update from the gradients of a scaled loss, as float16 needs; torch's GradScaler steps the optimizers."""
        groups = state.groups
        optimizers = list(dict.fromkeys(group.optimizer for group in groups))
        parameters = [parameter for group in groups for parameter in group.parameters]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        factor = rates[0] / groups[0].initial_lr
        for optimizer in optimizers:
            for options in optimizer.param_groups:
                options["lr"] = options["initial_lr"] * factor
            self.scaler.unscale_(optimizer)
        if self.recipe.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip_grad_norm)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()


def _loss_to_device(device: torch.device, loss_fn: LossFunction) -> LossFunction:
    """Return the loss with its class weights on the device, since a captured step cannot copy them."""
    weights = loss_fn.class_weights
    return loss_fn if weights is None else replace(loss_fn, class_weights=weights.to(device))
