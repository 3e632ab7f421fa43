"""Tests of the training loop: exact means, selection, early stopping, clipping, averaging, divergence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of, executed, loaded, trainer_of
from interpreted import interpret

from nnclassify.config.run_config import load_config
from nnclassify.errors import DeviceError, TrainingError
from nnclassify.evaluation.totals import score
from nnclassify.optim.averaging import Ema, Lookahead, Weights, frozen_copy
from nnclassify.run import train
from nnclassify.runs.checkpoint import content_digest, plain
from nnclassify.runs.recorders import COMPILED_AT_FIRST, Notes
from nnclassify.runs.resumable import own_config
from nnclassify.training import plan
from nnclassify.training.history import Row
from nnclassify.training.plan import Execution
from nnclassify.training.trainer import Observer, Trainer
from nnclassify.training.verification import VerifiedSteps

SPLIT = {"name": "iris", "validation": 0.2}


def test_the_mean_over_a_ragged_last_batch_is_exact() -> None:
    # With a learning rate of almost nothing, every batch of the epoch meets the same net.
    parts, trainer = trainer_of(
        dataset={"name": "blobs", "num_examples": 37}, batch_size=8, optimizer={"name": "sgd", "lr": 1e-12}, epochs=1
    )
    raw, targets = parts.splits.train.select(torch.arange(37))
    expected = score(parts.model(parts.transform(raw, torch.float32)).detach(), targets, parts.loss_fn)
    trainer.fit()
    assert trainer.rows[0].train_loss == pytest.approx(expected.loss, rel=1e-6)
    assert trainer.rows[0].train_accuracy == expected.accuracy
    assert trainer.step == 5


@pytest.mark.parametrize("every", [1, 3, 5])
def test_how_often_a_run_is_saved_changes_no_digit(every: int) -> None:
    ends = []
    for options in ({}, {"checkpoint_every": {"steps": every}}):
        _, trainer = trainer_of(dataset={"name": "wine"}, batch_size=7, ema=0.9, compile="off", **options)
        trainer.fit()
        figures = [(row.train_loss, row.train_accuracy, row.validation_loss) for row in trainer.rows]
        ends.append(content_digest(plain({**trainer.state(), "epoch_seconds": 0.0, "figures": figures})))
    assert ends[0] == ends[1]


def test_one_update_is_the_gradient_of_the_mean() -> None:
    parts, trainer = trainer_of(
        dataset={"name": "blobs", "num_examples": 8}, batch_size=8, optimizer={"name": "sgd", "lr": 0.5}, epochs=1
    )
    twin = frozen_copy(parts.model).requires_grad_(True)
    raw, targets = parts.splits.train.select(torch.arange(8))
    loss = torch.nn.functional.cross_entropy(twin(parts.transform(raw, torch.float32)), targets)
    loss.backward()
    trainer.fit()
    for old, new in zip(twin.parameters(), parts.model.parameters(), strict=True):
        assert old.grad is not None
        assert torch.allclose(new, old - 0.5 * old.grad, atol=1e-6)


def test_class_weights_divide_the_batchs_loss_by_their_sum() -> None:
    weights = [1.0, 5.0, 0.5]
    parts, trainer = trainer_of(
        dataset={"name": "blobs", "num_examples": 10},
        loss={"name": "cross_entropy", "class_weights": weights},
        optimizer={"name": "sgd", "lr": 0.5},
        batch_size=10,
        epochs=1,
    )
    twin = frozen_copy(parts.model).requires_grad_(True)
    raw, targets = parts.splits.train.select(torch.arange(10))
    torch.nn.functional.cross_entropy(
        twin(parts.transform(raw, torch.float32)), targets, torch.tensor(weights)
    ).backward()
    trainer.fit()
    for old, new in zip(twin.parameters(), parts.model.parameters(), strict=True):
        assert old.grad is not None
        assert torch.allclose(new, old - 0.5 * old.grad, atol=1e-6)


def test_gradients_are_clipped_to_the_norm() -> None:
    parts, trainer = trainer_of(
        dataset={"name": "blobs", "num_examples": 8},
        batch_size=8,
        epochs=1,
        clip_grad_norm=0.01,
        optimizer={"name": "sgd", "lr": 1.0},
    )
    before = torch.cat([parameter.detach().clone().flatten() for parameter in parts.model.parameters()])
    trainer.fit()
    after = torch.cat([parameter.detach().flatten() for parameter in parts.model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "best", "epochs"),
    [
        ({}, 4, 6),  # the accuracy of 2, at a lower loss
        ({"select_by": "loss"}, 3, 6),
        ({"patience": 2}, 4, 6),
        ({"patience": 1, "select_by": "loss"}, 3, 4),
        ({"patience": 1}, 2, 3),
    ],
)
def test_best_epoch_and_patience(
    options: dict[str, Any], best: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = [(0.9, 0.5), (0.8, 0.7), (0.5, 0.6), (0.7, 0.7), (0.7, 0.7), (0.9, 0.6)]
    scores = iter({"loss": loss, "accuracy": accuracy} for loss, accuracy in reached)
    _, trainer = trainer_of(dataset=SPLIT, epochs=6, **options)
    monkeypatch.setattr(trainer, "_validate", lambda: next(scores))
    trainer.fit()
    assert (trainer.best_epoch, len(trainer.rows)) == (best, epochs)


@pytest.mark.parametrize("validation", [0, "test"])
def test_without_a_split_to_choose_by_the_last_epoch_is_the_best(validation: Any) -> None:
    _, trainer = trainer_of(dataset={"name": "iris", "validation": validation}, epochs=3)
    trainer.fit()
    assert trainer.best_epoch == 3
    assert (trainer.rows[0].validation_accuracy is None) == (validation == 0)


def test_showing_the_test_split_changes_no_weight() -> None:
    digests = []
    for validation in (0, "test"):
        parts, trainer = trainer_of(
            dataset={"name": "iris", "validation": validation},
            epochs=3,
            model={"name": "mlp", "hidden": [4], "dropout": 0.2},
        )
        trainer.fit()
        digests.append(content_digest(parts.model.state_dict()))
    assert digests[0] == digests[1]


def test_average_moves_towards_the_weights() -> None:
    model = torch.nn.Linear(2, 1)
    averaged = frozen_copy(model)
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    Ema(0.9).update(Weights.of(averaged), Weights.of(model), Ema(0.9).decay_at(1_000_000, 1))
    assert torch.allclose(averaged.get_parameter("weight"), start + 0.1)
    Ema(0.9).update(Weights.of(averaged), Weights.of(model), Ema(0.9).decay_at(0, 1))  # early on: (1 + 0) / (10 + 0)
    assert torch.allclose(averaged.get_parameter("weight"), start + 0.1 + 0.9 * 0.9)


def test_lookahead_goes_a_part_of_the_way_and_the_network_goes_back() -> None:
    model = torch.nn.BatchNorm1d(1)
    lookahead, slow = Lookahead(every=2, share=0.5, power=1.0), frozen_copy(model)
    seen = []
    for step in range(4):
        with torch.no_grad():
            model.get_parameter("bias").add_(1)
            model.get_buffer("running_mean").add_(1)
        lookahead.update(Weights.of(slow), Weights.of(model), lookahead.decay_at(step, 4))
        seen.append((slow.get_parameter("bias").item(), model.bias.item()))
        assert slow.get_buffer("running_mean").item() == seen[-1][0]
    # Decays 1, 0.5 x 2/4, 1, 0.5 x 4/4: 0 + 0.75 x 2 = 1.5, then 1.5 + 0.5 x (3.5 - 1.5) = 2.5.
    assert seen == [(0.0, 1.0), (1.5, 1.5), (1.5, 2.5), (2.5, 2.5)]


@pytest.mark.parametrize("due", [True, False])
def test_lookahead_does_the_same_with_a_decay_in_a_tensor(due: bool) -> None:
    decay = 0.3 if due else 1.0
    found = []
    for rate in (decay, torch.tensor(decay)):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        slow = frozen_copy(model)
        with torch.no_grad():
            model.get_parameter("0.weight").normal_()
        Lookahead().update(Weights.of(slow), Weights.of(model), rate)
        found.append(content_digest([slow.state_dict(), model.state_dict()]))
    assert found[0] == found[1]


def test_with_an_average_it_is_what_is_evaluated() -> None:
    _, trainer = trainer_of(ema=0.9)
    trainer.fit()
    assert trainer.evaluated_model() is trainer.averaged
    assert content_digest(trainer.evaluated_model().state_dict()) != content_digest(trainer.model.state_dict())


def test_learning_rate_follows_the_schedule() -> None:
    _, trainer = trainer_of(
        optimizer={"name": "sgd", "lr": 0.4}, scheduler={"name": "step", "every": 1, "gamma": 0.5}, epochs=3
    )
    trainer.fit()
    assert [row.lr for row in trainer.rows] == pytest.approx([0.4, 0.2, 0.1])


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    _, trainer = trainer_of(optimizer={"name": "sgd", "lr": 1e30}, loss="mse", epochs=5)
    with pytest.raises(
        TrainingError,
        match=r"^epoch \d+, step \d+: its gradient or its update made the weights .*try a lower optimizer.lr",
    ):
        trainer.fit()


def test_weights_of_an_epoch_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    for limits in ((1, 4096), (4 * 2**20, 4096)):
        monkeypatch.setattr(
            "nnclassify.data.batches.chunk_limits", dict.fromkeys([torch.device("cpu")], limits).__getitem__
        )
        parts, trainer = trainer_of(dataset=SPLIT, model={"name": "mlp", "hidden": [8], "dropout": 0.3})
        trainer.fit()
        digests.append((content_digest(parts.model.state_dict()), trainer.rows[-1].train_loss))
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] == pytest.approx(digests[1][1], rel=1e-6)


class Reports(Observer):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def steps_done(self, trainer: Trainer, num_steps: int) -> None:
        self.steps.append(trainer.step)


def test_a_row_is_written_out_a_few_times_however_many_follow(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each checkpoint holds every row: 2,400 epochs of XOR once spent four fifths of their time on that."""
    seen: list[int] = []
    state = Row.state

    def counted(row: Row) -> dict[str, Any]:
        seen.append(row.epoch)
        return state(row)

    monkeypatch.setattr(Row, "state", counted)
    train(loaded(config_of(epochs=30)))
    # For the history's file, for the checkpoints, and when the best one is read back.
    assert max(seen.count(epoch) for epoch in range(1, 31)) <= 3


def test_reports_come_at_their_steps() -> None:
    _, trainer = trainer_of(checkpoint_every={"steps": 4}, batch_size=4, epochs=1)
    trainer.observers = [reports := Reports()]
    trainer.fit()
    assert reports.steps == [4, 8, 12, 15]


def test_a_resumed_run_goes_on_as_it_began() -> None:
    """What was compiled by other runs meanwhile decides nothing."""
    began = executed(trainer_of()[1], Execution.COMPILED)
    _, resumed = trainer_of()
    resumed.load_state(began.state(), [])
    assert resumed.plan.execution is Execution.COMPILED
    _, elsewhere = trainer_of()
    elsewhere.load_state({**began.state(), "device_type": "cuda"}, [])  # there, it means another thing
    assert elsewhere.plan.execution is Execution.EAGER
    _, asked = trainer_of(compile="off")
    asked.load_state(began.state(), [])
    assert asked.plan.execution is Execution.EAGER


@pytest.mark.parametrize("must_compile", [True, False])
def test_auto_goes_on_eagerly_where_nothing_can_be_compiled(
    must_compile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise DeviceError("compile: no compiler")

    monkeypatch.setattr("nnclassify.compile.aot.CompiledSteps.run", refuse)
    trainer = executed(trainer_of(compile="on" if must_compile else "auto")[1], Execution.COMPILED)
    if must_compile:
        with pytest.raises(DeviceError, match="no compiler; set `compile: off`"):
            trainer.fit()
    else:
        notes: list[str] = []
        trainer.observers = [Notes(notes.append)]
        trainer.fit()
        assert trainer.finished and notes == ["compile: no compiler; all steps run eagerly"]


@pytest.mark.slow
def test_a_run_that_was_compiled_at_first_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubt(Observer):
        def epoch_done(self, trainer: Trainer, row: Row) -> None:
            monkeypatch.setattr(VerifiedSteps, "_fault", lambda *arguments: "made up")

    interpret(monkeypatch)
    monkeypatch.setattr(plan, "compiles", lambda setting, *arguments, **options: setting != "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    groups = [{"match": "*.bias", "epochs": 1}]
    notes: list[str] = []
    config = config_of(optimizer={"name": "sgd", "groups": groups}, epochs=3, batch_size=20)
    folder = train(loaded(config), observers=[Doubt()], note=notes.append, with_monitor=False).folder
    assert any("made up" in note and note.endswith("which no config can reproduce") for note in notes)
    assert folder.config.read_text().startswith(COMPILED_AT_FIRST)
    longer = load_config(str(folder.config), ["epochs=4"], of_run=True)
    assert longer.config.compile == "off"
    train(longer, resume=folder, with_monitor=False)
    assert folder.config.read_text().startswith(COMPILED_AT_FIRST)
    for epochs in (4, 5):  # damaged, and made again from last.pt: the run is finished, then it continues
        folder.config.write_text("damaged: [")
        remade = own_config(folder, [f"epochs={epochs}"])
        train(remade, resume=folder, with_monitor=False)
        assert folder.config.read_text().startswith(COMPILED_AT_FIRST)
