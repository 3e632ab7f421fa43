"""`python -m benchmarks.speed.accuracy CONFIG --seeds N`: test accuracy in bfloat16 against float32, seed by seed."""

from __future__ import annotations

import argparse
import statistics

from nnclassify.config.run_config import load_config
from nnclassify.evaluation.outputs import outputs_of
from nnclassify.evaluation.totals import score
from nnclassify.process import configure_malloc
from nnclassify.training.build import build_components, build_trainer


def main() -> None:
    """Train in both number types from each seed; print both accuracies, their means and the gap."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.accuracy", description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    pairs = []
    for seed in range(arguments.seeds):
        overrides = [*arguments.overrides, f"seed={seed}"]
        pairs.append([_accuracy(arguments.config, [*overrides, f"precision={name}"]) for name in ("auto", "float32")])
        print(f"seed {seed}: auto {pairs[-1][0]:.2%}, float32 {pairs[-1][1]:.2%}", flush=True)
    short, full = (statistics.mean(found) for found in zip(*pairs, strict=True))
    print(f"mean: auto {short:.2%}, float32 {full:.2%}, {100 * (short - full):+.2f} points")


def _accuracy(config: str, overrides: list[str]) -> float:
    components = build_components(load_config(config, overrides).config)
    configure_malloc()
    trainer = build_trainer(components)
    trainer.fit()
    test = components.splits.test
    assert test is not None
    outputs = outputs_of(
        trainer.evaluated_model(), test, components.transform, components.placement, trainer.recipe.tta
    )
    return score(outputs, test.all_targets(), components.loss_fn).accuracy


if __name__ == "__main__":
    main()
