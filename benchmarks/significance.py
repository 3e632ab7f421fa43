"""Does `compare` call runs different that differ by the seed alone, and does it find 2 points at 10,000 examples?

`python -m benchmarks.significance --mnist data [--table census.csv]` trains 21 networks of each config, with other
seeds on the same examples: 210 pairs per config. It prints how many pairs McNemar's exact test, about networks, calls
different at 5%; how many are called different configs; and the variance between seeds, for `SEED_VARIANCE`.
Then it compares pairs of two MNIST configs, and simulated pairs that differ by 2 points. Some minutes.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnclassify.config.from_python import load_any
from nnclassify.evaluation.significance import ALPHA, mcnemar, mcnemar_between_seeds
from nnclassify.inference.compare import compare
from nnclassify.inference.differences import differences
from nnclassify.run import train_isolated

NUM_SEEDS = 21
Answers = np.ndarray
"""Whether each network predicts each test example correctly, bool `(networks, examples)`."""


def main() -> None:
    """Measure, and print a line per config."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.significance", description=__doc__)
    parser.add_argument("--mnist", help="the folder of MNIST, as dataset.root")
    parser.add_argument("--table", help="a table with the column `label` and at least 30,000 rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        configs = _configs(Path(folder), arguments.mnist, arguments.table)
        found = {name: _measured(name, config, Path(folder)) for name, config in configs.items()}
    if {"mnist", "mnist, fewer epochs"} <= found.keys():
        _print_pairs(found["mnist, fewer epochs"], found["mnist"])
    _print_simulated()


def _configs(folder: Path, mnist: str | None, table: str | None) -> dict[str, dict[str, Any]]:
    adam = {"name": "adam", "lr": 0.002}
    net: dict[str, Any] = {"model": {"name": "mlp", "hidden": [32]}, "optimizer": adam, "compile": "off"}
    found = {"digits": {**net, "dataset": {"name": "digits", "seed": 0, "test": 0.3}, "epochs": 15}}
    if table is not None:
        rows = {"name": "csv", "path": table, "label": "label", "seed": 0, "test": 0.31, "validation": 0.1}
        found["table"] = {**net, "dataset": rows, "epochs": 3, "batch_size": 200}
    if mnist is not None:
        images = _some_of_mnist(folder, mnist)
        noisy = {**net, "dataset": images, "epochs": 10, "batch_size": 20}
        found["mnist, constant learning rate"] = noisy
        found["mnist"] = {**noisy, "scheduler": "one_cycle"}
        found["mnist, fewer epochs"] = {**found["mnist"], "epochs": 2}
    return found


def _some_of_mnist(folder: Path, root: str, count: int = 3000) -> dict[str, Any]:
    """Write 3,000 training images and all 10,000 test images to files, which are read faster."""
    splits = load_any({"dataset": {"name": "mnist", "root": root}, "model": "mlp"}).config.dataset.build(0)
    assert splits.test is not None
    files = {}
    for prefix, examples in (("train_", splits.train.subset(slice(count))), ("test_", splits.test)):
        for name, values in zip(("inputs", "targets"), examples.select(torch.arange(len(examples))), strict=True):
            files[prefix + name] = str(folder / f"{prefix}{name}.npy")
            np.save(files[prefix + name], values.numpy())
    return {"name": "tensors", "validation": 0.1, "seed": 0, **files}


def _measured(name: str, config: dict[str, Any], folder: Path) -> Answers:
    """Train the seeds of a config, and print how its pairs are compared."""
    runs = [train_isolated({**config, "seed": seed}, folder / name) for seed in range(NUM_SEEDS)]
    answers = np.array(
        [(run.test.predictions == run.test.targets).numpy() for run in runs if run.test is not None], dtype=bool
    )
    pairs = [_only(first, other) for first, other in itertools.combinations(answers, 2)]
    networks = np.mean([mcnemar(*pair) < ALPHA for pair in pairs])
    configs = np.mean([mcnemar_between_seeds(*pair) < ALPHA for pair in pairs])
    variance = np.mean([(a - b) ** 2 / max(1, a + b) for a, b in pairs])
    two = [str(run.folder.path) for run in runs[:2]]
    (verdict,) = differences(compare(two))
    print(
        f"{name}: accuracy {answers.mean():.4f}, standard deviation {answers.mean(axis=1).std(ddof=1):.4f}, "
        f"{answers.shape[1]:,} examples; of {len(pairs)} pairs, networks differ {networks:.1%}, configs {configs:.1%}; "
        f"variance {variance:.2f}; `compare` says: {verdict.why_none}",
        flush=True,
    )
    return answers


def _only(first: Answers, other: Answers) -> tuple[int, int]:
    return int((first & ~other).sum()), int((~first & other).sum())


def _print_pairs(worse: Answers, better: Answers) -> None:
    pairs = [_only(first, other) for first in worse for other in better]
    points = [100 * (b - a) / better.shape[1] for a, b in pairs]
    about_two = [pair for pair, difference in zip(pairs, points, strict=True) if 1.75 <= difference <= 2.25]
    for text, chosen in ((f"{np.mean(points):.1f} points on average", pairs), ("1.75 to 2.25 points", about_two)):
        networks, configs = (
            np.mean([test(*pair) < ALPHA for pair in chosen]) if chosen else float("nan")
            for test in (mcnemar, mcnemar_between_seeds)
        )
        print(f"{len(chosen)} pairs of two configs, {text}: networks differ {networks:.1%}, configs {configs:.1%}")


def _print_simulated(count: int = 10_000, num_pairs: int = 200) -> None:
    """Networks that differ by 2 points, and on so many of 10,000 examples."""
    rng = np.random.default_rng(0)
    for differing in (0.03, 0.06, 0.1, 0.2, 0.4):
        shares = [(differing + 0.02) / 2, (differing - 0.02) / 2, 1 - differing]
        drawn = rng.multinomial(count, shares, size=num_pairs)
        networks, configs = (
            np.mean([test(int(a), int(b)) < ALPHA for a, b, _ in drawn]) for test in (mcnemar, mcnemar_between_seeds)
        )
        print(f"2 points, {differing:.0%} of examples differ: networks differ {networks:.1%}, configs {configs:.1%}")


if __name__ == "__main__":
    main()
