"""The diagnosis of a config before it is trained: rules and probes suspect, trials decide.

A config that trains well has no fault, however odd it looks, but for the few things that are wrong whatever a
net makes of them. Where it trains badly, each suspected cause is taken away in turn, and what makes a
dramatic difference in the same steps is the cause: found, proved and mended at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from nnclassify.config import LoadedConfig, RunConfig, located
from nnclassify.datasets import Splits
from nnclassify.diagnosis import probes, rules_data, rules_model, rules_output, rules_training
from nnclassify.diagnosis.baselines import Baseline, label_findings, train_baseline
from nnclassify.diagnosis.case import Case, stages_of
from nnclassify.diagnosis.experiments import RangeTest, learned_by_heart, range_test
from nnclassify.diagnosis.facts import facts_of
from nnclassify.diagnosis.findings import Finding, Suspicion
from nnclassify.diagnosis.measure import mixing
from nnclassify.diagnosis.pages_outcome import SHIFTED, UNRELATED
from nnclassify.diagnosis.repair import GOOD, Repair, repair
from nnclassify.diagnosis.trials import SMALL_STEP, Bench, Outcome, measured_batch, products, start_of, step_seconds
from nnclassify.diagnosis.unreadable import unreadable
from nnclassify.diagnosis.verdict import Seen, findings_of
from nnclassify.errors import DataError, NNClassifyError
from nnclassify.parts import Parts, build_parts

RULES = (*rules_data.RULES, *rules_output.RULES, *rules_model.RULES, *rules_training.RULES, *probes.RULES)

TRIAL_SECONDS, BASELINE_SECONDS, CHECK_SECONDS = 4.0, 3.0, 28.0
"""What a trial and a baseline should take, and after how long no other trial begins. All of it stays under a minute
on two cores, even where they are shared."""
MAX_STEPS = 20_000
FOLDER_LIMIT = 10_000
"""Pictures that are decoded for a diagnosis, of a folder that holds more."""


@dataclass(frozen=True)
class Diagnosis:
    """What `check` found.

    Attributes:
        findings: Ranked: the likely cause first.
        before: The config as written, in a trial; None where its data cannot be read.
        linear: The linear baseline, likewise.
        majority: The share of the commonest class.
        repair: The changes that helped, and what they reached.
        rates: The learning-rate range test; None where the config cannot be trained, or only slowly.
        seconds: What it took.
        notes: What the user should know of the config and of how the data was read.
    """

    findings: list[Finding]
    before: Outcome | None = None
    linear: Outcome | None = None
    majority: float = 0.0
    repair: Repair = field(default_factory=Repair)
    rates: RangeTest | None = None
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def has_fault(self) -> bool:
        """Whether a finding keeps the net from learning."""
        return any(finding.severity == "fault" for finding in self.findings)


def diagnose(loaded: LoadedConfig, seconds: float = CHECK_SECONDS) -> Diagnosis:
    """Check a config: read its data, look at it, and try it.

    Raises:
        ConfigError: The config is wrong.
        ModelError: The network does not fit the data.
        DeviceError: The device is not here.
    """
    started = time.thread_time()
    try:
        config, splits = _read(loaded.config)
    except DataError as error:
        return Diagnosis(unreadable(error, loaded.source), seconds=time.thread_time() - started)
    threads = torch.get_num_threads()
    try:
        diagnosis = _diagnose(replace(loaded, config=config), splits, time.thread_time() + seconds)
    finally:
        torch.set_num_threads(threads)
    return replace(diagnosis, seconds=time.thread_time() - started, notes=[*loaded.notes, *splits.notes])


def _read(config: RunConfig) -> tuple[RunConfig, Splits]:
    """The examples; of a large folder of pictures a part, in as many more epochs."""
    dataset = config.dataset
    if dataset.name != "folder":
        return config, dataset.build(config.seed)
    num_pictures = len(dataset.read(dataset.seed or config.seed).train.targets)
    limit = min(dataset.limit or num_pictures, num_pictures)
    if limit <= FOLDER_LIMIT:
        return config, dataset.build(config.seed)
    dataset = dataset.model_copy(update={"limit": FOLDER_LIMIT})
    epochs = math.ceil(config.epochs * limit / FOLDER_LIMIT)
    return config.model_copy(update={"dataset": dataset, "epochs": epochs}), dataset.build(config.seed)


def _diagnose(loaded: LoadedConfig, splits: Splits, deadline: float) -> Diagnosis:
    config = loaded.config
    with located(loaded.source):
        parts = build_parts(config, splits)
    case = case_of(parts)
    if products(parts) * config.batch_size < SMALL_STEP:
        torch.set_num_threads(1)
    steps = min(case.total_steps, MAX_STEPS, math.ceil(TRIAL_SECONDS / step_seconds(parts)))
    bench = Bench(loaded.source, config, splits, steps, deadline, 2 * TRIAL_SECONDS)
    before = bench.run({})
    linear = train_baseline(config, splits, [], BASELINE_SECONDS)
    plain = train_baseline(config, splits, [64, 64], BASELINE_SECONDS) if _is_poor(before, linear) else linear
    rates = _range_test(case, splits)
    suspicions = list(suspect(replace(case, suggested_lr=None if rates is None else rates.suggested)))
    findings = label_findings(splits, case.facts, plain)
    if any(finding.id in HOPELESS for finding in findings):  # whatever helps now helps to learn by heart
        suspicions = [suspicion for suspicion in suspicions if suspicion.certainty == "certain"]
    repaired = repair(bench, suspicions, before, [linear.outcome, plain.outcome], splits.num_classes)
    by_heart = learned_by_heart(build_parts(config, splits)) if repaired.skill_before < GOOD else None
    seen = Seen(before, linear.outcome, by_heart)
    findings += findings_of(loaded.source, case, repaired, seen, bool(findings))
    findings = [_accepted(finding, config.accept or []) for finding in findings]
    return Diagnosis(findings, before, linear.outcome, case.facts.majority, repaired, rates)


def _range_test(case: Case, splits: Splits) -> RangeTest | None:
    """Over a hundred times more than customary rates, both ways."""
    low, high = rules_training.lr_range(case)
    lr = case.config.optimizer.lr
    try:
        return range_test(build_parts(case.config, splits), min(low, lr) / 100, max(high, lr) * 100)
    except NNClassifyError:  # such a net is refused: the trial of the config as written has said so
        return None


def _accepted(finding: Finding, accepted: list[str]) -> Finding:
    """A finding that the config asks for is a note: a demonstration may be meant to fail."""
    return replace(finding, severity="note") if finding.id in accepted else finding


NEAR_PERFECT = 0.97
HOPELESS = (UNRELATED.id, SHIFTED.id)


def _is_poor(before: Outcome, linear: Baseline) -> bool:
    return before.score < NEAR_PERFECT or linear.outcome.score < NEAR_PERFECT


def case_of(parts: Parts) -> Case:
    """What rules look at, from parts that are built and not trained."""
    facts = facts_of(parts.splits, parts.transform)
    return Case(
        config=parts.config,
        stages=stages_of(parts.config),
        facts=facts,
        feature_names=parts.splits.feature_names,
        num_classes=parts.splits.num_classes,
        num_outputs=parts.loss_fn.num_outputs,
        prior_loss=prior_loss(parts.config, facts.class_counts),
        start=start_of(parts) if _can_measure(parts) else None,
        mixing=mixing(parts.model, measured_batch(parts)[0]),
        has_batch_norm=any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in parts.model.modules()),
    )


def _can_measure(parts: Parts) -> bool:
    """Batch norm needs two examples."""
    return len(parts.splits.train) > 1


def prior_loss(config: RunConfig, class_counts: tuple[int, ...]) -> float | None:
    """The loss of giving every class its share: the entropy of the shares, where the loss is a plain cross-entropy."""
    is_plain = config.loss.name in ("cross_entropy", "nll") or (
        config.loss.name in ("bce", "bce_with_logits") and len(class_counts) == 2
    )
    if not is_plain or getattr(config.loss, "class_weights", None) is not None:
        return None
    total = sum(class_counts)
    return -sum(count / total * math.log(count / total) for count in class_counts if count)


def suspect(case: Case) -> Iterator[Suspicion]:
    """Everything that rules and probes point at."""
    for rule in RULES:
        yield from rule.check(case)
