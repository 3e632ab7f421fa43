"""Diagnose a config before training: rules and probes suspect causes, trials decide.

A config that trains well has no fault, however odd it looks, apart from a few settings that are always wrong. Where it
trains badly, suspected causes are removed one by one and then together. A change that makes a large difference in the
same number of updates, over several seeds and on examples that no trial has trained on, is the cause: found, proven
and fixed in one go. Where a network is too slow for that, a narrower one is tried in its place, or the verdict is left
open.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from numbers import Real

from torch import nn

from nnclassify.config.run_config import LoadedConfig, RunConfig, located
from nnclassify.data import Splits
from nnclassify.data.duplicates import Duplicate
from nnclassify.diagnosis.findings import Finding, Suspicion
from nnclassify.diagnosis.measure import mixing
from nnclassify.diagnosis.outcome_pages import NOT_DECIDED, RENUMBERED, SHIFTED, STOPS_EARLY, UNRELATED
from nnclassify.diagnosis.rules import architecture, data, optimization, output_and_loss, untrained_network
from nnclassify.diagnosis.rules.facts import data_facts
from nnclassify.diagnosis.rules.rule import RuleInputs, hidden_layers_of, suspect
from nnclassify.diagnosis.trials.early_stop import without_early_stop
from nnclassify.diagnosis.trials.experiments import RangeTest, overfit_one_batch, range_test
from nnclassify.diagnosis.trials.reference_networks import Baseline, label_findings, train_baseline
from nnclassify.diagnosis.trials.repair import DEVIATIONS, repair
from nnclassify.diagnosis.trials.repair_result import Repair
from nnclassify.diagnosis.trials.runner import (
    TrialOutcome,
    TrialRunner,
    decisive_steps,
    measured_batch,
    start_of,
    step_seconds,
    total_steps,
)
from nnclassify.diagnosis.trials.skill import GOOD, Skill
from nnclassify.diagnosis.trials.stand_in import FACTORS, StandIn, is_alike
from nnclassify.diagnosis.trials.verdict import TrialEvidence, findings_of, minutes_needed, notes_of
from nnclassify.diagnosis.unreadable import unreadable
from nnclassify.errors import DataError, InputError, NNClassifyError
from nnclassify.evaluation.metrics import METRICS
from nnclassify.process import preserve_process_state
from nnclassify.training.build import Components, build_components, check_metric

RULES = (*data.RULES, *output_and_loss.RULES, *architecture.RULES, *optimization.RULES, *untrained_network.RULES)

TRIAL_SECONDS, BASELINE_SECONDS, CHECK_SECONDS = 3.0, 2.5, 32.0
"""Time of a trial and of a baseline, and the time after which no further trial starts, per minute of the check. The
rest of the minute is for reading the data and for busy cores."""
MAX_STEPS = 20_000
NEARLY = 1.5
"""A run that is longer than a trial by no more than this factor is tried to its end, which decides more."""
FOLDER_LIMIT = 10_000
"""Maximum number of images to decode for a diagnosis of a folder."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of `check`.

    Attributes:
        findings: The findings, most likely cause first.
        before: The trial of the config as written; None if its data cannot be read.
        linear: The linear baseline; None if the data cannot be read.
        majority: The frequency of the most common class, or of the most common multi-hot row.
        repair: The changes that helped, and what they reached; None where nothing was tried.
        rates: The learning-rate range test; None if the config cannot be trained, or only slowly.
        has_held_out: Whether accuracies are measured on examples kept out of training.
        is_multi_hot: Whether targets are multi-hot.
        seconds: The duration of the check.
        notes: What the user should know of the config and of how the data was read.
        duplicates: The examples that are in more than one split.
    """

    findings: list[Finding]
    before: TrialOutcome | None = None
    linear: TrialOutcome | None = None
    majority: float = 0.0
    repair: Repair | None = None
    rates: RangeTest | None = None
    has_held_out: bool = False
    is_multi_hot: bool = False
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def change(self) -> dict[str, object]:
        """All changes that helped, together; empty if none did or none was needed."""
        return {} if self.repair is None else self.repair.change

    @property
    def is_decided(self) -> bool:
        """Whether there was enough time to tell whether the network learns."""
        return not any(finding.id == NOT_DECIDED.id for finding in self.findings)

    @property
    def has_fault(self) -> bool:
        """Whether any finding is a fault."""
        return any(finding.severity == "fault" for finding in self.findings)


@preserve_process_state()
def diagnose(loaded: LoadedConfig, minutes: float = 1.0) -> Diagnosis:
    """Check a config: read its data, apply the rules, and run trials.

    Args:
        loaded: The config.
        minutes: The time limit.

    Raises:
        InputError: The time limit is not a positive number.
        ConfigError: The config is wrong.
        DataError: An option does not fit the data, such as a `select_by` without a value on the validation split.
        ModelError: The network does not fit the data.
        DeviceError: The device is not available.
    """
    if not (isinstance(minutes, Real) and 0 < minutes < math.inf):
        raise InputError(f"minutes: found {minutes!r}, expected a positive number, such as 1")
    started = time.thread_time()
    try:
        config, splits = _read(loaded.config.completed())
    except DataError as error:
        return Diagnosis(unreadable(error, loaded.source), seconds=time.thread_time() - started)
    diagnosis = _diagnose(replace(loaded, config=config), splits, minutes)
    notes = [*loaded.notes, *splits.notes, *_not_checked(splits)]
    return replace(diagnosis, seconds=time.thread_time() - started, notes=notes)


def _not_checked(splits: Splits) -> list[str]:
    """Return a line on the findings that are not looked for with multi-hot targets; none for other targets."""
    if not splits.is_multi_hot:
        return []
    pages = [*(rule.page for rule in RULES if not rule.fits_multi_hot), RENUMBERED]
    which = ", ".join(f"{page.id} ({page.title})" for page in pages)
    return [f"not checked, because targets are multi-hot: {which}"]


def _read(config: RunConfig) -> tuple[RunConfig, Splits]:
    """Return the examples; of a large image folder, a subset that is trained on for proportionally more epochs."""
    dataset = config.dataset
    if dataset.name != "folder":
        return config, dataset.build(config.seed)
    num_images = len(dataset.read(dataset.seed or config.seed).train.targets)
    limit = min(dataset.limit or num_images, num_images)
    if limit <= FOLDER_LIMIT:
        return config, dataset.build(config.seed)
    dataset = dataset.model_copy(update={"limit": FOLDER_LIMIT})
    epochs = math.ceil(config.epochs * limit / FOLDER_LIMIT)
    return config.model_copy(update={"dataset": dataset, "epochs": epochs}), dataset.build(config.seed)


def _diagnose(loaded: LoadedConfig, splits: Splits, minutes: float) -> Diagnosis:
    config = loaded.config
    with located(loaded.source):
        components = build_components(config, splits)
        check_metric(METRICS[config.select_by], splits)
    given = rule_inputs_of(components)
    runner = _runner(loaded, components, minutes)
    written = runner.run({})
    linear = train_baseline(config, runner.folds, [], BASELINE_SECONDS)
    plain = train_baseline(config, runner.folds, [64, 64], BASELINE_SECONDS) if _is_poor(written, linear) else linear
    rates = _range_test(given, splits)
    suspicions = list(suspect(RULES, replace(given, suggested_lr=None if rates is None else rates.suggested)))
    balanced = _balanced_baselines(runner)
    has_held_out = runner.folds[0].validation is not None
    skill = Skill(splits.chance, [written, linear.outcome, plain.outcome])
    if any(one.page.id == data.IMBALANCED.id for one in suspicions):
        skill.expect_rare_classes(written, [baseline().outcome for baseline in balanced])
    if has_held_out:
        skill.expect_baselines(written, [linear.outcome, plain.outcome])
    stand_in = _stand_in(runner, components, given) if skill.of(written) < GOOD and written.error is None else None
    findings = label_findings(splits, given.facts, plain, balanced, written.held_out if has_held_out else None)
    tried = _to_try(suspicions, findings)
    searched = stand_in or runner
    repaired = without_early_stop(searched, repair(searched, tried, _together(given, tried), skill), skill)
    is_good = repaired.skill_before >= GOOD
    trials = TrialEvidence(
        written=written,
        before=written if stand_in is None else repaired.before.typical,
        linear=linear.outcome,
        is_behind=is_good or _is_behind(runner),
        one_batch_accuracy=None if is_good else overfit_one_batch(build_components(config, splits)),
        minutes=minutes,
        minutes_needed=minutes_needed(step_seconds(components), given.total_steps),
        is_cut_short=not searched.may_search(),
        stand_in=None if stand_in is None else str(stand_in.stand_in),
    )
    findings += findings_of(loaded.source, given, repaired, trials, skill, bool(findings))
    findings = [_accepted(one, config.accept or []) for one in (*findings, *notes_of(loaded.source, given, suspicions))]
    shown, majority = _as_run(written, repaired), given.facts.majority
    what_is_seen = (shown, linear.outcome, majority, repaired, rates, has_held_out, splits.is_multi_hot)
    return Diagnosis(findings, *what_is_seen, duplicates=given.facts.duplicates)


def _as_run(written: TrialOutcome, repaired: Repair) -> TrialOutcome:
    """Return the outcome of the config as written, with `patience` if that makes a difference; see `early_stop`."""
    stopped = [proof.before for proof in repaired.proofs if proof.suspicion.page is STOPS_EARLY]
    return stopped[0] if stopped and len(repaired.proofs) == 1 else written


def _balanced_baselines(runner: TrialRunner) -> list[Callable[[], Baseline]]:
    """Return functions that train a linear model and a plain network in which every class weighs the same."""
    train = partial(train_baseline, runner.config, runner.folds, seconds=BASELINE_SECONDS, is_weighted=True)
    return [cache(partial(train, [])), cache(partial(train, [64, 64]))]


def _to_try(suspicions: Sequence[Suspicion], findings: Sequence[Finding]) -> list[Suspicion]:
    """Return all suspicions but the notes; if there is nothing to learn, only certain ones: others help to memorize."""
    is_hopeless = any(finding.id in HOPELESS for finding in findings)
    tried = ("certain",) if is_hopeless else ("certain", "likely", "possible")
    return [suspicion for suspicion in suspicions if suspicion.certainty in tried]


def _is_behind(runner: TrialRunner) -> bool:
    """Return whether a plain network does better on held-out examples, where trials are judged on training examples."""
    two_fold = runner.two_fold()
    if two_fold is None:
        return True
    plain = train_baseline(runner.config, two_fold.folds, [64, 64], BASELINE_SECONDS).outcome.held_out
    return plain.balanced_accuracy - two_fold.run({}).held_out.balanced_accuracy > DEVIATIONS * plain.noise


def _runner(loaded: LoadedConfig, components: Components, minutes: float) -> TrialRunner:
    config, seconds = loaded.config, step_seconds(components)
    total = total_steps(config, len(components.splits.train))
    steps = max(1, min(total, MAX_STEPS, math.ceil(TRIAL_SECONDS * minutes / seconds)))
    if total <= NEARLY * steps:
        steps = min(total, MAX_STEPS)
    deadline = time.thread_time() + CHECK_SECONDS * minutes
    limit = 2 * TRIAL_SECONDS * minutes
    return TrialRunner(loaded.source, config, components.splits, steps, deadline, limit, cost=steps * seconds)


def _stand_in(runner: TrialRunner, components: Components, given: RuleInputs) -> TrialRunner | None:
    """Return a runner for the widest network of the same kind that makes enough updates in the time of a trial.

    None if the network itself does, if there is no such network, or if signal and gradient vanish differently in it.
    """
    decisive = decisive_steps(given.total_steps)
    if runner.steps >= decisive:
        return None
    for factor in FACTORS:
        narrower = StandIn(factor)
        smaller = build_components(narrower(components.config), components.splits)
        seconds = step_seconds(smaller)
        steps = min(given.total_steps, MAX_STEPS, math.ceil(runner.cost / seconds))
        if steps >= decisive or factor == max(FACTORS):
            has_enough_steps = (
                steps >= 2 * runner.steps and given.start is not None and is_alike(given.start, start_of(smaller))
            )
            return (
                replace(runner, steps=steps, cost=steps * seconds, stand_in=narrower, known={})
                if has_enough_steps
                else None
            )
    return None


def _together(given: RuleInputs, suspicions: Sequence[Suspicion]) -> list[tuple[Suspicion, ...]]:
    """Return groups of changes to try at once: learning rate, momentum and batch size; the likely ones; all; the
    network with its learning rates."""
    rates = list(optimization.rates_together(given))
    open_ones = [one for one in suspicions if one.certainty != "certain" and one.changes]
    likely = tuple(one for one in open_ones if one.certainty == "likely")
    structure = tuple(one for one in open_ones if one.page.id[:3] != "NN4")
    combined = [likely, tuple(open_ones), *(structure + some for some in rates[:2])]
    return [*rates[:2], *(some for some in combined if len(some) > 1), *rates[2:]]


def _range_test(given: RuleInputs, splits: Splits) -> RangeTest | None:
    """Return a learning-rate range test over a hundred times the common range in both directions."""
    low, high = given.config.optimizer.lr_range()
    lr = given.config.optimizer.lr
    try:
        return range_test(build_components(given.config, splits), min(low, lr) / 100, max(high, lr) * 100)
    except NNClassifyError:  # such a network is refused: the trial of the config as written has said so
        return None


def _accepted(finding: Finding, accepted: list[str]) -> Finding:
    """Turn findings that the config accepts into notes: a demonstration may be meant to fail."""
    return replace(finding, severity="note") if finding.id in accepted else finding


NEAR_PERFECT = 0.97
HOPELESS = (UNRELATED.id, SHIFTED.id)


def _is_poor(before: TrialOutcome, linear: Baseline) -> bool:
    return before.train.balanced_accuracy < NEAR_PERFECT or linear.outcome.held_out.balanced_accuracy < NEAR_PERFECT


def rule_inputs_of(components: Components) -> RuleInputs:
    """Return what the rules look at, from components that are built but not trained."""
    facts, is_several = data_facts(components.splits, components.transform), len(components.splits.train) > 1
    return RuleInputs(
        config=components.config,
        hidden_layers=hidden_layers_of(components.config),
        facts=facts,
        columns=components.transform.columns,
        class_names=components.splits.class_names,
        num_outputs=components.loss_fn.num_outputs,
        prior_loss=prior_loss(components.config, facts.class_counts, facts.num_examples),
        start=start_of(components) if is_several else None,  # batch norm needs two examples
        mixing=mixing(components.model, measured_batch(components)[0]),
        has_batch_norm=any(
            isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in components.model.modules()
        ),
        groups=tuple(components.config.dataset.suspected_groups(components.splits)),
    )


def prior_loss(config: RunConfig, class_counts: tuple[int, ...], num_examples: int) -> float | None:
    """Return the loss of predicting the class frequencies: their entropy, where the loss is plain cross-entropy."""
    if config.dataset.is_multi_hot:
        return _multi_hot_prior(config, class_counts, num_examples)
    is_plain = config.loss.name in ("cross_entropy", "nll") or (
        config.loss.name in ("bce", "bce_with_logits") and len(class_counts) == 2
    )
    if not is_plain or getattr(config.loss, "class_weights", None) is not None:
        return None
    total = sum(class_counts)
    return -sum(count / total * math.log(count / total) for count in class_counts if count)


def _multi_hot_prior(config: RunConfig, class_counts: tuple[int, ...], num_examples: int) -> float | None:
    """Return the mean over the classes of the entropy of their frequency."""
    if config.loss.name not in ("bce", "bce_with_logits") or getattr(config.loss, "pos_weight", None) is not None:
        return None
    shares = [share for count in class_counts for share in (count / num_examples, 1 - count / num_examples) if share]
    return -sum(share * math.log(share) for share in shares) / len(class_counts)
