"""Tests of all parts on a device other than the CPU, to which a step moves nothing and from which it moves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from builders import config_of, executed, loaded, trainer_of
from elsewhere import DEVICE, Elsewhere, Remote
from torch import Tensor
from torch.utils._pytree import tree_map_only

from nnclassify.losses import AnyLoss
from nnclassify.optim.optimizers import AnyOptimizer
from nnclassify.run import train
from nnclassify.training.plan import Execution

OPTIMIZERS = [member.model_fields["name"].default for member in get_args(get_args(AnyOptimizer)[0])]
PICTURES = {"name": "digits", "limit": 60, "augment": {"flip": "alternate", "crop": 1, "cutout": 2}}
CNN = {"name": "cnn", "blocks": [{"channels": 4, "batch_norm": True, "pool": "max"}], "hidden": [8], "dropout": 0.2}
WHITENING = {"name": "cnn", "blocks": [{"channels": 2, "kernel": 2, "init": "whitening"}]}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, here: Path) -> Iterator[Elsewhere]:
    """Every device that a config asks for is elsewhere."""
    monkeypatch.setattr("nnclassify.device.resolve_device", lambda wanted: DEVICE)
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    with Elsewhere() as mode:
        yield mode
    torch.__future__.set_overwrite_module_params_on_conversion(before)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"dataset": PICTURES, "model": CNN, "ema": 0.9, "clip_grad_norm": 1.0}, marks=pytest.mark.slow),
        {"loss": {"name": "cross_entropy", "class_weights": "balanced"}, "scheduler": "one_cycle"},
        pytest.param(
            {"dataset": PICTURES, "model": CNN, "lookahead": {"every": 2}, "evaluation": {"tta": "mirror_translate"}},
            marks=pytest.mark.slow,
        ),
        pytest.param({"dataset": PICTURES, "model": WHITENING, "optimizer": {"name": "muon"}}, marks=pytest.mark.slow),
    ],
)
def test_a_run_computes_there(values: dict[str, Any]) -> None:
    result = train(loaded(config_of(epochs=1, **values)))
    assert all(isinstance(weight, Remote) for weight in result.classifier.model.parameters())
    assert result.test is not None
    assert 0 <= result.test.accuracy <= 1


@pytest.mark.parametrize("loss", [member.model_fields["name"].default for member in get_args(get_args(AnyLoss)[0])])
def test_a_step_moves_nothing(loss: str, elsewhere: Elsewhere, files: Path, trusted: None) -> None:
    """A CUDA graph cannot fetch what lies on the CPU, and counting would wait for it."""
    output = {"bce": "sigmoid", "nll": "log_softmax"}.get(loss, "none")
    weights = {"class_weights": "balanced"} if loss in ("cross_entropy", "nll", "focal") else {}
    if loss == "python":
        weights = {"file": str(files / "user.py"), "function": "smooth"}
    _, trainer = trainer_of(loss={"name": loss, **weights}, model={"name": "mlp", "hidden": [4], "output": output})
    chunk = next(iter(trainer.train_batches.epoch(1)))
    inputs, targets = next(iter(chunk))
    before = elsewhere.num_moves
    outputs, losses = trainer.step_function.run(inputs, targets, [1.0], [1.0])
    trainer.totals.add(losses, outputs, targets, trainer.step_function.loss_fn)
    assert elsewhere.num_moves == before > 0
    assert trainer.totals.mean_loss() > 0
    assert elsewhere.num_moves > before  # only reading waits


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_that_can_be_recorded_moves_its_rates_alone(
    name: str, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nnclassify.training.step.VerifiedSteps", lambda fast, *rest: fast
    )  # a proof reads values; later steps do not
    _, trainer = trainer_of(optimizer={"name": name}, clip_grad_norm=1.0, ema=0.9)
    trainer = executed(trainer, Execution.CUDA_GRAPH)
    inputs, targets = next(iter(next(iter(trainer.train_batches.epoch(1)))))
    before = elsewhere.num_moves
    _, losses = trainer.step_function.run(inputs, targets, [1.0], [0.5])
    assert elsewhere.num_moves == before + 1
    assert losses.isfinite().all()


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # here, `meta` does hold numbers
@pytest.mark.parametrize(
    "name", [member.model_fields["name"].default for member in get_args(get_args(AnyOptimizer)[0])]
)
def test_a_state_that_is_loaded_goes_there(name: str) -> None:
    """A checkpoint is read on the CPU, and torch leaves some of it there."""
    (_, began), (_, resumed) = (trainer_of(optimizer={"name": name}) for _ in range(2))
    began.fit()
    resumed.load_state(tree_map_only(torch.Tensor, Tensor.cpu, began.state()), began.rows)
    tensors, before = (one.step_function.functional_state().tensors for one in (resumed, began))
    assert all(isinstance(tensor, Remote) for tensor in tensors)
    assert sum(tensor.numel() for tensor in tensors) == sum(tensor.numel() for tensor in before)
