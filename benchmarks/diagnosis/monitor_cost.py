"""What the monitor costs: python -m benchmarks.diagnosis.monitor_cost [--repeats N] CONFIG [--set KEY=VALUE ...].

Trains a config with and without it in turn, in one process, and prints the share of the training time that it adds, the
share that it counted itself, and whether the weights are the same to the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nnclassify import run
from nnclassify.config.run_config import LoadedConfig, load_config
from nnclassify.runs.checkpoint import content_digest, load_checkpoint
from nnclassify.training.trainer import Observer, Trainer


def main() -> None:
    """Train in turn and print the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    loaded = load_config(options.config, options.overrides)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _trained(loaded, with_monitor=True)  # warms caches
        pairs = [
            (_trained(loaded, with_monitor=True), _trained(loaded, with_monitor=False)) for _ in range(options.repeats)
        ]
    shares = [on.seconds / off.seconds - 1 for on, off in pairs]
    counted = statistics.median(on.monitor / on.seconds for on, _ in pairs)
    same = len({trained.weights for pair in pairs for trained in pair}) == 1
    name = Path(options.config).stem
    print(
        f"{name}: the monitor adds {statistics.median(shares):+.1%} of the time ({min(shares):+.1%} to "
        f"{max(shares):+.1%}, {options.repeats} pairs), {counted:.2%} by its own count; "
        f"weights {'the same' if same else 'DIFFERENT'}"
    )


@dataclass(frozen=True)
class Trained:
    """A run: seconds from its first step to its last save, of these the monitor's, and a hash of its weights."""

    seconds: float
    monitor: float
    weights: str


class Clock(Observer):
    """Takes the time from the first step to the end."""

    started = ended = 0.0

    def run_started(self, trainer: Trainer) -> None:
        """Start."""
        self.started = time.perf_counter()

    def run_ended(self, trainer: Trainer) -> None:
        """Stop."""
        self.ended = time.perf_counter()


def _trained(loaded: LoadedConfig, *, with_monitor: bool) -> Trained:
    clock = Clock()
    result = run.train(loaded, observers=[clock], with_monitor=with_monitor)
    monitor = float(json.loads(result.folder.diagnosis.read_text())["seconds"]) if with_monitor else 0.0
    weights = content_digest(load_checkpoint(result.folder.path / "last.pt").model)
    return Trained(clock.ended - clock.started, monitor, weights)


if __name__ == "__main__":
    main()
