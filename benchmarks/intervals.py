"""`python -m benchmarks.intervals RUN...`: how often do the 95% intervals of metrics cover the true value?

The test split of each run stands for all examples that there are: its metrics are the true values. From the outputs of
the network, 1,000 test splits of N examples are drawn with replacement, and the intervals of each are computed as
`evaluate` does. `--networks 1000` trains as many small networks on three normal distributions, each on examples of its
own and all at once, and holds the intervals of each against its metrics on 50,000 more examples. Otherwise, only the
accuracy is simulated: 1,000 numbers of correct predictions, drawn at random; and with `--areas 300`, the ROC AUC: as
many test splits of two normal distributions.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nnclassify.evaluation.bootstrap import area_interval, bca_interval, metric_intervals, resampled, units_of
from nnclassify.evaluation.intervals import wilson_interval
from nnclassify.evaluation.metrics import METRICS, MetricInputs, measured
from nnclassify.inference.classifier import load_run
from nnclassify.inference.evaluate import choose_split, splits_of
from nnclassify.losses import BceWithLogits, CrossEntropy

AREAS = (0.8, 0.95, 0.99, 0.998)
COUNTS, ACCURACIES = (30, 100, 300, 1000, 10_000), (0.5, 0.7, 0.9, 0.95, 0.99)


@dataclass
class Coverage:
    """How often intervals of one metric cover the true value.

    Attributes:
        covered: Whether each interval that is reported does.
        by_percentile: Whether each percentile interval does; empty for fractions of the examples.
        num_without: The number of test splits without an interval.
    """

    covered: list[bool] = field(default_factory=list)
    by_percentile: list[bool] = field(default_factory=list)
    num_without: int = 0

    def __str__(self) -> str:
        """Return the coverages, and how often there is no interval."""
        if not self.covered:
            return "-"
        text = f"{np.mean(self.covered):.1%}"
        text += f" ({np.mean(self.by_percentile):.1%})" if self.by_percentile else ""
        return text + (f" [{self.num_without}]" if self.num_without else "")


def main() -> None:
    """Simulate, and print a table per run: reported (percentile) [test splits without an interval]."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intervals", description=__doc__)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--networks", type=int, default=0)
    parser.add_argument("--areas", type=int, default=0)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS[:-1])
    arguments = parser.parse_args()
    print_accuracies(arguments.trials)
    if arguments.areas:
        print_areas(arguments.areas)
    if arguments.networks:
        print("\n" + "  ".join(f"{name} {found}" for name, found in of_networks(arguments.networks).items()))
    for run in arguments.runs:
        given, names = outputs_of_test(run)
        truth, _ = measured(given, names)
        print(f"\n{run}: {len(given.targets):,} test examples, accuracy {truth['accuracy']:.1%}")
        for count in arguments.counts:
            found = simulated(given, names, truth, count, arguments.trials)
            print(f"{count:6,}  " + "  ".join(f"{name} {coverage}" for name, coverage in found.items()), flush=True)


def print_accuracies(trials: int) -> None:
    """Print how often Wilson's interval covers the accuracy, by number of examples and accuracy."""
    rng = np.random.default_rng(0)
    print("accuracy", *(f"{accuracy:>7.0%}" for accuracy in ACCURACIES), " 50% to 99%, uniform")
    for count in COUNTS:
        shares = []
        for accuracies in [*(np.full(trials, accuracy) for accuracy in ACCURACIES), rng.uniform(0.5, 0.99, trials)]:
            intervals = [wilson_interval(int(correct), count) for correct in rng.binomial(count, accuracies)]
            pairs = zip(intervals, accuracies.tolist(), strict=True)
            shares.append(np.mean([low <= accuracy <= high for (low, high), accuracy in pairs]))
        print(f"{count:8,}", *(f"{share:>7.1%}" for share in shares))


def print_areas(trials: int) -> None:
    """Print how often the reported interval of the ROC AUC covers it, and BCa intervals, by area; scores are normal."""
    rng, loss_fn = np.random.default_rng(0), BceWithLogits().build([1, 1])
    print("ROC AUC: examples, positive", *(f"{area:>13.1%}" for area in AREAS))
    for count, share in product((100, 300, 1000), (0.5, 0.2, 0.05)):
        weights, found = resampled(count), []
        for area in AREAS:
            covered = []
            for _ in range(trials):
                targets = rng.random(count) < share
                scores = rng.normal(size=count) + targets * NormalDist().inv_cdf(area) * 2**0.5
                given = MetricInputs(torch.from_numpy(scores)[:, None], torch.from_numpy(targets).long(), loss_fn)
                statistics = METRICS["roc_auc"].statistics
                if statistics is not None and 0 < targets.sum() < count:
                    summed = statistics(given, units_of(count, 2))
                    pairs = area_interval(summed), bca_interval(summed, weights)
                    covered += [[low <= area <= high for low, high in filter(None, pairs)]] if all(pairs) else []
            reported, bca = np.mean(covered, axis=0)
            found.append(f"{reported:.1%} ({bca:.1%})")
        print(f"{count:20,} {share:6.0%}", *found, flush=True)


def outputs_of_test(run: str) -> tuple[MetricInputs, list[str]]:
    """Return the outputs and targets of the test split of a run, and the names of the classes."""
    classifier = load_run(run, "cpu")
    _, examples = choose_split(splits_of(classifier), "test")
    outputs = classifier.outputs(examples)
    return MetricInputs(outputs, examples.all_targets(), classifier.loss_fn), classifier.class_names


def simulated(
    population: MetricInputs, names: Sequence[str], truth: Mapping[str, float], count: int, trials: int
) -> dict[str, Coverage]:
    """Draw test splits, and return the coverage of each metric."""
    rng = np.random.default_rng(count)
    found = {name: Coverage() for name in truth}
    weights = resampled(units_of(count, len(names)).count)
    for _ in range(trials):
        rows = torch.from_numpy(rng.integers(len(population.targets), size=count))
        drawn = MetricInputs(population.outputs[rows], population.targets[rows], population.loss_fn)
        values, _ = measured(drawn, names)
        intervals = metric_intervals(drawn, values)
        for name, coverage in found.items():
            if name not in intervals:
                coverage.num_without += 1
                continue
            low, high = intervals[name]
            coverage.covered.append(low <= truth[name] <= high)
            if METRICS[name].interval != "wilson":
                low, high = percentile_interval(drawn, name, weights)
                coverage.by_percentile.append(low <= truth[name] <= high)
    return found


def of_networks(num_networks: int) -> dict[str, Coverage]:
    """Train networks on data of their own, and return the coverage of each metric of their test splits."""
    found: dict[str, Coverage] = {}
    loss_fn, names = CrossEntropy().build([1, 1, 1]), ["a", "b", "c"]
    more, more_targets = normal_examples(50_000, 0)
    inputs, targets = normal_examples((num_networks, 200), 1)
    tests, test_targets = normal_examples((num_networks, 300), 2)
    layers = trained(inputs, targets)
    for network, rows in enumerate(test_targets):
        one = [layer[network : network + 1] for layer in layers]
        truth, _ = measured(MetricInputs(outputs_of(one, more[None])[0], more_targets, loss_fn), names)
        given = MetricInputs(outputs_of(one, tests[network : network + 1])[0], rows, loss_fn)
        intervals = metric_intervals(given, measured(given, names)[0])
        for name, value in truth.items():
            coverage = found.setdefault(name, Coverage())
            if name in intervals:
                low, high = intervals[name]
                coverage.covered.append(low <= value <= high)
            else:
                coverage.num_without += 1
    return found


def trained(inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Train as many networks of eight hidden units at once as there are data sets `(S, N, 3)` with targets `(S, N)`."""
    rng, count = torch.Generator().manual_seed(0), len(inputs)
    layers = [
        torch.randn(shape, generator=rng) for shape in ((count, 3, 8), (count, 1, 8), (count, 8, 3), (count, 1, 3))
    ]
    optimizer = torch.optim.Adam([layer.requires_grad_() for layer in layers], lr=0.05)
    for _ in range(60):
        losses = functional.cross_entropy(outputs_of(layers, inputs).flatten(0, 1), targets.flatten(), reduction="none")
        optimizer.zero_grad()
        (losses.sum() / inputs.shape[1]).backward()  # the mean of each network: no gradient depends on another one
        optimizer.step()
    return [layer.detach() for layer in layers]


def outputs_of(layers: Sequence[Tensor], inputs: Tensor) -> Tensor:
    """Return the outputs of networks for inputs `(S, N, 3)`, `(S, N, 3)`."""
    hidden, hidden_bias, last, bias = layers
    return torch.relu(inputs @ hidden + hidden_bias) @ last + bias


def normal_examples(shape: int | tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Draw inputs `(*shape, 3)` and targets `shape` of three classes, in float32."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(3, size=shape)
    inputs = rng.normal(size=(*targets.shape, 3)) + 1.5 * np.eye(3)[targets]
    return torch.from_numpy(inputs).float(), torch.from_numpy(targets)


def percentile_interval(given: MetricInputs, name: str, weights: Tensor) -> tuple[float, float]:
    """Return the percentile interval of a metric, from the same resamples as BCa intervals."""
    statistics = METRICS[name].statistics
    assert statistics is not None, name
    summed = statistics(given, units_of(len(given.targets), given.probabilities.shape[1]))
    low, high = np.quantile(summed.value(weights @ summed.sums).numpy(), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
