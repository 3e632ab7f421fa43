"""`python -m benchmarks.own_tables [TABLE...]`: does `train DATA` reach the linear baseline on small tables?

Trains the config that `init` suggests for each table, unedited, over seeds that also draw the splits, and compares its
test accuracy with that of the linear model. Without TABLE: scikit-learn's small tables, and some that are made: rows
that are linear but for noise, many classes of few features, and features that are correlated or nearly the same. The
label of a table is the column that `init` takes for it. `benchmarks/own_tables.md` has the results.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from nnclassify.config.from_python import assignments
from nnclassify.config.run_config import load_source
from nnclassify.config.suggest.suggest import suggested_source
from nnclassify.run import train


def main() -> None:
    """Print, for each table, the mean test accuracies of the network and of the linear model, and their difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_tables", description=__doc__)
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for table in arguments.tables or small_tables(Path(folder)):
            print(compared(table, arguments.seeds, arguments.overrides, Path(folder)), flush=True)


def compared(table: str, num_seeds: int, overrides: list[str], folder: Path) -> str:
    """Return a line on a table: accuracies in percent, and the difference with its standard error."""
    networks, linear, seconds = [], [], []
    for seed in range(num_seeds):
        suggestion, source = suggested_source(table, None)
        drawn = assignments({"seed": seed, "dataset.seed": seed, "compile": "off"})
        loaded = load_source(source, suggestion.name, [*drawn, *overrides])
        result = train(loaded, root=folder, with_monitor=False, with_report=False)
        assert result.test is not None and result.baselines is not None and result.baselines.linear is not None
        networks.append(100 * result.test.accuracy)
        linear.append(100 * result.baselines.linear)
        seconds.append(sum(row.seconds for row in result.rows))
    differences = [mine - theirs for mine, theirs in zip(networks, linear, strict=True)]
    error = statistics.stdev(differences) / num_seeds**0.5 if num_seeds > 1 else 0.0
    return (
        f"{Path(table).name}: network {statistics.mean(networks):.1f}, linear {statistics.mean(linear):.1f}, "
        f"difference {statistics.mean(differences):+.1f} ± {error:.1f} "
        f"({num_seeds} seeds, {statistics.mean(seconds):.1f} s each)"
    )


def small_tables(folder: Path) -> list[str]:
    """Write scikit-learn's small tables, and some that are made, as CSV files, and return their paths."""
    from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_blobs

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 5))
    tables = {"60x5": (inputs, (inputs[:, 0] + inputs[:, 1] + 0.5 * rng.normal(size=60) > 0).astype(int))}
    tables["20_classes"] = make_blobs(460, 2, centers=20, cluster_std=0.8, random_state=0)
    tables["alike"] = alike(rng)
    tables["100_classes"] = normal_classes(100, np.eye(10))
    mixed = np.linalg.qr(rng.normal(size=(10, 10)))[0] * np.logspace(0, -1.5, 10)
    tables["100_classes_correlated"] = normal_classes(100, mixed)
    tables["20_classes_correlated"] = normal_classes(20, mixed)
    for load in (load_iris, load_wine, load_breast_cancer, load_digits):
        bunch = load()
        tables[load.__name__.removeprefix("load_")] = (bunch.data, bunch.target)
    paths = []
    for name, (values, targets) in tables.items():
        header = ",".join([*(f"x{column}" for column in range(values.shape[1])), "label"])
        rows = [",".join([*map(repr, row), f"c{target}"]) for row, target in zip(values.tolist(), targets, strict=True)]
        path = folder / f"{name}.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        paths.append(str(path))
    return paths


def normal_classes(num_classes: int, mixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 20 rows of each class, normally distributed about its mean, of features that a matrix mixes."""
    rng = np.random.default_rng(0)
    targets = np.arange(num_classes).repeat(20)
    means = rng.normal(size=(num_classes, len(mixed)))
    turned = np.linalg.qr(rng.normal(size=mixed.shape))[0]
    return (means[targets] + rng.normal(size=(len(targets), len(mixed)))) @ mixed @ turned, targets


def alike(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return 1,200 rows of 12 features and three classes, which the smallest of their variances tell apart."""
    hidden = rng.normal(size=(1200, 6))
    directions = np.linalg.qr(rng.normal(size=(12, 12)))[0][:6]
    scores = 3 * hidden[:, 4:] @ rng.normal(size=(2, 3)) + rng.gumbel(size=(1200, 3))
    return (hidden * 10 ** -np.linspace(0, 2, 6)) @ directions, scores.argmax(axis=1)


if __name__ == "__main__":
    main()
