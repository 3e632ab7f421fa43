"""Whether the test accuracies of compared configs differ by more than chance, as sentences.

With several runs of each config, such as seeds or folds, their accuracies are compared by the corrected resampled
t-test. With one run of each, the networks are compared on each test example by McNemar's exact test. That is about
these two networks: seeds of one config are truly different networks too. So the configs are said to differ only if
the networks differ by more than seeds usually do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from nnclassify.errors import counted, some
from nnclassify.evaluation.significance import (
    ALPHA,
    Interval,
    corrected_t_test,
    difference_interval,
    holm,
    mcnemar,
    mcnemar_between_seeds,
)
from nnclassify.inference.compare import ComparedRun, RunGroup, grouped
from nnclassify.inference.compared_examples import ScoredExamples

Pair = tuple[ComparedRun, ComparedRun]
"""A run of the first config and one of the other, with the same test examples."""


class NoVerdict(TypedDict):
    """Two configs whose test accuracies cannot be compared, and why."""

    first: str
    other: str
    test: None
    text: str


@dataclass(frozen=True)
class Difference:
    """The difference between the test accuracies of a config and those of the first one.

    Attributes:
        first: The first config, by its run or by what distinguishes it.
        other: The other config.
        test: The statistical test; None if there is no verdict.
        num_pairs: The number of pairs of runs with the same test examples.
        num_left_out: The number of runs that have no partner with the same test examples.
        num_examples: The number of test examples of a pair, on average.
        difference: The accuracy of the other config minus that of the first, as a fraction.
        interval: The 95% interval of the difference.
        p_value: How often chance alone makes a difference of this size or more.
        seed_p_value: How often chance and seeds together do; as `p_value` if there are several runs of each config.
        adjusted_p_value: `p_value`, adjusted for the number of differences that are tested (Holm, 1979).
        adjusted_seed_p_value: `seed_p_value`, adjusted in the same way.
        num_tests: The number of differences that are tested together.
        why_none: Why there is no verdict; else empty.
    """

    first: str
    other: str
    test: Literal["mcnemar", "corrected_t"] | None = None
    num_pairs: int = 0
    num_left_out: int = 0
    num_examples: int = 0
    difference: float = 0.0
    interval: Interval = (0.0, 0.0)
    p_value: float = 1.0
    seed_p_value: float = 1.0
    adjusted_p_value: float = 1.0
    adjusted_seed_p_value: float = 1.0
    num_tests: int = 1
    why_none: str = ""

    @property
    def networks_differ(self) -> bool:
        """Whether these networks differ by more than chance at 5%, all tested differences together."""
        return self.adjusted_p_value < ALPHA

    @property
    def configs_differ(self) -> bool:
        """Whether they differ by more than chance and usual seeds explain at 5%, all tested differences together."""
        return self.adjusted_seed_p_value < ALPHA

    def figures(self) -> dict[str, Any] | NoVerdict:
        """Return everything for JSON; without a verdict, no numbers."""
        if self.test is None:
            return {"first": self.first, "other": self.other, "test": None, "text": self.sentence()}
        told = {key: value for key, value in vars(self).items() if key != "why_none"}
        verdicts = {"networks_differ": self.networks_differ, "configs_differ": self.configs_differ}
        return {**told, **verdicts, "text": self.sentence()}

    def sentence(self) -> str:
        """Return which of the two is better by how much, and whether that can be chance."""
        if self.test is None:
            return f"no verdict on {self.other} and {self.first}: {self.why_none}"
        names, (low, high) = (self.other, self.first), self.interval
        if self.difference < 0:
            names, low, high = (self.first, self.other), -high, -low
        size = f"{names[0]} is {_points(abs(self.difference))} points better than {names[1]}"
        if self.difference == 0:
            size = f"{self.first} and {self.other} have the same accuracy"
        interval = f"95% interval {_points(low)} to {_points(high)} points"
        if low > 0 and self.p_value >= ALPHA:  # the bootstrap is too narrow there; the exact test is not
            interval += " (approximate: few examples differ)"
        # Where seeds vary much, they may differ as much: see `SEED_VARIANCE`.
        one_each = "; one run each" if self.test == "mcnemar" and self.configs_differ else ""
        adjusted = f", adjusted for {self.num_tests} differences" if self.num_tests > 1 else ""
        return f"{size} {self._where()}{self._verdict()}; {interval}; {_p(self.adjusted_p_value)}{adjusted}{one_each}"

    def _verdict(self) -> str:
        if self.configs_differ or self.difference == 0:
            return ""
        if self.networks_differ:
            return ", but two seeds of one config often differ as much; to be sure, train both with --seeds 5"
        return ", which may be due to chance"

    def _where(self) -> str:
        if self.test == "mcnemar":
            return f"on the same {counted(self.num_examples, 'test example')}"
        left_out = f" ({counted(self.num_left_out, 'run')} without a partner left out)" if self.num_left_out else ""
        return f"on average over {self.num_pairs} pairs of runs{left_out} with {self.num_examples:,} test examples each"


def _points(share: float) -> str:
    """Format a fraction in percentage points: with one decimal, or the first digit that is not 0."""
    points = 100 * share + 0.0  # not -0.0
    return f"{points:.1f}" if abs(points) >= 0.05 or points == 0 else f"{points:.1g}"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


def differences(runs: Sequence[ComparedRun]) -> list[Difference]:
    """Compare the test accuracies of each config with those of the config of the first run."""
    groups = grouped(runs)
    first = next(group for group in groups if runs[0] in group.runs)
    if len(groups) == 1 and len(runs) > 1:
        is_one = len(first.runs) == 1
        why = f"they are runs of one config{' and seed' if is_one else ', which differ only by seed or fold'}"
        return [Difference(runs[0].name, some([run.name for run in runs[1:]]), why_none=why)]
    found = [_difference(first, group) for group in groups if group is not first]
    tested = [index for index, each in enumerate(found) if each.test is not None]
    adjusted = holm([found[index].p_value for index in tested]), holm([found[index].seed_p_value for index in tested])
    for index, value, seed_value in zip(tested, *adjusted, strict=True):
        one = replace(found[index], num_tests=len(tested))
        found[index] = replace(one, adjusted_p_value=value, adjusted_seed_p_value=seed_value)
    return found


def _difference(first: RunGroup, other: RunGroup) -> Difference:
    names = first.name, other.name
    pairs = [*_pairs(first, other)]
    num_runs = max(len(first.runs), len(other.runs))
    if not pairs:
        return Difference(*names, why_none=_why_unpaired(first.runs[0], other.runs[0]))
    if num_runs == 1:
        return _of_networks(names, *(run.scored for run in pairs[0]))
    if len(pairs) == 1:
        why = "there is only one pair of runs with the same test examples; train both with the same seeds"
        return Difference(*names, why_none=why)
    return _of_configs(names, pairs, len(first.runs) + len(other.runs) - 2 * len(pairs))


def _pairs(first: RunGroup, other: RunGroup) -> Iterator[Pair]:
    """Yield each run of the first config with one of the other that has the same test examples, in their order."""
    left = [run for run in other.runs if run.scored.is_correct]
    for run in first.runs:
        partner = next((each for each in left if each.scored.is_correct.keys() == run.scored.is_correct.keys()), None)
        if partner is not None:
            left = [each for each in left if each is not partner]
            yield run, partner


def _why_unpaired(first: ComparedRun, other: ComparedRun) -> str:
    for run in (first, other):
        if run.scored.why_unknown:
            return f"{run.name} {run.scored.why_unknown}"
    only = [(run.name, run.scored.without(than.scored)) for run, than in ((first, other), (other, first))]
    which = (f"{counted(len(names), 'example')} only in {run} ({some(names)})" for run, names in only if names)
    return f"their test examples differ: {', '.join(which)}"


def _of_networks(names: tuple[str, str], first: ScoredExamples, other: ScoredExamples) -> Difference:
    count = len(first.is_correct)
    only_first, only_other = len(first.only_correct_here(other)), len(other.only_correct_here(first))
    return Difference(
        *names,
        test="mcnemar",
        num_pairs=1,
        num_examples=count,
        difference=(only_other - only_first) / count,
        interval=difference_interval(only_other, only_first, count),
        p_value=mcnemar(only_first, only_other),
        seed_p_value=mcnemar_between_seeds(only_first, only_other),
    )


def _of_configs(names: tuple[str, str], pairs: Sequence[Pair], num_left_out: int) -> Difference:
    scored = [(first.scored, other.scored) for first, other in pairs]
    counts = [len(first.is_correct) for first, _ in scored]
    by_pair = [
        (other.num_correct - first.num_correct) / count for (first, other), count in zip(scored, counts, strict=True)
    ]
    if len(set(by_pair)) == 1:
        better = names[0] if by_pair[0] < 0 else names[1]
        size = f"{better} is {_points(abs(by_pair[0]))} points better" if by_pair[0] else "the accuracies are the same"
        why = f"in each of {len(pairs)} pairs of runs, {size}, so how much that varies is unknown; train more seeds"
        return Difference(*names, why_none=why)
    share = fmean(count / first.num_train for (first, _), count in zip(scored, counts, strict=True))
    p_value, (low, high) = corrected_t_test(by_pair, share)
    return Difference(
        *names,
        test="corrected_t",
        num_pairs=len(pairs),
        num_left_out=num_left_out,
        num_examples=round(fmean(counts)),
        difference=fmean(by_pair),
        interval=(max(-1.0, low), min(1.0, high)),
        p_value=p_value,
        seed_p_value=p_value,
    )
