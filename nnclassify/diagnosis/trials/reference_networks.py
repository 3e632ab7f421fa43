"""The baselines of a diagnosis: the majority class, a linear model, a plain network; and a test of the labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nnclassify.config.run_config import RunConfig
from nnclassify.data import AnyDataset, Examples, Splits
from nnclassify.data.transform import Transform
from nnclassify.diagnosis.findings import Evidence, Finding
from nnclassify.diagnosis.outcome_pages import RENUMBERED, SHIFTED, UNRELATED
from nnclassify.diagnosis.rules.facts import DataFacts
from nnclassify.diagnosis.trials.folds import deviation
from nnclassify.diagnosis.trials.runner import TrialOutcome, merged, run_trial
from nnclassify.diagnosis.trials.scores import Scores
from nnclassify.errors import counted
from nnclassify.evaluation.metrics import balanced_accuracy
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.evaluation.percent import percent
from nnclassify.training.build import Components, build_components

BASELINE_STEPS = 1500
SMALL_BATCH = 32


@dataclass(frozen=True)
class Baseline:
    """A trained baseline.

    Attributes:
        outcome: What it reaches.
        components: The network that was trained on the first fold.
    """

    outcome: TrialOutcome
    components: Components


def train_baseline(
    config: RunConfig, folds: Sequence[Splits], hidden: list[int], seconds: float, *, is_weighted: bool | None = None
) -> Baseline:
    """Adam on standardized inputs and the cross-entropy (the binary one, where targets are multi-hot): settings that
    suit most problems.

    Rate 0.003 and batches of 32 lie in the middle of what Bengio, 2012 (arXiv:1206.5533) advises.

    Args:
        config: The config, whose dataset and seed are used.
        folds: What to train on and to be judged by, in turn.
        hidden: The hidden layers; empty for a linear model.
        seconds: The time limit of all folds together.
        is_weighted: Whether classes weigh the same however rare they are. Default: where the config has them weighted,
            in whatever way.
    """
    if is_weighted is None:
        is_weighted = getattr(config.loss, "class_weights", None) is not None
    loss = {"name": "cross_entropy", "class_weights": "balanced" if is_weighted else None}
    plain = RunConfig.model_validate(
        {
            "dataset": _plain_dataset(config),
            "model": {"name": "mlp", "hidden": hidden, "init": "kaiming_uniform"},
            "loss": "bce_with_logits" if config.dataset.is_multi_hot else loss,
            "optimizer": {"name": "adam", "lr": 0.003 if hidden else 0.01},
            "epochs": math.ceil(BASELINE_STEPS / max(1, len(folds[0].train) // SMALL_BATCH)),
            "batch_size": SMALL_BATCH,
            "seed": config.seed,
            "device": config.device,
        }
    )
    built = [build_components(plain, fold) for fold in folds]
    outcomes = [run_trial(components, BASELINE_STEPS, seconds / len(folds)) for components in built]
    return Baseline(merged(outcomes), built[0])


def _plain_dataset(config: RunConfig) -> AnyDataset:
    """Return the dataset with standardized inputs and without random changes, which may be what is wrong."""
    without = {"augment": None} if "augment" in type(config.dataset).model_fields else {}
    return config.dataset.model_copy(update={"normalize": "standard", **without})


MIN_EXAMPLES, NEIGHBORS_SAMPLE = 100, 2000
MAX_SHIFT = 10
"""Rows that a header of several lines, or a join that drops the first rows, shifts the labels by."""
CLEARLY = 0.3
"""Fraction of the way from chance to 1: a wrong shift changes the result only by noise, a few points."""


def label_findings(
    splits: Splits, facts: DataFacts, plain: Baseline, balanced: Sequence[Callable[[], Baseline]], own: Scores | None
) -> list[Finding]:
    """Yield a finding if labels do not depend on inputs: neither nearest neighbors nor any network beat chance.

    Args:
        splits: All examples.
        facts: What they are like.
        plain: The best of the trained baselines.
        balanced: Train a linear model and a plain network, with balanced classes: what always predicts the most common
            class does not show whether a rare one can be told apart.
        own: What the config's own network reached on examples that it has not seen; None: it has seen all.
    """
    if facts.num_examples < MIN_EXAMPLES:
        return []
    nearest, targets = _neighbors(splits.train, plain.components.transform)
    near = balanced_accuracy(targets[nearest], targets)
    held_out = plain.components.splits.validation  # never the test split: its labels decide nothing
    is_learned = near > _above_chance(targets) or (
        own is not None and own.balanced_accuracy > splits.chance + 3 * own.noise
    )
    if not is_learned and held_out is not None and len(held_out) >= MIN_EXAMPLES // 2:
        reached = 0.0
        of_held_out = held_out.all_targets()
        for baseline in balanced:
            reached = max(reached, balanced_accuracy(_predictions(baseline(), held_out), of_held_out))
            if reached > _above_chance(of_held_out):
                break
        else:
            return [_unrelated(splits.train, nearest, near, reached, splits.chance)]
    return [] if splits.is_multi_hot else _renumbered(splits, plain)


def _above_chance(targets: Tensor) -> float:
    """Three standard deviations above the balanced accuracy of chance: 1 / K, or 1 / 2 for multi-hot targets."""
    chance = 0.5 if targets.ndim == 2 else 1 / len(targets.unique())
    return chance + 3 * deviation(targets)


def _neighbors(examples: Examples, transform: Transform) -> tuple[Tensor, Tensor]:
    """Return the nearest other example of each of the first examples, `(N,)`, and their targets."""
    rows = torch.arange(min(NEIGHBORS_SAMPLE, len(examples)))
    raw, targets = examples.select(rows)
    inputs = transform(raw, torch.float64).reshape(len(raw), -1).float()
    distances = torch.cdist(inputs, inputs)
    distances.fill_diagonal_(math.inf)
    return distances.argmin(dim=1), targets


def _unrelated(train: Examples, nearest: Tensor, near: float, reached: float, chance: float) -> Finding:
    shift, agree = best_shift(train, nearest)
    if agree > near + CLEARLY * (1 - chance):
        text = (
            f"nearest neighbors predict {percent(near)} of the labels, and "
            f"{percent(agree)} of labels shifted by {counted(abs(shift), 'row')}"
        )
        return Finding(SHIFTED, "fault", Evidence(text, agree, near), path="dataset")
    text = (
        f"balanced accuracy: a linear model and a plain network at most {percent(reached)} when held out, nearest "
        f"neighbors {percent(near)}, chance {percent(chance)}"
    )
    return Finding(UNRELATED, "fault", Evidence(text, max(reached, near), chance), path="dataset")


def best_shift(train: Examples, nearest: Tensor) -> tuple[int, float]:
    """Return the number of rows of the file to shift labels by so that nearest neighbors predict them best, and how
    well they do; 0 rows if no shift can be told.

    A random split leaves gaps between the training rows. Labels that a shift would take from a gap are not used: they
    may be those of the test split.
    """
    rows, agreement = train.indices[: len(nearest)], {}
    is_train = torch.zeros(len(train.targets), dtype=torch.bool).index_fill_(0, train.indices, True)
    for shift in (*range(-MAX_SHIFT, 0), *range(1, MAX_SHIFT + 1)):
        sources = (rows - shift) % len(train.targets)
        is_known = is_train[sources] & is_train[sources[nearest]]
        if is_known.sum() >= MIN_EXAMPLES // 4:
            targets = train.targets[sources]
            agreement[shift] = balanced_accuracy(targets[nearest][is_known], targets[is_known])
    return max(agreement.items(), key=lambda pair: pair[1], default=(0, 0.0))


def _renumbered(splits: Splits, plain: Baseline) -> list[Finding]:
    if splits.test is None or len(splits.test) < MIN_EXAMPLES // 2 or plain.outcome.train.accuracy < 0.7:
        return []
    predictions, targets = _predictions(plain, splits.test), splits.test.all_targets()
    direct = float((predictions == targets).double().mean())
    cells = torch.bincount(predictions * splits.num_classes + targets, minlength=splits.num_classes**2)
    renamed = cells.reshape(splits.num_classes, splits.num_classes).argmax(dim=1)
    is_renaming = len(renamed.unique()) == splits.num_classes and bool((renamed != torch.arange(len(renamed))).any())
    after = float((renamed[predictions] == targets).double().mean())
    if is_renaming and after > 0.6 and direct < 0.5 * after:
        text = (
            f"a plain network predicts {percent(direct)} of the test examples, and "
            f"{percent(after)} with its classes renamed"
        )
        return [Finding(RENUMBERED, "fault", Evidence(text, after, direct), path="dataset")]
    return []


def _predictions(network: Baseline, examples: Examples) -> Tensor:
    """Return what a trained network predicts, `(N,)` or `(N, K)`."""
    parts = network.components
    return parts.loss_fn.predictions(outputs_of(parts.model, examples, parts.transform, parts.placement))
