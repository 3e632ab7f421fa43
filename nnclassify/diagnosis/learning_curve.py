"""Learning curves: whether more data, more epochs or a wider network would help.

A config is trained on growing shares of its training split, for the same number of updates each, and judged on the same
validation split (or else test split). So the curve shows what examples add, not what longer training adds; longer
training and a wider network are trials of their own.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.config.run_config import LoadedConfig, located
from nnclassify.data import Splits
from nnclassify.errors import CheckpointError, DataError, counted, one_line
from nnclassify.evaluation.baselines import commonest
from nnclassify.evaluation.percent import percent
from nnclassify.evaluation.power_law import Expected, PowerLaw
from nnclassify.evaluation.significance import corrected_t_test
from nnclassify.evaluation.totals import exact
from nnclassify.runs.folder import RunFolder
from nnclassify.runs.group_summary import result_of
from nnclassify.runs.groups import Group, fitting_group, new_group
from nnclassify.training.history import Row, read_rows

NUM_SHARES, NUM_SEEDS = 5, 3
"""Shares of the training split, each twice the one before, and seeds of each, unless others are asked for."""
MIN_SHARES, MIN_EXAMPLES = 3, 10
"""A power law has three parameters; fewer examples than ten are not trained on."""
CHEAP_SECONDS = 600.0
"""Trials are made unasked if all of them take less time than this."""
CLEAR, SMALL = 0.1, 0.03
"""Fractions of the mistakes that a change avoids: from the first on it helps, below the second hardly."""
LEARNED = 0.1
"""A network that avoids fewer of the mistakes of the most common class than this fraction has learned little."""
STILL = 0.02
"""Relative change of the validation loss over the last quarter of the epochs that counts as falling or rising."""

Kind = Literal["share", "epochs", "width"]
KINDS: tuple[Kind, ...] = ("share", "epochs", "width")


@dataclass(frozen=True)
class Planned:
    """A run to make.

    Attributes:
        name: The name of its run folder.
        overrides: What it changes in the config.
        kind: What it varies.
        seed: Its seed.
        share: The fraction of the training split that it is trained on.
    """

    name: str
    overrides: list[str]
    kind: Kind
    seed: int
    share: float = 1.0


Train = Callable[[LoadedConfig, RunFolder | None, RunFolder], object]
"""Trains a config: continues the run in a folder, or starts one in the other folder."""


@dataclass(frozen=True)
class CurveRun:
    """A run that was made.

    Attributes:
        name: The name of its run folder.
        kind: What it varies.
        share: The fraction of the training split that it was trained on.
        num_examples: The number of training examples.
        seed: Its seed.
        accuracy: Its accuracy on the split that judges.
        train_accuracy: Its accuracy on the training examples in the best epoch, measured during training.
        seconds: The time of its training.
        late_change: The relative change of the validation loss over the last quarter of the epochs; None if unknown.
    """

    name: str
    kind: Kind
    share: float
    num_examples: int
    seed: int
    accuracy: float
    train_accuracy: float
    seconds: float
    late_change: float | None


@dataclass(frozen=True)
class Trial:
    """A changed config, compared with the config as it is over the same seeds.

    Attributes:
        accuracy: The mean accuracy.
        gain: The mean difference to the config as it is.
        gain_interval: The 95% interval of the difference; None with a single seed.
    """

    accuracy: float
    gain: float
    gain_interval: tuple[float, float] | None


class TwiceTheData(TypedDict):
    """The accuracy to expect of twice as many training examples, and the fraction of the mistakes that they avoid."""

    num_examples: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    mistakes_avoided: Expected


class CurveFigures(TypedDict):
    """Whether more data, more epochs or a wider network would help."""

    name: str
    folder: str
    split: str
    num_judged: int
    runs: list[CurveRun]
    accuracy: float
    twice_the_data: TwiceTheData
    trials: dict[Kind, Trial]
    untried: dict[Kind, str]
    conclusions: list[str]
    plot: NotRequired[str]


@dataclass(frozen=True)
class LearningCurve:
    """A measured learning curve.

    Attributes:
        name: The name of the config.
        folder: The folder of its runs.
        split: The split that the runs are judged on.
        num_judged: The number of its examples.
        runs: The runs on shares of the training split.
        law: The power laws that explain them.
        trials: Twice the epochs (`epochs`) and the width (`width`), as far as they were tried.
        untried: Why the others were not tried.
        majority: The accuracy of always predicting the most common class of the training split.
    """

    name: str
    folder: Path
    split: str
    num_judged: int
    runs: list[CurveRun]
    law: PowerLaw
    trials: dict[Kind, Trial]
    untried: dict[Kind, str]
    majority: float

    @property
    def whole(self) -> list[CurveRun]:
        """The runs on the whole training split."""
        return [run for run in self.runs if run.share == 1]

    @property
    def num_examples(self) -> int:
        """The number of examples of the whole training split."""
        return self.whole[0].num_examples

    @property
    def accuracy(self) -> float:
        """The mean accuracy of the runs on the whole training split."""
        return statistics.mean(run.accuracy for run in self.whole)

    @property
    def with_twice_the_data(self) -> Expected:
        """The error of a run with twice as many training examples."""
        return self.law.run(2 * self.num_examples)

    @property
    def avoided_by_data(self) -> Expected:
        """The fraction of the mistakes that twice as many training examples avoid."""
        return self.law.avoided(self.num_examples, 2 * self.num_examples)

    def figures(self) -> CurveFigures:
        """Return the curve for JSON."""
        error = self.with_twice_the_data
        return {
            "name": self.name,
            "folder": str(self.folder),
            "split": self.split,
            "num_judged": self.num_judged,
            "runs": self.runs,
            "accuracy": self.accuracy,
            "twice_the_data": {
                "num_examples": 2 * self.num_examples,
                "accuracy": 1 - error.median,
                "accuracy_interval": (1 - error.high, 1 - error.low),
                "mistakes_avoided": self.avoided_by_data,
            },
            "trials": self.trials,
            "untried": self.untried,
            "conclusions": self.conclusions(),
        }

    def conclusions(self) -> list[str]:
        """Return whether more data, more epochs and a wider network would help, a sentence each."""
        epochs, width = self.trials.get("epochs"), self.trials.get("width")
        return [
            *self._on_learning(),
            self._on_data(),
            self._on_epochs() if epochs is None else f"more epochs {_outcome(epochs, 'twice as many', self.accuracy)}",
            self._on_width() if width is None else f"a wider network {_outcome(width, 'twice as wide', self.accuracy)}",
        ]

    def _on_learning(self) -> list[str]:
        """Return a sentence if the network is hardly better than the most common class: nothing else helps then."""
        if self.accuracy - self.majority > LEARNED * (1 - self.majority):
            return []
        return [
            f"the network has learned little: accuracy {percent(self.accuracy)}, always the most common class "
            f"{percent(self.majority)}; first find out why: nnclassify check"
        ]

    def _on_data(self) -> str:
        if self.accuracy == 1:
            return (
                f"more data cannot help on {self.split}: none of its {self.num_judged:,} examples is predicted wrongly"
            )
        error, avoided = self.with_twice_the_data, self.avoided_by_data
        would = "would help"
        if avoided.median < CLEAR:
            would = "would help a little" if avoided.median >= SMALL else "would hardly help"
        interval = f"95% interval of a run {percent(1 - error.high)} to {percent(1 - error.low)}"
        return (
            f"more data {would}: twice as many training examples ({2 * self.num_examples:,}) would probably give "
            f"{percent(1 - error.median)} ({interval}) instead of {percent(self.accuracy)}, "
            f"and avoid {percent(avoided.low)} to {percent(avoided.high)} of the mistakes"
        )

    def _on_epochs(self) -> str:
        """Read from the validation losses of the runs whether longer training may help."""
        changes = [run.late_change for run in self.whole if run.late_change is not None]
        not_tried = f"not tried: {self.untried['epochs']}"
        if not changes:
            return f"more epochs: unknown ({not_tried})"
        change = statistics.mean(changes)
        over = "over the last quarter of the epochs"
        if abs(change) < STILL:
            return f"more epochs would hardly help: the validation loss did not change {over} ({not_tried})"
        may, went = ("may help", "fell") if change < 0 else ("would not help", "rose")
        return f"more epochs {may}: the validation loss {went} by {percent(abs(change))} {over} ({not_tried})"

    def _on_width(self) -> str:
        """Read from the accuracies whether the network is too small for its training examples."""
        trained = statistics.mean(run.train_accuracy for run in self.whole)
        shares = f"accuracy during training {percent(trained)}, on {self.split} {percent(self.accuracy)}"
        is_enough = 1 - trained < (1 - self.accuracy) / 2
        would = "would hardly help: this one learns its training examples" if is_enough else "may help"
        return f"a wider network {would} ({shares}; not tried: {self.untried['width']})"


def _outcome(trial: Trial, what: str, accuracy: float) -> str:
    """Return whether a trial was better than the config as it is, beyond the differences between seeds."""
    found = f"{what}: {percent(trial.accuracy)} instead of {percent(accuracy)}"
    if trial.gain_interval is None:
        return f"({found}; a single seed does not show whether that is chance)"
    low, high = trial.gain_interval
    interval = f"95% interval of the difference {100 * low:+.1f} to {100 * high:+.1f} points"
    verdict = "would help" if low > 0 else "would do harm" if high < 0 else "made no clear difference"
    return f"{verdict} ({found}; {interval})"


@dataclass(frozen=True)
class Experiment:
    """Makes the runs of a learning curve.

    Attributes:
        loaded: The config.
        splits: Its examples.
        seeds: The seeds of the runs.
        shares: The fractions of the training split, ascending; the last is 1.
        train: Trains a run.
        note: Called with the result of each run, one line.
    """

    loaded: LoadedConfig
    splits: Splits
    seeds: Sequence[int]
    shares: Sequence[float]
    train: Train
    note: Callable[[str], None]

    def planned(self, kind: Kind) -> list[Planned]:
        """Return the runs of a kind; none if the network has no width that could be doubled."""
        config = self.loaded.config
        changes = [f"epochs={config.epochs * (2 if kind == 'epochs' else 1)}"]
        if kind == "width":
            wider = config.model.widened(2)
            if wider is None:
                return []
            changes += [f"model={json.dumps(wider.model_dump(mode='json', exclude_none=True))}"]
        shares = self.shares if kind == "share" else [1.0]
        of_data = config.seed if config.dataset.seed is None else config.dataset.seed
        changes += [f"dataset.seed={of_data}", "boosted_baseline=off", f"show_test={json.dumps(self.split == 'test')}"]
        return [
            Planned(
                f"{f'1-{round(1 / share)}' if kind == 'share' else f'{kind}-2'}-seed-{seed}",
                [*changes, f"dataset.share={share}", f"seed={seed}"],
                *(kind, seed, share),
            )
            for seed in self.seeds
            for share in shares
        ]

    @property
    def split(self) -> Literal["validation", "test"]:
        """The split that judges: the validation split; the test split if there is none, or it is used for both.

        Raises:
            DataError: There is neither.
        """
        if self.splits.validation is not None and not self.splits.validation_is_test:
            return "validation"
        if self.splits.test is None:
            raise DataError("a learning curve needs examples that are not trained on; set dataset.validation: 0.1")
        return "test"

    def made(self, group: Group, run: Planned) -> CurveRun:
        """Make a run of a group, unless it has been made."""
        folder = group.folder(run.name)
        was_made = folder.result.is_file()
        if not was_made:
            begun = folder if folder.started_at() is not None else None
            self.train(group.config(run.name), begun, group.create_folder(run.name))
        figures = result_of(folder)
        assert figures is not None
        try:
            made = self._measured(run, figures, read_rows(folder.history))
        except (OSError, ValueError) as cause:
            what = f"cannot be read ({one_line(cause)}); remove {folder.path}, to train it again"
            raise CheckpointError(f"{folder.history}: {what}") from cause
        what = counted(made.num_examples, "training example") if run.kind == "share" else f"twice the {run.kind}"
        when = "already made" if was_made else f"{made.seconds:.1f} s"
        self.note(f"{what}, seed {made.seed}: {self.split} accuracy {percent(made.accuracy)} ({when})")
        return made

    def _measured(self, run: Planned, figures: dict[str, Any], rows: Sequence[Row]) -> CurveRun:
        judged = figures["validation"] or figures["test"]
        return CurveRun(
            run.name,
            run.kind,
            run.share,
            round(run.share * len(self.splits.train)),
            run.seed,
            judged["accuracy"],
            figures["train"]["accuracy"],
            figures["train_seconds"],
            _late_change(rows),
        )


def _late_change(rows: Sequence[Row]) -> float | None:
    """Return the relative change of the validation loss over the last quarter of the epochs; None with too few."""
    losses = [row.validation_loss for row in rows if row.validation_loss is not None]
    if len(losses) < 4 or losses[-1 - len(losses) // 4] <= 0:
        return None
    return losses[-1] / losses[-1 - len(losses) // 4] - 1


def learning_curve(
    loaded: LoadedConfig,
    train: Train,
    root: Path,
    *,
    num_shares: int = NUM_SHARES,
    num_seeds: int = NUM_SEEDS,
    with_trials: bool | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> LearningCurve:
    """Train a config on growing shares of its training split, and say what would help.

    Runs that have been made with the same config are not made again.

    Args:
        loaded: The config.
        train: Trains a run.
        root: The folder of runs, in which the folder of these is made.
        num_shares: The number of shares: 1, 1/2, 1/4 and so on.
        num_seeds: The number of seeds of each.
        with_trials: Whether to try twice the epochs and the width; None: if that takes less than ten minutes.
        note: Called with each note about the data and the result of each run, one line.

    Raises:
        DataError: There are too few training examples, or no others.
        NNClassifyError: A run fails.
    """
    with located(loaded.source):
        splits = loaded.config.dataset.build(loaded.config.seed)
        shares = _shares(splits, num_shares)
        seeds = range(loaded.config.seed, loaded.config.seed + num_seeds)
        experiment = Experiment(loaded, splits, seeds, shares, train, note)
        plans: dict[Kind, list[Planned]] = {kind: experiment.planned(kind) for kind in KINDS}
    for text in (*loaded.notes, *splits.notes):
        note(text)
    group = _group(loaded, [run for runs in plans.values() for run in runs], root)
    with RunFolder(group.path).locked():
        return _measured(experiment, group, plans, with_trials)


def _group(loaded: LoadedConfig, runs: Sequence[Planned], root: Path) -> Group:
    """Return the group of the runs of a learning curve: the one that was begun with the same config, or a new one."""
    named, overrides = replace(loaded, name=f"{loaded.name}-learning-curve"), {run.name: run.overrides for run in runs}
    group = fitting_group(named, overrides, keeps_configs=True, root=root) or new_group(named, overrides, root)
    group.write()
    return group


def _measured(
    experiment: Experiment, group: Group, plans: dict[Kind, list[Planned]], with_trials: bool | None
) -> LearningCurve:
    splits, split = experiment.splits, experiment.split
    runs = [experiment.made(group, run) for run in plans["share"]]
    judged = splits.split(split)
    assert judged is not None
    targets = judged.all_targets()
    law = PowerLaw.fit([run.num_examples for run in runs], [1 - run.accuracy for run in runs], len(judged))
    untried = _untried(plans, group, runs, with_trials)
    whole = [run for run in runs if run.share == 1]
    tried = [kind for kind in KINDS[1:] if kind not in untried]
    trials = {kind: _compared(whole, [experiment.made(group, run) for run in plans[kind]]) for kind in tried}
    majority = float(exact(commonest(splits.train.all_targets())[0].expand_as(targets), targets).double().mean())
    name = experiment.loaded.name
    return LearningCurve(name, group.path, split, len(judged), runs, law, trials, untried, majority)


def _shares(splits: Splits, num_shares: int) -> list[float]:
    """Return the shares of the training split, ascending, of enough examples to train on.

    Raises:
        DataError: There are fewer than three.
    """
    least = max(MIN_EXAMPLES, 2 * splits.num_classes) if not splits.is_multi_hot else MIN_EXAMPLES
    shares = [0.5**halvings for halvings in range(num_shares) if round(0.5**halvings * len(splits.train)) >= least]
    if len(shares) < MIN_SHARES:
        raise DataError(
            f"a learning curve needs at least {least * 2 ** (MIN_SHARES - 1)} training examples, found "
            f"{len(splits.train)}"
        )
    return shares[::-1]


def _untried(
    plans: dict[Kind, list[Planned]], group: Group, runs: Sequence[CurveRun], with_trials: bool | None
) -> dict[Kind, str]:
    """Return why trials are not made, by kind; those that have been made before are always used."""
    seconds = statistics.mean(run.seconds for run in runs if run.share == 1)
    waiting = {kind: [run for run in plans[kind] if not group.folder(run.name).result.is_file()] for kind in plans}
    expected = 2 * seconds * sum(len(of_kind) for of_kind in waiting.values())
    why: dict[Kind, str] = {}
    for kind in ("epochs", "width"):
        if not plans[kind]:
            why[kind] = "this network has no hidden layers or blocks to widen"
        elif waiting[kind] and with_trials is False:
            why[kind] = "--no-trials"
        elif waiting[kind] and with_trials is None and expected > CHEAP_SECONDS:
            why[kind] = f"about {expected / 60:.0f} minutes; --trials tries it"
    return why


def _compared(whole: Sequence[CurveRun], changed: Sequence[CurveRun]) -> Trial:
    """Compare runs of a changed config with those of the config as it is, seed by seed."""
    gains = [after.accuracy - before.accuracy for before, after in zip(whole, changed, strict=True)]
    accuracy, gain = statistics.mean(run.accuracy for run in changed), statistics.mean(gains)
    if len(gains) < 2:
        return Trial(accuracy, gain, None)
    low, high = corrected_t_test(gains, test_share=0)[1]
    return Trial(accuracy, gain, (max(low, -1.0), min(high, 1.0)))
