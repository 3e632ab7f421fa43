import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nnclassify.config.run_config import RunConfig
from nnclassify.diagnosis.measure import LayerState, Snapshot
from nnclassify.diagnosis.monitor.monitor import Monitor, NetState, curve_findings, end_findings, layer_findings
from nnclassify.errors import TrainingError
from nnclassify.training.build import build_components, build_trainer
from nnclassify.training.history import Row
from nnclassify.training.trainer import Observer, Trainer

ROW = Row(1, 10, 1.0, 0.5, None, None, 0.1, 1.0, 100.0)


def trainer_of(monitor: Monitor | None = None, **options: object) -> Trainer:
    config = {"dataset": "moons", "model": {"name": "mlp", "hidden": [8], "dropout": 0.2}, "epochs": 6, **options}
    components = build_components(RunConfig.model_validate(config))
    return build_trainer(components, [] if monitor is None else [monitor])


def rows(*losses: float, accuracy: float = 0.5) -> list[Row]:
    return [replace(ROW, epoch=at, train_loss=loss, train_accuracy=accuracy) for at, loss in enumerate(losses, 1)]


def test_the_weights_are_the_same_with_and_without_a_monitor() -> None:
    watched = trainer_of(Monitor(lambda text: None))
    watched.fit()
    alone = trainer_of()  # sets the global seeds anew, so that both draw the same dropout
    alone.fit()
    for name, weight in alone.model.state_dict().items():
        assert torch.equal(weight, watched.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("losses", "cause"),
    [
        ((0.693, 0.694, 0.693), "NN602"),
        ((0.5, 0.3, 0.4, 0.6, 0.9), "NN603"),
        ((1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0), "NN604"),
        ((1.0, 0.8, 0.6, 0.5, 0.4), None),
    ],
)
def test_a_curve_is_read(losses: tuple[float, ...], cause: str | None) -> None:
    found = [one.page.id for one in curve_findings(rows(*losses), 10, 0.5)]
    assert found == ([] if cause is None else [cause])


def test_the_whole_curve_is_read_at_the_end() -> None:
    falling = [*rows(1.0, 0.8), replace(ROW, epoch=3, train_loss=0.5, train_accuracy=0.9, validation_accuracy=0.6)]
    assert [one.page.id for one in end_findings(falling, 3, True)] == ["NN610", "NN611"]
    assert [one.page.id for one in end_findings(rows(*[0.5] * 40), 5, True)] == ["NN612"]


def test_dead_units_are_told_once() -> None:
    said: list[str] = []
    monitor = Monitor(said.append)
    trainer = trainer_of(monitor, epochs=3)
    with torch.no_grad():
        trainer.model.get_submodule("hidden_0_linear").get_parameter("bias").fill_(-1000.0)
    trainer.fit()
    assert [finding.id for finding in monitor.findings].count("NN605") == 1
    assert sum("NN605" in line for line in said) == 1


@pytest.mark.parametrize("kind", ["activation", "loss", "gradient"])
def test_a_divergence_is_traced_to_what_came_first(kind: str) -> None:
    monitor = Monitor(lambda text: None)
    activation = "exponential" if kind == "activation" else "tanh"
    model = {"name": "mlp", "hidden": [8, 8], "activation": activation}
    trainer = trainer_of(monitor, model=model, optimizer={"name": "sgd", "lr": 1.0e8 if kind == "activation" else 0.1})
    losses = trainer.loss_fn.losses

    def broken(*given: Any) -> torch.Tensor:
        loss = losses(*given)
        if kind == "gradient":  # the root's slope at 0 is infinite, its value is not
            return loss.detach() + (loss - loss.detach()).sqrt()
        return loss * torch.inf if kind == "loss" else loss

    object.__setattr__(trainer.loss_fn, "losses", broken)
    with pytest.raises(TrainingError):
        trainer.fit()
    finding = monitor.diverged(trainer)
    assert finding is not None and finding.id == "NN601" and finding.severity == "fault"
    assert finding.evidence.text.startswith("step ") and kind in finding.evidence.text


def test_a_run_resumed_after_the_last_batch_of_an_epoch_has_no_updates_to_judge() -> None:
    """It was told that its weights barely change, of 0 steps."""

    class StopAtLastBatch(Observer):
        def steps_done(self, trainer: Trainer, num_steps: int) -> None:
            if trainer.batch == len(trainer.train_batches):
                trainer.request_stop(signal.SIGTERM)

    stopped = trainer_of(epochs=1)
    stopped.observers = [StopAtLastBatch()]
    stopped.fit()
    assert (stopped.batch, stopped.rows) == (len(stopped.train_batches), [])
    monitor = Monitor(lambda text: None)
    resumed = trainer_of(monitor, epochs=1)
    resumed.load_state(stopped.state(), [])
    resumed.fit()
    assert len(resumed.rows) == 1 and "NN607" not in [finding.id for finding in monitor.findings]


def test_findings_are_kept_in_the_run_folder(tmp_path: Path) -> None:
    monitor = Monitor(lambda text: None, tmp_path / "diagnosis.json")
    trainer_of(monitor, epochs=2).fit()
    assert (tmp_path / "diagnosis.json").read_text().startswith("{")


def test_one_answer_in_the_first_epoch_is_no_warning() -> None:
    """xor_2 gives one answer for everything after its first epoch of 500, and ends at 100%."""
    said: list[str] = []
    model = {"name": "mlp", "hidden": [{"units": 2, "init": {"name": "normal", "std": 0.02}}], "activation": "sigmoid"}
    trainer = trainer_of(Monitor(said.append), model=model, optimizer={"name": "sgd", "lr": 0.01}, epochs=20)
    trainer.recipe = replace(trainer.recipe, epochs=2)
    trainer.fit()
    assert [line[:15] for line in said] == ["warning: NN609 "]  # at the end of a run it stands
    said.clear()
    early = trainer_of(Monitor(said.append), model=model, optimizer={"name": "adam", "lr": 0.1}, epochs=20)
    early.fit()
    assert said == []


@pytest.mark.parametrize(
    ("largest", "at_start", "cause", "said"),
    [
        (
            255.0,
            True,
            "dataset.normalize",
            "all 16 ReLU units of hidden layer 1 give 0 for every example, so they cannot learn; inputs",
        ),
        (2.0, True, "model.init", "already so before training"),
        (2.0, False, "optimizer.lr", "not so before training"),
    ],
)
def test_advice_names_the_cause_that_was_measured(largest: float, at_start: bool, cause: str, said: str) -> None:
    """Large inputs, initial weights, updates that are too large: all three kill ReLUs."""
    name = "hidden_0_activation"
    layer = LayerState(name, units=16, dead=1.0, saturated=0.0, identical=True, spread=0.0)
    targets = torch.tensor([0, 1] * 8)
    state = Snapshot(0.7, (layer,), {"hidden_0_linear": 1.0}, 1.0, True, targets)
    look = NetState(state, targets, largest, frozenset([name] if at_start else []))
    (found,) = layer_findings(look, is_late=True)
    assert (found.page.id, found.path) == ("NN605", cause) and said in found.evidence.text


def test_a_prediction_that_is_always_the_same_is_called_by_the_name_of_its_class() -> None:
    targets = torch.tensor([0, 1] * 30)
    state = Snapshot(0.7, (), {"linear": 1.0}, 1.0, True, torch.ones(60, dtype=torch.long))
    look = NetState(state, targets, 1.0)
    for names, said in ((["cat", "dog"], "class 'dog'"), (None, "class 1")):
        (found,) = layer_findings(look, names, is_late=True)
        assert found.evidence.text == f"{said} for all of 60 examples"


def test_the_advice_of_a_run_on_raw_inputs_is_to_normalize_them() -> None:
    said: list[str] = []
    rgb = {"name": "rgb", "normalize": "none"}
    trainer_of(Monitor(said.append), dataset=rgb, optimizer={"name": "sgd", "lr": 1.0}, epochs=2).fit()
    assert any("inputs reach 255" in line and line.endswith("use dataset.normalize: standard") for line in said)
