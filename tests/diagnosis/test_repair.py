"""Tests of the search for a repair, on trials with given results for each change and seed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from builders import config_of

from nnclassify.config.yaml_reader import YamlSource
from nnclassify.diagnosis.findings import Certainty, Change, Evidence, Suspicion
from nnclassify.diagnosis.rules.architecture import NARROW
from nnclassify.diagnosis.rules.optimization import HIGH_LR, LOW_LR, SHORT
from nnclassify.diagnosis.rules.rule import RuleInputs
from nnclassify.diagnosis.rules.untrained_network import START
from nnclassify.diagnosis.trials.repair import repair
from nnclassify.diagnosis.trials.repair_result import Repair
from nnclassify.diagnosis.trials.runner import CurvePoint, TrialOutcome, TrialRunner
from nnclassify.diagnosis.trials.scores import Scores
from nnclassify.diagnosis.trials.skill import Skill
from nnclassify.diagnosis.trials.verdict import TrialEvidence, findings_of

Reached = Callable[[Change, int], tuple[float, float]]


class MadeUpRunner:
    """Gives outcomes instead of training."""

    cost = 0.1
    config = config_of(epochs=10)

    def __init__(self, reached: Reached, is_two_fold: Reached | None = None) -> None:
        self.reached = reached
        self.is_two_fold = is_two_fold
        self.runs: list[Change] = []

    def run(self, change: Change, seed: int = 0) -> TrialOutcome:
        """The outcome that was made up."""
        self.runs.append(dict(change))
        return outcome(*self.reached(change, seed))

    def two_fold(self) -> "MadeUpRunner | None":
        """Made up, too."""
        return None if self.is_two_fold is None else MadeUpRunner(self.is_two_fold)

    def has_time(self) -> bool:
        """Always."""
        return True

    may_search = has_time

    def is_known(self, change: Change, seed: int) -> bool:
        """Never."""
        return False


def outcome(train: float, held_out: float, *, steps: int = 100, total: int = 100) -> TrialOutcome:
    """A trial of 600 examples of two classes."""
    point = CurvePoint(steps, 0.5, scores(train), scores(held_out))
    return TrialOutcome((point,), steps, steps >= total, total_steps=total)


def scores(score: float, count: int = 600, shift: int = 0) -> Scores:
    """Two classes that take turns; the last examples are predicted wrongly, or some before them."""
    rows = torch.arange(count)
    return Scores(score, ((rows + shift) % count < round(score * count)).double(), rows % 2)


def suspicion(page: Any, change: Change, certainty: Certainty = "likely") -> Suspicion:
    return Suspicion(page, certainty, next(iter(change)), Evidence("suspected"), (change,))


NARROWER = suspicion(NARROW, {"model.hidden": [16]})
FASTER = suspicion(LOW_LR, {"optimizer.lr": 0.1})
UNUSUAL, COMMON = FASTER, suspicion(LOW_LR, {"optimizer.lr": 0.1}, "possible")
SMALLER = suspicion(SHORT, {"batch_size": 32})
START_SCALE = suspicion(START, {"model.init": "default"})


def repaired(runner: MadeUpRunner, *suspicions: Suspicion, baseline: tuple[float, float] = (1.0, 1.0)) -> Repair:
    skill = Skill(0.5, [outcome(*baseline)])
    together = [suspicions] if len(suspicions) > 1 else []
    return repair(cast("TrialRunner", runner), list(suspicions), together, skill)


def test_one_poor_seed_of_three_is_no_fault_and_the_robust_change_is_told() -> None:
    by_seed = [(0.5, 0.5), (1.0, 1.0), (1.0, 1.0), (0.75, 0.75), (1.0, 1.0)]
    found = repaired(MadeUpRunner(lambda change, seed: (1.0, 1.0) if change else by_seed[seed]), NARROWER)
    assert found.depends_on_seed and (found.stuck, len(found.before.outcomes), found.stuck_after) == (2, 5, 0)
    trials = TrialEvidence(
        written=outcome(0.5, 0.5),
        before=outcome(0.5, 0.5),
        linear=outcome(0.5, 0.5),
        is_behind=True,
        one_batch_accuracy=None,
    )
    given = cast("RuleInputs", MadeUpInputs())
    told = findings_of(YamlSource("net.yaml", {}), given, found, trials, Skill(0.5, []), False)
    assert [(one.id, one.severity, one.evidence.text) for one in told][:1] == [
        ("NN505", "note", "2 of 5 seeds get stuck; with the change, none of 5 does")
    ]
    assert told[0].change == {"model.hidden": [16]}


def test_a_change_without_more_updates_is_preferred_if_it_gains_nearly_as_much() -> None:
    """Both are faults; the first trials of both come before the second of either."""
    slow = replace(SMALLER, changes=({"epochs": 100}, {"epochs": 500}))

    def reached(change: Change, seed: int) -> tuple[float, float]:
        score = 0.97 if "epochs" in change else 0.95 if change else 0.5
        return score, score

    runner = MadeUpRunner(reached)
    found = repaired(runner, slow, FASTER)
    assert found.change == {"optimizer.lr": 0.1} and len(found.proofs) == 2
    assert [change for change in runner.runs if change][:3] == [{"epochs": 100}, {"optimizer.lr": 0.1}, {"epochs": 500}]


def test_a_rate_is_not_said_to_be_too_low_and_too_high() -> None:
    """A higher rate helps nearly as much as smaller batches; beside those, a lower one does."""
    lower = suspicion(HIGH_LR, {"optimizer.lr": 0.001})

    def reached(change: Change, seed: int) -> tuple[float, float]:
        score = 0.75 if change.get("optimizer.lr") == 0.1 else 0.5
        if "batch_size" in change:
            score = 1.0 if change.get("optimizer.lr") == 0.001 else 0.8
        return score, score

    found = repaired(MadeUpRunner(reached), SMALLER, FASTER, lower)
    assert found.change == {"batch_size": 32, "optimizer.lr": 0.001}
    assert [proof.suspicion.page.id for proof in found.proofs] == ["NN403", "NN401"]


def test_a_rate_with_which_the_repaired_net_is_good_is_not_warned_of() -> None:
    found = repaired(
        MadeUpRunner(lambda change, seed: (1.0, 1.0) if "batch_size" in change else (0.5, 0.5)), SMALLER, FASTER
    )
    net = outcome(0.5, 0.5)
    trials = TrialEvidence(written=net, before=net, linear=net, is_behind=True, one_batch_accuracy=None)
    given = cast("RuleInputs", MadeUpInputs())
    told = findings_of(YamlSource("net.yaml", {}), given, found, trials, Skill(0.5, []), False)
    assert [one.page.id for one in found.unproved] == ["NN402"]
    assert [(one.id, one.severity) for one in told] == [("NN403", "fault")]


@pytest.mark.parametrize(("reached_without", "is_fault"), [(1.0, True), (0.76, False)])
def test_a_net_that_beats_every_baseline_is_at_fault_where_a_likely_change_helps(
    reached_without: float, is_fault: bool
) -> None:
    def reached(change: Change, seed: int) -> tuple[float, float]:
        return (reached_without, reached_without) if change else (0.75, 0.75)

    found = repaired(MadeUpRunner(reached), START_SCALE, baseline=(0.7, 0.7))
    assert bool(found.proofs) is is_fault
    for matter_of_taste in (COMMON, UNUSUAL):  # many rates are about as good
        assert not repaired(MadeUpRunner(reached), matter_of_taste, baseline=(0.7, 0.7)).proofs


@pytest.mark.parametrize(
    ("init_alone", "rate_alone", "both", "rate", "is_removed", "is_rate_changed"),
    [
        (0.8, 0.95, 1.0, 0.01, True, True),  # the rate alone leaves the cause in place
        (0.95, 0.95, 0.95, 0.01, True, False),  # the smaller of two that are equal
        (0.5, 0.95, 1.0, 0.01, True, True),  # the cause shows beside the rate
        (0.5, 1.0, 1.0, 0.01, False, True),  # nothing shows that the weights are at fault
        (0.5, 1.0, 1.0, 90.0, True, True),  # but for a rate that nobody uses
        (0.8, 1.0, 0.6, 0.01, False, True),  # the rate is worse without the cause
    ],
)
def test_a_rate_that_makes_up_for_a_measured_cause_is_tried_against_removing_it(
    init_alone: float, rate_alone: float, both: float, rate: float, is_removed: bool, is_rate_changed: bool
) -> None:
    def reached(tried: Change, seed: int) -> tuple[float, float]:
        score = {(): 0.5, ("model.init",): init_alone, ("optimizer.lr",): rate_alone}.get(tuple(sorted(tried)), both)
        return score, score

    found = repaired(MadeUpRunner(reached), suspicion(LOW_LR, {"optimizer.lr": rate}, "possible"), START_SCALE)
    removal, raised = {"model.init": "default"} if is_removed else {}, {"optimizer.lr": rate} if is_rate_changed else {}
    assert found.change == {**removal, **raised}


class MadeUpInputs:
    """What the verdict asks of the inputs of the rules."""

    config = config_of()


def test_a_difference_within_the_spread_proves_nothing() -> None:
    """0.8 on average, with a deviation of 0.17; the change brings 0.1."""
    by_seed = [(0.6, 0.6), (0.9, 0.9), (0.9, 0.9), (0.7, 0.7), (0.9, 0.9)]
    found = repaired(MadeUpRunner(lambda change, seed: (0.8, 0.8) if change else by_seed[seed]), FASTER)
    assert found.proofs == [] and found.change == {}


def test_a_difference_larger_than_the_spread_is_proved_over_seeds() -> None:
    runner = MadeUpRunner(lambda change, seed: (0.95, 0.95 - seed / 100) if change else (0.5, 0.5 + seed / 100))
    found = repaired(runner, FASTER)
    assert [proof.suspicion.page.id for proof in found.proofs] == ["NN402"]
    assert found.proofs[0].seeds == 3 and not found.depends_on_seed


def test_a_gain_on_training_examples_alone_is_no_repair() -> None:
    """70% on seen examples becomes 100%, and 68% on unseen ones 61%."""
    found = repaired(
        MadeUpRunner(lambda change, seed: (1.0, 0.61) if change else (0.7, 0.68)), NARROWER, baseline=(1.0, 0.8)
    )
    assert found.change == {} and found.proofs == []


@pytest.mark.parametrize(("after", "change"), [((1.0, 0.6), {}), ((1.0, 0.9), {"model.hidden": [16]})])
def test_halves_judge_where_no_example_can_be_spared(after: tuple[float, float], change: Change) -> None:
    """On the examples that they saw both repairs look perfect."""
    runner = MadeUpRunner(
        lambda changed, seed: (1.0, 1.0) if changed else (0.7, 0.7),
        lambda changed, seed: after if changed else (0.7, 0.65),
    )
    assert repaired(runner, NARROWER).change == change


def test_repair_goes_on_after_the_first_change() -> None:
    def reached(change: Change, seed: int) -> tuple[float, float]:
        score = 0.5 + 0.2 * ("optimizer.lr" in change) + 0.25 * ("model.hidden" in change)
        return score, score

    assert repaired(MadeUpRunner(reached), NARROWER, FASTER).change == {"model.hidden": [16], "optimizer.lr": 0.1}


def test_a_cause_that_takes_two_changes_is_told_with_both() -> None:
    short = replace(SMALLER, changes=({"batch_size": 32}, {"epochs": 50}))

    def reached(change: Change, seed: int) -> tuple[float, float]:
        score = 0.98 if len(change) == 2 else 0.7 if "epochs" in change else 0.5
        return score, score

    (proof,) = repaired(MadeUpRunner(reached), short).proofs
    assert proof.change == {"epochs": 50, "batch_size": 32}
    assert (proof.before.held_out.balanced_accuracy, proof.after.held_out.balanced_accuracy) == (0.5, 0.98)
    assert proof.gain == pytest.approx(0.48)


def test_changes_that_help_only_together_are_found_and_others_left_out() -> None:
    def reached(change: Change, seed: int) -> tuple[float, float]:
        score = 0.95 if {"optimizer.lr", "batch_size"} <= set(change) else 0.5
        return score, score

    found = repaired(MadeUpRunner(reached), NARROWER, FASTER, SMALLER)
    assert found.change == {"optimizer.lr": 0.1, "batch_size": 32}
    assert {proof.suspicion.page.id for proof in found.proofs} == {"NN402", "NN403"}


def test_a_curve_is_extrapolated_with_the_logarithm_of_the_updates() -> None:
    """0.1 more for each doubling: 0.5 after 64 updates is 0.6 after 128, and never over 1."""
    points = [(8, 0.2), (16, 0.3), (32, 0.4), (64, 0.5)]
    curve = tuple(CurvePoint(step, 0.5, scores(score), scores(score)) for step, score in points)
    trial = TrialOutcome(curve, 64, False, total_steps=256)
    ahead = [trial.expected(steps, "held_out") for steps in (64, 128, 256, 10_000)]
    assert ahead == pytest.approx([0.4, 0.5, 0.6, 1.0])  # from the median of the last three points


def test_too_few_updates_are_seen_before_the_run_has_ended() -> None:
    points = [(100, 0.52), (200, 0.54), (400, 0.56), (800, 0.58)]
    curve = tuple(CurvePoint(step, 0.5, scores(score), scores(score)) for step, score in points)

    class Slow(MadeUpRunner):
        def run(self, change: Change, seed: int = 0) -> TrialOutcome:
            return TrialOutcome(curve, 800, False, total_steps=2000)

    short = suspicion(SHORT, {"epochs": 100})
    found = repair(
        cast("TrialRunner", Slow(lambda change, seed: (0.0, 0.0))), [short], [], Skill(0.5, [outcome(0.8, 0.8)])
    )
    assert found.longer is not None and found.change == {"epochs": 100}
    assert found.longer.expected == pytest.approx(0.56 + 0.02 * 1.32, abs=0.005)  # 2.5 times: 1.32 doublings


def test_a_trial_too_short_to_tell_is_a_warning_and_names_the_minutes_that_decide() -> None:
    net = outcome(0.55, 0.55, steps=20, total=4000)
    trials = TrialEvidence(
        written=net, before=net, linear=outcome(0.9, 0.9), is_behind=True, one_batch_accuracy=None, minutes_needed=10
    )
    found = repair(
        cast("TrialRunner", MadeUpRunner(lambda change, seed: (0.55, 0.55))), [], [], Skill(0.5, [outcome(0.9, 0.9)])
    )
    (told,) = findings_of(
        YamlSource("net.yaml", {}),
        cast("RuleInputs", MadeUpInputs()),
        found,
        trials,
        Skill(0.5, [net, trials.linear]),
        False,
    )
    assert (told.id, told.severity) == ("NN506", "warning")
    assert told.evidence.text == "20 of 4,000 updates fit in 60 s and reach 55.0%; `--minutes 10` decides"


def test_a_fault_without_a_remedy_says_where_there_was_no_time_for_all_changes() -> None:
    net, linear = outcome(0.55, 0.55), outcome(0.95, 0.95)
    trials = TrialEvidence(
        written=net, before=net, linear=linear, is_behind=True, one_batch_accuracy=0.2, minutes=0.5, is_cut_short=True
    )
    skill = Skill(0.5, [net, linear])
    found = repair(cast("TrialRunner", MadeUpRunner(lambda change, seed: (0.55, 0.55))), [], [], skill)
    given = cast("RuleInputs", MadeUpInputs())
    (told,) = findings_of(YamlSource("net.yaml", {}), given, found, trials, skill, False)
    assert told.id == "NN504" and told.evidence.text.endswith("a linear model 95.0%; `--minutes 2` tries more changes")


def test_a_short_trial_that_is_good_already_is_decided() -> None:
    net = outcome(0.9, 0.9, steps=20, total=4000)
    trials = TrialEvidence(
        written=net, before=net, linear=outcome(0.9, 0.9), is_behind=True, one_batch_accuracy=None, minutes_needed=10
    )
    found = repair(cast("TrialRunner", MadeUpRunner(lambda change, seed: (0.9, 0.9))), [], [], Skill(0.5, [net]))
    assert (
        findings_of(
            YamlSource("net.yaml", {}), cast("RuleInputs", MadeUpInputs()), found, trials, Skill(0.5, [net]), False
        )
        == []
    )


@pytest.mark.parametrize(
    ("cause", "lucky", "is_fault"),
    [
        (COMMON, (2, 3), False),
        (COMMON, (2,), True),
        (UNUSUAL, (2, 3), True),
        (UNUSUAL, (0, 2, 3), False),
        (NARROWER, (3,), False),
        (NARROWER, (), True),
    ],
)
def test_a_net_is_at_fault_where_nearly_all_seeds_get_stuck(
    cause: Suspicion, lucky: tuple[int, ...], is_fault: bool
) -> None:
    """Where one of five learns, the layer is wide enough; a common rate is wrong if one does, and an unusual one if two
    do."""

    def reached(change: Change, seed: int) -> tuple[float, float]:
        return (1.0, 1.0) if change or seed in lucky else (0.5, 0.5)

    found = repaired(MadeUpRunner(reached), cause)
    assert (found.stuck, found.depends_on_seed) == (5 - len(lucky), not is_fault)


def test_a_change_that_helps_every_seed_proves_a_fault_though_only_some_get_stuck() -> None:
    by_seed = [0.85, 0.9, 0.9, 0.85, 0.9]  # 70% and 80% of the way from chance to the best
    found = repaired(MadeUpRunner(lambda change, seed: (1.0, 1.0) if change else (by_seed[seed],) * 2), NARROWER)
    assert (found.helped, found.stuck, found.depends_on_seed) == (5, 2, False)
    assert found.proofs[0].suspicion is NARROWER


def test_a_net_that_predicts_no_rare_class_is_compared_with_the_better_balanced_baseline() -> None:
    """One that knows its training examples by heart gets no further than the network; a linear one does."""
    net, linear, plain = outcome(0.8, 0.6), outcome(0.9, 0.9), outcome(1.0, 0.6)
    skill = Skill(0.5, [net])
    assert skill.of(net) >= 1.0
    skill.expect_rare_classes(net, [linear, plain])
    assert skill.of(net) == pytest.approx(0.1 / 0.4)


@pytest.mark.parametrize(("linear", "is_fault"), [(0.95, True), (0.82, False)])
def test_a_net_that_a_baseline_beats_beyond_doubt_is_at_fault_where_a_possible_cause_explains_it(
    linear: float, is_fault: bool
) -> None:
    """0.8 of the way to the best. Of 600 examples, 15 points are beyond doubt; 2 are not: one standard deviation."""
    before, baseline = outcome(0.9, 0.8), outcome(0.95, linear)
    skill = Skill(0.5, [before, baseline, outcome(1.0, 0.8)])
    skill.expect_baselines(before, [baseline])
    runner = MadeUpRunner(lambda change, seed: (1.0, 1.0) if change else (0.9, 0.8))
    found = repair(cast("TrialRunner", runner), [COMMON], [], skill)
    assert [proof.suspicion for proof in found.proofs] == [COMMON] * is_fault


@pytest.mark.parametrize(("linear", "told"), [(0.95, ["NN502"]), (0.82, [])])
def test_a_net_that_a_baseline_beats_without_a_known_cause_is_warned_of(linear: float, told: list[str]) -> None:
    before, baseline = outcome(0.85, 0.8), outcome(0.95, linear)
    skill = Skill(0.5, [before, baseline, outcome(1.0, 0.8)])
    skill.expect_baselines(before, [baseline])
    found = repair(cast("TrialRunner", MadeUpRunner(lambda change, seed: (0.85, 0.8))), [], [], skill)
    trials = TrialEvidence(written=before, before=before, linear=baseline, is_behind=True, one_batch_accuracy=1.0)
    given = cast("RuleInputs", MadeUpInputs())
    findings = findings_of(YamlSource("net.yaml", {}), given, found, trials, skill, False)
    assert [one.id for one in findings] == told and all(one.severity == "warning" for one in findings)


def test_a_layer_is_too_narrow_where_no_seed_gets_as_far_as_with_a_wider_one() -> None:
    """One of five gets far, but not as far; and a gain smaller than the seeds differ is one where it helps them all."""
    by_seed = [0.5, 0.92, 0.5, 0.65, 0.75]
    found = repaired(MadeUpRunner(lambda change, seed: (1.0, 1.0) if change else (by_seed[seed],) * 2), NARROWER)
    assert (found.stuck, found.unhurt, found.depends_on_seed) == (4, 0, False)


def test_the_search_continues_with_the_seed_that_is_still_behind() -> None:
    """Smaller batches are enough for two seeds; the third also needs a higher rate."""

    def reached(change: Change, seed: int) -> tuple[float, float]:
        behind = 0.7 if change else 0.5
        return (1.0, 1.0) if len(change) == 2 or (change and seed < 2) else (behind, behind)

    assert repaired(MadeUpRunner(reached), SMALLER, FASTER).change == {"batch_size": 32, "optimizer.lr": 0.1}


@pytest.mark.parametrize(("shift", "is_proved"), [(0, True), (75, False)])
def test_a_gain_is_judged_by_the_examples_on_which_both_nets_differ(shift: int, is_proved: bool) -> None:
    """From 77% to 85% of 150 examples: 12 are gained and none is lost, or 34 are gained and 22 lost."""

    class Few(MadeUpRunner):
        def run(self, change: Change, seed: int = 0) -> TrialOutcome:
            reached = scores(0.85, 150, shift) if change else scores(0.77, 150)
            return TrialOutcome((CurvePoint(100, 0.5, reached, reached),), 100, True, total_steps=100)

    found = repaired(Few(lambda change, seed: (0.0, 0.0)), FASTER, baseline=(1.0, 0.86))
    assert bool(found.proofs) == is_proved
