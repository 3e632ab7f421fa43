"""Tests of the search: what it trains, what it leaves, and what an interruption or a failure changes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial

from nnclassify import run
from nnclassify.config.run_config import LoadedConfig, load_config
from nnclassify.errors import CheckpointError, ConfigError, InputError
from nnclassify.runs.looks import looks_folder
from nnclassify.training.history import Row
from nnclassify.training.trainer import Trainer
from nnclassify.tune import study as study_module
from nnclassify.tune.processes import Worker
from nnclassify.tune.result import TuneResult, conclusions, write_result
from nnclassify.tune.sampling import VALUES
from nnclassify.tune.search import Progress, search
from nnclassify.tune.study import PROCESS, Outcome, Study, find_study, outcome_of

CONFIG = """\
# A tiny network.
dataset: {name: iris, validation: 0.3} # three species
model: {name: mlp, hidden: [4]}
optimizer: {name: sgd, lr: 0.1}
epochs: 3
batch_size: 32
compile: "off"
search:
  optimizer.lr: {log: [1e-3, 1]}
"""


def config(*overrides: str, text: str = CONFIG) -> LoadedConfig:
    Path("tiny.yaml").write_text(text)
    return load_config("tiny.yaml", overrides)


def searched(
    loaded: LoadedConfig,
    num_trials: int,
    progress: Progress | None = None,
    *,
    note: Callable[[str], None] = print,
    **options: Any,
) -> Study:
    progress = progress or Progress()
    return search(loaded, num_trials, Path("checkpoints"), progress, note=note, **options)


def told(study: Study) -> list[tuple[Any, Any, Any]]:
    """The values, the figure and the loss of each trial."""
    return [(t.user_attrs[VALUES], t.value, (outcome_of(t) or Outcome()).loss) for t in study.trials()]


@pytest.mark.slow
def test_trials_differ_and_leave_a_config_that_trains_to_the_same_figures(here: Path) -> None:
    study = searched(config(), 4)
    result = TuneResult.of(study)
    write_result(result)
    best = result.best
    assert best is not None and result.counts() == {"completed": 4, "pruned": 0, "failed": 0, "running": 0}
    assert len({json.dumps(trial.user_attrs[VALUES]) for trial in study.trials()}) == 4
    text = study.folder.best.read_text()
    assert text.startswith("# Trial ") and "# three species" in text and "search" not in text
    again = run.train(load_config(str(study.folder.best), ["show_test=off"]), with_report=False)
    row = again.rows[again.best_epoch - 1]
    assert (row.validation_accuracy, row.validation_loss) == told(study)[best.number][1:]
    checkpoints = [path.relative_to(study.folder.path) for path in study.folder.path.rglob("*.pt")]
    assert checkpoints == [Path(f"trials/{best.number + 1}/best.pt")]
    assert len(list(study.folder.path.rglob("history.jsonl"))) == 4
    with study.folder.table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[best.number]["optimizer.lr"]) == best.user_attrs[VALUES]["optimizer.lr"]
    assert json.loads(study.folder.result.read_text())["best"]["trial"] == best.number + 1


@pytest.mark.slow
def test_a_search_in_two_parts_trains_the_same_trials(here: Path) -> None:
    whole = searched(config(), 4, name="whole")
    searched(config(), 2, name="parts")
    assert told(searched(config(), 4, name="parts")) == told(whole)


class Killed(BaseException):
    """The process dies."""


class KilledOnce(Progress):
    def __init__(self, trial: int, epoch: int) -> None:
        self.trial, self.epoch, self.is_done = trial, epoch, False

    def epoch_done(self, trainer: Trainer, row: Row) -> None:
        self.trial -= row.epoch == 1
        if not self.is_done and self.trial == 0 and row.epoch == self.epoch:
            self.is_done = True
            raise Killed


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_trial_that_was_interrupted_ends_as_if_nothing_had_happened(epoch: int, here: Path) -> None:
    loaded = config("checkpoint_every={steps: 1}")
    whole = searched(loaded, 3, name="whole")
    killed = KilledOnce(2, epoch)
    with pytest.raises(Killed):
        searched(loaded, 3, killed, name="parts")
    assert killed.is_done and told(searched(loaded, 3, name="parts")) == told(whole)


@pytest.mark.slow
def test_a_trial_whose_checkpoints_are_damaged_starts_again(here: Path) -> None:
    loaded = config("checkpoint_every={steps: 1}")
    whole = searched(loaded, 1, name="whole")
    with pytest.raises(Killed):
        searched(loaded, 1, KilledOnce(1, 2), name="parts")
    for path in Path("checkpoints/parts/trials/1").glob("last*"):
        path.write_bytes(b"damaged")
    assert told(searched(loaded, 1, name="parts")) == told(whole)


def test_a_process_takes_over_trials_of_the_dead_alone(here: Path) -> None:
    loaded = config()
    folder = find_study(loaded, None, Path("checkpoints"), print)

    def begun(worker: Worker) -> FrozenTrial:
        trial = Study(folder, loaded, worker, prune=True).begin(10)
        assert trial is not None
        return trial

    with Worker(folder.processes) as alive:
        assert begun(alive).number == 0
        with Worker(folder.processes) as other:
            assert begun(other).number == 1
        third = begun(alive)
        assert third.number == 1  # of the process that has ended
        study = Study(folder, loaded, alive, prune=True)
        assert study.trials()[1].user_attrs[PROCESS] == alive.id
        with Worker(folder.processes) as late:
            assert not Study(folder, loaded, late, prune=True).end(third, Outcome(1.0, 0.0, 3))
        assert study.end(third, Outcome(0.5, 0.7, 3)) and study.trials()[1].value == 0.5


def test_a_trial_whose_process_dies_again_and_again_has_failed(here: Path) -> None:
    loaded = config("search={optimizer.lr: [0.1, 0.01]}")
    for _ in range(3):
        with pytest.raises(Killed):
            searched(loaded, 1, KilledOnce(1, 1))
    (trial,) = TuneResult.of(searched(loaded, 1)).figures()["trials"]
    assert (trial["state"], str(trial["error"])[:45]) == ("failed", "its process was killed 3 times at the same pl")


def test_a_damaged_journal_is_named(here: Path) -> None:
    with pytest.raises(Killed):
        searched(config(), 1, KilledOnce(1, 1))
    journal = Path("checkpoints/tiny-tune/journal.log")
    first, second, *rest = journal.read_bytes().splitlines(keepends=True)
    for damaged in (
        [],
        [first],
        [b"{\n", first, second],
        [first, b"\xff", second],
        [first, b'{"op_code": 99}\n', second],
    ):
        journal.write_bytes(b"".join([*damaged, *rest]))
        with pytest.raises(CheckpointError, match=r"journal.log: damaged \(.*\); put it back, or name another study"):
            searched(config(), 1)


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(here: Path) -> None:
    study = searched(config("search={optimizer.lr: [0.1, 1e30]}"), 2)
    result = TuneResult.of(study)
    (failed,) = (trial for trial in result.figures()["trials"] if trial["state"] == "failed")
    assert failed["values"] == {"optimizer.lr": 1e30} and "NaN or infinite" in str(failed["error"])
    assert result.counts()["completed"] == 1 and result.best is not None


@pytest.mark.slow
def test_values_that_do_not_fit_each_other_fail_their_trial_alone(here: Path) -> None:
    loaded = config("search={loss: [cross_entropy, nll], model.output: [none, log_softmax]}")
    errors = [trial.get("error") for trial in TuneResult.of(searched(loaded, 4)).figures()["trials"]]
    assert sum(error is None for error in errors) in (2, 3)
    assert all("found nll after model.output: none" in error for error in errors if error and "nll" in error)


@pytest.mark.slow
def test_when_all_choices_have_been_tried_the_search_ends(here: Path) -> None:
    notes: list[str] = []
    study = searched(config("search={batch_size: [16, 32, 64]}"), 9, note=notes.append)
    assert sorted(trial.user_attrs[VALUES]["batch_size"] for trial in study.trials()) == [16, 32, 64]
    assert notes[-1] == "all combinations of values have been tried: there are 3"


@pytest.mark.slow
def test_a_trial_that_is_worse_than_most_is_stopped(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "FULL_TRIALS", 2)
    loaded = config("search={optimizer.lr: [0.5, 0.4, 0.3, 1e-9, 1e-8]}", "epochs=6", "select_by=loss")
    trials = TuneResult.of(searched(loaded, 5)).figures()["trials"]
    pruned = [trial for trial in trials if trial["state"] == "pruned"]
    assert pruned and all(trial["values"]["optimizer.lr"] < 1e-7 and trial["epochs"] < 6 for trial in pruned)
    full = TuneResult.of(searched(loaded, 5, prune=False, name="full")).counts()
    assert full["completed"] == 5


@pytest.mark.parametrize(
    ("search", "name", "advice"),
    [
        ("optimizer.lr: {log: [1e-7, 1e-3]}", "optimizer.lr", "search.optimizer.lr='{log: [1.0e-05, 0.1]}'"),
        (
            "optimizer: [adam, {name: sgd, lr: {log: [1e-7, 1e-3]}}]",
            "optimizer.lr (sgd)",
            "in the choice sgd of search.optimizer: {log: [1.0e-05, 0.1]}",
        ),
    ],
)
def test_the_best_value_at_an_edge_is_told_with_the_next_range(here: Path, search: str, name: str, advice: str) -> None:
    loaded = config(f"search={{{search}, optimizer.momentum: {{range: [0, 0.1]}}}}")
    folder = find_study(loaded, None, Path("checkpoints"), print)
    with Worker(folder.processes) as worker:
        study = Study(folder, loaded, worker, prune=True)
        trial = study.begin(1)
        assert trial is not None
        study.end(trial, Outcome(0.9, 0.1, 3))
        (found,) = study.trials()
        found.params.update({name: 9e-4, "optimizer.momentum": 0.05})
        result = TuneResult.of(study)
    assert [(edge.parameter, edge.side, edge.next_range) for edge in result.edges] == [
        (name, "upper", {"log": [1e-5, 0.1]})
    ]
    (line,) = (line for line in conclusions(result) if line.startswith("edge: "))
    assert line == (
        f"edge: {name}: the best value, 0.0009, is at the upper edge of {{log: [1.0e-07, 0.001]}}; search next"
        f"{', ' if advice.startswith('in') else ': '}{advice}"
    )


def test_another_search_of_the_same_name_is_a_study_of_its_own(here: Path) -> None:
    notes: list[str] = []

    def found(*overrides: str, name: str | None = None) -> str:
        return str(find_study(config(*overrides), name, Path("checkpoints"), notes.append).path)

    assert found() == found("threads=1") == "checkpoints/tiny-tune" and notes == []
    assert found("epochs=5") == "checkpoints/tiny-tune-2"
    assert notes == ["checkpoints/tiny-tune: not continued: epochs: 3 when the study began, now 5"]
    with pytest.raises(
        InputError, match=r"optimizer.lr: {log: \[0.001, 1\]} when the study began, now {log: \[0.1, 1\]}"
    ):
        found("search.optimizer.lr={log: [0.1, 1]}", name="tiny-tune")
    with pytest.raises(InputError, match=r"model.dropout: 0.0 when the study began, now 0.5; change it back"):
        found("model.dropout=0.5", name="tiny-tune")
    Path("checkpoints/other/plots").mkdir(parents=True)
    with pytest.raises(InputError, match="checkpoints/other: a folder without a study; "):
        found(name="other")
    Path("checkpoints/tiny-tune/study.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"study.json: damaged"):
        found()


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        (
            "dataset.validation=test",
            "dataset.validation=test: found test, but choosing by the test split would spend it",
        ),
        (
            "dataset.validation=0",
            "dataset.validation=0: found 0, but trials are compared on it; add dataset.validation=0.2",
        ),
        ("search=null", "tiny.yaml: nothing to search; add `search: {optimizer.lr: {log: [1e-4, 1]}}`"),
    ],
)
def test_what_cannot_be_searched_is_refused(override: str, problem: str, here: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        searched(config(override), 1)
    assert problem in str(caught.value) and not Path("checkpoints").exists()


@pytest.mark.slow
def test_the_test_split_is_never_looked_at(here: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 2)).round(3)
    labels = (inputs.sum(axis=1) > 0).astype(int)
    for name, part, of in (
        ("train", inputs[:150], labels[:150]),
        ("test", inputs[150:], labels[150:]),
        ("planted", inputs[150:], rng.permutation(labels[150:])),
    ):
        rows = [f"{x},{y},{label}" for (x, y), label in zip(part.tolist(), of, strict=True)]
        Path(f"{name}.csv").write_text("\n".join(["x,y,label", *rows, ""]))

    def study(test: str) -> Study:
        dataset = f"{{name: csv, path: train.csv, label: label, validation: 0.3, test: {test}.csv}}"
        text = CONFIG.replace("{name: iris, validation: 0.3}", dataset)
        return searched(config(text=text), 3, name=test)

    true, planted = study("test"), study("planted")
    assert told(true) == told(planted)
    assert true.folder.best.read_text() == planted.folder.best.read_text().replace("planted.csv", "test.csv")
    looks = looks_folder()
    assert looks is not None and not looks.exists()
    for path in Path("checkpoints").rglob("result.json"):
        assert json.loads(path.read_text())["test"] is None
