"""Bootstrap intervals: the resampled metrics against the metrics of resampled examples, the intervals against scipy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from builders import judged
from scipy import special, stats
from sklearn import metrics as sklearn_metrics
from torch.nn.functional import one_hot

from nnclassify.evaluation.bootstrap import (
    MAX_UNITS,
    area_interval,
    bca_interval,
    bootstrap_t_interval,
    logit_interval,
    metric_intervals,
    newcombe_interval,
    resampled,
    units_of,
)
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.evaluation.metrics import METRICS, MetricInputs, Statistics, measured
from nnclassify.losses import Bce, CrossEntropy

OF_SKLEARN: dict[str, Callable[[Any, Any, Any], Any]] = {
    "balanced_accuracy": lambda true, said, shares: sklearn_metrics.balanced_accuracy_score(true, said),
    "f1_macro": lambda true, said, shares: sklearn_metrics.f1_score(true, said, average="macro"),
    "matthews_corrcoef": lambda true, said, shares: sklearn_metrics.matthews_corrcoef(true, said),
    "log_loss": lambda true, said, shares: sklearn_metrics.log_loss(true, shares, labels=range(shares.shape[1])),
}
OF_SUMS = [metric for metric in METRICS.values() if metric.statistics is not None]


def statistics_of(name: str, given: MetricInputs) -> Statistics:
    statistics = METRICS[name].statistics
    assert statistics is not None
    return statistics(given, units_of(len(given.targets), given.probabilities.shape[1]))


@pytest.mark.parametrize("name", [metric.name for metric in OF_SUMS if metric.name != "roc_auc"])
@pytest.mark.parametrize("multi_hot", [False, True])
def test_a_resampled_metric_is_that_of_the_resampled_examples(name: str, multi_hot: bool) -> None:
    given = judged(3, multi_hot=multi_hot)
    if METRICS[name].refuses(is_multi_hot=multi_hot) is not None:
        return
    weights = resampled(60)[:5]
    values = statistics_of(name, given).value(weights @ statistics_of(name, given).sums)
    for row, value in zip(weights, values, strict=True):
        drawn = torch.arange(60).repeat_interleave(row.long())
        expected = METRICS[name].compute(MetricInputs(given.outputs[drawn], given.targets[drawn], given.loss_fn))
        assert float(value) == pytest.approx(expected, rel=1e-6)


def test_the_area_of_a_resample_varies_as_delong_says() -> None:
    """Against the variance of DeLong, DeLong and Clarke-Pearson (1988), from all pairs."""
    given = judged(2)
    statistics, scores = statistics_of("roc_auc", given), given.probabilities[:, 1]
    positive, negative = scores[given.targets == 1], scores[given.targets == 0]
    wins = (positive[:, None] > negative).double() + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(1).var() / len(positive) + wins.mean(0).var() / len(negative)
    values = statistics.value(resampled(60) @ statistics.sums)
    assert float(values.std()) == pytest.approx(float(variance.sqrt()), rel=0.1)
    assert float(values.mean()) == pytest.approx(float(wins.mean()), abs=0.01)
    interval, area = logit_interval(statistics), float(wins.mean())
    assert interval is not None
    margin = 1.959964 * float(variance.sqrt()) / (area * (1 - area))
    assert special.logit(interval) - special.logit(area) == pytest.approx([-margin, margin], rel=0.02)


@pytest.mark.parametrize(("area", "m", "n"), [(0.99, 15, 285), (0.7, 20, 30), (0.4, 5, 7), (1.0, 12, 80), (0.0, 9, 9)])
def test_the_ends_of_the_interval_of_an_area_solve_the_equation_of_newcombe(area: float, m: int, n: int) -> None:
    """Method 5 in Newcombe, 2006; where the area is 0 or 1, so is one end."""
    star = (m + n) / 2 - 1
    ends = newcombe_interval(area, m, n)
    for end in ends:
        variance = end * (1 - end) / (m * n) * (1 + star * (1 - end) / (2 - end) + star * end / (1 + end))
        assert abs(area - end) == pytest.approx(1.959964 * variance**0.5, abs=1e-6)
    assert (ends[0] < area or area == 0) and (ends[1] > area or area == 1)


def test_newcombes_interval_is_for_one_curve_with_few_examples() -> None:
    for few, positive in ((True, 99), (False, 100)):
        sums = torch.tensor([[0.9 * positive * 200, positive, 0.9 * positive * 200, 200]], dtype=torch.float64)
        is_newcombe = area_interval(Statistics(sums, lambda totals: totals[..., 0])) == newcombe_interval(
            0.9, positive, 200
        )
        assert is_newcombe == few


@pytest.mark.slow
@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "matthews_corrcoef"])
def test_the_interval_is_that_of_scipy(name: str) -> None:
    given = judged(3)
    true, said, shares = (values.numpy() for values in (given.targets, given.predictions, given.probabilities))
    shares = shares.astype(np.float64) / shares.sum(axis=1, keepdims=True, dtype=np.float64)

    def metric(rows: np.ndarray) -> float:
        return float(OF_SKLEARN[name](true[rows], said[rows], shares[rows]))

    expected = stats.bootstrap(
        (np.arange(60),), metric, n_resamples=1000, vectorized=False, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = metric_intervals(given, {name: 0.0})[name]
    width = expected.high - expected.low
    assert (low, high) == pytest.approx(
        (expected.low, expected.high), abs=0.12 * width
    )  # two simulations of 1,000 resamples


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = torch.from_numpy(np.random.default_rng(1).exponential(size=200))
    statistics = Statistics(values[:, None], lambda totals: totals[..., 0] / 200)
    interval = bca_interval(statistics, resampled(200))
    expected = stats.bootstrap((values.numpy(),), np.mean, n_resamples=20_000, rng=np.random.default_rng(0))
    low, high = expected.confidence_interval
    assert interval == pytest.approx((low, high), abs=0.08 * (high - low))


def test_the_bootstrap_t_interval_is_that_of_resampled_values() -> None:
    """Every resample is drawn value by value; its standard error is that of scipy, with the divisor n."""
    values, weights = np.random.default_rng(1).lognormal(sigma=1.5, size=30), resampled(30)
    ratios = []
    for row in weights.long().numpy():
        drawn = np.repeat(values, row)
        ratios.append((drawn.mean() - values.mean()) / stats.sem(drawn, ddof=0))
    low, high = values.mean() - np.quantile(ratios, [0.975, 0.025]) * stats.sem(values, ddof=0)
    sums = torch.from_numpy(np.stack([values, np.ones(30)], axis=1))
    assert bootstrap_t_interval(sums, weights) == pytest.approx((low, high), rel=1e-9)


def test_the_bootstrap_t_interval_is_not_below_0_and_needs_values_that_vary() -> None:
    """The last values have one that is far above the others, without which a resample hardly varies."""
    values = torch.full((30,), 1e-6, dtype=torch.float64)
    values[0] = 8.0
    interval = bootstrap_t_interval(torch.stack([values, torch.ones_like(values)], dim=1), resampled(30))
    assert interval is None  # a third of the resamples lack the only value that differs
    same = torch.full((30, 2), 0.1, dtype=torch.float64)
    assert bootstrap_t_interval(same, resampled(30)) is None
    values[1:] = torch.linspace(1e-4, 1e-2, 29, dtype=torch.float64)
    interval = bootstrap_t_interval(torch.stack([values, torch.ones_like(values)], dim=1), resampled(30))
    assert interval is not None and interval[0] == 0 and interval[1] > 8


def test_fractions_of_the_examples_have_wilson_intervals() -> None:
    given = judged(8)
    values, _ = measured(given, [*"abcdefgh"])
    found = metric_intervals(given, values)
    for name in ("accuracy", "top_5_accuracy"):
        assert found[name] == wilson_interval(round(60 * values[name]), 60)
    assert found.keys() == values.keys()
    assert all(low < values[name] < high for name, (low, high) in found.items())


def test_intervals_are_the_same_each_time_and_leave_the_random_streams_alone() -> None:
    given, before = judged(3), torch.get_rng_state()
    values, _ = measured(given, ["a", "b", "c"])
    assert metric_intervals(given, values) == metric_intervals(given, values)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_the_same_in_all_resamples_has_no_interval() -> None:
    targets = torch.arange(12) % 2
    given = MetricInputs(8.0 * one_hot(targets, 2), targets, CrossEntropy().build([6, 6]))
    values, _ = measured(given, ["a", "b"])
    assert values["balanced_accuracy"] == values["accuracy"] == 1
    found = metric_intervals(given, values)
    assert found.keys() == {"accuracy", "roc_auc"} and found["accuracy"] == wilson_interval(12, 12)


def test_an_average_over_many_classes_of_few_examples_has_no_interval() -> None:
    rng = torch.Generator().manual_seed(0)
    targets = torch.randint(100, (150,), generator=rng)
    is_right = torch.rand(150, generator=rng) < 0.6
    predictions = torch.where(is_right, targets, torch.randint(100, (150,), generator=rng))
    given = MetricInputs(one_hot(predictions, 100).float(), targets, CrossEntropy().build([1] * 100))
    values, _ = measured(given, [str(index) for index in range(100)])
    found = metric_intervals(given, values)
    assert "f1_macro" in values and "f1_macro" not in found and found.keys() >= {"accuracy", "matthews_corrcoef"}


def test_multi_hot_metrics_have_intervals() -> None:
    given = judged(4, multi_hot=True)
    values, _ = measured(given, [*"abcd"])
    found = metric_intervals(given, values)
    assert found.keys() == values.keys() >= {"hamming_loss", "f1_micro", "roc_auc", "balanced_accuracy"}
    assert all(low < values[name] < high for name, (low, high) in found.items())


def test_one_example_has_an_interval_of_its_accuracy_alone() -> None:
    given = MetricInputs(torch.tensor([[0.9, 0.2]]), torch.tensor([[1, 1]]), Bce().build_multi_hot(2))
    values, _ = measured(given, ["a", "b"])
    assert metric_intervals(given, values) == {"accuracy": wilson_interval(0, 1)}


def test_many_examples_are_drawn_in_random_units_of_equal_size() -> None:
    """Examples come sorted by class, and the interval of a mean is that of the normal distribution."""
    count = 4 * MAX_UNITS + 1
    targets = torch.arange(count) * 2 // count
    units = units_of(count, 2)
    assert set(units.index.bincount().tolist()) == {4, 5} and units.count == MAX_UNITS
    outputs = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    given = MetricInputs(outputs, targets, CrossEntropy().build([1, 1]))
    losses = given.loss_fn(outputs, targets)
    low, high = metric_intervals(given, {"log_loss": 0.0})["log_loss"]
    margin = 1.96 * float(losses.std()) / count**0.5
    assert (low, high) == pytest.approx((float(losses.mean()) - margin, float(losses.mean()) + margin), abs=margin / 8)


@pytest.mark.slow
def test_nine_intervals_of_ten_or_more_cover_the_metric() -> None:
    """`python -m benchmarks.intervals` measures it for other numbers of examples, and networks of all kinds."""
    rng = torch.Generator().manual_seed(2)

    def drawn(count: int) -> MetricInputs:
        targets = torch.randint(3, (count,), generator=rng)
        logits = torch.randn(count, 3, generator=rng)
        return MetricInputs(1.5 * one_hot(targets, 3) + logits, targets, CrossEntropy().build([1, 1, 1]))

    names = ["a", "b", "c"]
    truth, _ = measured(drawn(400_000), names)
    trials = [metric_intervals(split, measured(split, names)[0]) for split in (drawn(300) for _ in range(400))]
    for name, value in truth.items():
        covered = np.mean([trial[name][0] <= value <= trial[name][1] for trial in trials])
        assert 0.9 <= covered <= 0.99, name


def test_a_metric_that_hardly_varies_has_no_interval() -> None:
    # Always one class: balanced accuracy is 1/3, but for the rare resamples that lack a class, as 3 of 18 examples are.
    outputs = torch.tensor([[2.0, 1.0, 0.0]]).repeat(18, 1)
    given = MetricInputs(outputs, torch.arange(18) % 3, CrossEntropy().build([6, 6, 6]))
    assert metric_intervals(given, {"balanced_accuracy": 1 / 3, "accuracy": 1 / 3}).keys() == {"accuracy"}


def test_intervals_of_copies_of_examples_in_one_group_each_are_those_of_the_examples() -> None:
    given = judged(3)
    copies = MetricInputs(given.outputs.repeat(20, 1), given.targets.repeat(20), given.loss_fn)
    groups = torch.arange(60).repeat(20)
    names = ["f1_macro", "balanced_accuracy", "log_loss", "matthews_corrcoef"]
    values = {name: METRICS[name].compute(given) for name in names}
    once, alike = metric_intervals(given, values), metric_intervals(copies, values, groups)
    assert alike == {name: pytest.approx(once[name]) for name in names}
    apart = metric_intervals(copies, values)
    assert all(apart[name][1] - apart[name][0] < (once[name][1] - once[name][0]) / 2 for name in names)
