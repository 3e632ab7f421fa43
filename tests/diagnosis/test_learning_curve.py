"""Learning curves: what is trained, what is made of it, and the plain sentences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import config_of, loaded

from nnclassify.config.run_config import LoadedConfig
from nnclassify.diagnosis.learning_curve import CurveRun, Kind, LearningCurve, Trial, learning_curve
from nnclassify.diagnosis.learning_curve_plot import learning_curve_figure
from nnclassify.errors import CheckpointError, DataError
from nnclassify.evaluation.power_law import PowerLaw
from nnclassify.files.json_files import json_text
from nnclassify.run import train
from nnclassify.runs.folder import RunFolder

DIGITS: dict[str, Any] = {"name": "digits", "limit": 400}


class Simulated:
    """Runs whose error is a power law of the share, without training."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.made: list[LoadedConfig] = []

    def __call__(self, config: LoadedConfig, resume: RunFolder | None, folder: RunFolder) -> None:
        self.made.append(config)
        folder.config.write_text(config.config.to_yaml())
        folder.history.write_text("")
        error = 0.01 + 0.1 * (config.config.dataset.share or 1) ** -0.5 - 0.01 * (config.config.epochs > 2)
        judged = {"accuracy": 1 - error}
        figures = {"validation": judged, "test": judged, "train": {"accuracy": 0.99}, "train_seconds": self.seconds}
        folder.result.write_text(json.dumps({"epochs": 2, "best_epoch": 2, **figures}))


def measured(simulated: Simulated, here: Path, **options: Any) -> LearningCurve:
    return learning_curve(loaded(config_of(dataset=DIGITS, seed=4)), simulated, here, **options)


def test_growing_shares_and_both_trials_are_trained_over_the_same_seeds(tmp_path: Path) -> None:
    simulated = Simulated()
    curve = measured(simulated, tmp_path, num_seeds=2)
    configs = [config.config for config in simulated.made]
    assert [config.dataset.share for config in configs[:5]] == [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
    assert {config.seed for config in configs} == {4, 5} and {config.dataset.seed for config in configs} == {4}
    assert not any(config.show_test for config in configs)
    assert [run.num_examples for run in curve.runs[:5]] == [22, 45, 90, 180, 360]
    assert [config.epochs for config in configs] == [2] * 10 + [4, 4] + [2, 2]
    assert [config.model.hidden[0].units for config in configs[-4:]] == [8, 8, 16, 16]  # type: ignore[union-attr]
    assert (curve.split, curve.num_judged) == ("validation", 40)
    assert curve.trials["epochs"].gain == pytest.approx(0.01) and curve.trials["width"].gain == 0
    assert curve.with_twice_the_data.low < 0.01 + 0.1 / 2**0.5 < curve.with_twice_the_data.high


def test_started_again_it_makes_what_is_missing(tmp_path: Path) -> None:
    simulated = Simulated()
    first = measured(simulated, tmp_path, num_seeds=1, with_trials=False)
    assert len(simulated.made) == 5 and set(first.untried.values()) == {"--no-trials"}
    again = measured(simulated, tmp_path, num_seeds=1)
    assert len(simulated.made) == 7 and again.runs == first.runs and not again.untried
    for damaged, content in (("history.jsonl", "{}\n"), ("result.json", '{"epochs": 2}')):
        (again.folder / again.runs[0].name / damaged).write_text(content)
        with pytest.raises(CheckpointError, match=rf"{damaged}: cannot be read \(.*\); remove"):
            measured(simulated, tmp_path, num_seeds=1)


def test_other_epochs_are_other_runs(tmp_path: Path) -> None:
    measured(Simulated(), tmp_path, num_seeds=1, with_trials=False)
    longer = Simulated()
    curve = learning_curve(
        loaded(config_of(dataset=DIGITS, seed=4, epochs=5)), longer, tmp_path, num_seeds=1, with_trials=False
    )
    assert {config.config.epochs for config in longer.made} == {5} and len(longer.made) == 5
    assert curve.folder == tmp_path / "test-learning-curve-2"


def test_a_run_that_was_stopped_is_continued(tmp_path: Path) -> None:
    resumed: list[str] = []

    class Stopped(Simulated):
        def __call__(self, config: LoadedConfig, resume: RunFolder | None, folder: RunFolder) -> None:
            resumed.extend([] if resume is None else [resume.path.name])
            super().__call__(config, resume, folder)
            if len(self.made) == 2 and not resumed:
                folder.result.unlink()
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(Stopped(), tmp_path, num_seeds=1)
    curve = measured(Stopped(), tmp_path, num_seeds=1)
    assert resumed == ["1-8-seed-4"] and len(curve.runs) == 5


def test_trials_that_take_long_are_made_only_if_asked_for(tmp_path: Path) -> None:
    curve = measured(Simulated(seconds=300), tmp_path)
    assert curve.untried["epochs"] == "about 60 minutes; --trials tries it" and not curve.trials
    assert set(measured(Simulated(seconds=300), tmp_path, with_trials=True).trials) == {"epochs", "width"}


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 80 training examples, found 54"):
        learning_curve(loaded(config_of(dataset={"name": "digits", "limit": 60})), Simulated(), tmp_path)


def test_without_other_examples_there_is_nothing_to_judge_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set dataset\.validation"):
        learning_curve(loaded(config_of(dataset={**DIGITS, "validation": 0, "test": 0})), Simulated(), tmp_path)


def curve_of(errors: list[float], **values: Any) -> LearningCurve:
    """A learning curve of one seed per share."""
    sizes = [100 * 2**place for place in range(len(errors))]
    runs = [
        CurveRun(f"run-{size}", "share", size / sizes[-1], size, 0, 1 - error, values.pop("trained", 0.99), 1.0, -0.05)
        for size, error in zip(sizes, errors, strict=True)
    ]
    law = PowerLaw.fit(sizes, errors, 10_000)
    untried: dict[Kind, str] = {"epochs": "--no-trials", "width": "--no-trials"}
    return LearningCurve("mine", Path("curve"), "validation", 10_000, runs, law, {}, untried, 0.1)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([0.4, 0.28, 0.2, 0.14, 0.1], "more data would help: twice as many training examples (3,200)"),
        ([0.2, 0.185, 0.173, 0.163, 0.155], "more data would help a little: "),
        ([0.11, 0.105, 0.102, 0.101, 0.1005], "more data would hardly help: "),
    ],
)
def test_what_more_data_would_do_is_said(errors: list[float], verdict: str) -> None:
    assert curve_of(errors).conclusions()[0].startswith(verdict)


def test_without_trials_the_runs_own_curves_are_read() -> None:
    _, epochs, width = curve_of([0.4, 0.28, 0.2, 0.14, 0.1]).conclusions()
    assert epochs.startswith("more epochs may help: the validation loss fell by 5.0%")
    assert width.startswith("a wider network would hardly help: this one learns its training examples")


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.01, 0.03), "would help"), ((-0.03, -0.01), "would do harm"), ((-0.01, 0.05), "made no clear difference")],
)
def test_a_trial_helps_only_beyond_the_differences_between_seeds(interval: tuple[float, float], verdict: str) -> None:
    curve = replace(curve_of([0.4, 0.28, 0.2, 0.14, 0.1]), trials={"epochs": Trial(0.92, 0.02, interval)})
    assert curve.conclusions()[1].startswith(
        f"more epochs {verdict} (twice as many: 92.0% instead of 90.0%; 95% interval"
    )


def test_without_mistakes_more_data_cannot_help() -> None:
    first = curve_of([0.1, 0.0, 0.0]).conclusions()[0]
    assert first == "more data cannot help on validation: none of its 10,000 examples is predicted wrongly"


def test_a_network_that_has_learned_little_is_to_be_checked_first() -> None:
    sentences = curve_of([0.9, 0.89, 0.89, 0.88, 0.88]).conclusions()
    assert sentences[0].startswith("the network has learned little: accuracy 12.0%, always the most common class 10.0%")
    assert len(sentences) == 4


def test_the_plot_shows_runs_and_what_twice_the_data_gives() -> None:
    (axes,) = learning_curve_figure(curve_of([0.4, 0.28, 0.2, 0.14, 0.1])).axes
    assert axes.get_xticks().tolist() == [100, 200, 400, 800, 1600, 3200]
    assert axes.get_title() == "" and axes.get_ylabel() == "error"


@pytest.mark.slow
def test_real_runs_are_resumed_and_judged_on_the_same_examples(here: Path) -> None:
    config = loaded(config_of(dataset=DIGITS, epochs=3))

    def really(config: LoadedConfig, resume: RunFolder | None, into: RunFolder) -> object:
        return train(config, resume=resume, into=into, with_monitor=False, with_report=False)

    curve = learning_curve(config, really, Path("checkpoints"), num_shares=3, num_seeds=1)
    names = {
        (here / curve.folder / run.name / "predictions.csv").read_text().count("validation,") for run in curve.runs
    }
    assert names == {40} and curve.runs[0].accuracy < curve.runs[-1].accuracy
    assert json.loads(json_text(curve.figures()))["twice_the_data"]["num_examples"] == 720
