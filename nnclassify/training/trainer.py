"""The training loop, the same for every device, number type and execution. Observers are called at its events.

epoch    all training examples once, in the order of this epoch; then validation, and a row of the history
  chunk    a few thousand examples, prepared together (`Batches.epoch`); observers are called after it
    group    up to `plan.group_size` batches, one call of the step function, at a fixed position in the epoch
      batch    `batch_size` examples
        step     one update from one batch: gradients, clipping, update, average (`StepFunction`)
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

from nnclassify.data import Examples
from nnclassify.data.batches import Batches, Chunk, to_device_if_fits
from nnclassify.distributed.ranks import Ranks
from nnclassify.errors import DeviceError, TrainingError
from nnclassify.evaluation.metrics import METRICS, MetricInputs
from nnclassify.evaluation.outputs import outputs_by_batch
from nnclassify.evaluation.totals import Totals
from nnclassify.losses import LossFunction
from nnclassify.models.weights import load_weights
from nnclassify.optim.update_rules import load_optimizer
from nnclassify.schedulers import ScheduleState
from nnclassify.seeds import random_state, set_random_state, stream_seed
from nnclassify.training.history import Row
from nnclassify.training.nonfinite import find_fault
from nnclassify.training.plan import Execution, ExecutionPlan
from nnclassify.training.recipe import Recipe as Recipe
from nnclassify.training.step import StepFunction


class Observer:
    """Base class of what observes training without influencing it; override the methods for the events of interest."""

    def run_started(self, trainer: Trainer) -> None:
        """Called before the first step of this process."""

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        """Called after one or more steps."""

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Called after an epoch and its validation; `trainer.is_best` tells whether it is the best so far."""

    def noted(self, trainer: Trainer, text: str) -> None:
        """Called with a line for the user: the execution of the run has changed."""

    def run_ended(self, trainer: Trainer) -> None:
        """Called after the last step, also if a signal or `patience` stopped the run early."""


class Trainer:
    """Trains one network.

    Attributes:
        model: The network that is trained.
        averaged: The average of its weights, or None.
        step: Number of optimizer steps so far.
        epoch: The current epoch, from 1.
        batch: Number of completed batches in this epoch.
        rows: The history so far.
        best_epoch: The best epoch so far; 0 before the first.
        is_best: Whether the last completed epoch is the best one.
        ranks: The processes that train together.
        stop_signal: The signal number after which training stops at this batch; the same in all processes.
        has_compiled: Whether the run has taken compiled or captured steps.
        stop_requested: The signal number that this process has received.
    """

    def __init__(
        self,
        model: nn.Module,
        averaged: nn.Module | None,
        loss_fn: LossFunction,
        optimizers: Sequence[optim.Optimizer],
        train_batches: Batches,
        validation: Examples | None,
        recipe: Recipe,
        plan: ExecutionPlan,
        observers: Sequence[Observer] = (),
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self.model = model
        self.loss_fn = loss_fn
        self.optimizers = list(optimizers)
        self.train_batches = train_batches
        self.validation = validation and to_device_if_fits(validation, train_batches.placement.device)
        self.recipe = recipe
        self.observers = list(observers)
        self.placement = train_batches.placement
        self.averaged = averaged
        self.step_function = StepFunction(
            model, averaged, loss_fn, self.optimizers, recipe, plan, self.ranks, self._note
        )
        self.has_compiled = False
        self.step = 0
        self.epoch = 1
        self.batch = 0
        self.totals = Totals.zeros(self.placement.device)
        self.epoch_seconds = 0.0
        self.rows: list[Row] = []
        self.best_epoch = 0
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.is_best = False
        self.stop_signal: int | None = None
        self.stop_requested: int | None = None

    @property
    def plan(self) -> ExecutionPlan:
        """How the next steps are executed."""
        return self.step_function.plan

    @property
    def total_steps(self) -> int:
        """Number of optimizer steps in the complete run."""
        return self.recipe.epochs * len(self.train_batches)

    @property
    def finished(self) -> bool:
        """Whether training is complete."""
        patience = self.recipe.patience
        ran_out = patience is not None and self.recipe.may_select and len(self.rows) - self.best_epoch >= patience
        return len(self.rows) >= self.recipe.epochs or (ran_out and self.batch == 0)

    def fit(self) -> None:
        """Train until the end, or until a signal asks to stop.

        Raises:
            TrainingError: The loss became NaN or infinite.
        """
        for observer in self.observers:
            observer.run_started(self)
        while not self.finished and self.stop_signal is None:
            if self.batch < len(self.train_batches):
                self._train_epoch()
            if self.batch == len(self.train_batches) and self.stop_signal is None:
                self._finish_epoch()
        for observer in self.observers:
            observer.run_ended(self)

    def request_stop(self, signal_number: int) -> None:
        """Stop after this batch, with everything saved; can be called from a signal handler."""
        self.stop_requested = signal_number
        if self.ranks.world_size == 1:
            self.stop_signal = signal_number

    def _note(self, text: str) -> None:
        for observer in self.observers:
            observer.noted(self, text)

    def lr(self) -> float:
        """Return the learning rate of the last step, for the first parameter group."""
        return float(self.optimizers[0].param_groups[0]["lr"])

    def evaluated_model(self) -> nn.Module:
        """Return the network for validation, `best.pt` and prediction: the average if there is one."""
        return self.model if self.averaged is None else self.averaged

    def _train_epoch(self) -> None:
        self.step_function.begin_epoch(self.epoch)
        started = time.perf_counter()
        before = self.epoch_seconds
        for chunk in self._cut_at_reports(self.train_batches.epoch(self.epoch, self.batch, self.plan.group_size)):
            num_steps = self._train_chunk(chunk)
            self.epoch_seconds = before + time.perf_counter() - started
            for observer in self.observers:
                observer.steps_done(self, num_steps)
            if self.stop_signal is not None:
                break

    def _cut_at_reports(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the same batches in chunks that also end at each multiple of `report_steps`."""
        every = self.recipe.report_steps
        for chunk in chunks:
            while every is not None and (left := (every - self.step % every) * chunk.batch_size) < len(chunk.targets):
                first, chunk = chunk.split_at(left)
                yield first
            yield chunk

    def _train_chunk(self, chunk: Chunk) -> int:
        before, known = self.step, self.losses_so_far()
        outputs: list[Tensor] = []
        losses: list[Tensor] = []
        for inputs, targets in chunk:
            steps = range(self.step, self.step + math.ceil(len(inputs) / chunk.batch_size))
            factors = [self.recipe.scheduler.factor(self.schedule_state(step, known)) for step in steps]
            decays = [self.decay(step) for step in steps]
            group_outputs, group_losses = self._run(inputs, targets, factors, decays)
            outputs.append(group_outputs)
            losses.append(group_losses)
            self.step += len(steps)
            self.batch += len(steps)
            self.set_lr(factors[-1])
            if self.stop_signal is not None:
                break
        all_outputs, all_losses = torch.cat(outputs), torch.cat(losses)
        self.totals.add(all_losses, all_outputs, chunk.targets[: len(all_losses)], self.step_function.loss_fn)
        fault = find_fault(chunk.inputs, all_outputs, all_losses, chunk.batch_size, self.model)  # synchronizes
        if fault is not None:
            self._raise_diverged(fault.text(before + fault.batch + 1))
        return self.step - before

    def _run(
        self, inputs: Tensor, targets: Tensor, factors: Sequence[float], decays: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        if self.ranks.world_size > 1:
            # Seed dropout by rank and step, so that one checkpoint serves all processes.
            torch.manual_seed(stream_seed(self.train_batches.seed, "rank", self.ranks.rank, self.step))
        try:
            results = self._take_steps(inputs, targets, factors, decays)
        except DeviceError as cause:
            self._fall_back_to_eager(cause)
            results = self._take_steps(inputs, targets, factors, decays)
        self.has_compiled = self.has_compiled or self.step_function.has_compiled
        if self.ranks.world_size > 1 and self.step_function.stop_requested:
            self.stop_signal = self.stop_requested or signal.SIGTERM
        return results

    def _take_steps(
        self, inputs: Tensor, targets: Tensor, factors: Sequence[float], decays: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        is_stopping = self.stop_requested is not None
        return self.step_function.run(inputs, targets, factors, decays, stop_requested=is_stopping)

    def _fall_back_to_eager(self, cause: DeviceError) -> None:
        """Take the same steps and all later ones eagerly, unless the config requires compiled ones."""
        if self.plan.compile == "on":
            raise DeviceError(f"{cause}; set `compile: off`") from cause
        self._execute(self.plan.eager())
        which = "later steps run eagerly, which no config can reproduce" if self.has_compiled else "steps run eagerly"
        self._note(f"{cause}; all {which}")

    def _execute(self, plan: ExecutionPlan) -> None:
        """Use a plan for all later steps."""
        if plan != self.plan:
            self.step_function = self.step_function.with_plan(plan)

    def losses_so_far(self) -> list[float]:
        """Return the losses that a scheduler may use, one per epoch."""
        return [row.scheduler_loss for row in self.rows]

    def schedule_state(self, step: int, losses: Sequence[float]) -> ScheduleState:
        """Return the state of a schedule at a step (from 0), given the losses of the completed epochs."""
        return ScheduleState(step, self.total_steps, len(self.train_batches), losses)

    def decay(self, step: int) -> float:
        """Return the decay of the average after a step (from 0); 1 without an average."""
        averaging = self.recipe.averaging
        return 1.0 if averaging is None else averaging.decay_at(step, self.total_steps)

    def set_lr(self, factor: float) -> None:
        """Set the learning rates shown by the optimizers to those of the last step."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def _raise_diverged(self, fault: str) -> None:
        raise TrainingError(
            f"epoch {self.epoch}, {fault}; try a lower optimizer.lr (now {self.lr():g}), clip_grad_norm: 1, or "
            "normalize: standard"
        )

    def _finish_epoch(self) -> None:
        validated = self._validate()
        if self.stop_signal is not None:  # validation may be incomplete; a resumed run repeats it
            return
        row = Row(
            epoch=self.epoch,
            step=self.step,
            train_loss=self.totals.mean_loss(),
            train_accuracy=self.totals.accuracy(),
            validation_loss=None if validated is None else validated["loss"],
            validation_accuracy=None if validated is None else validated["accuracy"],
            lr=self.lr(),
            seconds=self.epoch_seconds,
            examples_per_second=self.totals.count / max(self.epoch_seconds, 1e-9),
            validation_metric=None if validated is None else validated.get("metric"),
        )
        self.rows.append(row)
        self._select(row)
        self.epoch, self.batch, self.epoch_seconds = self.epoch + 1, 0, 0.0
        self.totals = Totals.zeros(self.placement.device)
        for observer in self.observers:
            observer.epoch_done(self, row)

    def _validate(self) -> dict[str, float] | None:
        """Return loss and accuracy, and the `select_by` metric as `metric`; None without a validation split, or if
        stopped."""
        if self.validation is None:
            return None
        part = self.validation.subset(self.ranks.shard(len(self.validation)))
        outputs = [torch.zeros(0, self.loss_fn.num_outputs, dtype=self.placement.dtype, device=self.placement.device)]
        model, tta = self.evaluated_model(), self.recipe.tta
        for batch in outputs_by_batch(model, part, self.train_batches.transform, self.placement, tta):
            if self.stop_signal is not None:
                return None
            outputs.append(batch)
        whole = self.ranks.gather_rows(torch.cat(outputs).cpu(), len(self.validation))
        targets = self.validation.all_targets().cpu()
        metric_inputs = MetricInputs(whole, targets, self.loss_fn)
        if not math.isfinite(metric_inputs.score.loss):
            first = int((~self.loss_fn(whole, targets).isfinite()).nonzero()[0])
            self._raise_diverged(f"validation: the loss of example {first} of the split (from 0) is NaN or infinite")
        validated = vars(metric_inputs.score)
        if self.recipe.select_by in validated:
            return validated
        return {**validated, "metric": METRICS[self.recipe.select_by].compute(metric_inputs)}

    def _select(self, row: Row) -> None:
        figures = self._figures(row)
        self.is_best = row.validation_loss is None or not self.recipe.may_select or figures > self.best
        if self.is_best:
            self.best, self.best_epoch = figures, self.epoch

    def _figures(self, row: Row) -> tuple[float, float]:
        """Return the values that an epoch is selected by; larger is better."""
        select_by = self.recipe.select_by
        chosen = row.validated(select_by)
        if chosen is None or row.validation_loss is None or row.validation_accuracy is None:
            return 0.0, 0.0
        of_equals = row.validation_accuracy if select_by == "loss" else -row.validation_loss
        return chosen if METRICS[select_by].higher_is_better else -chosen, of_equals

    def state(self) -> dict[str, Any]:
        """Return everything that an exact resume needs, as primitives and tensors."""
        return {
            "model": self.model.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.step_function.scaler.state_dict(),
            "is_compiled": self.plan.execution is not Execution.EAGER,
            "has_compiled": self.has_compiled,
            "autocast": self.plan.description()["autocast"],
            "device_type": self.placement.device.type,
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "totals": self.totals.state(),
            "epoch_seconds": self.epoch_seconds,
            "best_epoch": self.best_epoch,
            "best": list(self.best),
            "random": random_state(),
        }

    def load_state(self, state: dict[str, Any], rows: Sequence[Row]) -> None:
        """Restore a state returned by `state`.

        Raises:
            ValueError, RuntimeError: The state belongs to another network, optimizer or recipe.
        """
        self._check_place(state, rows)
        load_weights(self.model, state["model"])
        if (self.averaged is None) != (state["averaged"] is None):
            raise ValueError("averaged: only one of the two runs has an average")
        if self.averaged is not None:
            load_weights(self.averaged, state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            load_optimizer(optimizer, saved)
        is_same_device = state.get("device_type", self.placement.device.type) == self.placement.device.type
        if is_same_device and "is_compiled" in state:  # an early release did not record how steps were executed
            self._execute(self.plan.as_begun(is_compiled=state["is_compiled"]))
        self.step_function.scaler.load_state_dict(state["scaler"])
        # An earlier release only saved how the next step is executed.
        self.has_compiled = state.get("has_compiled", state["step"] > 0 and state.get("is_compiled", False))
        self.step, self.epoch, self.batch = state["step"], state["epoch"], state["batch"]
        self.totals = Totals.from_state(state["totals"], self.placement.device)
        self.epoch_seconds = state["epoch_seconds"]
        self.best_epoch = state["best_epoch"]
        self.best = (state["best"][0], state["best"][1])
        self.rows = list(rows)
        set_random_state(state["random"])

    def _check_place(self, state: dict[str, Any], rows: Sequence[Row]) -> None:
        """Reject a state that no run of this recipe can reach, or whose best epoch is wrong."""
        num_batches = len(self.train_batches)
        if state["batch"] > num_batches or state["step"] != len(rows) * num_batches + state["batch"]:
            raise ValueError(f"step {state['step']} is not batch {state['batch']} of epoch {state['epoch']}")
        if (count := state["totals"]["count"]) > self.train_batches.num_examples:
            raise ValueError(f"totals: {count} examples counted, of {self.train_batches.num_examples}")
        figures = [self._figures(row) for row in rows]
        # Compare as text: an early release recorded NaN, which is not equal to itself.
        if state["best_epoch"] and str(figures[state["best_epoch"] - 1]) != str(tuple(map(float, state["best"]))):
            raise ValueError(f"best: {state['best']} is not what epoch {state['best_epoch']} reached")
