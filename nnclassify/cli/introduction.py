"""What a run is going to do, said before it starts: the data, the splits, the network, how it is executed, how long."""

from __future__ import annotations

from collections.abc import Callable

from nnclassify.errors import counted, duration, some_names
from nnclassify.training.build import Components
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer


class Introduction(Observer):
    """Writes four lines before the first step, and one with the estimated time after the first epoch.

    Args:
        say: Called with each line.
        verbose: Whether to write every decision of the execution plan.
    """

    def __init__(self, say: Callable[[str], None], *, verbose: bool) -> None:
        self.say = say
        self.verbose = verbose
        self.is_timed = False

    def announce(self, components: Components, trainer: Trainer) -> None:
        """Write what was built from the config."""
        splits, model = components.splits, components.model
        shape = "x".join(map(str, splits.input_shape))
        names = some_names(splits.class_names, 10)
        dataset = components.config.dataset
        self.say(f"data: {dataset.name_of()}, {shape} inputs, {counted(splits.num_classes, 'class')} ({names})")
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        sizes = [f"{len(examples):,} {name}" for name, examples in parts.items() if examples is not None]
        self.say(
            f"splits: {', '.join(sizes)} examples" + (" (validation is test)" if splits.validation_is_test else "")
        )
        count = sum(parameter.numel() for parameter in model.parameters())
        self.say(f"network: {components.config.model.name_of()}, {counted(count, 'parameter')}")
        decisions = trainer.plan.description()
        shown = decisions if self.verbose else {name: decisions[name] for name in ("device", "autocast", "execution")}
        lengths = f"{counted(trainer.recipe.epochs, 'epoch')}, batch size {components.config.batch_size}"
        self.say(f"plan: {lengths}, " + ", ".join(f"{name} {value}" for name, value in shown.items()))

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        """Write the estimated time after the first epoch of this start."""
        left = trainer.recipe.epochs - row.epoch
        if self.is_timed or left == 0:
            return
        self.is_timed = True
        steps = trainer.step_function.fast_steps
        once = 0.0 if steps is None else steps.seconds  # compiling and comparing, which later epochs do not repeat
        seconds = max(0.0, row.seconds - once)
        shown = f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2g}"
        self.say(f"time: {shown} s per epoch; about {duration(left * seconds)} for the remaining {left}")
