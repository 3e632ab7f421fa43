from pathlib import Path
from typing import Any

import pytest
import torch

from nnclassify.checkpoint import Checkpoint, content_digest, load_checkpoint, load_newest, plain, save_checkpoint
from nnclassify.errors import CheckpointError, TrainingError
from nnclassify.history import Row
from nnclassify.storage import previous

ROW = Row(1, 2, 0.5, 1.0, None, None, 0.1, 1.0, 3.0).state()


def checkpoint(value: float = 1.0, **changes: Any) -> Checkpoint:
    content: dict[str, Any] = {
        "config": {"epochs": 3},
        "class_names": ["a", "b"],
        "class_counts": [1, 2],
        "transform": {},
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
    training = {"optimizer": {0: torch.arange(3)}, "random": [1, "x", None, 2.5], "step": 7}
    save_checkpoint(tmp_path / "last.pt", checkpoint(training=training))
    read = load_checkpoint(tmp_path / "last.pt")
    assert read.training is not None and read.training["optimizer"][0].tolist() == [0, 1, 2]
    assert read.training["random"] == training["random"]
    assert (read.model["weight"].unique().item(), read.history, read.class_names) == (1.0, [ROW], ["a", "b"])


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint(1.0))
    save_checkpoint(path, checkpoint(2.0, epoch=2))
    assert load_newest(path).checkpoint.epoch == 2
    damage(path)
    found = load_newest(path)
    assert (found.path, found.checkpoint.epoch) == (previous(path), 1)
    assert "last.pt: damaged" in found.notes[0] and "last.previous.pt, of epoch 1" in found.notes[0]


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


@pytest.mark.parametrize(
    ("key", "value"),
    [("class_names", [1]), ("model", {"w": 3}), ("history", [{"epoch": 1}]), ("config", []), ("epoch", "one")],
)
def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint(**{key: value}))
    with pytest.raises(CheckpointError, match=f"not a whole checkpoint .*{'step' if key == 'history' else key}"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_change_that_keeps_every_checksum_is_found(tmp_path: Path) -> None:
    """Someone opens the file and saves it again with other weights: the zip is right, the SHA-256 is not."""
    save_checkpoint(tmp_path / "a.pt", checkpoint())
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    content["model"]["weight"][0] = 9.0
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_checkpoint_without_its_training_state_can_be_used(tmp_path: Path) -> None:
    content = plain({key: value for key, value in vars(checkpoint()).items() if key != "training"})
    torch.save({**content, "sha256": content_digest(content)}, tmp_path / "best.pt")
    assert load_checkpoint(tmp_path / "best.pt").training is None


def test_state_dicts_become_plain_data() -> None:
    state = plain(torch.nn.Linear(2, 1).state_dict(keep_vars=True))
    assert type(state) is dict and not any(tensor.requires_grad for tensor in state.values())
