from pathlib import Path
from typing import Any

import pytest
import torch

from nnclassify.errors import CheckpointError, SaveError, TrainingError
from nnclassify.files.atomic_write import previous
from nnclassify.runs.checkpoint import Checkpoint, content_digest, load_checkpoint, load_newest, plain, save_checkpoint
from nnclassify.training.history import Row

ROW = Row(1, 2, 0.5, 1.0, None, None, 0.1, 1.0, 3.0).state()


def checkpoint(value: float = 1.0, **changes: Any) -> Checkpoint:
    content: dict[str, Any] = {
        "config": {"dataset": {"name": "xor"}, "model": {"name": "mlp"}},
        "class_names": ["a", "b"],
        "class_counts": [1, 2],
        "transform": {
            "input_shape": [2],
            "picture": None,
            "feature_names": None,
            "shift": torch.zeros(2, dtype=torch.float64),
            "scale": torch.ones(2, dtype=torch.float64),
        },
        "model": {"weight": torch.full((50,), value)},
        "epoch": 1,
        "history": [ROW],
    }
    return Checkpoint(**{**content, **changes})


def damage(path: Path) -> None:
    """Cut off its end, in a file of its own: generations may share one."""
    content = path.read_bytes()[:-100]
    path.unlink()
    path.write_bytes(content)


def test_what_is_read_is_what_was_saved(tmp_path: Path) -> None:
    saved = checkpoint(run_id="1f", history=[{**ROW, "validation_loss": 0.1, "validation_accuracy": 0.75}])
    save_checkpoint(tmp_path / "best.pt", saved)
    read = load_checkpoint(tmp_path / "best.pt")
    assert content_digest(vars(read)) == content_digest(vars(saved))
    assert [type(value) for value in read.history[0].values()] == [int, int, *[float] * 7]


def test_a_history_without_validation_is_read_as_it_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best.pt", checkpoint())
    assert load_checkpoint(tmp_path / "best.pt").history == [ROW]


def test_numbers_that_a_tensor_repeats_are_written_out(tmp_path: Path) -> None:
    """Once a scale that was one number for all columns made a checkpoint that its own reader refused."""
    weights = {"a": torch.ones(1).expand(50), "b": torch.arange(12.0).reshape(3, 4).t(), "c": torch.ones(9)[::2]}
    save_checkpoint(tmp_path / "best.pt", checkpoint(model=weights))
    read = load_checkpoint(tmp_path / "best.pt").model
    assert all(torch.equal(read[name], weights[name]) for name in weights)


def test_what_cannot_be_read_back_does_not_replace_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_checkpoint(path, checkpoint(1.0))
    with pytest.raises(SaveError, match=r"cannot be read back .*class_counts"):
        save_checkpoint(path, checkpoint(2.0, class_counts=[1, -2]))
    assert load_checkpoint(path).model["weight"].unique().item() == 1.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.pt"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint(1.0))
    save_checkpoint(path, checkpoint(2.0, epoch=2, history=[ROW, {**ROW, "epoch": 2, "step": 4}]))
    assert load_newest(path).checkpoint.epoch == 2
    damage(path)
    found = load_newest(path)
    assert (found.path, found.checkpoint.epoch) == (previous(path), 1)
    assert "last.pt: damaged" in found.notes[0] and "last.previous.pt from epoch 1" in found.notes[0]


def test_two_damaged_generations_are_both_named(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    for value in (1.0, 2.0):
        save_checkpoint(path, checkpoint(value))
    damage(path)
    damage(previous(path))
    with pytest.raises(CheckpointError, match=r"last\.pt.*last\.previous\.pt"):
        load_newest(path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint(1.0))
    weights = {"weight": torch.tensor([1.0, bad])}
    for content in (
        checkpoint(bad),
        checkpoint(training={"model": weights}),
        checkpoint(training={"averaged": weights}),
    ):
        with pytest.raises(TrainingError, match="weight holds NaN or infinity"):
            save_checkpoint(path, content)
    assert load_checkpoint(path).model["weight"].unique().item() == 1.0


def test_a_change_that_keeps_every_checksum_is_found(tmp_path: Path) -> None:
    """Someone opens the file and saves it again with other weights: the zip is right, the SHA-256 is not."""
    save_checkpoint(tmp_path / "a.pt", checkpoint())
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    content["model"]["weight"][0] = 9.0
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(tmp_path / "a.pt")


def test_state_dicts_become_plain_data() -> None:
    state = plain(torch.nn.Linear(2, 1).state_dict(keep_vars=True))
    assert type(state) is dict and not any(tensor.requires_grad for tensor in state.values())
