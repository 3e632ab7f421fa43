"""Watch a training run and warn once about each problem. The monitor changes nothing that training depends on.

Anything more expensive than comparing two numbers, such as a pass over 256 examples, runs after an epoch, and only as
long as the total stays below a fraction of the training time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnclassify.data.batches import prepared
from nnclassify.diagnosis.findings import Change, Evidence, Finding, Page
from nnclassify.diagnosis.measure import LayerState, Snapshot, readable_layer, snapshot
from nnclassify.diagnosis.monitor import pages
from nnclassify.diagnosis.monitor.retrace import finding_for, retrace, state_copy
from nnclassify.diagnosis.rules.data import LARGE
from nnclassify.errors import counted
from nnclassify.evaluation.baselines import commonest
from nnclassify.evaluation.percent import percent
from nnclassify.files.json_files import write_json
from nnclassify.process import release_memory
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

SHARE = 0.02
"""Fraction of the training time: the limit is 3%, and one measurement may take longer than those before it."""
MEASURED_EXAMPLES = 256
"""Number of examples that layers are measured on: a unit that fires for 2% of them is missed once in 176 times."""
MANY = 0.9
LOWEST_RATIO, HIGHEST_RATIO = 1e-4, 1e4
SMALL_UPDATE, LARGE_UPDATE = 1e-7, 1.0


class Monitor(Observer):
    """An observer that collects findings during training.

    Attributes:
        findings: The findings so far, one per cause.
        seconds: The time spent on measurements.
    """

    def __init__(
        self, say: Callable[[str], None], path: Path | None = None, class_names: Sequence[str] | None = None
    ) -> None:
        """Create a monitor.

        Args:
            say: Receives each warning as it is found.
            path: The file to save the findings to at the end of the run, or None.
            class_names: The names of the classes; None: they are called by their numbers.
        """
        self.say = say
        self.path = path
        self.class_names = class_names
        self.findings: list[Finding] = []
        self.still_present: set[str] = set()
        self.seconds = 0.0
        self.longest = 0.0
        self.trained = 0.0
        self.weights: dict[str, Tensor] = {}
        self.seen_at = 0
        self.majority: float | None = None
        self.good: dict[str, Any] | None = None
        self.blocked_at_start: frozenset[str] | None = None

    def run_started(self, trainer: Trainer) -> None:
        """Record the weights, the units that are blocked already, and a state to replay a divergence from."""
        self._remember(trainer)
        if trainer.step == 0:
            started = time.perf_counter()
            layers = measure_net(trainer).state.layers
            self.blocked_at_start = frozenset(one.name for one in layers if max(one.dead, one.saturated) > MANY)
            self.seconds += time.perf_counter() - started

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Check the curve, and the inside of the network as long as that stays within its fraction of the time."""
        started = time.perf_counter()
        self.trained += row.seconds
        if trainer.finished or self.seconds + self.longest <= SHARE * self.trained:
            self._look(trainer, row)
            self.longest = max(self.longest, time.perf_counter() - started)
        self.seconds += time.perf_counter() - started

    def _look(self, trainer: Trainer, row: Row) -> None:
        if self.majority is None:
            self.majority = commonest(trainer.train_batches.examples.all_targets())[1]
        if trainer.finished:
            release_memory()  # of the steps, of which there are no more
        is_late = trainer.finished or _is_late(trainer.rows, trainer.recipe.epochs)
        found = [
            *curve_findings(trainer.rows, trainer.recipe.epochs, self.majority),
            *layer_findings(measure_net(trainer, self.blocked_at_start), self.class_names, is_late=is_late),
            *self._updates(trainer),
        ]
        for one in found:
            self._add(one, row.epoch)
        self.still_present = {one.id for one in found}
        self._remember(trainer)

    def diverged(self, trainer: Trainer) -> Finding | None:
        """Find the first value that was not finite. The trainer cannot be used afterwards."""
        if self.good is None or (origin := retrace(trainer, self.good)) is None:
            return None
        finding = finding_for(origin, trainer.lr())
        self.findings.insert(0, finding)
        self.keep()
        return finding

    def run_ended(self, trainer: Trainer) -> None:
        """Check what only the whole curve shows, and save the findings."""
        if trainer.finished:
            # A warning that the run has outgrown was worth a line when it arose; the diagnosis tells what is left.
            self.findings = [
                found for found in self.findings if found.severity == "fault" or found.id in self.still_present
            ]
            for one in end_findings(trainer.rows, trainer.best_epoch, trainer.validation is not None):
                self._add(one, len(trainer.rows))
        self.keep()

    def add(self, finding: Finding) -> None:
        """Add a finding made after the run, as the first one, and save."""
        self.findings.insert(0, finding)
        self.say(f"warning: {finding.id} {finding.page.title}, {finding.evidence.text}")
        self.keep()

    def keep(self) -> None:
        """Write `diagnosis.json`."""
        if self.path is not None:
            content = {"findings": [finding.figures() for finding in self.findings], "seconds": self.seconds}
            write_json(self.path, content)

    def _add(self, found: Finding, epoch: int) -> None:
        if any(known.id == found.id for known in self.findings):
            return
        self.findings.append(found)
        if found.severity == "warning":
            advice = found.page.fix.removesuffix(".")
            end = "." if advice[0].isupper() else ";"
            self.say(f"warning: {found.id} epoch {epoch}: {found.page.title} ({found.evidence.text}){end} {advice}")

    def _remember(self, trainer: Trainer) -> None:
        self.weights = {
            name: weight.detach().clone()
            for name, weight in trainer.model.named_parameters()
            if weight.requires_grad and weight.ndim > 1
        }
        self.seen_at = trainer.step
        self.good = state_copy(trainer)

    @torch.no_grad()
    def _updates(self, trainer: Trainer) -> Iterator[Finding]:
        """Yield the relative change of each layer per step. A random walk of n steps covers a distance of sqrt(n)."""
        steps = trainer.step - self.seen_at
        if steps == 0:  # the run was resumed after the last batch of the epoch
            return
        now = dict(trainer.model.named_parameters())
        learned = {name for names in trainer.step_function.functional_state().learned for name in names}
        for name, before in self.weights.items():
            size = float(before.norm())
            if size == 0 or name not in learned:  # frozen weights do not change
                continue
            moved = float((now[name] - before).norm()) / size / steps**0.5
            is_small = moved < SMALL_UPDATE and trainer.lr() > 0
            if is_small or (moved > LARGE_UPDATE and self.seen_at > 0):
                text = f"{name} changes by {moved:.1e} of its norm per update"
                evidence = Evidence(text, moved, SMALL_UPDATE if is_small else LARGE_UPDATE)
                yield Finding(pages.UPDATES, "warning", evidence, "optimizer.lr")


@dataclass(frozen=True)
class NetState:
    """The state of the network on examples from all over the training split.

    Attributes:
        state: Its layers, gradients and predictions.
        targets: The classes `(N,)` of the examples, or multi-hot targets `(N, K)`.
        largest: The largest size of an input, as the network sees it.
        blocked_at_start: Layers whose units were dead or saturated before training, by name; None: not known, of a
            run that was resumed.
    """

    state: Snapshot
    targets: Tensor
    largest: float
    blocked_at_start: frozenset[str] | None = None


def measure_net(trainer: Trainer, blocked_at_start: frozenset[str] | None = None) -> NetState:
    """Measure the network on examples from all over the training split."""
    batches = trainer.train_batches
    rows = batches.examples.spaced_rows(MEASURED_EXAMPLES)
    inputs, targets = prepared(batches.examples, rows, batches.transform, trainer.placement)
    state = snapshot(trainer.model, trainer.loss_fn, inputs, targets)
    return NetState(state, targets, float(inputs.abs().max()), blocked_at_start)


def layer_findings(look: NetState, class_names: Sequence[str] | None = None, *, is_late: bool) -> Iterator[Finding]:
    """Yield findings about the layers; `is_late`: whether a healthy network would distinguish its classes by now."""
    state, targets = look.state, look.targets
    for layer in state.layers:
        if layer.dead > MANY:
            yield _blocked(look, layer, pages.DEAD_UNITS, layer.dead_text(), layer.dead)
        if layer.saturated > MANY:
            text = f"{percent(layer.saturated)} of the outputs of {readable_layer(layer.name)} are saturated"
            yield _blocked(look, layer, pages.SATURATED_UNITS, text, layer.saturated)
    ratio = state.gradient_ratio
    if not LOWEST_RATIO <= ratio <= HIGHEST_RATIO and max(state.gradients.values()) > 1e-8:
        evidence = Evidence(state.gradient_text(), ratio, LOWEST_RATIO)
        yield Finding(pages.GRADIENTS, "warning", evidence, "model.activation")
    if is_late and len(targets) >= 50 and commonest(state.predictions)[1] == 1 and commonest(targets)[1] < 0.99:
        text = f"{_same(state.predictions, class_names)} for all of {len(targets)} examples"
        yield Finding(pages.ONE_CLASS, "warning", Evidence(text, 1.0, 0.99), "model")


def _same(predictions: Tensor, class_names: Sequence[str] | None) -> str:
    """Return the words for predictions that are all the same."""
    if predictions.ndim == 2:
        return "the same classes"
    index = int(predictions[0])
    return f"class {index if class_names is None else repr(class_names[index])}"


def _blocked(look: NetState, layer: LayerState, page: Page, text: str, share: float) -> Finding:
    """Return a finding about blocked units, with the measured cause: large inputs, initial weights, or updates."""
    change: Change = {}
    if look.largest > LARGE:
        cause, path, fix = f"; inputs reach {look.largest:.3g}", "dataset.normalize", "use dataset.normalize: standard"
        change = {path: "standard"}
    elif look.blocked_at_start is None:
        cause, path, fix = "", "model.activation", page.fix
    elif layer.name in look.blocked_at_start:
        cause, path = "; already so before training", "model.init"
        fix = "use another model.init, such as kaiming_uniform, or batch norm"
    else:
        cause, path = "; not so before training", "optimizer.lr"
        fix = "use a lower optimizer.lr: updates were too large"
    return Finding(replace(page, fix=fix), "warning", Evidence(text + cause, share, MANY), path, change=change)


def _is_late(rows: Sequence[Row], epochs: int) -> bool:
    return len(rows) >= max(3, epochs // 5)


def curve_findings(rows: Sequence[Row], epochs: int, majority: float) -> Iterator[Finding]:
    """Yield findings about the training curve so far."""
    losses = [row.train_loss for row in rows]
    now = losses[-1]
    is_level = _is_late(rows, epochs) and max(losses) - min(losses) < 0.01 * abs(losses[0])
    if is_level and rows[-1].train_accuracy < majority + 0.02:
        text = f"{losses[0]:.4f} in the first epoch, {now:.4f} in epoch {rows[-1].epoch}"
        yield Finding(pages.STUCK, "warning", Evidence(text, now, losses[0]), "optimizer.lr")
    last = losses[-4:]
    if len(last) == 4 and last == sorted(last) and now > 1.5 * max(min(losses), 1e-3) and now > 0.05:
        yield Finding(
            pages.RISING,
            "warning",
            Evidence(f"{min(losses):.3g} at best, now {now:.3g}", now, min(losses)),
            "optimizer.lr",
        )
    steps = [after - before for before, after in pairwise(losses[-7:])]
    turns = sum(first * second < 0 for first, second in pairwise(steps))
    if len(steps) == 6 and turns == 5 and min(map(abs, steps)) > 0.2 * max(now, 0.05):
        yield Finding(
            pages.OSCILLATING,
            "warning",
            Evidence(f"{turns} changes of direction in 6 epochs", turns, 5),
            "optimizer.lr",
        )


def end_findings(rows: Sequence[Row], best_epoch: int, has_validation: bool) -> Iterator[Finding]:
    """Yield findings about the whole training curve."""
    last, count = rows[-1], len(rows)
    before = rows[-1 - max(1, count // 10)] if count > 1 else None
    if before is not None and last.train_loss < 0.9 * before.train_loss:
        gained = last.train_accuracy - before.train_accuracy
        if gained > 0.01:
            span = "epoch" if count < 20 else counted(count // 10, "epoch")
            text = f"loss {before.train_loss:.3f} to {last.train_loss:.3f} in the last {span}"
            yield Finding(pages.STILL_FALLING, "note", Evidence(text, gained, 0.01), "epochs")
    if last.validation_accuracy is not None and last.train_accuracy - last.validation_accuracy > 0.1:
        text = f"train {percent(last.train_accuracy)}, validation {percent(last.validation_accuracy)}"
        yield Finding(
            pages.GAP, "note", Evidence(text, last.train_accuracy - last.validation_accuracy, 0.1), "model.dropout"
        )
    if has_validation and count - best_epoch > max(10, count / 2):
        yield Finding(
            pages.PAST_BEST, "note", Evidence(f"epoch {best_epoch} of {count}", best_epoch, count / 2), "patience"
        )
