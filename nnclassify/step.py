"""One training step, and the one function that runs a few of them: eagerly, or compiled whole.

What is run is the same Python either way: forward, loss, backward, clipping, update, average. What differs is who
executes it: PyTorch's dispatcher, operation by operation, or one compiled function for all steps of a group. Groups
lie at fixed places of an epoch, so a run that resumes meets the same ones.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn, optim

from nnclassify.averaging import Averaging
from nnclassify.cache import cache_folder
from nnclassify.device import Placement
from nnclassify.distributed import Ranks
from nnclassify.errors import DeviceError, one_line
from nnclassify.losses import LossFunction
from nnclassify.shared_step import SharedBatch
from nnclassify.updates import Group, Rate, States, groups_of

Steps = Callable[[Tensor, Tensor, Sequence[Rate], Sequence[Rate], list[States]], tuple[Tensor, Tensor]]
"""(inputs `(M, ...)`, targets `(M,)`, a factor on the rates and a decay of the average for each step, the
optimizers' states) to outputs `(M, num_outputs)` and losses `(M,)`."""


@dataclass(frozen=True)
class StepRecipe:
    """What a step does, apart from the network.

    Attributes:
        batch_size: Examples an update; the last batch may have fewer.
        clip_grad_norm: Largest norm of the gradient; None: any.
        compiled: Whether groups of steps are compiled.
        group_size: Steps of a compiled group.
        averaging: How the average of the weights follows them.
    """

    batch_size: int
    clip_grad_norm: float | None = None
    compiled: bool = False
    group_size: int = 1
    averaging: Averaging | None = None


class TrainingStep:
    """Updates a network, a few steps at a call.

    Attributes:
        recipe: What a step does.
        all_groups: Parameters with their optimizers.
        groups: Those that learn in this epoch.
        shared: The other processes of the run; None where this one is alone.
        asked: Whether this process was asked to stop; after a shared step, whether any was.
    """

    def __init__(
        self,
        model: nn.Module,
        averaged: nn.Module | None,
        loss_fn: LossFunction,
        optimizers: Sequence[optim.Optimizer],
        placement: Placement,
        recipe: StepRecipe,
        ranks: Ranks | None = None,
    ) -> None:
        self.model = model
        self.averaged = averaged
        self.loss_fn = loss_fn
        self.placement = placement
        self.recipe = recipe
        self.all_groups: list[Group] = [group for optimizer in optimizers for group in groups_of(optimizer)]
        self.begin(epoch=1)
        self.scaled = placement.autocast == torch.float16
        self.scaler = torch.amp.GradScaler(placement.device.type, enabled=self.scaled)
        self.asked = False
        self.shared = None if ranks is None or ranks.size == 1 else SharedBatch(model, loss_fn, placement, ranks)
        if self.shared is not None and self.scaled:
            raise DeviceError("precision: float16 is for one process alone; use bfloat16 with several")
        self._compiled = compile_steps(self._steps) if recipe.compiled else None

    def begin(self, epoch: int) -> None:
        """Have those parameters learn that do in this epoch (from 1); no gradient is computed for the others."""
        self.groups = [group for group in self.all_groups if group.epochs is None or epoch <= group.epochs]
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        for group in self.all_groups:
            for parameter in group.parameters:
                parameter.grad = None  # torch's own step, in float16, passes over those without one

    def run(
        self, inputs: Tensor, targets: Tensor, factors: Sequence[float], decays: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """As many updates as there are factors on the learning rates; does not synchronise.

        Args:
            inputs: Prepared, `(M, ...)`: the batches of these steps, one after another.
            targets: `(M,)`.
            factors: The scheduler's factor for each step.
            decays: The decay of the average for each step; not read without an average.

        Returns:
            Each example's outputs `(M, num_outputs)` and loss `(M,)`, as its step met them.
        """
        states = [group.states() for group in self.groups]
        whole = len(factors) == self.recipe.group_size and len(inputs) == len(factors) * self.recipe.batch_size
        if self._compiled is None or not whole:
            return self._steps(inputs, targets, factors, decays, states)
        # A rate that changes from step to step is an input of the compiled function; a number would be part of it.
        rates = torch.tensor([factors, decays], dtype=self.placement.dtype, device=inputs.device)
        try:
            return self._compiled(inputs, targets, rates[0].unbind(), rates[1].unbind(), states)
        except torch._dynamo.exc.TorchDynamoException as cause:
            raise DeviceError(
                f"compile: this step cannot be compiled ({one_line(cause)}); set `compile: off`"
            ) from cause

    def _steps(
        self,
        inputs: Tensor,
        targets: Tensor,
        factors: Sequence[Rate],
        decays: Sequence[Rate],
        states: list[States],
    ) -> tuple[Tensor, Tensor]:
        outputs: list[Tensor] = []
        losses: list[Tensor] = []
        size = self.recipe.batch_size
        batches = zip(inputs.split(size), targets.split(size), factors, decays, strict=True)
        for batch_inputs, batch_targets, factor, decay in batches:
            batch_outputs, batch_losses = self._step(batch_inputs, batch_targets, factor, decay, states)
            outputs.append(batch_outputs)
            losses.append(batch_losses)
        return torch.cat(outputs), torch.cat(losses)

    def _step(
        self, inputs: Tensor, targets: Tensor, factor: Rate, decay: Rate, states: list[States]
    ) -> tuple[Tensor, Tensor]:
        """One update; returns detached outputs `(B, num_outputs)` and losses `(B,)`."""
        if self.shared is not None:
            return self._shared_step(self.shared, inputs, targets, factor, decay, states)
        with self.placement.autocasting():
            outputs = self.model(inputs)
        outputs = outputs.to(self.placement.dtype)
        losses = self.loss_fn(outputs, targets)
        weights = self.loss_fn.weights(targets)
        loss = losses.mean() if weights is None else losses.sum() / weights.sum()
        if self.scaled:
            self._update_scaled(loss, factor)
        else:
            gradients = list(torch.autograd.grad(loss, self.parameters))
            self._update(self._clipped(gradients), factor, states)
        self._average(decay)
        return outputs.detach(), losses.detach()

    def _shared_step(
        self, shared: SharedBatch, inputs: Tensor, targets: Tensor, factor: Rate, decay: Rate, states: list[States]
    ) -> tuple[Tensor, Tensor]:
        """The same update in every process."""
        found = shared.run(inputs, targets, self.parameters, asked=self.asked)
        self.asked = found.asked
        self._update(self._clipped(found.gradients), factor, states)
        self._average(decay)
        return found.outputs, found.losses

    def _clipped(self, gradients: list[Tensor]) -> list[Tensor]:
        """Scaled down together where their norm is over the limit, as torch.nn.utils.clip_grad_norm_ does."""
        limit = self.recipe.clip_grad_norm
        if limit is None:
            return gradients
        norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm()
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        return [gradient * scale for gradient in gradients]

    def _update(self, gradients: list[Tensor], factor: Rate, states: list[States]) -> None:
        start = 0
        for group, group_states in zip(self.groups, states, strict=True):
            end = start + len(group.parameters)
            group.update(gradients[start:end], group_states, group.initial_lr * factor)
            start = end

    def _average(self, decay: Rate) -> None:
        if self.averaged is not None and self.recipe.averaging is not None:
            self.recipe.averaging.update(self.averaged, self.model, decay)

    def _update_scaled(self, loss: Tensor, factor: Rate) -> None:
        """The update in float16, whose small gradients need a scaled loss; torch's scaler steps the optimizers."""
        optimizers = list(dict.fromkeys(group.optimizer for group in self.groups))
        gradients = torch.autograd.grad(self.scaler.scale(loss), self.parameters)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        for optimizer in optimizers:
            for options in optimizer.param_groups:
                options["lr"] = options["initial_lr"] * factor
            self.scaler.unscale_(optimizer)
        if self.recipe.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_grad_norm)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()


def can_compile() -> bool:
    """Whether this torch can compile a backward pass inside a function; imports the compiler, which takes seconds."""
    import torch._dynamo

    return hasattr(torch._dynamo.config, "trace_autograd_ops")


def compile_steps(steps: Steps) -> Steps:
    """The same function, compiled on its first call; the compiler is imported here, since that takes seconds.

    Raises:
        DeviceError: This torch cannot compile a backward pass inside a function.
    """
    # Of the compiler's own choice are a folder that a reboot empties, and a warning that there is no CUDA.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import torch._dynamo

    if not can_compile():
        raise DeviceError(f"compile: on needs a newer torch (found {torch.__version__}); set `compile: off`")
    torch._dynamo.config.trace_autograd_ops = True
    # fallback_random: dropout draws from torch's own generator, so that its masks are those of the eager step.
    options: dict[str, str | int | bool | Callable[..., object]] = {"fallback_random": True}
    return cast(Steps, torch.compile(steps, fullgraph=True, dynamic=False, options=options))
