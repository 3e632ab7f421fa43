"""Tests of torchvision's transforms, erased rectangles, mixup and CutMix, which depend on (seed, epoch, example)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders import config_of, trainer_of
from torch import Tensor
from torch.nn import functional

from nnclassify.data import Examples
from nnclassify.data.augment import Augment, Augmentation
from nnclassify.data.batches import Batches
from nnclassify.data.mixing import Mixing, soft_targets
from nnclassify.data.transform import Transform, fit_normalization
from nnclassify.device import resolve_placement
from nnclassify.errors import ConfigError, DataError
from nnclassify.files.images.image_format import ImageFormat
from nnclassify.losses import CrossEntropy, Loss, Mse
from nnclassify.run import train
from nnclassify.runs.checkpoint import content_digest, plain

EVERYTHING = [
    Augment(rotate=30.0, color=0.5),
    Augment(auto="trivial", erase=0.5),
    Augment(auto="rand"),
    Augment(mixup=0.4),
    Augment(flip=True, crop=2, cutmix=1.0, mixup=0.2, erase=0.3),
]
DIGITS = {"name": "digits", "limit": 60}


def batches_of(augment: Augment, batch_size: int = 5, dtype: torch.dtype = torch.uint8) -> Batches:
    """23 color images of 8x8 pixels in four classes."""
    inputs = torch.randint(0, 256, (23, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    white = 255 if dtype == torch.uint8 else 1
    inputs = inputs.to(dtype) / (255 / white) if white == 1 else inputs
    rows = torch.arange(23)
    transform = Transform(
        (3, 8, 8), ImageFormat(8, 8, "rgb", max_value=white), None, *fit_normalization(inputs, rows, "unit")
    )
    placement = resolve_placement("cpu", "float32")
    examples = Examples(inputs, rows % 4, rows)
    return Batches(examples, transform, placement, batch_size=batch_size, seed=3, augment=augment, num_classes=4)


def epoch_of(batches: Batches, epoch: int) -> dict[int, tuple[Tensor, Tensor]]:
    """What becomes of each row of the split in an epoch."""
    pairs = [batch for chunk in batches.epoch(epoch) for batch in chunk]
    inputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return dict(zip(batches.order(epoch).tolist(), zip(inputs, targets, strict=True), strict=True))


@pytest.mark.parametrize("augment", EVERYTHING)
def test_the_batch_size_plays_no_part(augment: Augment, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    expected = epoch_of(batches_of(augment), 2)
    state = torch.get_rng_state()
    for batch_size in (1, 7, 23):
        monkeypatch.setattr("nnclassify.data.batches.chunk_limits", lambda device: (1, 4096))
        found = epoch_of(batches_of(augment, batch_size), 2)
        assert all(torch.equal(a, b) for row in found for a, b in zip(found[row], expected[row], strict=True))
    assert torch.equal(torch.get_rng_state(), state)  # dropout draws on as if nothing were augmented
    other = epoch_of(batches_of(augment), 3)
    assert any(not torch.equal(other[row][0], expected[row][0]) for row in expected)


@pytest.mark.parametrize("augment", EVERYTHING[:3])
def test_floats_in_0_to_1_are_changed_as_bytes_are(augment: Augment) -> None:
    bytes_, floats = (epoch_of(batches_of(augment, dtype=dtype), 1) for dtype in (torch.uint8, torch.float32))
    apart = torch.stack([(bytes_[row][0] - floats[row][0]).abs().mean() for row in bytes_])
    assert apart.median() < 0.01 and all(
        0 <= float(image.min()) <= float(image.max()) <= 1 for image, _ in floats.values()
    )


def test_color_changes_are_those_of_torchvision() -> None:
    from torchvision.transforms import v2

    images = torch.randint(0, 256, (2, 3, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    drawn = Augmentation.draw(Augment(color=0.3), seed=0, epoch=1, num_examples=2)
    assert drawn is not None and drawn.seeds is not None
    changed = drawn.apply(images, torch.arange(2))
    for image, found, seed in zip(images, changed, drawn.seeds.tolist(), strict=True):
        torch.manual_seed(seed)
        assert torch.equal(found, v2.ColorJitter(0.3, 0.3, 0.3)(image))


def test_erased_rectangles_have_the_areas_of_random_erasing() -> None:
    drawn = Augmentation.draw(Augment(erase=0.4), seed=0, epoch=1, num_examples=2000)
    assert drawn is not None
    erased = drawn.cut(torch.ones(2000, 1, 20, 30), torch.arange(2000)) == 0
    areas = erased.flatten(1).double().mean(dim=1)
    assert abs(float((areas > 0).double().mean()) - 0.4) < 0.04
    assert areas[areas > 0].min() > 0.01 and areas.max() < 0.36
    for image in erased[areas > 0][:20, 0]:
        rows, columns = image.any(dim=1), image.any(dim=0)
        assert torch.equal(image, rows[:, None] & columns)  # a rectangle


def test_mixup_blends_images_and_targets_with_one_weight() -> None:
    mixing = Mixing.draw(Augment(mixup=0.5), seed=0, epoch=1, num_examples=4000)
    assert mixing is not None and not mixing.is_cut.any()
    assert abs(float(mixing.shares.var()) - 0.125) < 0.01  # of Beta(a, a): 1 / (4 (2 a + 1))
    rows = torch.tensor([5, 9])
    ones, shares = mixing.mix(torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3), rows)
    torch.testing.assert_close(ones.mean(dim=(1, 2, 3)).double(), shares)
    soft = soft_targets(torch.tensor([0, 1]), torch.tensor([1, 1]), torch.tensor([0.25, 0.25]), 3)
    assert soft.tolist() == [[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]
    hot = soft_targets(torch.tensor([[1, 1, 0]]), torch.tensor([[0, 1, 0]]), torch.tensor([0.25]), 3)
    assert hot.tolist() == [[0.25, 1.0, 0.0]]


def test_cutmix_weighs_targets_by_the_area_that_is_pasted() -> None:
    mixing = Mixing.draw(Augment(cutmix=1.0), seed=0, epoch=1, num_examples=500)
    assert mixing is not None and mixing.is_cut.all()
    mixed, shares = mixing.mix(torch.ones(500, 2, 12, 9), torch.zeros(500, 2, 12, 9), torch.arange(500))
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)).double(), shares)
    assert set(mixed.unique().tolist()) == {0.0, 1.0} and 0.5 < float(shares.mean()) < 0.85


@pytest.mark.parametrize(
    "loss", [CrossEntropy(label_smoothing=0.1), CrossEntropy(class_weights=[1.0, 2.0, 3.0]), Mse()]
)
def test_soft_targets_cost_what_their_parts_do(loss: Loss) -> None:
    """Cross-entropy is linear in its targets; of a squared error, so is the gradient."""
    loss_fn = loss.build([1, 1, 1])
    outputs = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    one, other = torch.tensor([0, 2]), torch.tensor([1, 2])
    soft = 0.3 * functional.one_hot(one, 3).double() + 0.7 * functional.one_hot(other, 3).double()
    parts = 0.3 * loss_fn(outputs, one) + 0.7 * loss_fn(outputs, other)
    (found,), (expected,) = (torch.autograd.grad(losses.sum(), outputs) for losses in (loss_fn(outputs, soft), parts))
    torch.testing.assert_close(found, expected)
    assert loss_fn.labels(soft).tolist() == [1, 2]
    weights = loss_fn.weights(soft)
    assert weights is None or weights.tolist() == pytest.approx([0.3 * 1 + 0.7 * 2, 3.0])


def test_one_output_for_two_classes_takes_soft_targets() -> None:
    loss_fn = config_of(loss="bce_with_logits").loss_function([4, 6])
    found = loss_fn(torch.zeros(1, 1), torch.tensor([[0.25, 0.75]]))
    assert float(found) == pytest.approx(0.6931472)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"loss": "focal"},
            r"loss: found focal with dataset.augment.mixup, which makes targets soft; focal takes no soft",
        ),
        ({"loss": {"name": "mse", "targets": "index"}}, r"targets: index takes no soft targets; use targets: one_hot"),
    ],
)
def test_losses_that_take_no_soft_targets_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(dataset={**DIGITS, "augment": {"mixup": 0.2}}, **values)


def test_color_needs_known_units(tmp_path: Path) -> None:
    images = torch.randn(12, 3, 8, 8)
    torch.save(images, tmp_path / "x.pt")
    torch.save(torch.arange(12) % 2, tmp_path / "y.pt")
    files = {"train_inputs": str(tmp_path / "x.pt"), "train_targets": str(tmp_path / "y.pt")}
    with pytest.raises(DataError, match=r"dataset.augment.auto: needs images with 1 or 3 channels in 0..255 or 0..1"):
        trainer_of(dataset={"name": "tensors", **files, "augment": {"auto": "rand"}})


@pytest.mark.parametrize("augment", [{"auto": "trivial", "erase": 0.2}, {"mixup": 0.3, "cutmix": 1.0, "rotate": 10.0}])
def test_a_resume_in_mid_epoch_is_bit_exact(augment: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "dataset": {**DIGITS, "augment": augment},
        "model": {"name": "cnn", "blocks": [{"channels": 2, "batch_norm": True}], "hidden": [4], "dropout": 0.2},
        "loss": {"name": "cross_entropy", "class_weights": "balanced"},
        "batch_size": 11,
    }
    _, whole = trainer_of(**values)
    whole.fit()
    _, began = trainer_of(**values)
    began.step_function.begin_epoch(1)
    for inputs, targets in (batch for chunk in began.train_batches.epoch(1) for batch in list(chunk)[:2]):
        began._train_chunk(_chunk(inputs, targets, began.batch))
    state = began.state()
    _, resumed = trainer_of(**values)
    resumed.load_state(state, [])
    assert resumed.batch == 2
    resumed.fit()
    assert content_digest(plain(resumed.state()["model"])) == content_digest(plain(whole.state()["model"]))
    assert resumed.rows[-1].train_accuracy == whole.rows[-1].train_accuracy


def _chunk(inputs: Tensor, targets: Tensor, first_batch: int) -> Any:
    from nnclassify.data.batches import Chunk

    return Chunk(inputs, targets, len(targets), 1, first_batch)


def test_the_training_accuracy_is_against_the_dominant_class(here: Path) -> None:
    from builders import loaded

    result = train(loaded(config_of(dataset={**DIGITS, "augment": {"mixup": 0.2}}, epochs=3)))
    assert 0 < result.rows[-1].train_accuracy <= 1 and result.test is not None
