"""Tests of trials: they evaluate a network as a run does."""

from pathlib import Path

import pytest

from nnclassify.config.run_config import RunConfig, load_config
from nnclassify.diagnosis.trials.runner import run_trial
from nnclassify.training.build import build_components, build_trainer

MODEL = "{name: mlp, hidden: [16], batch_norm: true, norm: {momentum: 0.01}, dropout: 0.3}"


@pytest.mark.parametrize(
    "option",
    [
        "shuffle: true",
        "ema: 0.99",
        "lookahead: {every: 5, share: 0.1}",
        "evaluation: {tta: mirror}",
        "clip_grad_norm: 0.1",
    ],
)
def test_a_trial_evaluates_as_a_run_does(option: str, tmp_path: Path) -> None:
    """With averaged weights, running statistics, no dropout, and the views that evaluation averages over."""
    config = config_with(option, tmp_path)
    trainer = build_trainer(build_components(config))
    trainer.fit()
    outcome = run_trial(build_components(config), trainer.total_steps, 60.0)
    assert outcome.complete and outcome.curve[-1].held_out.accuracy == trainer.rows[-1].validation_accuracy


def config_with(option: str, folder: Path) -> RunConfig:
    path = folder / "config.yaml"
    path.write_text(
        f"dataset: {{name: digits, limit: 400, validation: 0.4}}\nmodel: {MODEL}\nepochs: 2\ncompile: off\n"
        f"threads: 1\n{option}\n"
    )
    return load_config(str(path)).config
