"""`python -m benchmarks.learning_curve CONFIG...`: is what a learning curve predicts what comes out?

Each config is trained on shares of its training split. From the runs on at most a half, and on at most a quarter, the
accuracy of a run on all of it is predicted, and compared with the runs on all of it. The runs are in `checkpoints/`.
"""

from __future__ import annotations

import argparse
import statistics

from nnclassify.config.run_config import LoadedConfig, load_config
from nnclassify.diagnosis.learning_curve import LearningCurve, learning_curve
from nnclassify.evaluation.power_law import PowerLaw
from nnclassify.run import train
from nnclassify.runs.folder import CHECKPOINTS, RunFolder


def main() -> None:
    """Measure each config, and print how far off the predictions are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_curve", description=__doc__)
    parser.add_argument("configs", nargs="+")
    parser.add_argument("--shares", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    for config in arguments.configs:
        loaded = load_config(config, arguments.overrides)
        curve = learning_curve(
            loaded,
            _trained,
            CHECKPOINTS,
            num_shares=arguments.shares,
            num_seeds=arguments.seeds,
            with_trials=False,
        )
        for largest in (0.5, 0.25):
            print(_compared(curve, largest), flush=True)


def _trained(loaded: LoadedConfig, resume: RunFolder | None, into: RunFolder) -> object:
    return train(loaded, resume=resume, into=into, with_monitor=False, with_report=False)


def _compared(curve: LearningCurve, largest: float) -> str:
    """Predict the runs on the whole training split from those on shares up to `largest`."""
    known = [run for run in curve.runs if run.share <= largest]
    law = PowerLaw.fit([run.num_examples for run in known], [1 - run.accuracy for run in known], curve.num_judged)
    expected, found = law.run(curve.num_examples), [1 - run.accuracy for run in curve.whole]
    inside = sum(expected.low <= error <= expected.high for error in found)
    before = statistics.mean(1 - run.accuracy for run in known if run.share == largest)
    return (
        f"{curve.name}: from {largest:g} of {curve.num_examples:,} examples (error {before:.2%}): "
        f"predicted {expected.median:.2%} ({expected.low:.2%} to {expected.high:.2%}), found "
        f"{statistics.mean(found):.2%}, off by {abs(expected.median - statistics.mean(found)):.2%}; "
        f"{inside} of {len(found)} runs in the interval"
    )


if __name__ == "__main__":
    main()
