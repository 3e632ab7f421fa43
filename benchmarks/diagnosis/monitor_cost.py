"""What the monitor costs: python -m benchmarks.diagnosis.monitor_cost [--repeats N] CONFIG [--set KEY=VALUE ...].

Trains a config with and without it in turn, in one process, and prints the share of the time that it adds and whether
the weights are the same to the last bit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from nnclassify import run
from nnclassify.checkpoint import content_digest, load_checkpoint
from nnclassify.config import LoadedConfig, load_config


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
    shares = [on[0] / off[0] - 1 for on, off in pairs]
    same = len({weights for pair in pairs for _, weights in pair}) == 1
    name = Path(options.config).stem
    print(
        f"{name}: the monitor adds {statistics.median(shares):+.1%} of the time ({min(shares):+.1%} to "
        f"{max(shares):+.1%}, {options.repeats} pairs); weights {'the same' if same else 'DIFFERENT'}"
    )


def _trained(loaded: LoadedConfig, *, with_monitor: bool) -> tuple[float, str]:
    """Processor seconds of this process in a run, and a hash of the weights."""
    started = time.process_time()
    result = run.train(loaded, with_monitor=with_monitor)
    seconds = time.process_time() - started
    return seconds, content_digest(load_checkpoint(result.folder.path / "last.pt").model)


if __name__ == "__main__":
    main()
